{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    changed_by='rows',
    indexes=[{'columns': ['tenant_id', 'unit_id'], 'unique': true}, {'columns': ['tenant_id', 'changed_at']}]
) }}

-- depends_on: {{ source('raw', 'landings') }}
with

landings as (
    {{ landings_and_what_superseded_them() }}
),

-- Read twice, each time a few rows by an index.
received as not materialized (
    select
        tenant_id,
        unit_id,
        landing_id,
        received_at
    from {{ source('raw', 'events') }}
    where {{ known() }}
    union all
    select
        tenant_id,
        unit_id,
        landing_id,
        received_at
    from {{ source('raw', 'assignments') }}
    where {{ known() }}
),

changes as (
    select
        received.tenant_id,
        received.unit_id,
        received.received_at as changed_at
    from received
    left join landings
        on
            received.tenant_id = landings.tenant_id
            and received.landing_id = landings.landing_id
    where
        received.received_at > {{ changed_since('unit_changes') }}
        and (received.landing_id is null or landings.landing_id is not null)
    union all
    select
        received.tenant_id,
        received.unit_id,
        landings.superseded_at as changed_at
    from landings
    inner join received
        on
            landings.tenant_id = received.tenant_id
            and landings.landing_id = received.landing_id
    where
        landings.superseded_at > {{ changed_since('unit_changes') }}
        and received.landing_id is not null
    union all
    -- Its records are gone, whatever the cut-off.
    select
        tenant_id,
        unit_id,
        erased_at as changed_at
    from {{ source('raw', 'erasures') }}
    where erased_at > {{ changed_since('unit_changes') }}
)

select
    tenant_id,
    unit_id,
    max(changed_at) as changed_at
from changes
{% if var('tenant') %}where tenant_id = {{ text_literal(var('tenant')) }}{% endif %}
group by tenant_id, unit_id
