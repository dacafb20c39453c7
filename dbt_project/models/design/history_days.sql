{{ config(partition_key='experiment') }}

with

histories as (
    select * from {{ source('design', 'histories') }}
    where {{ in_partition('experiment') }}
),

visits as (
    select distinct
        histories.tenant_id,
        histories.experiment,
        events.unit_id,
        (events.occurred_at at time zone 'UTC')::date as day
    from histories
    inner join {{ ref('events') }} as events
        on histories.tenant_id = events.tenant_id
    where {{ lets_a_unit_in('events', 'histories') }}
),

gaps as (
    select
        tenant_id,
        experiment,
        day,
        coalesce(day - lag(day) over (partition by tenant_id, experiment, unit_id order by day), 0) as gap
    from visits
)

select
    tenant_id,
    experiment,
    day,
    gap,
    count(*) as units
from gaps
group by tenant_id, experiment, day, gap
