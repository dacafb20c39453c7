{{ config(partition_key='study', indexes=[{'columns': ['tenant_id', 'study', 'position'], 'unique': true}]) }}

select
    declared.tenant_id,
    declared.key as study,
    row_number() over (partition by declared.tenant_id, declared.key order by field.name) as position,
    field.name
from {{ source('registry', 'studies') }} as declared
cross join {{ study_columns('declared.declaration') }} as field
where {{ in_partition('declared.key', 'declared.tenant_id') }}
