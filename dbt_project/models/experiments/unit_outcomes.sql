{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

{{ outcomes_of(units_by_metric('unit_metric_values')) }}
