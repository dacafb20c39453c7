{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='days',
    pre_hook="{{ take_changed_days('daily_statistics') }}",
    post_hook=["{{ indexed(['tenant_id', 'experiment', 'day']) }}"]
) }}

with

cells as (
    select
        days.*,
        null::text as segment
    from {{ ref('unit_metric_days') }} as days
    where
        {{ in_partition('days.experiment', 'days.tenant_id') }}
        and {{ is_of_changed_day('daily_statistics', 'days') }}
)

{{ sums_of_days('cells') }}
