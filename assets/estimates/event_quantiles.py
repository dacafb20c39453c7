"""Effects on quantiles of all events: SQL hands over the few order statistics that are needed, of any number of events.

The statements are those that the docstring of ArmQuantile explains.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.effect import Effect
from causeway.statistics.mid_quantile import Step
from causeway.statistics.quantile import ArmQuantile, in_clusters, quantile_effect, ranks_needed
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

# What belongs together is the unit or, where one is declared, its cluster.
_EVENTS = """
    SELECT v.unit_id, v.value::float8 AS value, {belongs} AS belongs_to
    FROM {values} AS v
    LEFT JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.metric = %(metric)s
        AND v.variant = {variant}
"""
_COUNTS = """
    SELECT count(belongs_to), count(DISTINCT belongs_to), count(DISTINCT unit_id) FILTER (WHERE belongs_to IS NOT NULL),
        count(DISTINCT unit_id) FILTER (WHERE belongs_to IS NULL)
    FROM ({events}) AS events
"""
_STEPS = """
    WITH events AS (SELECT value FROM ({events}) AS all_events WHERE belongs_to IS NOT NULL),
    wanted AS (
        SELECT percentile_disc(%(levels)s::float8[]) WITHIN GROUP (ORDER BY value) AS at FROM events
    ),
    neighbours AS (
        SELECT max(value) AS before, min(value) FILTER (WHERE value > at[width_bucket(value, at)]) AS after
        FROM events, wanted GROUP BY width_bucket(value, at)
    ),
    near AS (
        SELECT array_agg(DISTINCT value ORDER BY value) AS at FROM (
            SELECT unnest(at) FROM wanted UNION ALL SELECT before FROM neighbours UNION ALL SELECT after FROM neighbours
        ) AS each (value)
        WHERE value IS NOT NULL
    ),
    counted AS (
        SELECT width_bucket(value, at) AS place, count(*) AS size,
            count(*) FILTER (WHERE value = at[width_bucket(value, at)]) AS ties
        FROM events, near GROUP BY 1
    ),
    added AS (
        SELECT place, sum(size) OVER (ORDER BY place) - size AS below, ties FROM counted
    )
    SELECT at[place], below::bigint, ties FROM added, near WHERE place > 0 ORDER BY place
"""
_RESIDUALS = """
    SELECT belongs_to, sum(CASE WHEN value < %(low_{arm})s THEN 1 WHEN value = %(low_{arm})s THEN %(weight_low_{arm})s
        WHEN value = %(high_{arm})s THEN %(weight_high_{arm})s ELSE 0 END::numeric - %(q)s::numeric) AS residual
    FROM ({events}) AS events WHERE belongs_to IS NOT NULL GROUP BY belongs_to
"""
_SQUARES = "SELECT sum(residual * residual)::float8 FROM ({residuals}) AS residuals"
_PRODUCTS = """
    SELECT count(*), sum(treated.residual * other.residual)::float8
    FROM ({treated}) AS treated INNER JOIN ({control}) AS other USING (belongs_to)
"""


@dataclass(frozen=True)
class _Arm:
    """The quantile of an arm, its units with an event, and those that were left out for want of a cluster."""

    quantile: ArmQuantile
    units: int
    left_out: int


def of_events(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> dict[tuple[str, str], Effect]:
    """The effect on every quantile of events, by metric and variant."""
    metrics = [metric for metric in experiment.metrics if metric.level == "event"]
    if not metrics:
        return {}
    with postgres.client().transaction(read_only=True) as transaction:
        return {
            (metric.key, variant): effect
            for metric in metrics
            for variant, effect in _effects(transaction, partition_key, experiment, metric)
        }


def _effects(
    transaction: PostgresTransaction, partition_key: str, experiment: ExperimentDeclaration, metric: Metric
) -> Iterator[tuple[str, Effect]]:
    assert metric.quantile is not None, "a declared quantile has its level"
    tenant, key = split(partition_key)
    column, alpha = experiment.cluster_column, experiment.decision.alpha
    named = {"tenant": tenant, "experiment": key, "metric": metric.key, "cluster": column, "q": metric.quantile}

    def events(arm: str) -> str:
        return _EVENTS.format(
            values=transaction.table("experiments.event_values"),
            covariates=transaction.table("features.unit_covariates"),
            belongs="v.unit_id" if column is None else "g.value_text",
            variant=f"%({arm})s",
        )

    control = _arm(transaction, events("variant"), named | {"variant": experiment.control}, metric.quantile, alpha)
    for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
        treated = _arm(transaction, events("variant"), named | {"variant": variant}, metric.quantile, alpha)
        if column is None:
            yield variant, quantile_effect(treated.quantile, control.quantile, alpha=alpha)
            continue
        in_both, product = 0, 0.0
        if treated.quantile.location is not None and control.quantile.location is not None:
            in_both, product = transaction.fetch_all(
                _PRODUCTS.format(
                    treated=_RESIDUALS.format(arm="variant", events=events("variant")),
                    control=_RESIDUALS.format(arm="other", events=events("other")),
                ),
                named
                | {"variant": variant, "other": experiment.control}
                | _weights(treated.quantile, "variant")
                | _weights(control.quantile, "other"),
            )[0]
        size = ((treated.quantile.unit_ss or 0.0) * (control.quantile.unit_ss or 0.0)) ** 0.5
        correlation = (min(product / size, 1 - 1e-9) if size else 0.0) if in_both else None
        effect = quantile_effect(treated.quantile, control.quantile, correlation=correlation, alpha=alpha)
        effect = in_clusters(effect, (treated.units, control.units), in_both, correlation)
        said = {
            "cluster": column,
            "units_without_cluster": treated.left_out,
            "units_without_cluster_control": control.left_out,
        }
        yield variant, replace(effect, settings=effect.settings | said)


def _arm(transaction: PostgresTransaction, events: str, named: dict[str, object], q: float, alpha: float) -> _Arm:
    """What the events of one arm say of its quantile: three sorts, whatever their number."""
    ((n, belongs, units, left_out),) = transaction.fetch_all(_COUNTS.format(events=events), named)

    def steps(ranks: tuple[int, ...]) -> tuple[Step, ...]:
        levels = [(rank - 0.5) / n for rank in ranks]
        rows = transaction.fetch_all(_STEPS.format(events=events), named | {"levels": levels})
        return tuple(Step(value, below, ties) for value, below, ties in rows)

    first = ArmQuantile(q, n, belongs, steps(ranks_needed(n, q)) if n else ())
    if first.location is None:
        return _Arm(ArmQuantile(q, n, belongs, first.steps, 0.0), units, left_out)
    residuals = _RESIDUALS.format(arm="variant", events=events)
    ((unit_ss,),) = transaction.fetch_all(_SQUARES.format(residuals=residuals), named | _weights(first, "variant"))
    second = ArmQuantile(q, n, belongs, first.steps, unit_ss)
    return _Arm(ArmQuantile(q, n, belongs, steps(ranks_needed(n, q, second.sigma, alpha)), unit_ss), units, left_out)


def _weights(arm: ArmQuantile, name: str) -> dict[str, object]:
    """Where the quantile of an arm lies, as parameters of its residuals."""
    location = arm.location
    assert location is not None
    at_low, at_high = location.weights
    return {
        f"low_{name}": location.low.value,
        f"high_{name}": location.high.value,
        f"weight_low_{name}": at_low,
        f"weight_high_{name}": at_high,
    }
