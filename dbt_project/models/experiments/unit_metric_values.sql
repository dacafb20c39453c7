{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'metric', 'unit_id']}]) }}

with

units as (
    select * from {{ ref('first_exposures') }}
    where is_eligible and {{ in_partition('experiment') }}
),

metrics as (
    select * from {{ ref('experiment_metrics') }}
    where {{ in_partition('experiment') }}
),

measured as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        metrics.metric,
        metrics.type,
        case
            when metrics.property is null then 1::numeric
            else {{ number_or_null('(events.properties ->> metrics.property)') }}
        end as value
    from metrics
    inner join {{ ref('events') }} as events
        on
            metrics.tenant_id = events.tenant_id
            and metrics.event = events.type
            and (metrics.landed_source is null or metrics.landed_source = split_part(events.source, '@', 1))
    inner join units
        on
            metrics.tenant_id = units.tenant_id
            and metrics.experiment = units.experiment
            and events.unit_id = units.unit_id
    where
        events.occurred_at >= units.first_exposed_at
        and (
            metrics.window_days is null
            or events.occurred_at < units.first_exposed_at + metrics.window_days * interval '1 day'
        )
),

aggregated as (
    select
        tenant_id,
        experiment,
        unit_id,
        metric,
        case type
            when 'conversion' then max((value > 0)::integer)::numeric
            when 'count' then count(value)::numeric
            when 'sum' then sum(value)
            when 'mean' then avg(value)
        end as value
    from measured
    group by tenant_id, experiment, unit_id, metric, type
)

select
    units.tenant_id,
    units.experiment,
    metrics.metric,
    units.unit_id,
    units.variant,
    coalesce(aggregated.value, case when metrics.absent_is_zero then 0::numeric end) as value
from units
inner join metrics
    on
        units.tenant_id = metrics.tenant_id
        and units.experiment = metrics.experiment
left join aggregated
    on
        units.tenant_id = aggregated.tenant_id
        and units.experiment = aggregated.experiment
        and units.unit_id = aggregated.unit_id
        and metrics.metric = aggregated.metric
