{# The cells of unit_metric_days with what their metric asks for; `segment` is an expression. #}
{% macro cells_of_days(segment) -%}
    select
        days.*,
        {{ segment }} as segment,
        metrics.type = 'ratio' as has_denominator,
        metrics.lookback_days is not null as has_past,
        coalesce(days.pre_value, 0) as x
    from {{ ref('unit_metric_days') }} as days
    inner join {{ source('experiments', 'metric_definitions') }} as metrics
        on
            days.tenant_id = metrics.tenant_id
            and days.experiment = metrics.experiment
            and days.metric = metrics.metric
{%- endmacro %}

{# By how much each day changed each sum, exactly: what its units are worth now, less what they were worth before. #}
{% macro sums_of_days(cells) -%}
    select
        tenant_id,
        experiment,
        metric,
        variant,
        segment,
        day,
        count(*) filter (where previous_status is null) as units,
        count(*) filter (where previous_status is not null or value <> 0) as active_units,
        count(value) - count(previous_value) as n,
        count(*) filter (where status = 'missing') - count(*) filter (where previous_status = 'missing') as n_missing,
        {{ change_of('{}') }} as sum_y,
        {{ change_of('{} * {}') }} as sum_yy,
        case when has_denominator then {{ change_of('{d}') }} end as sum_d,
        case when has_denominator then {{ change_of('{d} * {d}') }} end as sum_dd,
        case when has_denominator then {{ change_of('{} * {d}') }} end as sum_yd,
        case
            when has_past
                then
                    count(value) filter (where pre_value is not null)
                    - count(previous_value) filter (where pre_value is not null)
        end as n_with_past,
        case when has_past then {{ change_of('x', of_valued=true) }} end as sum_x,
        case when has_past then {{ change_of('x * x', of_valued=true) }} end as sum_xx,
        case when has_past then {{ change_of('x * {}') }} end as sum_xy,
        case when has_past and has_denominator then {{ change_of('x * {d}') }} end as sum_xd
    from {{ cells }}
    group by tenant_id, experiment, metric, variant, segment, day, has_denominator, has_past
{%- endmacro %}

{# The sum of an expression of the value, {}, and the denominator, {d}, less that of what they were before. #}
{% macro change_of(expression, of_valued=false) -%}
    {%- set now = expression.replace('{d}', 'denominator').replace('{}', 'value') -%}
    {%- set before = expression.replace('{d}', 'previous_denominator').replace('{}', 'previous_value') -%}
    trim_scale(
        coalesce(sum({{ now }}) {%- if of_valued %} filter (where value is not null){% endif %}, 0)
        - coalesce(sum({{ before }}) {%- if of_valued %} filter (where previous_value is not null){% endif %}, 0)
    )
{%- endmacro %}
