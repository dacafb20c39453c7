{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where {{ in_partition('experiment') }}
),

estimates as (
    select * from {{ source('estimates', 'difference_in_means') }}
    where {{ in_partition('experiment') }}
    union all
    select * from {{ source('estimates', 'adjusted_effects') }}
    where {{ in_partition('experiment') }}
    union all
    select * from {{ source('estimates', 'post_stratified_effects') }}
    where {{ in_partition('experiment') }}
    union all
    select * from {{ source('estimates', 'cuped_effects') }}
    where {{ in_partition('experiment') }}
    union all
    select * from {{ source('estimates', 'segment_effects') }}
    where {{ in_partition('experiment') }}
    union all
    select * from {{ source('estimates', 'contrast_effects') }}
    where {{ in_partition('experiment') }}
),

headlines as (
    select * from {{ source('estimates', 'headline_effects') }}
    where {{ in_partition('experiment') }}
),

-- A headline with a fixed horizon is the row of its method; one that allows for looks is a row of its own.
compared as (
    select
        estimates.*,
        case when estimates.settings ? 'sequential' then 'always_valid' else 'fixed_horizon' end as interval,
        headlines.experiment is not null as is_headline,
        headlines.adjusted_p_value,
        headlines.is_significant,
        headlines.chance_to_beat,
        headlines.expected_loss
    from estimates
    left join headlines
        on
            estimates.tenant_id = headlines.tenant_id
            and estimates.experiment = headlines.experiment
            and estimates.metric = headlines.metric
            and estimates.variant = headlines.variant
            and estimates.method = headlines.method
            and estimates.segment is null
            and headlines.interval = 'fixed_horizon'
    union all
    select
        tenant_id,
        experiment,
        metric,
        null::text as segment,
        variant,
        control,
        method,
        status,
        n,
        n_control,
        mean,
        mean_control,
        effect,
        std_error,
        ci_low,
        ci_high,
        p_value,
        relative_effect,
        relative_ci_low,
        relative_ci_high,
        settings,
        provenance_id,
        interval,
        true as is_headline,
        adjusted_p_value,
        is_significant,
        chance_to_beat,
        expected_loss
    from headlines
    where interval <> 'fixed_horizon'
),

-- Estimates of a variant or metric that is no longer declared are not served.
shown as (
    select
        compared.*,
        metrics.role as metric_role,
        metrics.position
    from compared
    inner join metrics
        on
            compared.tenant_id = metrics.tenant_id
            and compared.experiment = metrics.experiment
            and compared.metric = metrics.metric
    left join {{ ref('closed_gates') }} as closed_gates
        on
            compared.tenant_id = closed_gates.tenant_id
            and compared.experiment = closed_gates.experiment
    where closed_gates.experiment is null
),

methods (method) as (
    values ('difference_in_means'), ('adjusted'), ('cuped')
),

statistics as (
    select * from {{ ref('sufficient_statistics') }}
    where {{ in_partition('experiment') }}
),

-- Behind a closed gate every declared comparison is still named, with its counts and without a single number to act on.
withheld as (
    select
        metrics.tenant_id,
        metrics.experiment,
        metrics.metric,
        metrics.role as metric_role,
        metrics.position,
        treated.variant,
        control.variant as control,
        methods.method,
        treated.n,
        control.n as n_control,
        closed_gates.reasons,
        closed_gates.provenance_id
    from metrics
    inner join {{ ref('closed_gates') }} as closed_gates
        on
            metrics.tenant_id = closed_gates.tenant_id
            and metrics.experiment = closed_gates.experiment
    inner join {{ ref('experiment_variants') }} as variants
        on
            metrics.tenant_id = variants.tenant_id
            and metrics.experiment = variants.experiment
            and not variants.is_control
    inner join {{ ref('experiment_variants') }} as controls
        on
            metrics.tenant_id = controls.tenant_id
            and metrics.experiment = controls.experiment
            and controls.is_control
    inner join statistics as treated
        on
            metrics.tenant_id = treated.tenant_id
            and metrics.experiment = treated.experiment
            and metrics.metric = treated.metric
            and variants.variant = treated.variant
    inner join statistics as control
        on
            metrics.tenant_id = control.tenant_id
            and metrics.experiment = control.experiment
            and metrics.metric = control.metric
            and controls.variant = control.variant
    cross join methods
)

select
    tenant_id,
    experiment,
    metric,
    metric_role,
    position,
    segment,
    variant,
    control,
    method,
    interval,
    is_headline,
    status,
    n,
    n_control,
    mean,
    mean_control,
    effect,
    std_error,
    ci_low,
    ci_high,
    p_value,
    relative_effect,
    relative_ci_low,
    relative_ci_high,
    adjusted_p_value,
    is_significant,
    chance_to_beat,
    expected_loss,
    '[]'::jsonb as reasons,
    settings,
    provenance_id
from shown
union all
select
    tenant_id,
    experiment,
    metric,
    metric_role,
    position,
    null::text as segment,
    variant,
    control,
    method,
    'fixed_horizon' as interval,
    false as is_headline,
    'withheld' as status,
    n,
    n_control,
    null::double precision as mean,
    null::double precision as mean_control,
    null::double precision as effect,
    null::double precision as std_error,
    null::double precision as ci_low,
    null::double precision as ci_high,
    null::double precision as p_value,
    null::double precision as relative_effect,
    null::double precision as relative_ci_low,
    null::double precision as relative_ci_high,
    null::double precision as adjusted_p_value,
    null::boolean as is_significant,
    null::double precision as chance_to_beat,
    null::double precision as expected_loss,
    reasons,
    '{}'::jsonb as settings,
    provenance_id
from withheld
