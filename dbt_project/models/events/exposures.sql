{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    changed_by='received',
    pre_hook="{{ note_superseded_landings('exposures') }}",
    post_hook=[
        "{{ indexed(['tenant_id', 'experiment', 'unit_id']) }}",
        "{{ indexed(['tenant_id', 'unit_id']) }}",
        "{{ indexed(['tenant_id', 'source']) }}",
        "{{ indexed(['known_at']) }}"
    ]
) }}

with

received as (
    select * from {{ source('raw', 'assignments') }}
    where {{ known() }} and received_at > {{ changed_since('exposures') }}
),

landings as (
    select * from {{ ref('landings_in_force') }}
),

assigned as (
    select
        received.tenant_id,
        'assignment' as kind,
        received.source,
        received.event_id,
        received.experiment,
        received.unit_id,
        received.variant,
        received.occurred_at as exposed_at,
        received.received_at as known_at,
        received.properties
    from received
    left join landings
        on
            received.tenant_id = landings.tenant_id
            and received.landing_id = landings.landing_id
    where received.landing_id is null or landings.landing_id is not null
),

logged as (
    select
        tenant_id,
        'logged' as kind,
        source,
        event_id,
        properties ->> 'experiment' as experiment,
        unit_id,
        properties ->> 'variant' as variant,
        occurred_at as exposed_at,
        known_at,
        properties
    from {{ ref('events') }}
    where
        type in ('exposure', 'exp.exposure.v1')
        and properties ->> 'experiment' is not null
        and properties ->> 'variant' is not null
        and known_at > {{ changed_since('exposures') }}
)

select * from assigned
union all
select * from logged
