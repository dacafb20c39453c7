{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='units',
    pre_hook="{{ note_changed_units('unit_metric_values', maturing=true) }}",
    post_hook=["{{ indexed(['tenant_id', 'experiment', 'unit_id', 'metric']) }}"]
) }}

with

outcomes as (
    select * from {{ ref('unit_outcomes') }}
    where {{ in_partition('experiment') }}
),

metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where {{ in_partition('experiment') }}
),

judged as (
    select
        outcomes.*,
        metrics.lowest,
        metrics.highest,
        metrics.lowest_quantile,
        metrics.highest_quantile,
        metrics.quantiles_without_zeros,
        case
            when outcomes.is_immature then 'immature'
            when outcomes.outcome is null then 'missing'
            when metrics.type = 'ratio' and outcomes.denominator is null then 'missing'
            when outcomes.outcome < metrics.excluded_below::numeric then 'excluded'
            when outcomes.outcome > metrics.excluded_above::numeric then 'excluded'
            else 'measured'
        end as status
    from outcomes
    inner join metrics
        on
            outcomes.tenant_id = metrics.tenant_id
            and outcomes.experiment = metrics.experiment
            and outcomes.metric = metrics.metric
),

-- Of all arms together: bounds of each arm's own would hide what a variant does to the largest values.
bounds as (
    select
        tenant_id,
        experiment,
        metric,
        percentile_disc(lowest_quantile) within group (order by outcome) as low,
        percentile_disc(highest_quantile) within group (order by outcome) as high
    from judged
    where
        status = 'measured'
        and (lowest_quantile is not null or highest_quantile is not null)
        and not (quantiles_without_zeros and outcome = 0)
    group by tenant_id, experiment, metric, lowest_quantile, highest_quantile
)

select
    judged.tenant_id,
    judged.experiment,
    judged.metric,
    judged.unit_id,
    judged.variant,
    case
        when judged.status = 'measured'
            then greatest(
                least(judged.outcome, coalesce(judged.highest::numeric, bounds.high)),
                coalesce(judged.lowest::numeric, bounds.low)
            )
    end as value,
    case when judged.status = 'measured' then judged.denominator end as denominator,
    judged.pre_outcome as pre_value,
    judged.pre_denominator,
    judged.is_observed,
    judged.status
from judged
left join bounds
    on
        judged.tenant_id = bounds.tenant_id
        and judged.experiment = bounds.experiment
        and judged.metric = bounds.metric
