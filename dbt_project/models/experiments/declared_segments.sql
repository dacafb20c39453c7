{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- By what covariates the effects of an experiment are reported.
select
    experiments.tenant_id,
    experiments.key as experiment,
    segment.name as segment
from {{ source('registry', 'experiments') }} as experiments
cross join lateral jsonb_array_elements_text(coalesce(experiments.declaration -> 'segments', '[]')) as segment (name)
where {{ in_partition('experiments.key', 'experiments.tenant_id') }}
