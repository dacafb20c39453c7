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
sums as (
    select
        tenant_id,
        experiment,
        metric,
        variant,
        count(value) as n,
        count(*) filter (where status = 'missing') as n_missing,
        sum(value) as sum_y,
        sum(value * value) as sum_yy
    from unit_values
    group by tenant_id, experiment, metric, variant
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
