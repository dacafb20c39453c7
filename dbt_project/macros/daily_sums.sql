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

{# What a unit adds to a sum is what it is worth now, less what it was worth before. #}
{% macro contributions_of(cells) -%}
    select
        cells.*,
        worth.sign,
        worth.status as worth_status,
        worth.y,
        worth.d,
        case when worth.y is not null then cells.x end as worth_x,
        worth.is_new
    from {{ cells }} as cells
    cross join lateral (
        values
        (1, cells.status, cells.value, cells.denominator, cells.previous_status is null),
        (-1, cells.previous_status, cells.previous_value, cells.previous_denominator, false)
    ) as worth (sign, status, y, d, is_new)
{%- endmacro %}

{# By how much each day changed each sum, exactly. #}
{% macro sums_of_contributions(contributions) -%}
    select
        tenant_id,
        experiment,
        metric,
        variant,
        segment,
        day,
        count(*) filter (where is_new) as units,
        coalesce(sum(sign) filter (where y is not null), 0)::bigint as n,
        coalesce(sum(sign) filter (where worth_status = 'missing'), 0)::bigint as n_missing,
        trim_scale(coalesce(sum(sign * y), 0)) as sum_y,
        trim_scale(coalesce(sum(sign * y * y), 0)) as sum_yy,
        case when has_denominator then trim_scale(coalesce(sum(sign * d), 0)) end as sum_d,
        case when has_denominator then trim_scale(coalesce(sum(sign * d * d), 0)) end as sum_dd,
        case when has_denominator then trim_scale(coalesce(sum(sign * y * d), 0)) end as sum_yd,
        case
            when has_past then coalesce(sum(sign) filter (where y is not null and pre_value is not null), 0)::bigint
        end as n_with_past,
        case when has_past then trim_scale(coalesce(sum(sign * worth_x), 0)) end as sum_x,
        case when has_past then trim_scale(coalesce(sum(sign * worth_x * worth_x), 0)) end as sum_xx,
        case when has_past then trim_scale(coalesce(sum(sign * worth_x * y), 0)) end as sum_xy,
        case when has_past and has_denominator then trim_scale(coalesce(sum(sign * worth_x * d), 0)) end as sum_xd
    from {{ contributions }}
    group by tenant_id, experiment, metric, variant, segment, day, has_denominator, has_past
{%- endmacro %}
