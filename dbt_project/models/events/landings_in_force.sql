{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- depends_on: {{ source('raw', 'landings') }}
select
    landings.tenant_id,
    landings.landing_id
from ({{ landings_and_what_superseded_them() }}) as landings
where landings.superseded_at is null
