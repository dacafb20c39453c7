{{ config(
    partition_key='tenant',
    indexes=[{'columns': ['tenant_id', 'experiment_a']}, {'columns': ['tenant_id', 'experiment_b']}]
) }}

with

interactions as (
    select * from {{ source('estimates', 'interactions') }}
    where {{ in_partition('tenant_id') }}
)

select
    tenant_id,
    experiment_a,
    experiment_b,
    test,
    measured_in,
    metric,
    status,
    n,
    p_value,
    q_value,
    found,
    statistic,
    df,
    df_denominator,
    cramers_v,
    effects,
    settings,
    provenance_id
from interactions
