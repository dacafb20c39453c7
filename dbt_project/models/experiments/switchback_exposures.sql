{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

with

declared as (
    {{ switchbacks() }}
)

-- Every exposure of a switchback, in its cluster and window.
select
    exposures.tenant_id,
    exposures.experiment,
    exposures.unit_id,
    exposures.variant,
    exposures.exposed_at,
    {{ switched_cluster('exposures', 'exposures.exposed_at', 'declared') }} as cluster_id,
    {{ window_index('exposures.exposed_at', 'declared') }} as window_index
from declared
inner join {{ ref('exposures') }} as exposures
    on
        declared.tenant_id = exposures.tenant_id
        and declared.experiment = exposures.experiment
        and declared.kind = exposures.kind
where
    exposures.exposed_at >= coalesce(declared.starts_on, '-infinity'::date)
    and exposures.exposed_at < coalesce(declared.ends_on + 1, 'infinity'::date)
