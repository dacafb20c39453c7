{# The same isolation that migrations give their tables, for the tables that dbt makes: no tenant set, no rows. #}
{% macro secure_by_tenant(relation) -%}
    alter table {{ relation }} enable row level security;
    alter table {{ relation }} force row level security;
    drop policy if exists tenant_isolation on {{ relation }};
    create policy tenant_isolation on {{ relation }}
        using (tenant_id = current_setting('app.tenant_id', true))
        with check (tenant_id = current_setting('app.tenant_id', true));
    drop policy if exists pipeline_all_tenants on {{ relation }};
    create policy pipeline_all_tenants on {{ relation }} to causeway_pipeline using (true) with check (true);
{%- endmacro %}

{% macro readable_by_serving_roles(relation) -%}
    {% if not var('schema_prefix') %}grant select on {{ relation }} to causeway_api, causeway_analyst;{% endif %}
{%- endmacro %}
