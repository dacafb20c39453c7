{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

metrics as (
    select * from {{ source('experiments', 'metric_definitions') }}
    where {{ in_partition('experiment') }}
)

-- Behind a closed gate no day is shown: with its counts, a day's effect could be worked out from the days around it.
select
    looks.tenant_id,
    looks.experiment,
    looks.metric,
    metrics.role as metric_role,
    metrics.position,
    looks.variant,
    looks.control,
    looks.day,
    looks.method,
    looks.interval,
    looks.status,
    looks.n,
    looks.n_control,
    looks.mean,
    looks.mean_control,
    looks.effect,
    looks.std_error,
    looks.ci_low,
    looks.ci_high,
    looks.p_value,
    looks.relative_effect,
    looks.relative_ci_low,
    looks.relative_ci_high,
    looks.settings,
    looks.provenance_id
from {{ source('estimates', 'daily_looks') }} as looks
inner join metrics
    on
        looks.tenant_id = metrics.tenant_id
        and looks.experiment = metrics.experiment
        and looks.metric = metrics.metric
left join {{ ref('closed_gates') }} as closed_gates
    on
        looks.tenant_id = closed_gates.tenant_id
        and looks.experiment = closed_gates.experiment
where closed_gates.experiment is null
