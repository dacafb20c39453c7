{# What every unit did of every metric, of units as moments_by_metric gives them. A unit without any event is there too. #}
{% macro outcomes_of(units) -%}
with

unit_metrics as (
    {{ units }}
),

measured as (
    select
        unit_metrics.*,
        divisors.total as divisor,
        earlier_divisors.total as earlier_divisor,
        case
            when unit_metrics.type in ('conversion', 'retention') then outcomes.converted
            when unit_metrics.type = 'count' then nullif(outcomes.n, 0)
            when unit_metrics.type in ('sum', 'ratio', 'quantile') then outcomes.total
            when unit_metrics.type = 'mean' then outcomes.mean
            when unit_metrics.type = 'funnel' then funnels.completed
            when unit_metrics.type = 'time_to_event'
                then {{ days_between('unit_metrics.counts_from', 'least(outcomes.first_at, unit_metrics.seen_until)') }}
        end as outcome,
        case
            when unit_metrics.type in ('conversion', 'retention') then earlier.converted
            when unit_metrics.type = 'count' then nullif(earlier.n, 0)
            when unit_metrics.type in ('sum', 'ratio', 'quantile') then earlier.total
            when unit_metrics.type = 'mean' then earlier.mean
        end as earlier_outcome,
        outcomes.first_at < unit_metrics.seen_until as was_seen
    from unit_metrics
    {{ join_sums(
        'outcomes', 'unit_metrics', 'unit_metrics.event', 'unit_metrics.property', 'unit_metrics.filter',
        'unit_metrics.counts_from', 'unit_metrics.counts_until', "unit_metrics.type <> 'funnel'"
    ) }}
    {{ join_sums(
        'divisors', 'unit_metrics', 'unit_metrics.denominator_event', 'unit_metrics.denominator_property',
        'unit_metrics.denominator_filter', 'unit_metrics.counts_from', 'unit_metrics.counts_until',
        "unit_metrics.type = 'ratio'"
    ) }}
    {{ join_sums(
        'earlier', 'unit_metrics', 'unit_metrics.event', 'unit_metrics.property', 'unit_metrics.filter',
        'unit_metrics.looks_back_to', 'unit_metrics.first_exposed_at', 'unit_metrics.lookback_days is not null'
    ) }}
    {{ join_sums(
        'earlier_divisors', 'unit_metrics', 'unit_metrics.denominator_event', 'unit_metrics.denominator_property',
        'unit_metrics.denominator_filter', 'unit_metrics.looks_back_to', 'unit_metrics.first_exposed_at',
        "unit_metrics.type = 'ratio' and unit_metrics.lookback_days is not null"
    ) }}
    {{ join_funnel('funnels', 'unit_metrics', 'unit_metrics.steps', 'unit_metrics.counts_from', 'unit_metrics.counts_until') }}
)

-- What a unit did not do is zero, unless the value is one that its record should have had.
select
    tenant_id,
    experiment,
    metric,
    unit_id,
    variant,
    coalesce(outcome, case when absent_is_zero then 0::numeric end) as outcome,
    case when type = 'ratio' then coalesce(divisor, case when absent_is_zero then 0::numeric end) end as denominator,
    case
        when lookback_days is not null then coalesce(earlier_outcome, case when absent_is_zero then 0::numeric end)
    end as pre_outcome,
    case
        when lookback_days is not null and type = 'ratio'
            then coalesce(earlier_divisor, case when absent_is_zero then 0::numeric end)
    end as pre_denominator,
    case when type = 'time_to_event' then coalesce(was_seen, false) end as is_observed,
    case type
        when 'retention' then seen_until < counts_until
        when 'time_to_event' then seen_until <= counts_from
        else false
    end as is_immature,
    type,
    lowest,
    highest,
    lowest_quantile,
    highest_quantile,
    quantiles_without_zeros,
    excluded_below,
    excluded_above
from measured
{%- endmacro %}

{# The value of every unit and metric: outcomes within the bounds that the metric declares, or why there is none. Follows the
   CTE outcomes, which carries what the metric says: joined here, where the server takes definitions written a moment ago for
   few, all outcomes would be made again for each of them. #}
{% macro values_of_outcomes() -%}
judged as (
    select
        *,
        case
            when is_immature then 'immature'
            when outcome is null then 'missing'
            when type = 'ratio' and denominator is null then 'missing'
            when outcome < excluded_below::numeric then 'excluded'
            when outcome > excluded_above::numeric then 'excluded'
            else 'measured'
        end as status
    from outcomes
),

-- Of all arms together: bounds of each arm's own would hide what a variant does to the largest values. Made once, and not again
-- for each value where the server expects few of them.
bounds as materialized (
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
{%- endmacro %}
