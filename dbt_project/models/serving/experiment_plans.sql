{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

plans as (
    select * from {{ source('design', 'plans') }}
    where {{ in_partition('experiment') }}
)

select
    tenant_id,
    experiment,
    metric,
    position,
    interval,
    covariate,
    status,
    reason,
    method,
    role,
    direction,
    alpha,
    power,
    n_history,
    mean,
    variance,
    variance_factor,
    effect_unit,
    wanted_effect,
    units,
    n_treated,
    n_control,
    days,
    days_low,
    days_high,
    last_day,
    planned_days,
    smallest_effect,
    power_as_planned,
    mc_error,
    false_positive_rate,
    false_positive_low,
    false_positive_high,
    replays,
    verdict,
    sentence,
    by_day,
    replay,
    settings,
    provenance_id
from plans
