"""What a decision rests on, as the estimates wrote it."""

from datetime import UTC, datetime, time
from typing import Any

from assets import partitions
from assets.publication import cut_off
from causeway.decisions.headline import Headline, RunTime
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from resources.postgres import PostgresResource

_EFFECT = (
    "status", "n", "n_control", "mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value",
    "relative_effect", "relative_ci_low", "relative_ci_high",
)  # fmt: skip
_JUDGED = ("interval", "method", "adjusted_p_value", "is_significant", "chance_to_beat", "expected_loss")

ByMetric = dict[str, dict[str, Headline]]


def headlines(postgres: PostgresResource, partition_key: str) -> tuple[ByMetric, set[str]]:
    """The comparison that counts, by metric and variant; and the provenance of them all."""
    client = postgres.client()
    rows: list[Any] = client.fetch_all(
        f"SELECT metric, variant, provenance_id, {', '.join((*_EFFECT, *_JUDGED))}"
        f" FROM {client.table('estimates.headline_effects')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, variant",
        partitions.split(partition_key),
    )
    found: ByMetric = {}
    for metric, variant, _, *values in rows:
        effect, judged = values[: len(_EFFECT)], values[len(_EFFECT) :]
        found.setdefault(metric, {})[variant] = Headline(Effect(*effect), **dict(zip(_JUDGED, judged, strict=True)))
    return found, {row[2] for row in rows}


def run_time(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> RunTime:
    """Since when it runs, and what counts as now: the moment up to which the events were read."""
    client = postgres.client()
    with client.transaction() as transaction:
        known_at = cut_off(postgres, transaction)
        row = transaction.fetch_one(
            f"SELECT min(first_exposed_at) FROM {transaction.table('experiments.first_exposures')}"
            " WHERE tenant_id = %s AND experiment = %s",
            partitions.split(partition_key),
        )
    first = row[0] if row else None
    if experiment.source is not None and experiment.source.occurred_at is None:
        # The table does not say when its units entered; what stands there is when it was landed.
        first = None if experiment.start is None else datetime.combine(experiment.start, time(), UTC)
    return RunTime(first, known_at, experiment.end)
