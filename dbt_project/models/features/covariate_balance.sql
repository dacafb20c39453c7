{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

declared as (
    select
        experiments.tenant_id,
        experiments.key as experiment,
        covariate.name as covariate
    from {{ source('registry', 'experiments') }} as experiments
    cross join lateral jsonb_array_elements_text(experiments.declaration -> 'covariates') as covariate (name)
    where {{ in_partition('experiments.key', 'experiments.tenant_id') }}
    union distinct
    select
        experiments.tenant_id,
        experiments.key as experiment,
        segment.name as covariate
    from {{ source('registry', 'experiments') }} as experiments
    cross join lateral jsonb_array_elements_text(experiments.declaration -> 'segments') as segment (name)
    where {{ in_partition('experiments.key', 'experiments.tenant_id') }}
),

known as (
    select
        units.tenant_id,
        units.experiment,
        units.variant,
        covariates.covariate,
        covariates.value_text,
        covariates.value_number::numeric as value
    from {{ ref('unit_covariates') }} as covariates
    inner join declared
        on
            covariates.tenant_id = declared.tenant_id
            and covariates.experiment = declared.experiment
            and covariates.covariate = declared.covariate
    inner join {{ ref('first_exposures') }} as units
        on
            covariates.tenant_id = units.tenant_id
            and covariates.experiment = units.experiment
            and covariates.unit_id = units.unit_id
    where
        units.is_eligible
        and {{ in_partition('covariates.experiment', 'covariates.tenant_id') }}
),

totals as (
    select
        tenant_id,
        experiment,
        covariate,
        variant,
        count(*) as units,
        count(value_text) as known_units,
        count(value) as n,
        sum(value) as sum_x,
        sum(value * value) as sum_xx
    from known
    group by tenant_id, experiment, covariate, variant
),

-- A covariate is a number where every value of it is one, else its levels are told apart.
categories as (
    select
        tenant_id,
        experiment,
        covariate
    from totals
    group by tenant_id, experiment, covariate
    having sum(known_units) > sum(n)
),

levels as (
    select
        known.tenant_id,
        known.experiment,
        known.covariate,
        known.variant,
        known.value_text as level,
        count(*) as units,
        sum(count(*)) over (partition by known.tenant_id, known.experiment, known.covariate, known.value_text) as in_all
    from known
    inner join categories
        on
            known.tenant_id = categories.tenant_id
            and known.experiment = categories.experiment
            and known.covariate = categories.covariate
    where known.value_text is not null
    group by known.tenant_id, known.experiment, known.covariate, known.variant, known.value_text
),

ranked as (
    select
        *,
        dense_rank() over (partition by tenant_id, experiment, covariate order by in_all desc, level asc) as place
    from levels
)

select
    totals.tenant_id,
    totals.experiment,
    totals.covariate,
    null::text as level,
    totals.variant,
    totals.units,
    totals.known_units,
    case when categories.covariate is null then totals.n else 0 end as n,
    case when categories.covariate is null then {{ mean_of('totals.sum_x', 'totals.n') }} end as mean,
    case
        when categories.covariate is null
            then {{ comoment_of('totals.sum_xx', 'totals.sum_x', 'totals.sum_x', 'totals.n') }}
    end as m2
from totals
left join categories
    on
        totals.tenant_id = categories.tenant_id
        and totals.experiment = categories.experiment
        and totals.covariate = categories.covariate
union all
select
    tenant_id,
    experiment,
    covariate,
    level,
    variant,
    units,
    units as known_units,
    0 as n,
    null::double precision as mean,
    null::double precision as m2
from ranked
where place <= 50
