{# A row that says why it has no number has none of these. #}
{% test numbers_only_if_ok(model, partition_key, columns, ok) %}
select *
from {{ model }}
where
    status not in ({% for each in ok %}'{{ each }}'{{ ', ' if not loop.last }}{% endfor %})
    and num_nonnulls({{ columns | join(', ') }}) > 0
    and {{ in_partition(partition_key) }}
{% endtest %}
