{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='units',
    pre_hook="{{ note_changed_units('event_values') }}",
    post_hook=["{{ indexed(['tenant_id', 'experiment', 'unit_id']) }}"]
) }}

with

all_unit_metrics as (
    {{ units_by_metric('event_values') }}
),

unit_metrics as (
    select * from all_unit_metrics
    where type = 'quantile' and quantile_of_events
),

measured as (
    select
        unit_metrics.*,
        happened.source,
        happened.event_id,
        happened.value
    from unit_metrics
    cross join lateral (
        select
            read.source,
            read.event_id,
            read.value
        from (
            {{ unit_events(
                'unit_metrics', 'unit_metrics.event', 'unit_metrics.property', 'unit_metrics.filter',
                'unit_metrics.counts_from', 'unit_metrics.counts_until'
            ) }}
        ) as read
    ) as happened
)

select
    tenant_id,
    experiment,
    metric,
    unit_id,
    variant,
    source,
    event_id,
    value
from measured
where value is not null
