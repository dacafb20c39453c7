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

-- Exact decimals: the sums do not depend on the order in which rows are read, so a partition made again is the same to the bit,
-- and what the days added is what the units' values add up to.
sums_of_days as (
    select
        tenant_id,
        experiment,
        metric,
        variant,
        sum(n)::bigint as n,
        sum(n_missing)::bigint as n_missing,
        sum(sum_y) as sum_y,
        sum(sum_yy) as sum_yy
    from {{ ref('daily_statistics') }}
    where {{ in_partition('experiment') }} and segment is null
    group by tenant_id, experiment, metric, variant
),

sums_of_units as (
    select
        unit_values.tenant_id,
        unit_values.experiment,
        unit_values.metric,
        unit_values.variant,
        count(unit_values.value) as n,
        count(*) filter (where unit_values.status = 'missing') as n_missing,
        sum(unit_values.value) as sum_y,
        sum(unit_values.value * unit_values.value) as sum_yy
    from unit_values
    inner join metrics
        on
            unit_values.tenant_id = metrics.tenant_id
            and unit_values.experiment = metrics.experiment
            and unit_values.metric = metrics.metric
    where not {{ has_days('metrics') }}
    group by unit_values.tenant_id, unit_values.experiment, unit_values.metric, unit_values.variant
),

sums as (
    select * from sums_of_days
    union all
    select * from sums_of_units
)

select
    variants.tenant_id,
    variants.experiment,
    metrics.metric,
    variants.variant,
    coalesce(sums.n, 0) as n,
    coalesce(sums.n_missing, 0) as n_missing,
    {{ mean_of('sums.sum_y', 'sums.n') }} as mean,
    {{ comoment_of('sums.sum_yy', 'sums.sum_y', 'sums.sum_y', 'sums.n') }} as m2
from variants
inner join metrics
    on
        variants.tenant_id = metrics.tenant_id
        and variants.experiment = metrics.experiment
left join sums
    on
        variants.tenant_id = sums.tenant_id
        and variants.experiment = sums.experiment
        and variants.variant = sums.variant
        and metrics.metric = sums.metric
