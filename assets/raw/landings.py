import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.pictures import picture
from assets.raw.datasets import DATASETS
from assets.raw.expectations import Expectation, validate
from causeway.declarations.event_type import SEVEN_YEARS
from causeway.landing.reading import parse_table
from causeway.landing.records import LandingCounts, LandingRecords, event_records, study_records, trial_records
from causeway.landing.table import quarantine_of
from causeway.plots.events_over_time import events_over_time_plot
from causeway.simulate import WORLDS
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

KEY = dg.AssetKey(["raw", "landings"])
KEY_FORM = r"^[A-Za-z0-9._-]{1,100}$"


@dg.asset(
    key=KEY,
    deps=[["registry", "sources"]],
    partitions_def=partitions.sources,
    check_specs=[
        dg.AssetCheckSpec(
            "meets_expectations",
            asset=KEY,
            blocking=True,
            partitions_def=partitions.sources,
            description="Great Expectations on what was landed; a landing that fails is kept and not used.",
        )
    ],
    group_name="raw",
    kinds={"python", "postgres", "greatexpectations"},
    owners=["team:platform"],
    tags={"causeway/partitions": "sources"},
    code_version="1",
    description=(
        "Reads one file, data set or simulated world into raw.events and raw.assignments; what cannot be read goes to"
        " raw.quarantine with the reason. One row per tenant and landing."
    ),
)
def landings(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    tenant, source = partitions.split(context.partition_key)
    document, version = _declaration(postgres, tenant, source)
    landed_at = datetime.now(UTC)
    mode = document.get("mode", "snapshot") if document.get("file") and "table_of" not in document else "snapshot"
    landing_id = _landing_id(postgres, tenant, source, version, mode)
    records = _records(postgres, context.partition_key, document, source if mode == "append" else landing_id, landed_at)
    expectations = validate(
        records.events, records.assignments, quarantined=records.counts.quarantined, landed_at=landed_at
    )
    accepted = all(expectation.passed for expectation in expectations)
    duplicates = _write(
        postgres,
        tenant=tenant,
        landing_id=landing_id,
        source=source,
        mode=mode,
        version=version,
        records=records,
        accepted=accepted,
    )
    return dg.MaterializeResult(
        asset_key=KEY,
        data_version=dg.DataVersion(f"{landing_id} {'accepted' if accepted else 'refused'}"),
        metadata={
            "dagster/row_count": records.counts.events + records.counts.assignments,
            "events": records.counts.events,
            "assignments": records.counts.assignments,
            "already there": duplicates,
            "quarantined": dg.MetadataValue.json(dict(records.counts.by_code)),
            "expectations": dg.MetadataValue.md(_table(expectations)),
            "events over time": _events_over_time(records.events, f"Events of {context.partition_key}"),
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name="meets_expectations",
                passed=accepted,
                description="; ".join(f"{each.name}: {each.observed}" for each in expectations if not each.passed),
            )
        ],
    )


def _declaration(postgres: PostgresResource, tenant: str, source: str) -> tuple[Mapping[str, Any], str]:
    row = postgres.client().fetch_one(
        "SELECT declaration, declaration_hash FROM registry.sources WHERE tenant_id = %s AND key = %s", (tenant, source)
    )
    if row is None:
        raise LookupError(f"no source {source} is declared for tenant {tenant}")
    return row[0], row[1]


def _landing_id(postgres: PostgresResource, tenant: str, source: str, version: str, mode: str) -> str:
    """The landing of this content: the one that is in force already, or a new one.

    A file that says again what it said before another content is landed anew, for of a snapshot only the newest counts.
    """
    first = f"{source}@{version[:12]}"
    if mode == "append":
        return first
    landings = postgres.client().fetch_all(
        "SELECT landing_id, accepted FROM raw.landings WHERE tenant_id = %s AND source = %s"
        " ORDER BY received_at DESC, landing_id DESC",
        (tenant, source),
    )
    same = [each for each, _ in landings if each == first or each.startswith(f"{first}.")]
    newest = [each for each, _ in landings][:1] + [each for each, accepted in landings if accepted][:1]
    return next((each for each in newest if each in same), f"{first}.{len(same) + 1}" if same else first)


def _records(
    postgres: PostgresResource, partition_key: str, document: Mapping[str, Any], source: str, landed_at: datetime
) -> LandingRecords:
    if document.get("simulate"):
        wanted = document["simulate"]
        world = WORLDS[wanted["world"]](seed=wanted["seed"], scale=wanted["scale"])
        events, assignments = (frame.with_columns(source=pl.lit(source)) for frame in (world.events, world.assignments))
        rows = events.height + assignments.height
        return LandingRecords(
            events, assignments, quarantine_of(()), LandingCounts(rows, events.height, assignments.height, 0, {})
        )
    if document.get("dataset"):
        if document["dataset"] not in DATASETS:
            raise LookupError(f"there is no data set {document['dataset']!r}: {', '.join(sorted(DATASETS))}")
        return trial_records(
            DATASETS[document["dataset"]](), declared.experiment(postgres, partition_key), source, landed_at
        )
    table = parse_table(_unchanged(document), Path(document["file"]).suffix)
    if document.get("table_of") == "experiment":
        return trial_records(table, declared.experiment(postgres, partition_key), source, landed_at)
    if document.get("table_of") == "study":
        return study_records(table, declared.study(postgres, partition_key), source, landed_at)
    return event_records(table, source, landed_at)


def _unchanged(document: Mapping[str, Any]) -> bytes:
    content = Path(document["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != document["content_hash"]:
        raise ValueError(f"{document['file']} has changed since it was registered; register it again")
    return content


def _write(
    postgres: PostgresResource,
    *,
    tenant: str,
    landing_id: str,
    source: str,
    mode: str,
    version: str,
    records: LandingRecords,
    accepted: bool,
) -> int:
    """Everything of a landing in one transaction; landed again, it adds nothing."""
    tags = [pl.lit(tenant).alias("tenant_id"), pl.lit(landing_id).alias("landing_id")]
    with postgres.client().transaction() as transaction:
        if transaction.fetch_one(
            "SELECT 1 FROM raw.landings WHERE tenant_id = %s AND landing_id = %s", (tenant, landing_id)
        ):
            return records.counts.events + records.counts.assignments
        events = _with_retention(transaction, tenant, records.events)
        duplicates = sum(
            transaction.append(table, frame.with_columns(tags)).duplicates
            for table, frame in (("raw.events", events), ("raw.assignments", records.assignments))
            if frame.height
        )
        if accepted and records.assignments.height:
            transaction.append("raw.sticky_assignments", _sticky(transaction, tenant, records.assignments))
        if records.quarantine.height:
            transaction.append("raw.quarantine", records.quarantine.with_columns(*tags, source=pl.lit(landing_id)))
        transaction.execute(
            "INSERT INTO raw.landings (tenant_id, landing_id, source, mode, content_hash, accepted, events,"
            " assignments, quarantined, duplicates) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                tenant, landing_id, source, mode, version, accepted, records.counts.events,
                records.counts.assignments, records.counts.quarantined, duplicates,
            ),
        )  # fmt: skip
    return duplicates


def _with_retention(transaction: PostgresTransaction, tenant: str, events: pl.DataFrame) -> pl.DataFrame:
    """Each event with the days that its type is kept for, as one that comes over HTTP."""
    declared = transaction.fetch_all(
        "SELECT DISTINCT ON (key) key, (declaration ->> 'retention_days')::integer"
        f" FROM {transaction.table('registry.event_types')} WHERE tenant_id = %s ORDER BY key, version DESC",
        (tenant,),
    )
    days = {key: kept for key, kept in declared if kept is not None}
    return events.with_columns(
        retention_days=pl.col("type").replace_strict(days, default=SEVEN_YEARS, return_dtype=pl.Int64)
    )


def _sticky(transaction: PostgresTransaction, tenant: str, assignments: pl.DataFrame) -> pl.DataFrame:
    """The earliest assignment of each unit, which it keeps if it has none yet.

    It holds for the bucket version that the experiment has now; a name that can be no experiment's key is asked for by
    nobody.
    """
    versions = transaction.fetch_all(
        f"SELECT key, coalesce((declaration #>> '{{sticky,bucket_version}}')::bigint, 0)"
        f" FROM {transaction.table('registry.experiments')} WHERE tenant_id = %s",
        (tenant,),
    )
    declared = pl.DataFrame(versions, schema={"experiment": pl.String, "bucket_version": pl.Int64}, orient="row")
    return (
        assignments.filter(pl.col("experiment").str.contains(KEY_FORM))
        .sort("occurred_at", "source", "variant")
        .unique(["experiment", "unit_id"], keep="first", maintain_order=True)
        .join(declared, on="experiment", how="left", maintain_order="left")
        .select(
            "experiment",
            "unit_id",
            "variant",
            "source",
            tenant_id=pl.lit(tenant),
            bucket_version=pl.col("bucket_version").fill_null(0),
            assigned_at="occurred_at",
        )
    )


def _events_over_time(events: pl.DataFrame, title: str) -> dg.MarkdownMetadataValue:
    daily = events.group_by(pl.col("occurred_at").dt.date().alias("day"), "type").len()
    wide = daily.pivot("type", index="day", values="len").sort("day").fill_null(0)
    counts = {name: wide[name].to_list() for name in wide.columns if name != "day"}
    return picture(events_over_time_plot(wide["day"].to_list(), counts, title=title))


def _table(expectations: list[Expectation]) -> str:
    lines = [f"| {each.name} | {'met' if each.passed else 'NOT MET'} | {each.observed} |" for each in expectations]
    return "\n".join(["| expectation | | observed |", "|---|---|---|", *lines])
