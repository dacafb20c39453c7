{{ config(partition_key='experiment') }}

with

units as (
    select * from {{ ref('first_exposures') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    variant,
    is_listed,
    count(*) as units,
    count(*) filter (where is_eligible) as eligible_units,
    count(*) filter (where variants_seen > 1) as crossover_units
from units
group by tenant_id, experiment, variant, is_listed
