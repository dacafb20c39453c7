{# Accepted landings that were known by the cut-off, and when each was superseded; null: its rows count. A snapshot source is
   restated as a whole, so only its newest landing counts. Appended landings all count. #}
{% macro landings_and_what_superseded_them() -%}
    select
        tenant_id,
        landing_id,
        case
            when mode = 'snapshot'
                then lead(received_at) over (partition by tenant_id, source order by received_at, landing_id)
        end as superseded_at
    from raw.landings
    where accepted and {{ known() }}
{%- endmacro %}
