{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    changed_by='received',
    pre_hook="{{ note_superseded_landings('events') }}",
    post_hook=[
        "{{ indexed(['tenant_id', 'type', 'unit_id', 'occurred_at']) }}",
        "{{ indexed(['tenant_id', 'source', 'event_id'], unique=true) }}",
        "{{ indexed(['tenant_id', 'unit_id']) }}",
        "{{ indexed(['known_at']) }}"
    ]
) }}

with

received as (
    select * from {{ source('raw', 'events') }}
    where {{ known() }} and received_at > {{ changed_since('events') }}
),

landings as (
    select * from {{ ref('landings_in_force') }}
)

select
    received.tenant_id,
    received.source,
    received.event_id,
    received.type,
    received.unit_id,
    received.occurred_at,
    received.sent_at,
    received.received_at as known_at,
    received.properties,
    received.schema_version,
    -- A file is landed whenever it is, which tells nothing of its producer's clock.
    case
        when received.landing_id is null
            then received.occurred_at + (coalesce(received.first_received_at, received.received_at) - received.sent_at)
    end as corrected_at
from received
left join landings
    on
        received.tenant_id = landings.tenant_id
        and received.landing_id = landings.landing_id
where received.landing_id is null or landings.landing_id is not null
