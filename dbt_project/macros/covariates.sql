{# Experiments with the names of what is to be known of their units, and where that is found. #}
{% macro experiments_with_covariates() -%}
    select
        tenant_id,
        key,
        declaration,
        case when declaration ->> 'source' is null then 'profile' else 'record' end as profile_type,
        case when declaration ->> 'source' is not null then key end as landed_source,
        coalesce(declaration -> 'covariates', '[]')
        || coalesce(declaration -> 'segments', '[]')
        || jsonb_build_array(declaration ->> 'cluster')
        || jsonb_build_array(
            case when declaration #>> '{randomization,by}' = 'cluster' then declaration #>> '{randomization,attribute}' end
        ) as names
    from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
{%- endmacro %}

{# What was known of every unit just before it entered. Follows the CTEs declared (experiments) and units (with first_exposed_at). #}
{% macro covariates_of_units() -%}
wanted as (
    select distinct
        declared.tenant_id,
        declared.key as experiment,
        covariate.name as covariate
    from declared
    cross join lateral jsonb_array_elements_text(declared.names) as covariate (name)
    where covariate.name is not null
),

features as (
    select
        tenant_id,
        key as feature,
        declaration ->> 'event' as event,
        declaration ->> 'aggregation' as aggregation,
        declaration ->> 'column' as property,
        (declaration ->> 'lookback_days')::double precision as lookback_days
    from {{ source('registry', 'features') }}
),

-- What was true of a unit just before it was exposed: its newest profile up to that moment, or its row of the landed file.
-- As-of lookups are lateral, one index probe a unit: their cost grows with the units and not with the tenant's history.
from_profiles as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        wanted.covariate,
        units.first_exposed_at as as_of,
        profile.known_at,
        nullif(profile.properties ->> wanted.covariate, '') as value_text
    from units
    inner join declared
        on
            units.tenant_id = declared.tenant_id
            and units.experiment = declared.key
    left join lateral (
        select
            events.properties,
            events.known_at
        from {{ ref('events') }} as events
        where
            events.tenant_id = units.tenant_id
            and events.type = declared.profile_type
            and events.unit_id = units.unit_id
            and events.occurred_at <= units.first_exposed_at
            and (declared.landed_source is null or declared.landed_source = split_part(events.source, '@', 1))
        order by events.occurred_at desc, events.known_at desc, events.source desc, events.event_id desc
        limit 1
    ) as profile on true
    inner join wanted
        on
            units.tenant_id = wanted.tenant_id
            and units.experiment = wanted.experiment
    where not exists (
        select 1 from features
        where features.tenant_id = wanted.tenant_id and features.feature = wanted.covariate
    )
),

from_features as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        features.feature as covariate,
        units.first_exposed_at as as_of,
        measured.known_at,
        case features.aggregation
            when 'count' then measured.n::text
            when 'sum' then trim_scale(coalesce(measured.total, 0))::text
            when 'mean' then measured.mean::text
            when 'latest' then measured.latest
        end as value_text
    from units
    inner join wanted
        on
            units.tenant_id = wanted.tenant_id
            and units.experiment = wanted.experiment
    inner join features
        on
            wanted.tenant_id = features.tenant_id
            and wanted.covariate = features.feature
    cross join lateral (
        select
            count(events.value) as n,
            sum(events.value) as total,
            avg(events.value) as mean,
            (array_agg(events.value_text order by events.occurred_at desc, events.known_at desc, events.event_id desc))[1]
                as latest,
            max(events.known_at) as known_at
        from (
            select
                past.occurred_at,
                past.known_at,
                past.event_id,
                past.properties ->> features.property as value_text,
                case
                    when features.property is null then 1::numeric
                    else {{ number_or_null('(past.properties ->> features.property)') }}
                end as value
            from {{ ref('events') }} as past
            where
                past.tenant_id = units.tenant_id
                and past.type = features.event
                and past.unit_id = units.unit_id
                and past.occurred_at < units.first_exposed_at
                and past.occurred_at >= units.first_exposed_at
                - coalesce(features.lookback_days, 36500) * interval '1 day'
        ) as events
    ) as measured
),

combined as (
    select * from from_profiles
    union all
    select * from from_features
)

select
    tenant_id,
    experiment,
    unit_id,
    covariate,
    as_of,
    known_at,
    value_text,
    ({{ number_or_null('value_text') }})::double precision as value_number
from combined
{%- endmacro %}
