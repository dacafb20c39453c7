{{ config(partition_key='experiment') }}

with

days as (
    select * from {{ ref('enrolment') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    variant,
    is_listed,
    sum(units)::bigint as units,
    sum(eligible_units)::bigint as eligible_units,
    sum(crossover_units)::bigint as crossover_units
from days
group by tenant_id, experiment, variant, is_listed
