{{ config(partition_key='kpi', indexes=[{'columns': ['tenant_id', 'kpi']}]) }}

with

kpi_gaps as (
    select * from {{ source('estimates', 'kpi_gaps') }}
    where {{ in_partition('kpi') }}
)

select
    tenant_id,
    kpi,
    study,
    segment,
    levels,
    verdict,
    status,
    reasons,
    n,
    n_treated,
    n_to_treat,
    extrapolated_share,
    actual,
    effect,
    std_error,
    ci_low,
    ci_high,
    simultaneous_low,
    simultaneous_high,
    shrunk_effect,
    shrunk_effect_ci_low,
    shrunk_effect_ci_high,
    everyone,
    everyone_ci_low,
    everyone_ci_high,
    nobody,
    nobody_ci_low,
    nobody_ci_high,
    units_reachable,
    reachable,
    reachable_ci_low,
    reachable_ci_high,
    gap,
    gap_ci_low,
    gap_ci_high,
    gap_value,
    gap_value_ci_low,
    gap_value_ci_high,
    expected_value,
    cost_per_unit,
    cost,
    net_value,
    net_value_ci_low,
    net_value_ci_high,
    roi,
    roi_ci_low,
    roi_ci_high,
    roi_status,
    ranks,
    settings,
    provenance_id
from kpi_gaps
