"""Write one partition of an asset, and how it was made, in one transaction; tell Dagster its version and its size."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Required, TypedDict, Unpack, overload
from uuid import uuid4

import dagster as dg
import polars as pl

from assets.one_of_many import Making, OneOfMany
from assets.partitions import keys_of, split
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

# Rows of assets without partitions belong to no single tenant; their provenance is kept under this name.
EVERY_TENANT = "every_tenant"
# Columns that say how or when a row was made, not what it says.
NOT_CONTENT = ("provenance_id", "input_provenance_ids", "mlflow_run_id", "model_uri", "computed_at", "declared_at")


class Told(TypedDict, total=False):
    """What an asset tells of a partition besides its rows.

    unit: the column that the second part of the partition key names, experiment or study, or tenant where the key has
    no second part. key: of an asset that is made with others; of one that is made alone it is known.
    """

    unit: Required[str]
    key: dg.AssetKey
    seed: int | None
    metadata: Mapping[str, Any]
    check_results: Sequence[dg.AssetCheckResult]


@dataclass(frozen=True)
class Publication:
    """One partition of an asset, ready to be written."""

    making: Making
    frame: pl.DataFrame
    key: dg.AssetKey
    unit: str
    seed: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    check_results: Sequence[dg.AssetCheckResult] = ()

    @property
    def keys(self) -> Mapping[str, str]:
        """The columns that name the partition's rows."""
        return keys_of(self.making.partition_key, self.unit)


@overload
def publish(
    context: dg.AssetExecutionContext, postgres: PostgresResource, frame: pl.DataFrame, **told: Unpack[Told]
) -> dg.MaterializeResult: ...
@overload
def publish(
    context: OneOfMany, postgres: PostgresResource, frame: pl.DataFrame, **told: Unpack[Told]
) -> Publication: ...
def publish(
    context: Making, postgres: PostgresResource, frame: pl.DataFrame, **told: Unpack[Told]
) -> dg.MaterializeResult | Publication:
    """Replace this asset's partition by ``frame``, whose rows are told where they come from.

    The data version is a hash of the content, so what was made again without a change makes nothing after it stale.
    What is one of many is written by whoever makes them, with others.
    """
    if "key" not in told:
        told["key"] = context.asset_key
    made = Publication(context, frame, **told)
    return made if isinstance(context, OneOfMany) else publish_all(postgres, [made])[0]


def publish_all(postgres: PostgresResource, made: Sequence[Publication]) -> list[dg.MaterializeResult]:
    """Write partitions of one asset in one transaction: all of them or none."""
    key = made[0].key
    table, provenance_ids = ".".join(key.path), [new_provenance_id() for _ in made]
    with postgres.client().transaction() as transaction:
        transaction.replace_partitions(
            table,
            [
                (each.keys, each.frame.with_columns(pl.lit(provenance_id).alias("provenance_id")))
                for each, provenance_id in zip(made, provenance_ids, strict=True)
            ],
        )
        versions = [
            version for version, _ in transaction.content_hashes(table, [each.keys for each in made], NOT_CONTENT)
        ]
        schema = column_schema(transaction, table)
        known_at = cut_off(postgres, transaction)
        rows = [
            provenance_of(
                each.making,
                key,
                provenance_id=provenance_id,
                version=version,
                rows=each.frame.height,
                known_at=known_at,
                seed=each.seed,
            )
            for each, provenance_id, version in zip(made, provenance_ids, versions, strict=True)
        ]
        record(postgres, transaction, rows)
    return [
        dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(version),
            metadata={
                "dagster/row_count": each.frame.height,
                # It is the same of all, and long: Dagster shows that of the latest.
                **({"dagster/column_schema": schema} if each is made[-1] else {}),
                "provenance_id": provenance_id,
                "known_at": known_at.isoformat() if known_at else "everything",
                **each.metadata,
            },
            check_results=list(each.check_results),
        )
        for each, provenance_id, version in zip(made, provenance_ids, versions, strict=True)
    ]


def column_schema(transaction: PostgresTransaction, table: str) -> dg.TableSchema:
    """Columns, types and comments as the database has them."""
    return dg.TableSchema(
        [
            dg.TableColumn(name, kind, description=comment)
            for name, kind, comment in transaction.fetch_all(
                "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (transaction.table(table),),
            )
        ]
    )


def new_provenance_id() -> str:
    """An id for one materialisation of one partition."""
    return f"p_{uuid4().hex[:20]}"


def provenance_of(
    making: Making,
    key: dg.AssetKey,
    *,
    provenance_id: str,
    version: str,
    rows: int,
    known_at: datetime | None,
    seed: int | None = None,
) -> tuple[Any, ...]:
    """How one partition was made, as a row of ops.provenance."""
    partition = making.partition_key if making.has_partition_key else None
    return (
        provenance_id,
        split(partition)[0] if partition else EVERY_TENANT,
        key.to_user_string(),
        partition,
        making.assets_def.specs_by_key[key].code_version,
        version,
        json.dumps(input_versions(making, key)),
        known_at,
        seed,
        making.run_id,
        rows,
    )


def record(postgres: PostgresResource, transaction: PostgresTransaction, made: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of ops.provenance; what is made again in a scratch copy leaves no trace."""
    if not postgres.schema_prefix:
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO ops.provenance (provenance_id, tenant_id, asset, partition_key, code_version,"
                " data_version, input_versions, known_at, seed, run_id, row_count)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)",
                made,
            )


def cut_off(postgres: PostgresResource, transaction: PostgresTransaction) -> datetime | None:
    """The moment up to which the events stage read the raw tables when it was last made."""
    if postgres.known_at:
        return datetime.fromisoformat(postgres.known_at)
    row = transaction.fetch_one(
        "SELECT known_at FROM ops.provenance WHERE asset = 'events/events' ORDER BY materialized_at DESC LIMIT 1"
    )
    return row[0] if row else None


def input_versions(making: Making, key: dg.AssetKey) -> dict[str, str | None]:
    """The data version of each direct input, by asset key."""
    return {
        dep.asset_key.to_user_string(): _input_version(making, dep.asset_key)
        for dep in making.assets_def.specs_by_key[key].deps
    }


def _input_version(making: Making, key: dg.AssetKey) -> str | None:
    if isinstance(making, OneOfMany):
        return making.input_versions[key]
    info = making.get_step_execution_context().maybe_fetch_and_get_input_asset_version_info(key)
    return info.data_version.value if info and info.data_version else None
