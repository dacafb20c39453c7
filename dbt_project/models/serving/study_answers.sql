{{ config(partition_key='study', indexes=[{'columns': ['tenant_id', 'study']}]) }}

with

answers as (
    select * from {{ source('estimates', 'study_effects') }}
    where {{ in_partition('study') }}
)

select
    tenant_id,
    study,
    outcome,
    segment,
    verdict,
    reasons,
    estimand,
    estimates,
    headline,
    n,
    n_left_out,
    left_out,
    rules,
    refutations,
    diagnostics,
    sensitivity,
    heterogeneity,
    provenance_id
from answers
