{{ config(
    partition_key='experiment',
    incremental_strategy='replace_changed',
    changed_by='units',
    pre_hook="{{ note_changed_units('unit_metric_values', maturing=true) }}",
    post_hook=["{{ indexed(['tenant_id', 'experiment', 'unit_id', 'metric']) }}"]
) }}

with

outcomes as (
    select * from {{ ref('unit_outcomes') }}
    where {{ in_partition('experiment') }}
),

{{ values_of_outcomes() }}
