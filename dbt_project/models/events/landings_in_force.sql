{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- A snapshot source is restated as a whole: only its newest accepted landing counts. Appended landings all count.
with

landings as (
    select * from {{ source('raw', 'landings') }}
    where accepted and {{ known() }}
),

ranked as (
    select
        tenant_id,
        landing_id,
        mode,
        row_number() over (
            partition by tenant_id, source
            order by received_at desc, landing_id desc
        ) as recency
    from landings
)

select
    tenant_id,
    landing_id
from ranked
where mode = 'append' or recency = 1
