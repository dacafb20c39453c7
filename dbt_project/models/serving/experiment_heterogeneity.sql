{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where {{ in_partition('experiment') }}
),

variants as (
    select * from {{ ref('experiment_variants') }}
    where {{ in_partition('experiment') }}
),

-- What is declared now: tests of what is no longer declared are not served.
declared as (
    select
        metrics.tenant_id,
        metrics.experiment,
        metrics.metric,
        metrics.role as metric_role,
        metrics.position,
        segments.segment,
        treated.variant,
        controls.variant as control
    from metrics
    inner join {{ ref('declared_segments') }} as segments
        on
            metrics.tenant_id = segments.tenant_id
            and metrics.experiment = segments.experiment
    inner join variants as treated
        on
            metrics.tenant_id = treated.tenant_id
            and metrics.experiment = treated.experiment
            and not treated.is_control
    inner join variants as controls
        on
            metrics.tenant_id = controls.tenant_id
            and metrics.experiment = controls.experiment
            and controls.is_control
),

tests as (
    select * from {{ source('estimates', 'heterogeneity') }}
    where {{ in_partition('experiment') }}
),

shown as (
    select
        tests.*,
        declared.metric_role,
        declared.position
    from tests
    inner join declared
        on
            tests.tenant_id = declared.tenant_id
            and tests.experiment = declared.experiment
            and tests.metric = declared.metric
            and tests.segment = declared.segment
            and tests.variant = declared.variant
    left join {{ ref('closed_gates') }} as closed_gates
        on
            tests.tenant_id = closed_gates.tenant_id
            and tests.experiment = closed_gates.experiment
    where closed_gates.experiment is null
),

-- Behind a closed gate every test is still named, without anything that it found.
withheld as (
    select
        declared.*,
        closed_gates.reasons,
        closed_gates.provenance_id
    from declared
    inner join {{ ref('closed_gates') }} as closed_gates
        on
            declared.tenant_id = closed_gates.tenant_id
            and declared.experiment = closed_gates.experiment
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
    status,
    p_value,
    q_value,
    found,
    statistic,
    df,
    i_squared,
    pooled_effect,
    p_value_qualitative,
    levels,
    levels_found,
    reversed_levels,
    simpson,
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
    segment,
    variant,
    control,
    'withheld' as status,
    null::double precision as p_value,
    null::double precision as q_value,
    false as found,
    null::double precision as statistic,
    null::bigint as df,
    null::double precision as i_squared,
    null::double precision as pooled_effect,
    null::double precision as p_value_qualitative,
    '[]'::jsonb as levels,
    '[]'::jsonb as levels_found,
    '[]'::jsonb as reversed_levels,
    false as simpson,
    reasons,
    '{}'::jsonb as settings,
    provenance_id
from withheld
