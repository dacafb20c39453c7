{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

declared as (
    select
        experiments.tenant_id,
        experiments.key as experiment,
        segment.name as segment
    from {{ source('registry', 'experiments') }} as experiments
    cross join lateral jsonb_array_elements_text(coalesce(experiments.declaration -> 'segments', '[]')) as segment (name)
    where {{ in_partition('experiments.key', 'experiments.tenant_id') }}
),

levels as (
    select
        covariates.tenant_id,
        covariates.experiment,
        covariates.unit_id,
        covariates.covariate as segment,
        covariates.value_text as level
    from {{ ref('unit_covariates') }} as covariates
    inner join declared
        on
            covariates.tenant_id = declared.tenant_id
            and covariates.experiment = declared.experiment
            and covariates.covariate = declared.segment
    where
        covariates.value_text is not null
        and {{ in_partition('covariates.experiment', 'covariates.tenant_id') }}
)

select
    units.tenant_id,
    units.experiment,
    levels.segment,
    levels.level,
    (units.first_exposed_at at time zone 'UTC')::date as day,
    units.variant,
    count(*) as units
from {{ ref('first_exposures') }} as units
inner join levels
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
