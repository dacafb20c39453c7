{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment'], 'unique': true}]) }}

with

declared as (
    select * from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
),

gates as (
    select
        tenant_id,
        experiment,
        bool_and(passed or not blocking) as passed
    from {{ ref('gates') }}
    where {{ in_partition('experiment') }}
    group by tenant_id, experiment
),

closed as (
    select
        tenant_id,
        experiment,
        jsonb_agg(check_name || ': ' || detail order by check_name) as reasons,
        jsonb_agg(
            jsonb_build_object(
                'check', check_name, 'variant', null, 'passed', false, 'detail', check_name || ': ' || detail
            )
            order by check_name
        ) as conditions,
        jsonb_agg(distinct provenance_id) as input_provenance_ids
    from {{ ref('gates') }}
    where blocking and not passed and {{ in_partition('experiment') }}
    group by tenant_id, experiment
),

-- What was decided while the gates were open says nothing once one of them is closed.
decided as (
    select decisions.*
    from {{ source('decisions', 'experiment_decisions') }} as decisions
    inner join gates
        on
            decisions.tenant_id = gates.tenant_id
            and decisions.experiment = gates.experiment
            and gates.passed
    where {{ in_partition('decisions.experiment', 'decisions.tenant_id') }}
)

select
    declared.tenant_id,
    declared.key as experiment,
    case when gates.passed then decided.decision when not gates.passed then 'withheld' end as decision,
    decided.variant,
    coalesce(decided.reasons, closed.reasons, '[]'::jsonb) as reasons,
    coalesce(decided.conditions, closed.conditions, '[]'::jsonb) as conditions,
    decided.rule,
    decided.inputs,
    coalesce(decided.input_provenance_ids, closed.input_provenance_ids, '[]'::jsonb) as input_provenance_ids,
    declared.declaration_hash,
    decided.provenance_id,
    current_timestamp as computed_at
from declared
left join gates
    on declared.tenant_id = gates.tenant_id and declared.key = gates.experiment
left join closed
    on declared.tenant_id = closed.tenant_id and declared.key = closed.experiment
left join decided
    on declared.tenant_id = decided.tenant_id and declared.key = decided.experiment
