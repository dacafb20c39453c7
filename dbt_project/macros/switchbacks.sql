{# Experiments that deal variants to windows of time, with their windows in seconds. Those that come as a table are not among
   them: a table has one row per unit, and no windows. #}
{% macro switchbacks() -%}
    select
        tenant_id,
        key as experiment,
        coalesce(declaration ->> 'exposure', 'assignment') as kind,
        (declaration ->> 'start')::date as starts_on,
        (declaration ->> 'end')::date as ends_on,
        nullif(declaration #>> '{randomization,attribute}', 'targetingKey') as attribute,
        coalesce(declaration #>> '{randomization,origin}', '1970-01-01T00:00:00Z')::timestamptz as origin,
        {{ seconds_of("declaration #>> '{randomization,window}'") }} as seconds,
        coalesce({{ seconds_of("declaration #>> '{randomization,washout}'") }}, 0) as washout
    from {{ source('registry', 'experiments') }}
    where
        {{ in_partition('key') }}
        and {{ is_switchback('declaration') }}
{%- endmacro %}

{% macro is_switchback(declaration) -%}
    ({{ declaration }} #>> '{randomization,by}' = 'switchback' and {{ declaration }} ->> 'source' is null)
{%- endmacro %}

{# 90s, 30m, 4h, 7d: days of twenty-four hours, whatever a calendar says. #}
{% macro seconds_of(length) -%}
    (
        left({{ length }}, -1)::bigint
        * case right({{ length }}, 1) when 's' then 1 when 'm' then 60 when 'h' then 3600 when 'd' then 86400 end
    )
{%- endmacro %}

{# The number of the window that holds a moment: exact to the microsecond, as causeway.assignment.flags.Switchback counts. #}
{% macro window_index(moment, declared) -%}
    floor((extract(epoch from {{ moment }}) - extract(epoch from {{ declared }}.origin)) / {{ declared }}.seconds)::bigint
{%- endmacro %}

{% macro window_start(index, declared) -%}
    ({{ declared }}.origin + ({{ index }} * {{ declared }}.seconds) * interval '1 second')
{%- endmacro %}

{# What is dealt a variant: the unit itself, or the value of the hashed attribute as the row names it, or else as the unit's last
   assignment before it did, or else as its newest profile does. Subqueries, for they are read only where they are needed. #}
{% macro switched_cluster(rows, moment, declared) -%}
    case
        when {{ declared }}.attribute is null then {{ rows }}.unit_id
        else coalesce(
            nullif({{ rows }}.properties ->> {{ declared }}.attribute, ''),
            (
                select assigned.properties ->> {{ declared }}.attribute
                from {{ ref('exposures') }} as assigned
                where
                    assigned.tenant_id = {{ declared }}.tenant_id
                    and assigned.experiment = {{ declared }}.experiment
                    and assigned.unit_id = {{ rows }}.unit_id
                    and assigned.kind = 'assignment'
                    and assigned.exposed_at <= {{ moment }}
                    and nullif(assigned.properties ->> {{ declared }}.attribute, '') is not null
                order by assigned.exposed_at desc, assigned.known_at, assigned.source, assigned.event_id
                limit 1
            ),
            (
                select nullif(known.properties ->> {{ declared }}.attribute, '')
                from {{ ref('known_units') }} as known
                where
                    known.tenant_id = {{ declared }}.tenant_id
                    and known.experiment = {{ declared }}.experiment
                    and known.unit_id = {{ rows }}.unit_id
            )
        )
    end
{%- endmacro %}

{# Events of a metric's kind with their value, between two moments of the experiment, each in its cluster and window. #}
{% macro switched_events(event, property, filter, only_if) -%}
    select
        metrics.tenant_id,
        metrics.experiment,
        metrics.metric,
        metrics.type,
        events.unit_id,
        {{ switched_cluster('events', 'events.occurred_at', 'declared') }} as cluster_id,
        {{ window_index('events.occurred_at', 'declared') }} as window_index,
        case
            when {{ property }} is null then 1::numeric
            else {{ number_or_null('(events.properties ->> ' ~ property ~ ')') }}
        end as value
    from declared
    inner join spans
        on
            declared.tenant_id = spans.tenant_id
            and declared.experiment = spans.experiment
    inner join metrics
        on
            declared.tenant_id = metrics.tenant_id
            and declared.experiment = metrics.experiment
    inner join {{ ref('events') }} as events
        on
            metrics.tenant_id = events.tenant_id
            and {{ event }} = events.type
            and spans.begins_at <= events.occurred_at
            and spans.ends_at > events.occurred_at
    where
        {{ only_if }}
        and {{ meets('events.properties', filter) }}
        -- Without a switchback nothing is read.
        and exists (select from declared)
        and extract(epoch from events.occurred_at)
        >= extract(epoch from {{ window_start(window_index('events.occurred_at', 'declared'), 'declared') }}) + declared.washout
{%- endmacro %}
