{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'covariate', 'unit_id']}]) }}

with

declared as (
    select
        tenant_id,
        key,
        declaration,
        case when declaration ->> 'source' is null then 'profile' else 'record' end as profile_type,
        case when declaration ->> 'source' is not null then key end as landed_source
    from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
),

wanted as (
    select distinct
        declared.tenant_id,
        declared.key as experiment,
        covariate.name as covariate
    from declared
    cross join lateral jsonb_array_elements_text(
        coalesce(declared.declaration -> 'covariates', '[]') || coalesce(declared.declaration -> 'segments', '[]')
    ) as covariate (name)
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

units as (
    select * from {{ ref('first_exposures') }}
    where {{ in_partition('experiment') }}
),

-- What was true of a unit just before it was exposed: its newest profile up to that moment, or its row of the landed file.
profiles as (
    select distinct on (units.tenant_id, units.experiment, units.unit_id)
        units.tenant_id,
        units.experiment,
        units.unit_id,
        events.properties,
        events.occurred_at,
        events.known_at
    from units
    inner join declared
        on
            units.tenant_id = declared.tenant_id
            and units.experiment = declared.key
    inner join {{ ref('events') }} as events
        on
            units.tenant_id = events.tenant_id
            and declared.profile_type = events.type
            and units.unit_id = events.unit_id
            and (declared.landed_source is null or declared.landed_source = split_part(events.source, '@', 1))
    where events.occurred_at <= units.first_exposed_at
    order by
        units.tenant_id, units.experiment, units.unit_id,
        events.occurred_at desc, events.known_at desc, events.source desc, events.event_id desc
),

from_profiles as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        wanted.covariate,
        units.first_exposed_at as as_of,
        profiles.known_at,
        nullif(profiles.properties ->> wanted.covariate, '') as value_text
    from units
    inner join wanted
        on
            units.tenant_id = wanted.tenant_id
            and units.experiment = wanted.experiment
    left join profiles
        on
            units.tenant_id = profiles.tenant_id
            and units.experiment = profiles.experiment
            and units.unit_id = profiles.unit_id
    where not exists (
        select 1 from features
        where features.tenant_id = wanted.tenant_id and features.feature = wanted.covariate
    )
),

measured as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        features.feature,
        features.aggregation,
        events.occurred_at,
        events.known_at,
        events.event_id,
        case
            when features.property is null then 1::numeric
            else {{ number_or_null('(events.properties ->> features.property)') }}
        end as value,
        events.properties ->> features.property as value_text
    from units
    inner join wanted
        on
            units.tenant_id = wanted.tenant_id
            and units.experiment = wanted.experiment
    inner join features
        on
            wanted.tenant_id = features.tenant_id
            and wanted.covariate = features.feature
    inner join {{ ref('events') }} as events
        on
            features.tenant_id = events.tenant_id
            and features.event = events.type
            and units.unit_id = events.unit_id
    where
        events.occurred_at < units.first_exposed_at
        and (
            features.lookback_days is null
            or events.occurred_at >= units.first_exposed_at - features.lookback_days * interval '1 day'
        )
),

aggregated as (
    select
        tenant_id,
        experiment,
        unit_id,
        feature,
        max(known_at) as known_at,
        case aggregation
            when 'count' then count(value)::text
            when 'sum' then trim_scale(sum(value))::text
            when 'mean' then avg(value)::text
            when 'latest' then (array_agg(value_text order by occurred_at desc, known_at desc, event_id desc))[1]
        end as value_text
    from measured
    group by tenant_id, experiment, unit_id, feature, aggregation
),

from_features as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        features.feature as covariate,
        units.first_exposed_at as as_of,
        aggregated.known_at,
        coalesce(aggregated.value_text, case when features.aggregation in ('count', 'sum') then '0' end) as value_text
    from units
    inner join wanted
        on
            units.tenant_id = wanted.tenant_id
            and units.experiment = wanted.experiment
    inner join features
        on
            wanted.tenant_id = features.tenant_id
            and wanted.covariate = features.feature
    left join aggregated
        on
            units.tenant_id = aggregated.tenant_id
            and units.experiment = aggregated.experiment
            and units.unit_id = aggregated.unit_id
            and features.feature = aggregated.feature
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
