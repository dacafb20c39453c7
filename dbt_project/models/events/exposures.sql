{{ config(indexes=[{'columns': ['tenant_id', 'experiment', 'unit_id']}]) }}

with

received as (
    select * from {{ source('raw', 'assignments') }}
    where {{ known() }}
),

landings as (
    select * from {{ ref('landings_in_force') }}
)

select
    received.tenant_id,
    received.source,
    received.event_id,
    received.experiment,
    received.unit_id,
    received.variant,
    received.occurred_at as exposed_at,
    received.received_at as known_at,
    received.properties
from received
left join landings
    on
        received.tenant_id = landings.tenant_id
        and received.landing_id = landings.landing_id
where received.landing_id is null or landings.landing_id is not null
