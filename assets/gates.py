"""Gates as rows of a table and as results of an asset's checks."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from assets.columns import json_text
from causeway.statistics.gates import Gate

TABLES = ("experiments.health", "features.health")
"""Where gates lie: each where what it looks at is known."""


def gate_frame(gates: Sequence[Gate]) -> pl.DataFrame:
    """One row a gate."""
    return pl.DataFrame(
        {
            "check_name": pl.Series([gate.check_name for gate in gates], dtype=pl.String),
            "passed": pl.Series([gate.passed for gate in gates], dtype=pl.Boolean),
            "blocking": pl.Series([gate.blocking for gate in gates], dtype=pl.Boolean),
            "p_value": pl.Series([gate.p_value for gate in gates], dtype=pl.Float64),
            "observed": pl.Series([json_text(gate.observed) for gate in gates], dtype=pl.String),
            "expected": pl.Series([json_text(gate.expected) for gate in gates], dtype=pl.String),
            "detail": pl.Series([gate.detail for gate in gates], dtype=pl.String),
        }
    )


def check_results(key: dg.AssetKey, checks: Sequence[str], gates: Sequence[Gate]) -> Iterator[dg.AssetCheckResult]:
    """One result a check: the gates of all metrics or segments together, failing where any of them blocks."""
    by_check: Mapping[str, list[Gate]] = {name: [] for name in checks}
    for gate in gates:
        by_check[gate.check_name.partition(":")[0]].append(gate)
    for name, grouped in by_check.items():
        closed = any(gate.blocking and not gate.passed for gate in grouped)
        told = [gate.detail for gate in grouped if not gate.passed] or [gate.detail for gate in grouped[:1]]
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=all(gate.passed for gate in grouped),
            severity=dg.AssetCheckSeverity.ERROR if closed else dg.AssetCheckSeverity.WARN,
            description=" ".join(told) or "There is nothing to check here.",
            metadata={gate.check_name: gate.p_value for gate in grouped if gate.p_value is not None},
        )


def gate_table(gates: Sequence[Gate]) -> str:
    """For people, in Markdown."""
    lines = [
        f"| {gate.check_name} | {'open' if gate.passed else 'CLOSED' if gate.blocking else 'warning'} | {gate.detail} |"
        for gate in gates
    ]
    return "\n".join(["| gate | | |", "|---|---|---|", *lines])
