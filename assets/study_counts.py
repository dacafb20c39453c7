"""How many rows a study came from, and what became of them: nothing is left out without being counted."""

from collections.abc import Mapping
from dataclasses import dataclass

from assets.partitions import split
from assets.publication import cut_off
from causeway.declarations.study import StudyDeclaration
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

REPEATED_UNIT = "duplicate_unit"
NOT_A_NUMBER = "not_a_number"


@dataclass(frozen=True)
class StudyCounts:
    """``landed`` = ``quarantined`` + ``duplicates`` + ``units``, unless units were erased after they had landed.

    landed: rows of the file, or events of the declared type. quarantined: rows refused, by code in ``reasons``.
    duplicates: further rows of a unit that is there; in a file its first row counts, of events its newest. units: rows
    of the study's frame. bad_cells: cells that should be numbers and are not, null in rows that are there.
    """

    landed: int
    quarantined: int
    duplicates: int
    units: int
    bad_cells: int
    reasons: Mapping[str, int]


def study_counts(postgres: PostgresResource, partition_key: str, study: StudyDeclaration) -> StudyCounts:
    """The counts of the study as features.study_units now has it."""
    tenant, key = split(partition_key)
    with postgres.client().transaction(read_only=True) as transaction:
        row = transaction.fetch_one(
            f"SELECT count(*), coalesce(sum(records), 0)::bigint FROM {transaction.table('features.study_units')}"
            " WHERE tenant_id = %s AND study = %s",
            (tenant, key),
        )
        units, records = row or (0, 0)
        if study.source.file is None:
            refused = _refused_events(transaction, tenant, str(study.source.event))
            stored = records
        else:
            landing, stored = _landing(transaction, tenant, key, cut_off(postgres, transaction))
            refused = _refused_rows(transaction, tenant, landing)
    bad_cells, repeated = refused.pop(NOT_A_NUMBER, 0), refused.pop(REPEATED_UNIT, 0)
    quarantined = sum(refused.values())
    return StudyCounts(
        landed=stored + quarantined + repeated,
        quarantined=quarantined,
        duplicates=repeated if study.source.file else records - units,
        units=units,
        bad_cells=bad_cells,
        reasons=refused,
    )


def _landing(transaction: PostgresTransaction, tenant: str, source: str, known_at: object) -> tuple[str, int]:
    """The landing in force and the rows that it stored."""
    found = transaction.fetch_one(
        "SELECT landing_id, events FROM raw.landings WHERE tenant_id = %s AND source = %s AND accepted"
        " AND received_at <= coalesce(%s, 'infinity'::timestamptz) ORDER BY received_at DESC, landing_id DESC LIMIT 1",
        (tenant, source, known_at),
    )
    return found or ("", 0)  # type: ignore[return-value]


def _refused_rows(transaction: PostgresTransaction, tenant: str, landing: str) -> dict[str, int]:
    return dict(
        transaction.fetch_all(
            "SELECT code, count(*) FROM raw.quarantine WHERE tenant_id = %s AND source = %s"
            " GROUP BY code ORDER BY code",
            (tenant, landing),
        )
    )


def _refused_events(transaction: PostgresTransaction, tenant: str, event: str) -> dict[str, int]:
    """Refused records that say that they are of this type, but for those that were taken when they were sent again."""
    return dict(
        transaction.fetch_all(
            "SELECT code, count(*) FROM raw.quarantine AS refused WHERE tenant_id = %s"
            " AND CASE WHEN record IS JSON OBJECT THEN record::json ->> 'type' END = %s"
            " AND NOT EXISTS (SELECT FROM raw.replays WHERE replays.tenant_id = refused.tenant_id"
            " AND quarantine_seq = refused.seq AND outcome IN ('accepted', 'duplicate'))"
            " GROUP BY code ORDER BY code",
            (tenant, event),
        )
    )
