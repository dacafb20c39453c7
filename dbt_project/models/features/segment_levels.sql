{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- The level of each unit in each declared segment; units without one are in none.
select
    covariates.tenant_id,
    covariates.experiment,
    covariates.unit_id,
    covariates.covariate as segment,
    covariates.value_text as level
from {{ ref('unit_covariates') }} as covariates
inner join {{ ref('declared_segments') }} as declared
    on
        covariates.tenant_id = declared.tenant_id
        and covariates.experiment = declared.experiment
        and covariates.covariate = declared.segment
where
    covariates.value_text is not null
    and {{ in_partition('covariates.experiment', 'covariates.tenant_id') }}
