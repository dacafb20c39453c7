{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='units',
    pre_hook="{{ note_changed_units('first_exposures') }}",
    post_hook=[
        "{{ indexed(['tenant_id', 'experiment', 'unit_id']) }}",
        "{{ indexed(['tenant_id', 'experiment', 'first_exposed_at']) }}"
    ]
) }}

with

declared as (
    select
        tenant_id,
        key as experiment,
        case when declaration ->> 'source' is not null then key end as landed_source,
        coalesce(declaration ->> 'exposure', 'assignment') as kind,
        (declaration ->> 'start')::date as starts_on,
        (declaration ->> 'end')::date as ends_on,
        coalesce({{ is_switchback('declaration') }}, false) as is_switchback
    from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
),

variants as (
    select * from {{ ref('experiment_variants') }}
    where {{ in_partition('experiment') }}
),

-- A logged exposure says that a unit saw its variant, which may be long after it was assigned, or never.
exposures as (
    select exposures.*
    from {{ ref('exposures') }} as exposures
    inner join declared
        on
            exposures.tenant_id = declared.tenant_id
            and exposures.experiment = declared.experiment
            and exposures.kind = declared.kind
            and (
                declared.landed_source is null
                or exposures.kind = 'logged'
                or declared.landed_source = split_part(exposures.source, '@', 1)
            )
    where
        exposures.exposed_at >= coalesce(declared.starts_on, '-infinity'::date)
        and exposures.exposed_at < coalesce(declared.ends_on + 1, 'infinity'::date)
        and {{ is_of_changed_unit('first_exposures', 'exposures') }}
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
    -- Of a switchback the windows of time are compared: see switchback_windows.
    variants.variant is not null and units.variants_seen = 1 and not declared.is_switchback as is_eligible
from units
inner join declared
    on
        units.tenant_id = declared.tenant_id
        and units.experiment = declared.experiment
left join variants
    on
        units.tenant_id = variants.tenant_id
        and units.experiment = variants.experiment
        and units.variant = variants.variant
