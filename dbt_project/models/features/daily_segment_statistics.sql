{{ config(partition_key='experiment', post_hook=["{{ indexed(['tenant_id', 'experiment', 'day']) }}"]) }}

with

declared as (
    select
        experiments.tenant_id,
        experiments.key as experiment,
        segment.name as covariate
    from {{ source('registry', 'experiments') }} as experiments
    cross join lateral jsonb_array_elements_text(coalesce(experiments.declaration -> 'segments', '[]')) as segment (name)
    where {{ in_partition('experiments.key', 'experiments.tenant_id') }}
),

levels as (
    select
        covariates.tenant_id,
        covariates.experiment,
        covariates.unit_id,
        covariates.covariate || '=' || covariates.value_text as segment
    from {{ ref('unit_covariates') }} as covariates
    inner join declared
        on
            covariates.tenant_id = declared.tenant_id
            and covariates.experiment = declared.experiment
            and covariates.covariate = declared.covariate
    where covariates.value_text is not null
),

cells as (
    select
        days.*,
        levels.segment
    from {{ ref('unit_metric_days') }} as days
    inner join levels
        on
            days.tenant_id = levels.tenant_id
            and days.experiment = levels.experiment
            and days.unit_id = levels.unit_id
    where {{ in_partition('days.experiment', 'days.tenant_id') }}
)

{{ sums_of_days('cells') }}
