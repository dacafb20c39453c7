"""The flags of a tenant as they are evaluated, and what is stored of its units, read from the database."""

from collections.abc import Collection, Iterable
from datetime import datetime

from causeway.assignment.declared import flag_set
from causeway.assignment.flags import Experiment, FlagSet
from causeway.assignment.sticky import StickyRecord, assignment_key
from resources.postgres_client import PostgresTransaction
from resources.registry_rows import REFERRING, standing_of

TARGETING_KEY = "targetingKey"

# Clusters are stored, but not exposed themselves.
_ASSIGNED = (
    f" AND (unit_attribute <> '{TARGETING_KEY}' OR (tenant_id, experiment, unit_id) IN"
    " (SELECT tenant_id, experiment, unit_id FROM {} WHERE kind = 'assignment'))"
)


_made: dict[str, tuple[object, FlagSet]] = {}
"""By tenant, what its registry said when it was last read, and what was made of that."""


def flags_in_force(transaction: PostgresTransaction, tenant: str) -> FlagSet:
    """Everything that ``tenant`` declares and that can be evaluated; what is switched off is off.

    A run of many experiments asks once for each, and is given the same while the registry says the same.
    """
    said = transaction.fetch_all(
        " UNION ALL ".join(
            "SELECT md5(string_agg(declaration::text, ' ' ORDER BY declaration::text))"
            f" FROM {transaction.table('registry.' + table)} WHERE tenant_id = %(tenant)s"
            for table in REFERRING
        ),
        {"tenant": tenant},
    )
    killed = transaction.fetch_all(
        f"SELECT key FROM {transaction.table('registry.kill_switches')} WHERE tenant_id = %s ORDER BY key", (tenant,)
    )
    before = _made.get(tenant)
    if before is None or before[0] != (said, killed):
        standing = standing_of(transaction, tenant)
        _made[tenant] = before = (
            (said, killed),
            flag_set(
                standing.experiments.values(),
                standing.flags.values(),
                standing.layers.values(),
                standing.saved_groups.values(),
                killed=frozenset(key for (key,) in killed),
            ),
        )
    return before[1]


def stored_assignments(
    transaction: PostgresTransaction,
    tenant: str,
    experiments: Iterable[Experiment],
    until: datetime,
    *,
    units: Collection[str] | None = None,
    among: str | None = None,
) -> dict[str, StickyRecord]:
    """What was stored of the units of ``tenant`` until then, by record key, as an evaluation asks for it: of all units,
    or of these. ``among``, a table of exposures, leaves out units that it has no assignment of.
    """
    by_key = {experiment.key: experiment for experiment in experiments}
    known = "" if among is None else _ASSIGNED.format(among)
    rows = transaction.fetch_all(
        "SELECT experiment, bucket_version, unit_attribute, unit_id, nullif(window_start, '-infinity'), variant"
        " FROM raw.sticky_assignments WHERE tenant_id = %(tenant)s AND experiment = ANY(%(experiments)s)"
        " AND assigned_at <= %(until)s AND (%(units)s::text[] IS NULL OR unit_id = ANY(%(units)s))"
        f" {known}"
        " ORDER BY experiment, bucket_version, unit_attribute, unit_id, window_start",
        {
            "tenant": tenant,
            "experiments": list(by_key),
            "until": until,
            "units": None if units is None else [unit for unit in units if "\x00" not in unit],
        },
    )
    found: dict[tuple[str, str], dict[str, str]] = {}
    for key, bucket_version, attribute, unit_id, window_start, variant in rows:
        assigned = assignment_key(key, bucket_version, window_start)
        found.setdefault((attribute, unit_id), {})[assigned] = variant
        fallback = by_key[key].fallback_attribute
        if fallback is not None and attribute == TARGETING_KEY:
            # Before it was known, the unit asked under its anonymous id.
            found.setdefault((fallback, unit_id), {}).setdefault(assigned, variant)
    records = (StickyRecord(*unit, assignments) for unit, assignments in found.items())
    return {record.key: record for record in records}
