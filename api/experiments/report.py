"""The report of an experiment from what the API serves about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.decisions.models import RecordedDecision
from api.experiments.models import Experiment, ExperimentResults, Look
from causeway.report import served as rows
from causeway.report.experiment_report import ExperimentReport


def report_of(
    experiment: Experiment,
    served: ExperimentResults,
    declared: Mapping[str, Mapping[str, Any]],
    looks: Sequence[Look] = (),
    decided: RecordedDecision | None = None,
) -> ExperimentReport:
    """What is known of an experiment as a report; ``declared`` are the metrics that it uses by name, ``decided`` is the
    newest decision that somebody took.
    """
    return rows.report_of(
        rows.Served(
            tenant=served.tenant,
            experiment=experiment.model_dump(),
            results=[result.model_dump() for result in served.results],
            looks=[look.model_dump() for look in looks],
            health={name: check.model_dump() for name, check in served.health.items()},
            gates_passed=served.gates.passed,
            reasons=served.reasons,
            metrics=declared,
            decided=None if decided is None else decided.model_dump(),
            snapshot_id=served.snapshot_id,
        )
    )
