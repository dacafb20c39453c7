{# Text inside SQL, whatever is in it. #}
{% macro text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{# A partition is 'tenant|key', or a whole tenant by its name; without one a model is made for all of them. #}
{% macro in_partition(key_column, tenant_column='tenant_id') -%}
    {% if var('partition') -%}
        {% set parts = var('partition').split('|') -%}
        ({{ tenant_column }} = {{ text_literal(parts[0]) }}
            {%- if parts | length > 1 %}
            and {{ key_column }} = {{ text_literal(parts[1]) }}{% endif %})
    {%- elif var('tenant') -%}
        {{ tenant_column }} = {{ text_literal(var('tenant')) }}
    {%- else -%}
        true
    {%- endif %}
{%- endmacro %}

{# What had arrived by the cut-off, of the tenant asked for: nothing later can enter a number that is made again. #}
{% macro known(received_at_column='received_at', tenant_column='tenant_id') -%}
    {{ received_at_column }} <= {{ text_literal(var('known_at')) }}::timestamptz
    {%- if var('tenant') %} and {{ tenant_column }} = {{ text_literal(var('tenant')) }}{% endif %}
{%- endmacro %}

{# Delete the selected partition and put the new rows in its place, in the transaction of the model: readers see the old
   partition or the new one. A partition that has become empty is emptied too, which delete+insert by key would not do. #}
{% macro get_incremental_replace_partition_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set key_column = config.require('partition_key') -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_partition(key_column) }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }};
{%- endmacro %}
