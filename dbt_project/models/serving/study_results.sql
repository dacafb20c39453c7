{{ config(partition_key='study', indexes=[{'columns': ['tenant_id', 'study']}]) }}

with

answers as (
    select * from {{ source('estimates', 'study_effects') }}
    where {{ in_partition('study') }}
),

methods as (
    select
        answers.*,
        estimate.value as estimate,
        estimate.ordinality as position
    from answers
    cross join lateral jsonb_array_elements(answers.estimates) with ordinality as estimate (value, ordinality)
)

select
    tenant_id,
    study,
    outcome,
    segment,
    verdict,
    estimate ->> 'method' as method,
    estimate ->> 'target' as target,
    estimate ->> 'estimand' as estimand,
    estimate ->> 'method' = coalesce(headline ->> 'method', '') as is_headline,
    position,
    case when verdict = 'withheld' and estimate ->> 'status' = 'ok' then 'withheld' else estimate ->> 'status' end
        as status,
    case when verdict <> 'withheld' then (estimate ->> 'effect')::double precision end as effect,
    case when verdict <> 'withheld' then (estimate ->> 'std_error')::double precision end as std_error,
    case when verdict <> 'withheld' then (estimate ->> 'ci_low')::double precision end as ci_low,
    case when verdict <> 'withheld' then (estimate ->> 'ci_high')::double precision end as ci_high,
    case when verdict <> 'withheld' then (estimate ->> 'p_value')::double precision end as p_value,
    (estimate ->> 'n')::bigint as n,
    n_left_out,
    reasons,
    refutations,
    diagnostics,
    provenance_id
from methods
