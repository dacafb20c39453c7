{# By how much each day changed each sum, exactly: what its units are worth now, less what they were worth before. `cells` are
   rows of unit_metric_days with a segment. What a metric does not ask for is taken away once it is summed up: a join of the
   cells themselves would cost more than the sums. #}
{% macro sums_of_days(cells) -%}
    select
        sums.tenant_id,
        sums.experiment,
        sums.metric,
        sums.variant,
        sums.segment,
        sums.day,
        sums.units,
        sums.active_units,
        sums.n,
        sums.n_missing,
        trim_scale(sums.sum_y) as sum_y,
        trim_scale(sums.sum_yy) as sum_yy,
        {% for name in ['sum_d', 'sum_dd', 'sum_yd'] -%}
            case when metrics.type = 'ratio' then trim_scale(sums.{{ name }}) end as {{ name }},
        {% endfor -%}
        case when metrics.lookback_days is not null then sums.n_with_past end as n_with_past,
        {% for name in ['sum_x', 'sum_xx', 'sum_xy'] -%}
            case when metrics.lookback_days is not null then trim_scale(sums.{{ name }}) end as {{ name }},
        {% endfor -%}
        case when metrics.lookback_days is not null and metrics.type = 'ratio' then trim_scale(sums.sum_xd) end as sum_xd
    from (
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
            {{ change_of('{d}') }} as sum_d,
            {{ change_of('{d} * {d}') }} as sum_dd,
            {{ change_of('{} * {d}') }} as sum_yd,
            count(pre_value) filter (where value is not null)
            - count(pre_value) filter (where previous_value is not null) as n_with_past,
            {{ change_of('pre_value', of_valued=true) }} as sum_x,
            {{ change_of('pre_value * pre_value', of_valued=true) }} as sum_xx,
            {{ change_of('pre_value * {}') }} as sum_xy,
            {{ change_of('pre_value * {d}') }} as sum_xd
        from {{ cells }}
        group by tenant_id, experiment, metric, variant, segment, day
    ) as sums
    inner join {{ source('experiments', 'metric_definitions') }} as metrics
        on
            sums.tenant_id = metrics.tenant_id
            and sums.experiment = metrics.experiment
            and sums.metric = metrics.metric
{%- endmacro %}

{# The sum of an expression of the value, {}, and the denominator, {d}, less that of what they were before. #}
{% macro change_of(expression, of_valued=false) -%}
    {%- set now = expression.replace('{d}', 'denominator').replace('{}', 'value') -%}
    {%- set before = expression.replace('{d}', 'previous_denominator').replace('{}', 'previous_value') -%}
    coalesce(sum({{ now }}) {%- if of_valued %} filter (where value is not null){% endif %}, 0)
    - coalesce(sum({{ before }}) {%- if of_valued %} filter (where previous_value is not null){% endif %}, 0)
{%- endmacro %}
