{{ config(
    partition_key='study',
    pre_hook="set local work_mem = '128MB'",
    indexes=[{'columns': ['tenant_id', 'study', by_bytes('unit_id')]}]
) }}

with

declared as (
    select
        studies.tenant_id,
        studies.key as study,
        coalesce(studies.declaration #>> '{source,event}', 'record') as event,
        studies.declaration #>> '{source,file}' is not null as is_a_file,
        fields.names
    from {{ source('registry', 'studies') }} as studies
    inner join (
        select
            tenant_id,
            study,
            array_agg(name order by position) as names
        from {{ ref('study_fields') }}
        where {{ in_partition('study') }}
        group by tenant_id, study
    ) as fields
        on
            studies.tenant_id = fields.tenant_id
            and studies.key = fields.study
    where {{ in_partition('studies.key', 'studies.tenant_id') }}
),

-- A study of a landed file reads that file's rows alone: one a unit, for landing keeps a unit's first row.
files as (
    select
        declared.tenant_id,
        declared.study,
        declared.names,
        landings.landing_id
    from declared
    inner join {{ ref('landings_in_force') }} as landings
        on
            declared.tenant_id = landings.tenant_id
            and declared.study = split_part(landings.landing_id, '@', 1)
    where declared.is_a_file
),

-- Taking nothing away from a wide object unpacks it once, and not once for each of its fields.
records_of_files as (
    select
        files.tenant_id,
        files.study,
        files.names,
        events.unit_id,
        events.properties - array[]::text[] as properties
    from files
    inner join {{ ref('events') }} as events
        on
            files.tenant_id = events.tenant_id
            and files.landing_id = events.source
    where events.type = 'record'
    offset 0  -- noqa: AM09
),

of_files as (
    select
        tenant_id,
        study,
        unit_id,
        1::bigint as records,
        array(select properties ->> field.name from unnest(names) as field (name)) as field_values
    from records_of_files
),

newest as (
    select distinct on (declared.tenant_id, declared.study, events.unit_id)
        declared.tenant_id,
        declared.study,
        declared.names,
        events.unit_id,
        events.properties - array[]::text[] as properties,
        count(*) over (partition by declared.tenant_id, declared.study, events.unit_id) as records
    from declared
    inner join {{ ref('events') }} as events
        on
            declared.tenant_id = events.tenant_id
            and declared.event = events.type
    where not declared.is_a_file
    order by
        declared.tenant_id asc, declared.study asc, events.unit_id asc,
        events.occurred_at desc, events.known_at desc, events.source desc, events.event_id desc
),

of_events as (
    select
        tenant_id,
        study,
        unit_id,
        records,
        array(select properties ->> field.name from unnest(names) as field (name)) as field_values
    from newest
)

-- In the order in which they are read.
select
    units.tenant_id,
    units.study,
    units.unit_id,
    units.records,
    units.field_values
from (
    select * from of_files
    union all
    select * from of_events
) as units
order by units.tenant_id, units.study, {{ by_bytes('units.unit_id') }}
