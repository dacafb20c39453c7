{{ config(partition_key='experiment') }}

with

unit_values as (
    select * from {{ ref('unit_metric_values') }}
    where {{ in_partition('experiment') }}
),

metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where {{ in_partition('experiment') }}
),

variants as (
    select * from {{ ref('experiment_variants') }}
    where {{ in_partition('experiment') }}
),

-- Exact decimals: the sums do not depend on the order in which rows are read, so a partition made again is the same to the bit.
means as (
    select
        tenant_id,
        experiment,
        metric,
        variant,
        count(value) as n,
        count(*) filter (where status = 'missing') as n_missing,
        avg(value) as mean
    from unit_values
    group by tenant_id, experiment, metric, variant
),

centred as (
    select
        unit_values.tenant_id,
        unit_values.experiment,
        unit_values.metric,
        unit_values.variant,
        sum((unit_values.value - means.mean) * (unit_values.value - means.mean)) as m2
    from unit_values
    inner join means
        on
            unit_values.tenant_id = means.tenant_id
            and unit_values.experiment = means.experiment
            and unit_values.metric = means.metric
            and unit_values.variant = means.variant
    group by unit_values.tenant_id, unit_values.experiment, unit_values.metric, unit_values.variant
)

select
    variants.tenant_id,
    variants.experiment,
    metrics.metric,
    variants.variant,
    coalesce(means.n, 0) as n,
    coalesce(means.n_missing, 0) as n_missing,
    means.mean::double precision as mean,
    centred.m2::double precision as m2
from variants
inner join metrics
    on
        variants.tenant_id = metrics.tenant_id
        and variants.experiment = metrics.experiment
left join means
    on
        variants.tenant_id = means.tenant_id
        and variants.experiment = means.experiment
        and variants.variant = means.variant
        and metrics.metric = means.metric
left join centred
    on
        variants.tenant_id = centred.tenant_id
        and variants.experiment = centred.experiment
        and variants.variant = centred.variant
        and metrics.metric = centred.metric
