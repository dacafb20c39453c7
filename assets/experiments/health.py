from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

from assets import partitions
from assets.columns import json_text
from assets.pictures import picture
from assets.publication import publish
from causeway.plots.arm_balance import arm_balance_plot
from causeway.statistics.gates import Gate, TrialCounts, trial_gates
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["experiments", "health"])
CHECKS = (
    "srm",
    "crossover",
    "unlisted_variant",
    "duplicate_unit",
    "missing_outcome",
    "empty_arm",
    "one_unit_arm",
    "constant_metric",
)


@dg.asset(
    key=KEY,
    deps=[["experiments", name] for name in ("experiment_variants", "assignment_counts", "sufficient_statistics")]
    + [["events", "quarantine_counts"]],
    partitions_def=partitions.experiments,
    check_specs=[
        dg.AssetCheckSpec(name, asset=KEY, blocking=True, partitions_def=partitions.experiments) for name in CHECKS
    ],
    group_name="experiments",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "What must hold before any number of a trial may be shown: sample ratio, crossovers, undeclared variants,"
        " repeated units, missing outcomes. A closed gate withholds the effects."
        " One row per tenant, experiment and check."
    ),
)
def health(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    counts = trial_counts(postgres, context.partition_key)
    gates = trial_gates(counts)
    return publish(
        context,
        postgres,
        _rows(gates),
        unit="experiment",
        metadata={
            "gates": dg.MetadataValue.md(_table(gates)),
            "arms": picture(
                arm_balance_plot(
                    counts.units,
                    counts.weights,
                    title=f"Units of {context.partition_key} against the declared weights",
                    p_value=gates[0].p_value,
                )
            ),
        },
        check_results=_check_results(gates),
    )


def trial_counts(postgres: PostgresResource, partition_key: str) -> TrialCounts:
    """Everything the gates look at, counted in SQL."""
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
    outcomes = client.fetch_all(
        f"SELECT metric, variant, n, n_missing, m2 FROM {client.table('experiments.sufficient_statistics')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, variant",
        partition,
    )
    repeated = client.fetch_one(
        f"SELECT records FROM {client.table('events.quarantine_counts')}"
        " WHERE tenant_id = %s AND source = %s AND code = 'duplicate_unit'",
        partition,
    )
    metrics: dict[str, dict[str, tuple[int, int, float]]] = {}
    for metric, variant, n, n_missing, m2 in outcomes:
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
    )


def _rows(gates: Sequence[Gate]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "check_name": [gate.check_name for gate in gates],
            "passed": [gate.passed for gate in gates],
            "blocking": [gate.blocking for gate in gates],
            "p_value": pl.Series([gate.p_value for gate in gates], dtype=pl.Float64),
            "observed": [json_text(gate.observed) for gate in gates],
            "expected": [json_text(gate.expected) for gate in gates],
            "detail": [gate.detail for gate in gates],
        }
    )


def _check_results(gates: Sequence[Gate]) -> Iterable[dg.AssetCheckResult]:
    """One result a check: the gates of all metrics together, failing where any of them blocks."""
    by_check: Mapping[str, list[Gate]] = {name: [] for name in CHECKS}
    for gate in gates:
        by_check[gate.check_name.partition(":")[0]].append(gate)
    for name, grouped in by_check.items():
        closed = any(gate.blocking and not gate.passed for gate in grouped)
        yield dg.AssetCheckResult(
            asset_key=KEY,
            check_name=name,
            passed=all(gate.passed for gate in grouped),
            severity=dg.AssetCheckSeverity.ERROR if closed else dg.AssetCheckSeverity.WARN,
            description=" ".join(gate.detail for gate in grouped if not gate.passed) or grouped[0].detail,
            metadata={gate.check_name: gate.p_value for gate in grouped if gate.p_value is not None},
        )


def _table(gates: Sequence[Gate]) -> str:
    lines = [
        f"| {gate.check_name} | {'open' if gate.passed else 'CLOSED' if gate.blocking else 'warning'} | {gate.detail} |"
        for gate in gates
    ]
    return "\n".join(["| gate | | |", "|---|---|---|", *lines])
