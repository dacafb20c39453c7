import dagster as dg

from assets import declared, partitions
from assets.experiments.enrolled import (
    enrolment,
    enrolment_by_level,
    enrolment_of_clusters,
    known_at,
    weights_in_force,
)
from assets.gates import check_results, gate_frame, gate_table
from assets.publication import publish
from causeway.declarations.analysis import PLANNED_UNITS
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.gates import Gate, srm_cluster_gate, srm_segment_gates
from causeway.statistics.gates.gate import as_a_hint, declared_as_warnings, not_looked_at
from causeway.statistics.gates.pre_exposure_imbalance import Characteristic, pre_exposure_imbalance_gates
from causeway.statistics.moments import Moments
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["features", "health"])
CHECKS = ("srm", "pre_exposure_imbalance")
_EVERY_UNIT_IN_TURN = "a switchback deals variants to windows of time, and its units are in every variant in turn."


@dg.asset(
    key=KEY,
    deps=[
        ["features", "segment_enrolment"],
        ["features", "covariate_balance"],
        ["features", "unit_covariates"],
        ["experiments", "first_exposures"],
        ["experiments", "daily_statistics"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    check_specs=[
        dg.AssetCheckSpec(name, asset=KEY, blocking=True, partitions_def=partitions.experiments) for name in CHECKS
    ],
    group_name="features",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "What must hold of what was known of the units beforehand: the sample ratio within each declared segment, and"
        " arms that were alike before they were exposed. A closed gate withholds the effects."
        " One row per tenant, experiment and check."
    ),
)
def health(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    gates = [
        *_by_segment(postgres, context.partition_key, experiment),
        *_imbalance(postgres, context.partition_key, experiment),
    ]
    if experiment.randomization.by == "switchback" and experiment.source is None:
        names = [f"srm:{segment}" for segment in experiment.segments]
        names += [f"pre_exposure_imbalance:{covariate}" for covariate in experiment.covariates]
        gates += [not_looked_at(name, _EVERY_UNIT_IN_TURN) for name in names]
    if experiment.cluster_column is not None or experiment.randomization.by != "unit":
        gates = [as_a_hint(gate) for gate in gates]
    gates += _of_clusters(postgres, context.partition_key, experiment)
    gates = declared_as_warnings(gates, experiment.warn_only)
    return publish(
        context,
        postgres,
        gate_frame(gates),
        unit="experiment",
        metadata={"gates": dg.MetadataValue.md(gate_table(gates))},
        check_results=list(check_results(KEY, CHECKS, gates)),
    )


def _of_clusters(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> list[Gate]:
    """The sample ratio of what was dealt a variant: clusters, or units where most clusters have several variants."""
    if experiment.cluster_column is None or experiment.randomization.by == "switchback":
        return []
    in_force = weights_in_force(postgres, partition_key, experiment, known_at(postgres))
    clusters, mixed = enrolment_of_clusters(postgres, partition_key, experiment, in_force)
    units = enrolment(postgres, partition_key, experiment, in_force)
    column, at_once = experiment.cluster_column, experiment.source is not None
    return [srm_cluster_gate(column, clusters, mixed, units, at_once=at_once)]


def _by_segment(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> tuple[Gate, ...]:
    if not experiment.segments:
        return ()
    in_force = weights_in_force(postgres, partition_key, experiment, known_at(postgres))
    levels, enrolled = enrolment_by_level(postgres, partition_key, experiment, in_force)
    if not enrolled.days:
        return ()
    return srm_segment_gates(levels, enrolled, at_once=experiment.source is not None)


def _imbalance(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> tuple[Gate, ...]:
    planned = experiment.analysis.sequential.planned_units or PLANNED_UNITS
    return pre_exposure_imbalance_gates(
        [*_covariates(postgres, partition_key, experiment), *_pasts(postgres, partition_key)],
        control=experiment.control,
        planned_n=None if experiment.source is not None else float(planned),
    )


def _covariates(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> list[Characteristic]:
    """Means of numbers and shares of levels; where not every value is known, whether it is known is a level too."""
    client = postgres.client()
    rows = client.fetch_all(
        f"SELECT covariate, level, variant, units, known_units, n, mean, m2"
        f" FROM {client.table('features.covariate_balance')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY covariate, level NULLS FIRST, variant",
        partitions.split(partition_key),
    )
    declared_variants = [name for name, _ in experiment.ordered_variants]
    numbers: dict[str, dict[str, Moments]] = {}
    units: dict[str, dict[str, int]] = {}
    levels: dict[tuple[str, str], dict[str, int]] = {}
    known: dict[str, dict[str, int]] = {}
    for covariate, level, variant, of_all, with_value, n, mean, m2 in rows:
        if level is not None:
            levels.setdefault((covariate, level), {})[variant] = of_all
            continue
        units.setdefault(covariate, {})[variant] = of_all
        known.setdefault(covariate, {})[variant] = with_value
        if n:
            numbers.setdefault(covariate, {})[variant] = Moments(n, mean, m2)
    found = [Characteristic(name, None, arms) for name, arms in numbers.items()]
    for name, having in known.items():
        if sum(having.values()) < sum(units[name].values()):
            levels[name, "(known)"] = having
    for (name, level), having in levels.items():
        counts = {
            variant: (having.get(variant, 0), units[name].get(variant, 0))
            for variant in declared_variants
            if units[name].get(variant, 0)
        }
        found.append(Characteristic.of_share(name, level, counts))
    return sorted(found, key=lambda each: (each.name, each.level or ""))


def _pasts(postgres: PostgresResource, partition_key: str) -> list[Characteristic]:
    """What the metrics were over the declared days before first exposure, of metrics that every unit has.

    Where some units have no value, those that have one are no longer the units that were dealt a variant.
    """
    client = postgres.client()
    rows = client.fetch_all(
        "SELECT metric, variant, n::bigint, (x / n)::float8, ((n * xx - x * x) / n)::float8 FROM ("
        " SELECT metric, variant, sum(units) AS units, sum(n) AS n, sum(sum_x) AS x, sum(sum_xx) AS xx"
        f" FROM {client.table('experiments.daily_statistics')} WHERE tenant_id = %s AND experiment = %s"
        " AND sum_x IS NOT NULL GROUP BY metric, variant) AS sums"
        " WHERE n > 0 AND metric NOT IN (SELECT metric FROM"
        f" {client.table('experiments.daily_statistics')} WHERE tenant_id = %s AND experiment = %s"
        " GROUP BY metric HAVING sum(n) <> sum(units)) ORDER BY metric, variant",
        partitions.split(partition_key) * 2,
    )
    arms: dict[str, dict[str, Moments]] = {}
    for metric, variant, n, mean, m2 in rows:
        arms.setdefault(metric, {})[variant] = Moments(n, mean, m2)
    return [Characteristic(f"{metric} before", None, of) for metric, of in arms.items()]
