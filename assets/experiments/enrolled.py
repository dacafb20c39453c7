"""Units by day and by the weights in force when they were dealt a variant."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from assets.partitions import split
from assets.publication import cut_off
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.gates import Enrolment
from resources.postgres import PostgresResource

_LEVELS_SHOWN = 50

# Which weights a unit was dealt its variant by, is decided when it is assigned, however much later it is exposed.
_BY_EPOCH = """
    SELECT {level} AS level, (units.first_exposed_at AT TIME ZONE 'UTC')::date AS day,
        width_bucket(least(assigned.at, units.first_exposed_at), %(since)s::timestamptz[]) AS epoch,
        units.variant, count(*)
    FROM {units} AS units
    LEFT JOIN (
        SELECT unit_id, min(exposed_at) AS at FROM {exposures}
        WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND kind = 'assignment' GROUP BY unit_id
    ) AS assigned USING (unit_id)
    {join}
    WHERE units.tenant_id = %(tenant)s AND units.experiment = %(experiment)s AND units.is_eligible
    GROUP BY 1, 2, 3, 4
"""
# In a switchback the units are the windows of clusters, which are dealt anew when they begin.
_WINDOWS_BY_EPOCH = """
    SELECT NULL, (window_start AT TIME ZONE 'UTC')::date AS day,
        width_bucket(window_start, %(since)s::timestamptz[]) AS epoch, variant, count(*)
    FROM {windows} WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND is_eligible
    GROUP BY 2, 3, 4
"""
# Of a cluster with units in several variants nobody can say which of them it was dealt.
_CLUSTERS_BY_EPOCH = """
    WITH clusters AS (
        SELECT covariates.value_text AS cluster, count(DISTINCT units.variant) AS variants,
            min(units.variant) AS variant, min(units.first_exposed_at) AS came_at
        FROM {units} AS units
        INNER JOIN {covariates} AS covariates USING (tenant_id, experiment, unit_id)
        WHERE
            units.tenant_id = %(tenant)s AND units.experiment = %(experiment)s AND units.is_eligible
            AND covariates.covariate = %(cluster)s AND covariates.value_text IS NOT NULL
        GROUP BY covariates.value_text
    )
    SELECT NULL, (came_at AT TIME ZONE 'UTC')::date AS day,
        width_bucket(came_at, %(since)s::timestamptz[]) AS epoch, CASE WHEN variants = 1 THEN variant END, count(*)
    FROM clusters GROUP BY 2, 3, 4
"""
_OF_LEVELS = """
    INNER JOIN {covariates} AS covariates
        ON covariates.tenant_id = units.tenant_id AND covariates.experiment = units.experiment
        AND covariates.unit_id = units.unit_id
        AND covariates.covariate = ANY(%(segments)s) AND covariates.value_text IS NOT NULL
"""


@dataclass(frozen=True)
class WeightsInForce:
    """From when on which weights were in force; the first ones were from the beginning. was_edited: whether weights
    changed within one version of the declaration, of which the last ones count."""

    since: tuple[datetime, ...]
    shares: tuple[tuple[float, ...], ...]
    was_edited: bool


def known_at(postgres: PostgresResource) -> datetime | None:
    """The moment up to which everything was read."""
    with postgres.client().transaction(read_only=True) as transaction:
        return cut_off(postgres, transaction)


def weights_in_force(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, known: datetime | None
) -> WeightsInForce:
    """A higher `version` of the declaration is a change, another declaration of the same version a correction."""
    variants = [name for name, _ in experiment.ordered_variants]
    rows = postgres.client().fetch_all(
        "SELECT declared_at, coalesce((declaration ->> 'version')::int, 1), declaration -> 'variants'"
        " FROM registry.declaration_versions WHERE tenant_id = %s AND kind = 'experiment' AND key = %s"
        " AND declared_at <= coalesce(%s, 'infinity'::timestamptz) ORDER BY declared_at",
        (*split(partition_key), known),
    )
    since: dict[int, datetime] = {}
    weights: dict[int, tuple[float, ...]] = {}
    was_edited = False
    for declared_at, version, by_variant in rows:
        shares = _shares(by_variant or {}, variants)
        since.setdefault(version, declared_at)
        was_edited = was_edited or (version in weights and shares is not None and weights[version] != shares)
        if shares is not None:
            weights[version] = shares
    now = _shares(dict(experiment.variants), variants)
    assert now is not None
    weights[experiment.version] = now
    epochs: list[tuple[datetime | None, tuple[float, ...]]] = []
    for version in sorted(weights):
        if not epochs or epochs[-1][1] != weights[version]:
            epochs.append((since.get(version), weights[version]))
    return WeightsInForce(
        tuple(at for at, _ in epochs[1:] if at is not None), tuple(shares for _, shares in epochs), was_edited
    )


def _shares(weights: dict[str, float], variants: Sequence[str]) -> tuple[float, ...] | None:
    """Shares of the variants that are declared now; units in others are not looked at."""
    known = [float(weights.get(variant, 0.0)) for variant in variants]
    return tuple(weight / sum(known) for weight in known) if sum(known) > 0 else None


def enrolment(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, in_force: WeightsInForce
) -> Enrolment:
    """Eligible units, or windows of a switchback, by day and variant."""
    client = postgres.client()
    if in_force.since and experiment.randomization.by == "switchback":
        tenant, key = split(partition_key)
        rows = client.fetch_all(
            _WINDOWS_BY_EPOCH.format(windows=client.table("experiments.switchback_windows")),
            {"tenant": tenant, "experiment": key, "since": list(in_force.since)},
        )
    elif in_force.since:
        rows = _by_epoch(postgres, partition_key, in_force)
    else:
        rows = client.fetch_all(
            "SELECT NULL, day, 0, variant, eligible_units"
            f" FROM {client.table('experiments.enrolment')}"
            " WHERE tenant_id = %s AND experiment = %s AND is_listed AND eligible_units > 0 ORDER BY day, variant",
            split(partition_key),
        )
    _, found = _arranged(rows, experiment, in_force)
    return Enrolment(found.variants, found.days, found.units.sum(axis=0), found.shares)


def enrolment_of_clusters(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, in_force: WeightsInForce
) -> tuple[Enrolment, int]:
    """Clusters by the day of their first unit and by variant, and how many have units of several variants."""
    client, (tenant, key) = postgres.client(), split(partition_key)
    query = _CLUSTERS_BY_EPOCH.format(
        units=client.table("experiments.first_exposures"), covariates=client.table("features.unit_covariates")
    )
    named = {"tenant": tenant, "experiment": key, "cluster": experiment.cluster_column, "since": list(in_force.since)}
    rows = client.fetch_all(query, named)
    _, found = _arranged([row for row in rows if row[3] is not None], experiment, in_force)
    clusters = Enrolment(found.variants, found.days, found.units.sum(axis=0), found.shares)
    return clusters, sum(row[4] for row in rows if row[3] is None)


def enrolment_by_level(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, in_force: WeightsInForce
) -> tuple[list[tuple[str, str]], Enrolment]:
    """The same within the levels of the declared segments, the fifty largest of each."""
    client = postgres.client()
    if in_force.since:
        rows = _by_epoch(postgres, partition_key, in_force, experiment.segments)
    else:
        rows = client.fetch_all(
            "SELECT ARRAY[segment, level], day, 0, variant, units"
            f" FROM {client.table('features.segment_enrolment')}"
            " WHERE tenant_id = %s AND experiment = %s ORDER BY segment, level, day, variant",
            split(partition_key),
        )
    levels, found = _arranged(rows, experiment, in_force)
    sizes = found.units.sum(axis=(1, 2))
    kept: list[int] = []
    for segment in experiment.segments:
        places = [place for place, level in enumerate(levels) if level[0] == segment]
        largest = sorted(places, key=lambda place: (-sizes[place], levels[place]))[:_LEVELS_SHOWN]
        kept += sorted(largest)
    return [levels[place] for place in kept], Enrolment(found.variants, found.days, found.units[kept], found.shares)


def _by_epoch(
    postgres: PostgresResource, partition_key: str, in_force: WeightsInForce, segments: Sequence[str] = ()
) -> list[tuple[object, ...]]:
    client = postgres.client()
    tenant, experiment = split(partition_key)
    join = _OF_LEVELS.format(covariates=client.table("features.unit_covariates")) if segments else ""
    query = _BY_EPOCH.format(
        level="ARRAY[covariates.covariate, covariates.value_text]" if segments else "NULL::text[]",
        units=client.table("experiments.first_exposures"),
        exposures=client.table("events.exposures"),
        join=join,
    )
    return client.fetch_all(
        query,
        {"tenant": tenant, "experiment": experiment, "since": list(in_force.since), "segments": list(segments)},
    )


def _arranged(
    rows: Iterable[tuple[object, ...]], experiment: ExperimentDeclaration, in_force: WeightsInForce
) -> tuple[list[tuple[str, str]], Enrolment]:
    variants = tuple(name for name, _ in experiment.ordered_variants)
    places = {variant: place for place, variant in enumerate(variants)}
    counts: dict[tuple[str, str], dict[tuple[date, int], list[int]]] = defaultdict(dict)
    for level, day, epoch, variant, units in rows:
        if variant in places:
            of = counts[tuple(level or ("", ""))]  # type: ignore[arg-type]
            of.setdefault((day, epoch), [0] * len(variants))[places[str(variant)]] += int(units)  # type: ignore[arg-type,call-overload]
    cells = sorted({cell for by_cell in counts.values() for cell in by_cell})
    levels = sorted(counts)
    nobody = [0] * len(variants)
    units_by_level = np.array(
        [[counts[level].get(cell, nobody) for cell in cells] for level in levels] or [[nobody for _ in cells]],
        dtype=np.int64,
    ).reshape(max(len(levels), 1), len(cells), len(variants))
    shares = np.array([in_force.shares[epoch] for _, epoch in cells], dtype=float).reshape(len(cells), len(variants))
    return levels, Enrolment(variants, tuple(day for day, _ in cells), units_by_level, shares)
