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

outcomes as (
    {{ switched_events('metrics.event', 'metrics.property', 'metrics.filter', 'true') }}
),

divisors as (
    {{ switched_events(
        'metrics.denominator_event', 'metrics.denominator_property', 'metrics.denominator_filter', "metrics.type = 'ratio'"
    ) }}
),

-- Everything is added up and nothing joined: what is in one cell comes together by its key, however many cells there are.
of_cells as (
    select
        windows.tenant_id,
        windows.experiment,
        metrics.metric,
        metrics.type,
        windows.cluster_id,
        windows.window_index,
        null::text as unit_id,
        false as is_exposed,
        null::numeric as value,
        null::numeric as divisor,
        windows.variant,
        windows.window_start,
        windows.units
    from windows
    inner join metrics
        on
            windows.tenant_id = metrics.tenant_id
            and windows.experiment = metrics.experiment
    union all
    select
        exposed.tenant_id,
        exposed.experiment,
        metrics.metric,
        metrics.type,
        exposed.cluster_id,
        exposed.window_index,
        exposed.unit_id,
        true as is_exposed,
        null::numeric as value,
        null::numeric as divisor,
        null::text as variant,
        null::timestamptz as window_start,
        null::bigint as units
    from {{ ref('switchback_exposures') }} as exposed
    inner join metrics
        on
            exposed.tenant_id = metrics.tenant_id
            and exposed.experiment = metrics.experiment
            and metrics.type = 'conversion'
    union all
    select
        tenant_id,
        experiment,
        metric,
        type,
        cluster_id,
        window_index,
        unit_id,
        false as is_exposed,
        value,
        null::numeric as divisor,
        null::text as variant,
        null::timestamptz as window_start,
        null::bigint as units
    from outcomes
    union all
    select
        tenant_id,
        experiment,
        metric,
        type,
        cluster_id,
        window_index,
        unit_id,
        false as is_exposed,
        null::numeric as value,
        value as divisor,
        null::text as variant,
        null::timestamptz as window_start,
        null::bigint as units
    from divisors
),

of_units as (
    select
        tenant_id,
        experiment,
        metric,
        type,
        cluster_id,
        window_index,
        unit_id,
        bool_or(is_exposed) and max(value) > 0 as converted,
        count(value) as n,
        sum(value) as total,
        sum(divisor) as divisor,
        max(variant) as variant,
        max(window_start) as window_start,
        max(units) as units
    from of_cells
    group by tenant_id, experiment, metric, type, cluster_id, window_index, unit_id
),

cells as (
    select
        tenant_id,
        experiment,
        metric,
        type,
        cluster_id,
        window_index,
        count(*) filter (where converted) as converted,
        sum(n)::bigint as n,
        coalesce(sum(total), 0) as total,
        coalesce(sum(divisor), 0) as divisor,
        max(variant) as variant,
        max(window_start) as window_start,
        max(units) as units
    from of_units
    group by tenant_id, experiment, metric, type, cluster_id, window_index
)

select
    tenant_id,
    experiment,
    metric,
    cluster_id,
    window_index,
    window_start,
    variant,
    units,
    n as events,
    case type
        when 'conversion' then converted::numeric
        when 'count' then n::numeric
        else total
    end as outcome,
    case type
        when 'conversion' then units::numeric
        when 'mean' then n::numeric
        when 'ratio' then divisor
        else 1::numeric
    end as denominator
from cells
-- Events elsewhere, and those of windows that do not count, have no variant.
where variant is not null
