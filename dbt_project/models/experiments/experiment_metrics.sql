{{ config(partition_key='experiment') }}

with

declared as (
    select * from {{ source('registry', 'experiments') }}
    where {{ in_partition('key') }}
)

-- A unit without any event of a named type did nothing: zero. A unit whose own record lacks the value is missing: null.
select
    declared.tenant_id,
    declared.key as experiment,
    metric.body ->> 'key' as metric,
    metric.position::integer as position,
    metric.body ->> 'type' as type,
    metric.body ->> 'role' as role,
    metric.body ->> 'direction' as direction,
    case when declared.declaration ->> 'source' is null then metric.body ->> 'event' else 'record' end as event,
    case when declared.declaration ->> 'source' is not null then declared.key end as landed_source,
    metric.body ->> 'column' as property,
    (metric.body ->> 'window_days')::double precision as window_days,
    declared.declaration ->> 'source' is null and metric.body ->> 'type' <> 'mean' as absent_is_zero
from declared
cross join
    lateral jsonb_array_elements(declared.declaration -> 'metrics')
    with ordinality as metric (body, position)
