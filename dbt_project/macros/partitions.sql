{# Text inside SQL, whatever is in it. #}
{% macro text_literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{# A partition is 'tenant|key', or a whole tenant by its name; `partition` is one of them or a list. Without one a model is made
   for all of them. #}
{% macro partitions_asked_for() -%}
    {%- set asked = var('partition') -%}
    {% do return(([asked] if asked is string else asked) if asked else []) %}
{%- endmacro %}

{% macro in_partition(key_column, tenant_column='tenant_id') -%}
    {%- set asked = partitions_asked_for() -%}
    {% if asked -%}
        {%- set keys = {} -%}
        {%- for partition in asked -%}
            {%- do keys.setdefault(partition.split('|')[0], []).extend(partition.split('|')[1:]) -%}
        {%- endfor -%}
        {{ '(' if keys | length > 1 }}
        {%- for tenant, of_tenant in keys.items() -%}
            {{ ' or ' if not loop.first }}({{ tenant_column }} = {{ text_literal(tenant) }}
            {%- if of_tenant %}
            and {{ key_column }} {{ is_one_of(of_tenant) }}{% endif %})
        {%- endfor -%}
        {{ ')' if keys | length > 1 }}
    {%- elif var('tenant') -%}
        {{ tenant_column }} = {{ text_literal(var('tenant')) }}
    {%- else -%}
        true
    {%- endif %}
{%- endmacro %}

{% macro is_one_of(texts) -%}
    {% if texts | length == 1 -%}
        = {{ text_literal(texts[0]) }}
    {%- else -%}
        in ({% for text in texts %}{{ text_literal(text) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
{%- endmacro %}

{# What had arrived by the cut-off, of the tenant asked for: nothing later can enter a number that is made again. #}
{% macro known(received_at_column='received_at', tenant_column='tenant_id') -%}
    {{ received_at_column }} <= {{ text_literal(var('known_at')) }}::timestamptz
    {%- if var('tenant') %} and {{ tenant_column }} = {{ text_literal(var('tenant')) }}{% endif %}
{%- endmacro %}

{# Delete the selected partitions and put the new rows in their place, in the transaction of the model: readers see the old
   partition or the new one. A partition that has become empty is emptied too, which delete+insert by key would not do. #}
{% macro get_incremental_replace_partition_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set key_column = config.require('partition_key') -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_partition(key_column) }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }};
{%- endmacro %}
