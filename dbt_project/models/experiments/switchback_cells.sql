{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'metric']}]) }}

with

declared as (
    {{ switchbacks() }}
),

windows as (
    select * from {{ ref('switchback_windows') }}
    where
        {{ in_partition('experiment') }}
        and is_eligible
        and is_whole
),

spans as (
    select
        tenant_id,
        experiment,
        min(window_start) as begins_at,
        max(window_end) as ends_at
    from windows
    group by tenant_id, experiment
),

-- A value with bounds is that of a unit, and others reach beyond a window.
metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where
        {{ in_partition('experiment') }}
        and type in ('conversion', 'count', 'sum', 'mean', 'ratio')
        and num_nulls(lowest, highest, lowest_quantile, highest_quantile, excluded_below, excluded_above) = 6
),

exposed as (
    select distinct
        tenant_id,
        experiment,
        cluster_id,
        window_index,
        unit_id
    from {{ ref('switchback_exposures') }}
),

outcomes as (
    {{ switched_events('metrics.event', 'metrics.property', 'metrics.filter', 'true') }}
),

divisors as (
    {{ switched_events(
        'metrics.denominator_event', 'metrics.denominator_property', 'metrics.denominator_filter', "metrics.type = 'ratio'"
    ) }}
),

sums as (
    select
        tenant_id,
        experiment,
        metric,
        cluster_id,
        window_index,
        count(value) as n,
        sum(value) as total
    from outcomes
    group by tenant_id, experiment, metric, cluster_id, window_index
),

sums_of_divisors as (
    select
        tenant_id,
        experiment,
        metric,
        cluster_id,
        window_index,
        sum(value) as total
    from divisors
    group by tenant_id, experiment, metric, cluster_id, window_index
),

converted as (
    select
        outcomes.tenant_id,
        outcomes.experiment,
        outcomes.metric,
        outcomes.cluster_id,
        outcomes.window_index,
        count(distinct outcomes.unit_id) as units
    from outcomes
    inner join exposed
        on
            outcomes.tenant_id = exposed.tenant_id
            and outcomes.experiment = exposed.experiment
            and outcomes.cluster_id = exposed.cluster_id
            and outcomes.window_index = exposed.window_index
            and outcomes.unit_id = exposed.unit_id
    where outcomes.value > 0
    group by outcomes.tenant_id, outcomes.experiment, outcomes.metric, outcomes.cluster_id, outcomes.window_index
)

select
    windows.tenant_id,
    windows.experiment,
    metrics.metric,
    windows.cluster_id,
    windows.window_index,
    windows.window_start,
    windows.variant,
    windows.units,
    coalesce(sums.n, 0) as events,
    case metrics.type
        when 'conversion' then coalesce(converted.units, 0)::numeric
        when 'count' then coalesce(sums.n, 0)::numeric
        else coalesce(sums.total, 0)
    end as outcome,
    case metrics.type
        when 'conversion' then windows.units::numeric
        when 'mean' then coalesce(sums.n, 0)::numeric
        when 'ratio' then coalesce(sums_of_divisors.total, 0)
        else 1::numeric
    end as denominator
from windows
inner join metrics
    on
        windows.tenant_id = metrics.tenant_id
        and windows.experiment = metrics.experiment
left join sums
    on
        windows.tenant_id = sums.tenant_id
        and windows.experiment = sums.experiment
        and windows.cluster_id = sums.cluster_id
        and windows.window_index = sums.window_index
        and metrics.metric = sums.metric
left join sums_of_divisors
    on
        windows.tenant_id = sums_of_divisors.tenant_id
        and windows.experiment = sums_of_divisors.experiment
        and windows.cluster_id = sums_of_divisors.cluster_id
        and windows.window_index = sums_of_divisors.window_index
        and metrics.metric = sums_of_divisors.metric
left join converted
    on
        windows.tenant_id = converted.tenant_id
        and windows.experiment = converted.experiment
        and windows.cluster_id = converted.cluster_id
        and windows.window_index = converted.window_index
        and metrics.metric = converted.metric
