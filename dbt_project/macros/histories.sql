{# Whether an event of a history is one with which a unit would have entered. A profile is what is known of a unit, not what it
   did. #}
{% macro lets_a_unit_in(events, histories) -%}
    {{ histories }}.landed_source is null
        and {{ events }}.occurred_at >= {{ histories }}.starts_at
        and {{ events }}.occurred_at < {{ histories }}.ends_at
        and {{ events }}.type = coalesce({{ histories }}.event, {{ events }}.type)
        and ({{ histories }}.event is not null or {{ events }}.type <> 'profile')
        and {{ meets(events ~ '.properties', histories ~ '.filter') }}
{%- endmacro %}

{# Whether a unit was watched for as long as the metric wants, before its history ended. #}
{% macro days_are_over(moments) -%}
    {{ moments }}.to_days is null
            or {{ moments }}.first_exposed_at + {{ moments }}.to_days * interval '1 day' <= {{ moments }}.seen_until
{%- endmacro %}
