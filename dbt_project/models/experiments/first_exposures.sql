{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'unit_id']}]) }}

with

declared as (
    select
        tenant_id,
        key as experiment,
        case when declaration ->> 'source' is not null then key end as landed_source,
        coalesce(declaration ->> 'exposure', 'assignment') as exposed_by,
        (declaration ->> 'start')::date as starts_on,
        (declaration ->> 'end')::date as ends_on
    from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
),

variants as (
    select * from {{ ref('experiment_variants') }}
    where {{ in_partition('experiment') }}
),

assigned as (
    select
        exposures.tenant_id,
        exposures.experiment,
        exposures.unit_id,
        exposures.variant,
        exposures.exposed_at
    from {{ ref('exposures') }} as exposures
    inner join declared
        on
            exposures.tenant_id = declared.tenant_id
            and exposures.experiment = declared.experiment
            and (declared.landed_source is null or declared.landed_source = split_part(exposures.source, '@', 1))
    where declared.exposed_by = 'assignment'
),

-- An event says that a unit saw its variant, which may be long after it was assigned, or never.
logged as (
    select
        declared.tenant_id,
        declared.experiment,
        events.unit_id,
        events.properties ->> 'variant' as variant,
        events.occurred_at as exposed_at
    from declared
    inner join {{ ref('events') }} as events
        on
            declared.tenant_id = events.tenant_id
            and declared.experiment = events.properties ->> 'experiment'
    where
        declared.exposed_by = 'logged'
        and events.type = 'exposure'
        and events.unit_id is not null
        and events.properties ->> 'variant' is not null
),

exposures as (
    select seen.*
    from (
        select * from assigned
        union all
        select * from logged
    ) as seen
    inner join declared
        on
            seen.tenant_id = declared.tenant_id
            and seen.experiment = declared.experiment
    where
        seen.exposed_at >= coalesce(declared.starts_on, '-infinity'::date)
        and seen.exposed_at < coalesce(declared.ends_on + 1, 'infinity'::date)
),

units as (
    select
        tenant_id,
        experiment,
        unit_id,
        (array_agg(variant order by exposed_at, variant))[1] as variant,
        min(exposed_at) as first_exposed_at,
        count(distinct variant)::integer as variants_seen
    from exposures
    group by tenant_id, experiment, unit_id
)

select
    units.tenant_id,
    units.experiment,
    units.unit_id,
    units.variant,
    units.first_exposed_at,
    units.variants_seen,
    variants.variant is not null as is_listed,
    variants.variant is not null and units.variants_seen = 1 as is_eligible
from units
left join variants
    on
        units.tenant_id = variants.tenant_id
        and units.experiment = variants.experiment
        and units.variant = variants.variant
