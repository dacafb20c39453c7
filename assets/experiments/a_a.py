"""The check of an experiment whose variants are the same."""

from assets.partitions import split
from assets.switchback_effects import effects_of_windows
from causeway.declarations.analysis import PLANNED_UNITS
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate
from causeway.statistics.gates.a_a import a_a_gate
from causeway.statistics.gates.gate import as_a_hint
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import difference_in_ratios
from resources.postgres import PostgresResource


def a_a(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> Gate:
    """Effects of the primary and secondary metrics, from the sums or windows that the estimates are made of."""
    tested = {metric.key: metric.is_mean or metric.type == "ratio" for metric in _judged(experiment)}
    if experiment.randomization.by == "switchback":
        of_windows = effects_of_windows(postgres, partition_key, experiment)
        effects = {pair: effect for pair, effect in of_windows.items() if tested.get(pair[0])}
    else:
        effects = _effects_of_units(postgres, partition_key, experiment)
    planned = experiment.analysis.sequential.planned_units or PLANNED_UNITS
    gate = a_a_gate(
        effects,
        alpha=experiment.decision.alpha,
        planned_n=None if experiment.source is not None else float(planned),
        not_tested=sum(not is_tested for is_tested in tested.values()),
    )
    together = experiment.cluster_column is not None or experiment.randomization.by == "cluster"
    return as_a_hint(gate) if together else gate


def _judged(experiment: ExperimentDeclaration) -> list[Metric]:
    return [metric for metric in experiment.metrics if metric.role != "guardrail"]


def _effects_of_units(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> dict[tuple[str, str], Effect]:
    client = postgres.client()
    arms: dict[tuple[str, str], Moments] = {}
    for metric, variant, n, mean, m2 in client.fetch_all(
        f"SELECT metric, variant, n, mean, m2 FROM {client.table('experiments.sufficient_statistics')}"
        " WHERE tenant_id = %s AND experiment = %s AND n > 0",
        split(partition_key),
    ):
        arms[metric, variant] = Moments(n, mean, m2)
    ratios: dict[tuple[str, str], JointMoments] = {}
    for metric, variant, n, y, d, yy, yd, dd in client.fetch_all(
        "SELECT metric, variant, n::bigint, (y / n)::float8, (d / n)::float8, ((n * yy - y * y) / n)::float8,"
        " ((n * yd - y * d) / n)::float8, ((n * dd - d * d) / n)::float8 FROM (SELECT metric, variant, sum(n) AS n,"
        " sum(sum_y) AS y, sum(sum_d) AS d, sum(sum_yy) AS yy, sum(sum_yd) AS yd, sum(sum_dd) AS dd"
        f" FROM {client.table('experiments.daily_statistics')} WHERE tenant_id = %s AND experiment = %s"
        " AND sum_d IS NOT NULL GROUP BY metric, variant) AS sums WHERE n > 0",
        split(partition_key),
    ):
        ratios[metric, variant] = JointMoments(("outcome", "denominator"), n, (y, d), (yy, yd, dd))
    effects: dict[tuple[str, str], Effect] = {}
    alpha = experiment.decision.alpha
    for metric in _judged(experiment):
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            treated, control = (metric.key, variant), (metric.key, experiment.control)
            if metric.is_mean:
                nothing = Moments.empty()
                effects[treated] = difference_in_means(
                    arms.get(treated, nothing), arms.get(control, nothing), alpha=alpha
                )
            elif treated in ratios and control in ratios:
                effects[treated] = difference_in_ratios(ratios[treated], ratios[control], alpha=alpha)
    return effects
