{{ config(partition_key='study', indexes=[{'columns': ['tenant_id', 'study', 'unit_id']}]) }}

with

declared as (
    select
        tenant_id,
        key as study,
        declaration,
        coalesce(declaration -> 'source' ->> 'event', 'record') as event,
        -- A study of a landed file reads that file's rows alone; its source carries the study's key.
        case when declaration -> 'source' ->> 'file' is not null then key end as source
    from {{ source('registry', 'studies') }}
    where {{ in_partition('key') }}
),

wanted as (
    select
        declared.tenant_id,
        declared.study,
        declared.declaration -> 'treatment' ->> 'column' as name
    from declared
    union
    select
        declared.tenant_id,
        declared.study,
        declared.declaration -> 'outcome' ->> 'column' as name
    from declared
    union
    select
        declared.tenant_id,
        declared.study,
        confounder.name
    from declared
    cross join lateral jsonb_array_elements_text(declared.declaration -> 'confounders') as confounder (name)
),

records as (
    select distinct on (declared.tenant_id, declared.study, events.unit_id)
        declared.tenant_id,
        declared.study,
        events.unit_id,
        events.properties
    from declared
    inner join {{ ref('events') }} as events
        on
            declared.tenant_id = events.tenant_id
            and declared.event = events.type
            and (declared.source is null or split_part(events.source, '@', 1) = declared.source)
    order by
        declared.tenant_id asc, declared.study asc, events.unit_id asc,
        events.occurred_at desc, events.known_at desc, events.event_id desc
)

select
    records.tenant_id,
    records.study,
    records.unit_id,
    wanted.name,
    nullif(records.properties ->> wanted.name, '') as value_text,
    ({{ number_or_null('(records.properties ->> wanted.name)') }})::double precision as value_number
from records
inner join wanted
    on
        records.tenant_id = wanted.tenant_id
        and records.study = wanted.study
