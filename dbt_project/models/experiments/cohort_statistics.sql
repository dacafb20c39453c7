{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

-- Only units that had all of their days may be compared with those that came earlier.
metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where
        {{ in_partition('experiment') }}
        and type in ('conversion', 'count', 'sum', 'mean', 'retention', 'funnel')
        and to_days is not null
        and landed_source is null
),

controls as (
    select
        enrolment.tenant_id,
        enrolment.experiment,
        enrolment.variant,
        greatest(ceil(sum(enrolment.eligible_units) / 100000), 1)::bigint as one_in
    from {{ ref('enrolment') }} as enrolment
    inner join {{ ref('experiment_variants') }} as variants
        on
            enrolment.tenant_id = variants.tenant_id
            and enrolment.experiment = variants.experiment
            and enrolment.variant = variants.variant
    where
        variants.is_control
        and {{ in_partition('enrolment.experiment', 'enrolment.tenant_id') }}
    group by enrolment.tenant_id, enrolment.experiment, enrolment.variant
),

-- A hundred thousand units tell a drift; which of more they are depends on nothing but their ids.
units as (
    select
        exposures.tenant_id,
        exposures.experiment,
        exposures.unit_id,
        exposures.first_exposed_at
    from {{ ref('first_exposures') }} as exposures
    inner join controls
        on
            exposures.tenant_id = controls.tenant_id
            and exposures.experiment = controls.experiment
            and exposures.variant = controls.variant
    where
        exposures.is_eligible
        and {{ in_partition('exposures.experiment', 'exposures.tenant_id') }}
        and exists (select from metrics)
        and (
            controls.one_in = 1
            or ('x' || substr(md5(exposures.unit_id), 1, 8))::bit(32)::bigint % controls.one_in = 0
        )
),

measured as (
    select
        unit_values.tenant_id,
        unit_values.experiment,
        unit_values.metric,
        date_trunc('week', units.first_exposed_at at time zone 'UTC')::date as week,
        unit_values.value
    from units
    inner join metrics
        on
            units.tenant_id = metrics.tenant_id
            and units.experiment = metrics.experiment
            and units.first_exposed_at + metrics.to_days * interval '1 day' <= {{ known_until() }}
    inner join {{ ref('unit_metric_values') }} as unit_values
        on
            metrics.tenant_id = unit_values.tenant_id
            and metrics.experiment = unit_values.experiment
            and metrics.metric = unit_values.metric
            and units.unit_id = unit_values.unit_id
    where unit_values.value is not null
),

sums as (
    select
        tenant_id,
        experiment,
        metric,
        week,
        count(*) as n,
        sum(value) as sum_y,
        sum(value * value) as sum_yy
    from measured
    group by tenant_id, experiment, metric, week
)

select
    tenant_id,
    experiment,
    metric,
    week,
    n,
    {{ mean_of('sum_y', 'n') }} as mean,
    {{ comoment_of('sum_yy', 'sum_y', 'sum_y', 'n') }} as m2
from sums
