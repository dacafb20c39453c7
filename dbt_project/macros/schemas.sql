{# A stage is a schema; a reproduction puts the same stages beside the live ones under a prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('schema_prefix') }}{{ custom_schema_name or target.schema }}
{%- endmacro %}
