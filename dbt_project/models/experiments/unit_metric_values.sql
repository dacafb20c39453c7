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

-- Every eligible unit once per metric, so that a unit without any event is there too.
unit_metrics as (
    select
        units.tenant_id,
        units.experiment,
        units.unit_id,
        units.variant,
        units.first_exposed_at,
        units.first_exposed_at + coalesce(metrics.window_days, 36500) * interval '1 day' as counts_until,
        metrics.metric,
        metrics.type,
        metrics.event,
        metrics.property,
        metrics.landed_source,
        metrics.absent_is_zero
    from units
    inner join metrics
        on
            units.tenant_id = metrics.tenant_id
            and units.experiment = metrics.experiment
)

select
    unit_metrics.tenant_id,
    unit_metrics.experiment,
    unit_metrics.metric,
    unit_metrics.unit_id,
    unit_metrics.variant,
    coalesce(
        case unit_metrics.type
            when 'conversion' then measured.converted
            when 'count' then nullif(measured.n, 0)
            when 'sum' then measured.total
            when 'mean' then measured.mean
        end,
        case when unit_metrics.absent_is_zero then 0::numeric end
    ) as value
from unit_metrics
-- One index probe a unit and metric: the cost grows with the units and not with the tenant's history.
cross join lateral (
    select
        max((outcomes.value > 0)::integer)::numeric as converted,
        count(outcomes.value)::numeric as n,
        sum(outcomes.value) as total,
        avg(outcomes.value) as mean
    from (
        select
            case
                when unit_metrics.property is null then 1::numeric
                else {{ number_or_null('(events.properties ->> unit_metrics.property)') }}
            end as value
        from {{ ref('events') }} as events
        where
            events.tenant_id = unit_metrics.tenant_id
            and events.type = unit_metrics.event
            and events.unit_id = unit_metrics.unit_id
            and events.occurred_at >= unit_metrics.first_exposed_at
            and events.occurred_at < unit_metrics.counts_until
            and (unit_metrics.landed_source is null or unit_metrics.landed_source = split_part(events.source, '@', 1))
    ) as outcomes
) as measured
