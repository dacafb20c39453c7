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

units as (
    select
        tenant_id,
        experiment,
        sum(eligible_units)::bigint as units
    from {{ ref('assignment_counts') }}
    where is_listed and {{ in_partition('experiment') }}
    group by tenant_id, experiment
),

reasons as (
    select
        tenant_id,
        experiment,
        jsonb_agg(detail order by check_name) as reasons
    from {{ ref('gates') }}
    where blocking and not passed and {{ in_partition('experiment') }}
    group by tenant_id, experiment
),

decisions as (
    select * from {{ source('decisions', 'experiment_decisions') }}
    where {{ in_partition('experiment') }}
)

select
    declared.tenant_id,
    declared.key as experiment,
    coalesce(declared.declaration ->> 'name', declared.key) as name,
    declared.declaration ->> 'hypothesis' as hypothesis,
    declared.declaration ->> 'owner' as owner,
    declared.declaration ->> 'unit' as unit,
    declared.declaration ->> 'control' as control,
    declared.declaration -> 'variants' as variants,
    declared.declaration -> 'metrics' as metrics,
    (declared.declaration ->> 'start')::date as starts_on,
    (declared.declaration ->> 'end')::date as ends_on,
    coalesce(units.units, 0) as units,
    gates.passed as gates_passed,
    case when gates.passed then decisions.decision when not gates.passed then 'withheld' end as decision,
    case when gates.passed then decisions.reasons when not gates.passed then reasons.reasons end as decision_reasons,
    declared.declaration_hash,
    declared.declared_at,
    current_timestamp as computed_at
from declared
left join gates
    on declared.tenant_id = gates.tenant_id and declared.key = gates.experiment
left join units
    on declared.tenant_id = units.tenant_id and declared.key = units.experiment
left join reasons
    on declared.tenant_id = reasons.tenant_id and declared.key = reasons.experiment
left join decisions
    on declared.tenant_id = decisions.tenant_id and declared.key = decisions.experiment
