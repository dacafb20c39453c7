"""What is counted only when a sample ratio mismatch was found: the trail from assignment to analysis."""

import json
from datetime import datetime

from assets.experiments.enrolled import WeightsInForce
from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.gates import Enrolment
from causeway.statistics.gates.diagnosis import Trail
from resources.postgres import PostgresResource

_MOST_REFUSED = 100_000
_MOST_OVERLAPS = 50

# First variants, whatever the dates of the experiment and however many variants followed.
_FIRST = """
    SELECT kind, variant, count(*), sum(records), sum(late) FROM (
        SELECT kind, unit_id, (array_agg(variant ORDER BY exposed_at, variant))[1] AS variant, count(*) AS records,
            count(*) FILTER (WHERE known_at > exposed_at + interval '1 day') AS late
        FROM {exposures}
        WHERE tenant_id = %s AND experiment = %s AND (%s::text IS NULL OR split_part(source, '@', 1) = %s)
        GROUP BY kind, unit_id
    ) AS units GROUP BY kind, variant ORDER BY kind, variant
"""
# A switchback deals windows, and which exposure of one is which says nothing of the others.
_WINDOWS = """
    SELECT variant, count(*) FROM {windows} WHERE tenant_id = %s AND experiment = %s AND is_listed
    GROUP BY variant ORDER BY variant
"""
_OVERLAPS = """
    SELECT others.experiment, units.variant, count(DISTINCT units.unit_id)
    FROM {units} AS units
    INNER JOIN {exposures} AS others
        ON others.tenant_id = units.tenant_id AND others.unit_id = units.unit_id
        AND others.experiment <> units.experiment
    WHERE units.tenant_id = %s AND units.experiment = %s AND units.is_eligible
    GROUP BY others.experiment, units.variant ORDER BY count(DISTINCT units.unit_id) DESC, 1, 2
"""


def srm_trail(
    postgres: PostgresResource,
    partition_key: str,
    experiment: ExperimentDeclaration,
    *,
    in_force: WeightsInForce,
    enrolment: Enrolment,
    known: datetime | None,
) -> Trail:
    """All that the diagnosis looks at."""
    client, (tenant, key) = postgres.client(), split(partition_key)
    exposures = client.table("events.exposures")
    landed = key if experiment.source is not None and experiment.exposure == "assignment" else None
    variants = enrolment.variants
    of_kind: dict[str, dict[str, tuple[int, int, int]]] = {"assignment": {}, "logged": {}}
    if experiment.randomization.by == "switchback":
        query = _WINDOWS.format(windows=client.table("experiments.switchback_windows"))
        dealt = {variant: (windows, 0, 0) for variant, windows in client.fetch_all(query, (tenant, key))}
        of_kind[experiment.exposure] = {variant: dealt[variant] for variant in variants if variant in dealt}
    else:
        for kind, variant, units, records, late in client.fetch_all(
            _FIRST.format(exposures=exposures), (tenant, key, landed, landed)
        ):
            if variant in variants:
                of_kind[kind][variant] = (units, int(records), int(late))
    seen = of_kind[experiment.exposure]
    crossovers = client.fetch_all(
        f"SELECT variant, sum(crossover_units)::bigint FROM {client.table('experiments.enrolment')}"
        " WHERE tenant_id = %s AND experiment = %s AND is_listed GROUP BY variant ORDER BY variant",
        (tenant, key),
    )
    overlaps: dict[str, dict[str, int]] = {}
    for other, variant, both in client.fetch_all(
        _OVERLAPS.format(units=client.table("experiments.first_exposures"), exposures=exposures), (tenant, key)
    ):
        if other in overlaps or len(overlaps) < _MOST_OVERLAPS:
            overlaps.setdefault(other, {})[variant] = both
    return Trail(
        weights=dict(experiment.ordered_variants),
        analysed=dict(zip(variants, map(int, enrolment.total), strict=True)),
        assigned={variant: of_kind["assignment"].get(variant, (0, 0, 0))[0] for variant in variants},
        exposed={variant: seen.get(variant, (0, 0, 0))[0] for variant in variants},
        is_logged=experiment.exposure == "logged",
        crossovers=dict(crossovers),
        records={variant: seen.get(variant, (0, 0, 0))[1] for variant in variants},
        repeated={variant: max(seen[variant][1] - seen[variant][0], 0) for variant in variants if variant in seen},
        late={variant: seen[variant][2] for variant in variants if variant in seen},
        quarantined=_refused(postgres, partition_key, experiment, known),
        enrolment=None if experiment.source is not None else enrolment,
        switched_off=not experiment.enabled or _is_killed(postgres, partition_key, known),
        reweighted=in_force.was_edited and experiment.source is None,
        overlaps=overlaps,
    )


def _is_killed(postgres: PostgresResource, partition_key: str, known: datetime | None) -> bool:
    return bool(
        postgres.client().fetch_one(
            "SELECT 1 FROM registry.kill_switches WHERE tenant_id = %s AND key = %s"
            " AND engaged_at <= coalesce(%s, 'infinity'::timestamptz)",
            (*split(partition_key), known),
        )
    )


def _refused(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, known: datetime | None
) -> dict[str, int]:
    """Refused records by the variant that they name: of the table, or of any sender that names the experiment."""
    tenant, key = split(partition_key)
    column = "variant" if experiment.source is None else experiment.source.variant
    rows = postgres.client().fetch_all(
        "SELECT record FROM raw.quarantine WHERE tenant_id = %s"
        " AND received_at <= coalesce(%s, 'infinity'::timestamptz)"
        " AND CASE WHEN %s THEN split_part(source, '@', 1) = %s ELSE position(%s IN record) > 0 END"
        " ORDER BY seq LIMIT %s",
        (tenant, known, experiment.source is not None, key, key, _MOST_REFUSED),
    )
    counts = {variant: 0 for variant, _ in experiment.ordered_variants}
    for (text,) in rows:
        try:
            record = json.loads(text)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        inside = record.get("properties") or record.get("data")
        fields = {**(inside if isinstance(inside, dict) else {}), **record}
        if str(fields.get(column)) in counts and (experiment.source is not None or fields.get("experiment") == key):
            counts[str(fields[column])] += 1
    return counts
