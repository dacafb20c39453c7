{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='units',
    days_are_noted=true,
    pre_hook="{{ note_changed_units('unit_metric_days', maturing=true) }}",
    post_hook=[
        "{{ indexed(['tenant_id', 'experiment', 'unit_id']) }}",
        "{{ indexed(['tenant_id', 'experiment', 'day']) }}"
    ]
) }}

with

all_unit_metrics as (
    {{ units_by_metric('unit_metric_days') }}
),

unit_metrics as (
    select
        all_unit_metrics.*,
        ((all_unit_metrics.counts_until - interval '1 microsecond') at time zone 'UTC')::date as matures_on
    from all_unit_metrics
    where {{ has_days('all_unit_metrics') }}
),

-- What happened to a unit on each day on which its value may have become another.
days as (
    select
        unit_metrics.*,
        coalesce(
            case
                when unit_metrics.type in ('conversion', 'retention') then earlier.converted
                when unit_metrics.type = 'count' then nullif(earlier.n, 0)
                when unit_metrics.type in ('sum', 'ratio') then earlier.total
                when unit_metrics.type = 'mean' then earlier.mean
            end,
            case when unit_metrics.absent_is_zero then 0::numeric end
        ) as pre_value,
        happened.*
    from unit_metrics
    {{ join_sums(
        'earlier', 'unit_metrics', 'unit_metrics.event', 'unit_metrics.property', 'unit_metrics.filter',
        'unit_metrics.looks_back_to', 'unit_metrics.first_exposed_at', 'unit_metrics.lookback_days is not null'
    ) }}
    {{ join_funnel('funnels', 'unit_metrics', 'unit_metrics.steps', 'unit_metrics.counts_from', 'unit_metrics.counts_until') }}
    cross join lateral (
        select
            (moments.at at time zone 'UTC')::date as day,
            count(moments.value) as n,
            sum(moments.value) as total,
            max((moments.value > 0)::integer)::numeric as converted,
            sum(moments.divisor) as divisor,
            max(moments.completed) as completed
        from (
            select
                unit_metrics.first_exposed_at as at,
                null::numeric as value,
                null::numeric as divisor,
                case when unit_metrics.type = 'funnel' then 0::numeric end as completed
            union all
            select
                funnels.completed_at as at,
                null::numeric as value,
                null::numeric as divisor,
                funnels.completed
            where unit_metrics.type = 'funnel' and funnels.completed_at is not null
            union all
            select
                unit_metrics.counts_until - interval '1 microsecond' as at,
                null::numeric as value,
                null::numeric as divisor,
                null::numeric as completed
            where unit_metrics.type = 'retention' and unit_metrics.counts_until <= {{ known_until() }}
            union all
            select
                read.occurred_at as at,
                read.value,
                null::numeric as divisor,
                null::numeric as completed
            from (
                {{ unit_events(
                    'unit_metrics', 'unit_metrics.event', 'unit_metrics.property', 'unit_metrics.filter',
                    'unit_metrics.counts_from', 'unit_metrics.counts_until'
                ) }} and unit_metrics.type <> 'funnel'
            ) as read
            union all
            select
                read.occurred_at as at,
                null::numeric as value,
                read.value as divisor,
                null::numeric as completed
            from (
                {{ unit_events(
                    'unit_metrics', 'unit_metrics.denominator_event', 'unit_metrics.denominator_property',
                    'unit_metrics.denominator_filter', 'unit_metrics.counts_from', 'unit_metrics.counts_until'
                ) }} and unit_metrics.type = 'ratio'
            ) as read
        ) as moments
        group by (moments.at at time zone 'UTC')::date
    ) as happened
),

sums_so_far as (
    select
        *,
        sum(n) over so_far as n_so_far,
        sum(total) over so_far as total_so_far,
        max(converted) over so_far as converted_so_far,
        sum(divisor) over so_far as divisor_so_far,
        max(completed) over so_far as completed_so_far
    from days
    window so_far as (partition by tenant_id, experiment, metric, unit_id order by day)
),

-- What the unit did not do by the end of the day is zero, as in unit_outcomes.
outcomes as (
    select
        *,
        coalesce(
            case
                when type in ('conversion', 'retention') then converted_so_far
                when type = 'count' then nullif(n_so_far, 0)
                when type in ('sum', 'ratio') then total_so_far
                when type = 'mean' then total_so_far / nullif(n_so_far, 0)
                when type = 'funnel' then completed_so_far
            end,
            case when absent_is_zero then 0::numeric end
        ) as outcome,
        case
            when type = 'ratio' then coalesce(divisor_so_far, case when absent_is_zero then 0::numeric end)
        end as measured_denominator
    from sums_so_far
),

judged as (
    select
        *,
        case
            when type = 'retention' and (day < matures_on or counts_until > {{ known_until() }}) then 'immature'
            when outcome is null then 'missing'
            when type = 'ratio' and measured_denominator is null then 'missing'
            when outcome < excluded_below::numeric then 'excluded'
            when outcome > excluded_above::numeric then 'excluded'
            else 'measured'
        end as status
    from outcomes
),

valued as (
    select
        *,
        case
            when status = 'measured' then greatest(least(outcome, highest::numeric), lowest::numeric)
        end as value,
        case when status = 'measured' then measured_denominator end as denominator
    from judged
),

compared as (
    select
        *,
        lag(status) over earlier as previous_status,
        lag(value) over earlier as previous_value,
        lag(denominator) over earlier as previous_denominator
    from valued
    window earlier as (partition by tenant_id, experiment, metric, unit_id order by day)
)

select
    tenant_id,
    experiment,
    metric,
    unit_id,
    variant,
    day,
    status,
    value,
    denominator,
    case when lookback_days is not null then pre_value end as pre_value,
    previous_status,
    previous_value,
    previous_denominator
from compared
where
    previous_status is distinct from status
    or previous_value is distinct from value
    or previous_denominator is distinct from denominator
