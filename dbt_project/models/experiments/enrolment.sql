{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

switchbacks as (
    {{ switchbacks() }}
),

units as (
    select
        tenant_id,
        experiment,
        first_exposed_at as came_at,
        variant,
        variants_seen,
        is_listed,
        is_eligible
    from {{ ref('first_exposures') }} as exposures
    where
        {{ in_partition('experiment') }}
        and not exists (
            select from switchbacks
            where switchbacks.tenant_id = exposures.tenant_id and switchbacks.experiment = exposures.experiment
        )
    union all
    -- What a switchback deals a variant to is a window of a cluster.
    select
        tenant_id,
        experiment,
        window_start as came_at,
        variant,
        variants_seen,
        is_listed,
        is_eligible
    from {{ ref('switchback_windows') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    (came_at at time zone 'UTC')::date as day,
    variant,
    is_listed,
    count(*) as units,
    count(*) filter (where is_eligible) as eligible_units,
    count(*) filter (where variants_seen > 1) as crossover_units
from units
group by tenant_id, experiment, (came_at at time zone 'UTC')::date, variant, is_listed
