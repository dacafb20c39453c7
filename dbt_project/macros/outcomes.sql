{# Every eligible unit once per metric, with the moments between which its events count; of a table that is kept up to date the
   units that changed. #}
{% macro units_by_metric(name) -%}
    {{ moments_by_metric(ref('first_exposures'), known_until()) }}
    where
        units.is_eligible
        and {{ in_partition('units.experiment', 'units.tenant_id') }}
        and {{ is_of_changed_unit(name, 'units') }}
{%- endmacro %}

{# Units, each with its first_exposed_at, once per metric of their experiment; nothing is seen of them from `until` on. With
   `ends` nothing counts from then on, as if that were the present. #}
{% macro moments_by_metric(units, until, ends="'infinity'::timestamptz") -%}
    select
        metrics.*,
        units.unit_id,
        units.variant,
        units.first_exposed_at,
        units.first_exposed_at + metrics.from_days * interval '1 day' as counts_from,
        least(units.first_exposed_at + coalesce(metrics.to_days, 36500) * interval '1 day', {{ ends }}) as counts_until,
        units.first_exposed_at - metrics.lookback_days * interval '1 day' as looks_back_to,
        least(units.first_exposed_at + coalesce(metrics.to_days, 36500) * interval '1 day', {{ until }}) as seen_until
    from {{ units }} as units
    inner join {{ source('experiments', 'metric_definitions') }} as metrics
        on
            units.tenant_id = metrics.tenant_id
            and units.experiment = metrics.experiment
{%- endmacro %}

{# What one unit did between two moments, as a lateral join: the cost is one index probe a unit and metric, and grows with the
   units and not with the tenant's history. Without `only_if` nothing is read. A value is that of a property, or 1. #}
{% macro join_sums(name, unit, event, property, filter, from_moment, until_moment, only_if) -%}
    cross join lateral (
        select
            max((read.value > 0)::integer)::numeric as converted,
            count(read.value)::numeric as n,
            sum(read.value) as total,
            avg(read.value) as mean,
            min(read.occurred_at) filter (where read.value > 0) as first_at
        from ({{ unit_events(unit, event, property, filter, from_moment, until_moment) }} and {{ only_if }}) as read
    ) as {{ name }}
{%- endmacro %}

{# Whether a unit completed all steps in their order: 1 or 0. The earliest event that completes a step, after the one that
   completed the step before, leads farthest. #}
{% macro join_funnel(name, unit, steps, from_moment, until_moment) -%}
    cross join lateral (
        with recursive reached (step, completed_at, event_id) as (
            select 0, {{ from_moment }}, ''::text
            union all
            select reached.step + 1, following.occurred_at, following.event_id
            from reached
            cross join lateral (
                {{ unit_events(
                    unit, '(' ~ steps ~ " -> reached.step ->> 'event')", 'null::text',
                    '(' ~ steps ~ " -> reached.step ->> 'filter')", 'reached.completed_at', until_moment
                ) }}
                    and (reached.step = 0 or (events.occurred_at, events.event_id) > (reached.completed_at, reached.event_id))
                order by events.occurred_at, events.event_id
                limit 1
            ) as following
        )
        select
            (count(*) > jsonb_array_length({{ steps }}))::integer::numeric as completed,
            case when count(*) > jsonb_array_length({{ steps }}) then max(completed_at) end as completed_at
        from reached
        where jsonb_array_length({{ steps }}) > 0
    ) as {{ name }}
{%- endmacro %}

{% macro unit_events(unit, event, property, filter, from_moment, until_moment) -%}
    select
        events.occurred_at,
        events.source,
        events.event_id,
        case
            when {{ property }} is null then 1::numeric
            else {{ number_or_null('(events.properties ->> ' ~ property ~ ')') }}
        end as value
    from {{ ref('events') }} as events
    where
        events.tenant_id = {{ unit }}.tenant_id
        and events.type = {{ event }}
        and events.unit_id = {{ unit }}.unit_id
        and events.occurred_at >= {{ from_moment }}
        and events.occurred_at < {{ until_moment }}
        and ({{ unit }}.landed_source is null or {{ unit }}.landed_source = split_part(events.source, '@', 1))
        and {{ meets('events.properties', filter) }}
{%- endmacro %}

{# Whether an event's properties meet a filter, an SQL/JSON path; what makes no sense to the path does not meet it. #}
{% macro meets(properties, filter) -%}
    ({{ filter }} is null or coalesce(jsonb_path_match({{ properties }}, {{ filter }}::jsonpath, '{}', true), false))
{%- endmacro %}

{# Days from one moment to another, exact to the microsecond. #}
{% macro days_between(from_moment, until_moment) -%}
    (extract(epoch from {{ until_moment }} - {{ from_moment }}) / 86400)
{%- endmacro %}

{# Whether a metric has a value at the end of each day: a mean over units or a ratio of two. A bound that is a quantile of all
   units would move them all every day, and a time that is still running changes every day. #}
{% macro has_days(metrics) -%}
    (
        {{ metrics }}.type in ('conversion', 'count', 'sum', 'mean', 'ratio', 'retention', 'funnel')
        and {{ metrics }}.lowest_quantile is null
        and {{ metrics }}.highest_quantile is null
    )
{%- endmacro %}
