{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

select
    units.tenant_id,
    units.experiment,
    levels.segment,
    levels.level,
    (units.first_exposed_at at time zone 'UTC')::date as day,
    units.variant,
    count(*) as units
from {{ ref('first_exposures') }} as units
inner join {{ ref('segment_levels') }} as levels
    on
        units.tenant_id = levels.tenant_id
        and units.experiment = levels.experiment
        and units.unit_id = levels.unit_id
where
    units.is_eligible
    and {{ in_partition('units.experiment', 'units.tenant_id') }}
group by
    units.tenant_id,
    units.experiment,
    levels.segment,
    levels.level,
    (units.first_exposed_at at time zone 'UTC')::date,
    units.variant
