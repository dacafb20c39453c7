{{ config(partition_key='kpi', indexes=[{'columns': ['tenant_id', 'kpi']}]) }}

with

allocations as (
    select * from {{ source('decisions', 'allocations') }}
    where {{ in_partition('kpi') }}
)

select
    tenant_id,
    kpi,
    study,
    segment,
    status,
    opened,
    units,
    share,
    cost,
    expected_value,
    lower_value,
    net_value,
    shadow_price,
    binding,
    conflict,
    curve,
    settings,
    provenance_id
from allocations
