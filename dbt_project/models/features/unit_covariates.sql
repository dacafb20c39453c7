{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'covariate', 'unit_id']}]) }}

with

declared as (
    {{ experiments_with_covariates() }}
),

units as (
    select * from {{ ref('first_exposures') }}
    where {{ in_partition('experiment') }}
),

{{ covariates_of_units() }}
