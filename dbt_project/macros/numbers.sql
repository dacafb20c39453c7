{# Text as an exact number: true and false count as 1 and 0; what is no number of a sane size is null, never an error that
   stops a partition. Magnitudes outside 1e-60 .. 1e150 would leave double precision once they are squared. #}
{% macro number_or_null(text) -%}
    case
        when lower({{ text }}) = 'true' then 1::numeric
        when lower({{ text }}) = 'false' then 0::numeric
        when {{ text }} ~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$'
            then case
                when abs(({{ text }})::numeric) >= 1e150 then null
                when scale(({{ text }})::numeric) > 60 then round(({{ text }})::numeric, 60)
                else ({{ text }})::numeric
            end
    end
{%- endmacro %}

{# A mean, and a sum of products of deviations from the means, of exact sums. Their difference is exact, so nothing cancels; of a
   quotient as many digits are kept as double precision, at the end, can tell apart. #}
{% macro mean_of(total, n) -%}
    {{ precise_quotient(total, n) }}::double precision
{%- endmacro %}

{% macro comoment_of(products, total, other_total, n) -%}
    {{ precise_quotient('(' ~ n ~ ' * ' ~ products ~ ' - ' ~ total ~ ' * ' ~ other_total ~ ')', n) }}::double precision
{%- endmacro %}

{% macro precise_quotient(dividend, n) -%}
    (round({{ dividend }}, scale({{ dividend }}) + 40) / nullif({{ n }}, 0))
{%- endmacro %}
