{# Behind a closed gate nobody finds a number. #}
{% test withheld_without_numbers(model, partition_key) %}
select *
from {{ model }}
where
    status <> 'ok'
    and coalesce(effect, std_error, ci_low, ci_high, p_value, relative_effect, relative_ci_low, relative_ci_high) is not null
    and {{ in_partition(partition_key) }}
{% endtest %}
