{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'unit_id']}]) }}

with

-- The units of an experiment that comes as a table are the rows of that table.
declared as (
    select
        tenant_id,
        key as experiment,
        coalesce(declaration -> 'units' ->> 'event', 'profile') as roster_type
    from {{ source('registry', 'experiments') }}
    where
        {{ in_partition('key') }}
        and declaration ->> 'source' is null
),

newest as (
    select distinct on (declared.tenant_id, declared.experiment, events.unit_id)
        declared.tenant_id,
        declared.experiment,
        events.unit_id,
        events.occurred_at as as_of,
        events.properties
    from declared
    inner join {{ ref('events') }} as events
        on
            declared.tenant_id = events.tenant_id
            and declared.roster_type = events.type
    order by
        declared.tenant_id asc,
        declared.experiment asc,
        events.unit_id asc,
        events.occurred_at desc,
        events.known_at desc,
        events.source desc,
        events.event_id desc
),

assigned as (
    select
        tenant_id,
        experiment,
        unit_id,
        min(exposed_at) as first_assigned_at
    from {{ ref('exposures') }}
    where
        {{ in_partition('experiment') }}
        and kind = 'assignment'
    group by tenant_id, experiment, unit_id
)

select
    newest.tenant_id,
    newest.experiment,
    newest.unit_id,
    newest.as_of,
    newest.properties,
    assigned.first_assigned_at
from newest
left join assigned
    on
        newest.tenant_id = assigned.tenant_id
        and newest.experiment = assigned.experiment
        and newest.unit_id = assigned.unit_id
