{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

health as (
    select * from {{ ref('gates') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    check_name,
    passed,
    blocking,
    p_value,
    observed,
    expected,
    detail,
    provenance_id
from health
