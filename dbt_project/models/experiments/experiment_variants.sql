{{ config(partition_key='experiment') }}

with

declared as (
    select * from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
)

select
    declared.tenant_id,
    declared.key as experiment,
    variant.name as variant,
    (variant.weight)::double precision as weight,
    variant.name = declared.declaration ->> 'control' as is_control
from declared
cross join lateral jsonb_each_text(declared.declaration -> 'variants') as variant (name, weight)
