from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets import declared, partitions
from assets.experiments.a_a import a_a
from assets.experiments.enrolled import enrolment, known_at, weights_in_force
from assets.experiments.gates_in_time import gates_in_time
from assets.experiments.srm_trail import srm_trail
from assets.gates import check_results, gate_frame, gate_table
from assets.pictures import drawing
from assets.publication import publish
from causeway.plots.arm_shares import ArmShare, arm_shares
from causeway.statistics.gates import Enrolment, TrialCounts, trial_gates
from causeway.statistics.gates.diagnosis import diagnosed
from causeway.statistics.gates.gate import declared_as_warnings, in_windows, judged_by
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["experiments", "health"])
CHECKS = (
    "srm",
    "srm_by_day",
    "crossover",
    "unlisted_variant",
    "duplicate_unit",
    "missing_outcome",
    "empty_arm",
    "one_unit_arm",
    "constant_metric",
    "enrolment",
    "metric_drift",
    "missing_events",
    "a_a",
)


@dg.asset(
    key=KEY,
    deps=[
        ["experiments", name]
        for name in (
            "experiment_variants",
            "enrolment",
            "assignment_counts",
            "first_exposures",
            "sufficient_statistics",
            "daily_statistics",
            "cohort_statistics",
            "switchback_cells",
            "switchback_windows",
            "metric_definitions",
        )
    ]
    + [["events", "quarantine_counts"], ["registry", "experiments"]],
    partitions_def=partitions.experiments,
    check_specs=[
        dg.AssetCheckSpec(name, asset=KEY, blocking=True, partitions_def=partitions.experiments) for name in CHECKS
    ],
    group_name="experiments",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="3",
    description=(
        "What must hold before any number of a trial may be shown: sample ratio at every look, with a diagnosis,"
        " crossovers, undeclared variants, repeated units, missing outcomes and events, enrolment, drift, A/A. A closed"
        " gate withholds the effects. One row per tenant, experiment and check."
    ),
)
def health(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    known = known_at(postgres)
    in_force = weights_in_force(postgres, context.partition_key, experiment, known)
    enrolled = enrolment(postgres, context.partition_key, experiment, in_force)
    of_windows = experiment.randomization.by == "switchback" and experiment.source is None
    counts = trial_counts(
        postgres,
        context.partition_key,
        None if experiment.source is not None else enrolled,
        outcomes=_OF_CELLS if of_windows else _OF_UNITS,
    )
    gates = list(trial_gates(counts))
    if not gates[0].passed and counts.total_units:
        trail = srm_trail(
            postgres, context.partition_key, experiment, in_force=in_force, enrolment=enrolled, known=known
        )
        gates[0] = diagnosed(gates[0], trail)
    if experiment.source is None:
        gates += gates_in_time(postgres, context.partition_key, experiment, enrolled, known or datetime.now(UTC))
    if experiment.aa:
        gates.append(a_a(postgres, context.partition_key, experiment))
    if experiment.cluster_column is not None and experiment.randomization.by != "switchback":
        gates[0] = judged_by(gates[0], f"srm:{experiment.cluster_column}")
    gates = declared_as_warnings(gates, experiment.warn_only)
    if of_windows:
        gates = [in_windows(gate) for gate in gates]
    counted = "windows" if of_windows else "units"
    return publish(
        context,
        postgres,
        gate_frame(gates),
        unit="experiment",
        metadata={
            "gates": dg.MetadataValue.md(gate_table(gates)),
            "arms": drawing(arm_shares(list(_shares(counts, counted)), is_mismatch=not gates[0].passed)),
        },
        check_results=list(check_results(KEY, CHECKS, gates)),
    )


def _shares(counts: TrialCounts, counted: str) -> Iterator[ArmShare]:
    total, weights = sum(counts.units.values()), sum(counts.weights.values())
    for variant, weight in counts.weights.items():
        units, expected = counts.units.get(variant, 0), weight / weights
        share = units / total if total else None
        yield ArmShare(variant, f"{units:,} {counted}, {100 * expected:.3g} % declared", share, expected)


_OF_UNITS = """
    SELECT metric, variant, n, n_missing, m2 FROM {statistics}
    WHERE tenant_id = %s AND experiment = %s ORDER BY metric, variant
"""
# A window without an event counts as zero; one that divides by zero has no value, and is none that was lost.
_OF_CELLS = """
    SELECT metric, variant, count(*), 0, (var_pop(outcome / denominator) * count(*))::float8 FROM {cells}
    WHERE tenant_id = %s AND experiment = %s AND denominator > 0 GROUP BY metric, variant ORDER BY metric, variant
"""


def trial_counts(
    postgres: PostgresResource, partition_key: str, enrolled: Enrolment | None, *, outcomes: str = _OF_UNITS
) -> TrialCounts:
    """Everything that the gates of who is in the trial look at, counted in SQL. outcomes: the query of the metrics."""
    client, partition = postgres.client(), partitions.split(partition_key)
    variants = client.fetch_all(
        f"SELECT variant, weight FROM {client.table('experiments.experiment_variants')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY NOT is_control, variant",
        partition,
    )
    logged = client.fetch_all(
        "SELECT variant, is_listed, units, eligible_units, crossover_units"
        f" FROM {client.table('experiments.assignment_counts')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY variant",
        partition,
    )
    measured = client.fetch_all(
        outcomes.format(
            statistics=client.table("experiments.sufficient_statistics"),
            cells=client.table("experiments.switchback_cells"),
        ),
        partition,
    )
    repeated = client.fetch_one(
        f"SELECT records FROM {client.table('events.quarantine_counts')}"
        " WHERE tenant_id = %s AND source = %s AND code = 'duplicate_unit'",
        partition,
    )
    metrics: dict[str, dict[str, tuple[int, int, float]]] = {}
    for metric, variant, n, n_missing, m2 in measured:
        metrics.setdefault(metric, {})[variant] = (n, n_missing, m2 or 0.0)
    eligible = {variant: count for variant, listed, _, count, _ in logged if listed}
    return TrialCounts(
        weights=dict(variants),
        units={variant: eligible.get(variant, 0) for variant, _ in variants},
        crossover_units=sum(row[4] for row in logged),
        unlisted={row[0]: row[2] - row[4] for row in logged if not row[1]},
        duplicate_rows=repeated[0] if repeated else 0,
        total_units=sum(row[2] for row in logged),
        metrics=metrics,
        enrolment=enrolled,
    )
