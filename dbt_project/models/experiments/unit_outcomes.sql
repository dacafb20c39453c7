{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

with

-- A unit without any event is there too.
unit_metrics as (
    {{ units_by_metric('unit_metric_values') }}
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
    end as is_immature
from measured
