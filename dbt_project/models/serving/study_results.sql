{{ config(partition_key='study', indexes=[{'columns': ['tenant_id', 'study']}]) }}

with

effects as (
    select * from {{ source('estimates', 'study_effects') }}
    where {{ in_partition('study') }}
)

select
    tenant_id,
    study,
    verdict,
    method,
    target,
    estimand,
    case when verdict = 'withheld' then 'withheld' else status end as status,
    case when verdict <> 'withheld' then effect end as effect,
    case when verdict <> 'withheld' then std_error end as std_error,
    case when verdict <> 'withheld' then ci_low end as ci_low,
    case when verdict <> 'withheld' then ci_high end as ci_high,
    case when verdict <> 'withheld' then p_value end as p_value,
    n,
    n_left_out,
    reasons,
    refutations,
    diagnostics,
    provenance_id
from effects
