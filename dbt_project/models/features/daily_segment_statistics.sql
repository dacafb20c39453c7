{{ config(partition_key='experiment', post_hook=["{{ indexed(['tenant_id', 'experiment', 'day']) }}"]) }}

with

cells as (
    select
        days.*,
        levels.segment || '=' || levels.level as segment
    from {{ ref('unit_metric_days') }} as days
    inner join {{ ref('segment_levels') }} as levels
        on
            days.tenant_id = levels.tenant_id
            and days.experiment = levels.experiment
            and days.unit_id = levels.unit_id
    where {{ in_partition('days.experiment', 'days.tenant_id') }}
)

{{ sums_of_days('cells') }}
