{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    changed_by='units',
    pre_hook="{{ note_changed_units('assignment_contexts') }}",
    post_hook=["{{ indexed(['tenant_id', 'unit_id', 'experiment']) }}"]
) }}

-- depends_on: {{ ref('unit_changes') }}

with

events as (
    select * from {{ ref('events') }}
    where {{ is_of_changed_unit('assignment_contexts') }}
),

assignments as (
    select * from {{ ref('exposures') }}
    where kind = 'assignment' and {{ is_of_changed_unit('assignment_contexts') }}
),

-- What was known to hold when the event happened: nothing that was decided after it, however near.
held as (
    select
        events.tenant_id,
        events.source,
        events.event_id,
        events.unit_id,
        events.occurred_at,
        assignments.experiment,
        assignments.variant,
        assignments.exposed_at as assigned_at,
        row_number() over (
            partition by events.tenant_id, events.source, events.event_id, assignments.experiment
            order by assignments.exposed_at desc, assignments.known_at asc, assignments.variant asc
        ) as recency
    from events
    inner join assignments
        on
            events.tenant_id = assignments.tenant_id
            and events.unit_id = assignments.unit_id
            and events.occurred_at >= assignments.exposed_at
)

select
    tenant_id,
    source,
    event_id,
    experiment,
    unit_id,
    variant,
    occurred_at,
    assigned_at
from held
where recency = 1
