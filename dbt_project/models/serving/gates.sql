{{ config(materialized='ephemeral', post_hook=[], contract={'enforced': false}) }}

-- Each gate lies in the stage where what it looks at is known; whoever asks for the gates asks for all of them.
select
    tenant_id,
    experiment,
    check_name,
    passed,
    blocking,
    p_value,
    observed,
    expected,
    detail,
    provenance_id
from {{ source('experiments', 'health') }}
union all
select
    tenant_id,
    experiment,
    check_name,
    passed,
    blocking,
    p_value,
    observed,
    expected,
    detail,
    provenance_id
from {{ source('features', 'health') }}
