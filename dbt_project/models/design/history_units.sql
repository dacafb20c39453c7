{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'unit_id']}]) }}

with

histories as (
    select * from {{ source('design', 'histories') }}
    where {{ in_partition('experiment') }}
),

-- Of an event stream: whoever did what lets a unit in, from the first time on.
entered as (
    select
        histories.tenant_id,
        histories.experiment,
        events.unit_id,
        min(events.occurred_at) as first_exposed_at
    from histories
    inner join {{ ref('events') }} as events
        on histories.tenant_id = events.tenant_id
    where {{ lets_a_unit_in('events', 'histories') }}
    group by histories.tenant_id, histories.experiment, events.unit_id
),

-- Of a table: its units, but those that were treated.
untreated as (
    select
        histories.tenant_id,
        histories.experiment,
        exposures.unit_id,
        min(exposures.exposed_at) as first_exposed_at
    from histories
    inner join {{ ref('exposures') }} as exposures
        on
            histories.tenant_id = exposures.tenant_id
            and histories.experiment = exposures.experiment
            and histories.landed_source = split_part(exposures.source, '@', 1)
    where exposures.kind = 'assignment'
    group by histories.tenant_id, histories.experiment, exposures.unit_id, histories.control
    having bool_and(exposures.variant = histories.control)
),

units as (
    select * from entered
    union all
    select * from untreated
)

select
    units.tenant_id,
    units.experiment,
    units.unit_id,
    histories.control as variant,
    units.first_exposed_at,
    coalesce(histories.ends_at, 'infinity'::timestamptz) as ends_at
from units
inner join histories
    on
        units.tenant_id = histories.tenant_id
        and units.experiment = histories.experiment
