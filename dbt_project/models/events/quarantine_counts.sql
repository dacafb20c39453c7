with

refused as (
    select * from {{ source('raw', 'quarantine') }}
    where {{ known() }}
),

landings as (
    select * from {{ ref('landings_in_force') }}
),

-- What was taken when it was sent again is refused no longer.
taken as (
    select distinct
        tenant_id,
        quarantine_seq
    from {{ source('raw', 'replays') }}
    where outcome in ('accepted', 'duplicate') and {{ known('replayed_at') }}
)

select
    refused.tenant_id,
    split_part(refused.source, '@', 1) as source,
    refused.code,
    count(*) as records
from refused
left join landings
    on
        refused.tenant_id = landings.tenant_id
        and refused.landing_id = landings.landing_id
left join taken
    on
        refused.tenant_id = taken.tenant_id
        and refused.seq = taken.quarantine_seq
where taken.quarantine_seq is null and (refused.landing_id is null or landings.landing_id is not null)
group by refused.tenant_id, split_part(refused.source, '@', 1), refused.code
