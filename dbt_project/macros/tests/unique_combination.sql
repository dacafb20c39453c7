{# The grain of a model, proved for the partition just made: no two rows share the key. #}
{% test unique_combination(model, columns, partition_key=none) %}
select {{ columns | join(', ') }}
from {{ model }}
{% if partition_key %}where {{ in_partition(partition_key) }}{% endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
