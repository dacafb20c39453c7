{# The columns that a study declares, in any role, once each: what causeway.declarations.study_roles.mentions lists. Sorted by the
   bytes of their names. #}
{% macro study_columns(declaration) -%}
    lateral (
    select distinct named.name collate "C" as name
    from (
        values
        ({{ declaration }} #>> '{treatment,column}'),
        ({{ declaration }} #>> '{outcome,column}'),
        ({{ declaration }} ->> 'clusters'),
        ({{ declaration }} ->> 'blocks'),
        ({{ declaration }} ->> 'weights'),
        (case when jsonb_typeof({{ declaration }} -> 'known_propensity') = 'string' then {{ declaration }} ->> 'known_propensity' end),
        (case when jsonb_typeof({{ declaration }} #> '{policy,cost}') = 'string' then {{ declaration }} #>> '{policy,cost}' end)
        union all
        select listed.name
        from
            (
                values
                ({{ declaration }} -> 'outcomes'),
                ({{ declaration }} -> 'confounders'),
                ({{ declaration }} -> 'instruments'),
                ({{ declaration }} -> 'effect_modifiers'),
                ({{ declaration }} -> 'segments'),
                ({{ declaration }} #> '{negative_controls,outcomes}'),
                ({{ declaration }} #> '{negative_controls,exposures}')
            ) as lists (members),
            jsonb_array_elements_text(
                case when jsonb_typeof(lists.members) = 'array' then lists.members else '[]'::jsonb end
            ) as listed (name)
    ) as named (name)
    where named.name is not null
    )
{%- endmacro %}

{# The order of Python's own comparison of texts, whatever the collation of the database. #}
{% macro by_bytes(text) -%}
    {{ text }} collate "C"
{%- endmacro %}
