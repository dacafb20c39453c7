{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- Experiments of which nothing may be shown, and why.
select
    tenant_id,
    experiment,
    jsonb_agg(check_name || ': ' || detail order by check_name) as reasons,
    min(provenance_id) as provenance_id
from {{ ref('gates') }}
where blocking and not passed and {{ in_partition('experiment') }}
group by tenant_id, experiment
