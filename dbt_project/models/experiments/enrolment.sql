{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

units as (
    select * from {{ ref('first_exposures') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    (first_exposed_at at time zone 'UTC')::date as day,
    variant,
    is_listed,
    count(*) as units,
    count(*) filter (where is_eligible) as eligible_units,
    count(*) filter (where variants_seen > 1) as crossover_units
from units
group by tenant_id, experiment, (first_exposed_at at time zone 'UTC')::date, variant, is_listed
