with

refused as (
    select * from {{ source('raw', 'quarantine') }}
    where {{ known() }}
),

landings as (
    select * from {{ ref('landings_in_force') }}
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
where refused.landing_id is null or landings.landing_id is not null
group by refused.tenant_id, split_part(refused.source, '@', 1), refused.code
