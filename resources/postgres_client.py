"""Move polars frames in and out of Postgres: one query, one partition, one append, each in one transaction.

    with client.transaction() as transaction:
        transaction.append("raw.events", events)
        transaction.append("raw.assignments", assignments)

Every method of ``PostgresTransaction`` is also a method of ``PostgresClient``, where it is a transaction of
its own.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import polars as pl
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from resources.connection import connect
from resources.settings import Role, Settings

Parameters = Sequence[Any] | Mapping[str, Any] | None
KeyValues = Mapping[str, str | None]

# The schemas that a scratch copy has its own of. What was received, and how things were made, is never
# copied.
STAGES = (
    "registry",
    "events",
    "experiments",
    "features",
    "models",
    "twins",
    "design",
    "estimates",
    "decisions",
    "serving",
)
NEVER_PREFIXED = ("raw", "ops")

# Rows of these tables lie in partitions, which no constraint spans: what was ever stored stands in tables of keys.
_KEYS = {"raw.events": "raw.event_keys", "raw.assignments": "raw.assignment_keys"}
_KEY = ("tenant_id", "source", "event_id")

_TABLE_NAME = re.compile(r"([a-z_]+)\.([a-z_][a-z0-9_]*)")
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,40}")
_ROWS_PER_WRITE = 100_000
_END_OF_ROW = "end of row"
_INCOMING = sql.Identifier("causeway_incoming")
_FRESH = sql.Identifier("causeway_fresh")

# What each Postgres type is read as, and the expression (of column {}) that brings it into a form that CSV
# carries exactly. Types that are not here, jsonb among them, are read as text.
_INTEGER: tuple[pl.DataType, str] = (pl.Int64(), "{}")
_FLOAT: tuple[pl.DataType, str] = (pl.Float64(), "{}::float8")
_TEXT: tuple[pl.DataType, str] = (pl.String(), "{}::text")
_READ_AS: Mapping[str, tuple[pl.DataType, str]] = {
    "int2": _INTEGER,
    "int4": _INTEGER,
    "int8": _INTEGER,
    "oid": _INTEGER,
    "float4": _FLOAT,
    "float8": _FLOAT,
    "numeric": _FLOAT,
    "bool": (pl.Boolean(), "{}::int"),
    "date": (pl.Date(), "({} - date '1970-01-01')"),
    "timestamp": (pl.Datetime("us"), "(extract(epoch FROM {}) * 1000000)::bigint"),
    "timestamptz": (pl.Datetime("us", "UTC"), "(extract(epoch FROM {}) * 1000000)::bigint"),
}


@dataclass(frozen=True)
class AppendResult:
    """How many rows of a frame were new, and how many were there already (or twice in the frame)."""

    inserted: int
    duplicates: int


class PostgresTransaction:
    """One transaction. Made by ``PostgresClient.transaction``; what it did is undone if an exception leaves
    it.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema_prefix: str = "") -> None:
        self.connection = connection
        self._schema_prefix = schema_prefix

    def table(self, name: str) -> str:
        """The quoted name of "schema.table", its schema prefixed if it is a stage or the registry."""
        return _qualified(name, self._schema_prefix)

    def execute(self, query: str, parameters: Parameters = None) -> int:
        """Run a statement; return the number of rows that it touched."""
        return self.connection.execute(query.encode(), parameters).rowcount

    def fetch_one(self, query: str, parameters: Parameters = None) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        row: tuple[Any, ...] | None = self.connection.execute(query.encode(), parameters).fetchone()
        return row

    def fetch_all(self, query: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """The rows of a query that gives few; ``read`` is for many."""
        return self.connection.execute(query.encode(), parameters).fetchall()

    def read(self, query: str, parameters: Parameters = None, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The result of a SELECT as a frame, in its own order.

        Integers come as Int64, real and exact numbers as Float64, boolean as Boolean, date as Date,
        timestamptz as Datetime("us", "UTC"), everything else (jsonb, uuid, arrays) as its text. Null stays
        apart from an empty string. ``schema`` casts the named columns to other polars types. Column names
        must be unique.
        """
        text = query.strip().rstrip(";")
        if parameters is not None:
            text = psycopg.ClientCursor(self.connection).mogrify(text.encode(), parameters)
        columns = self._describe(text)
        selected = [f"{exact.format(_quoted(name))} AS {_quoted(name)}" for name, (_, exact) in columns.items()]
        # A row of a single null would be an empty line, which a reader of CSV may take for no row at all.
        selected.append("0")
        statement = f"COPY (SELECT {', '.join(selected)} FROM ({text}\n) AS query) TO STDOUT (FORMAT csv)"
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            content = b"".join(copy)

        carried = {name: _carrier(dtype) for name, (dtype, _) in columns.items()}
        if content:
            frame = pl.read_csv(content, has_header=False, schema={**carried, _END_OF_ROW: pl.Int64()})
        else:
            frame = pl.DataFrame(schema=carried)
        frame = frame.select(pl.col(name).cast(dtype) for name, (dtype, _) in columns.items())
        return frame if schema is None else frame.with_columns(pl.col(n).cast(t) for n, t in schema.items())

    def join_in_bulk(self) -> None:
        """Join whole tables in this transaction, as when they were written a moment ago: without statistics of
        them the server takes them for small and probes an index once a row.
        """
        self.execute("SET LOCAL enable_nestloop = off")

    def replace_partition(
        self, table: str, frame: pl.DataFrame, keys: KeyValues, provenance: Mapping[str, Any] | None = None
    ) -> int:
        """Put the rows of ``frame`` in the place of those rows of ``table`` whose columns equal ``keys``.

        Columns of ``keys`` that the frame lacks are filled in; columns of the table that it lacks get their
        default. jsonb columns are JSON text in the frame. ``provenance`` is written to ops.provenance in the
        same transaction, dictionaries as jsonb; one with the same provenance_id stays as it is. Two
        replacements of the same partition wait for each other. Returns the number of rows written.

        Raises ValueError if ``keys`` is empty or a row of the frame lies outside the partition, TypeError for
        a column that has no form in Postgres.
        """
        written = self.replace_partitions(table, [(keys, frame)])
        if provenance is not None:
            self._write_provenance(provenance)
        return written

    def replace_partitions(self, table: str, partitions: Sequence[tuple[KeyValues, pl.DataFrame]]) -> int:
        """``replace_partition`` of several, whose frames have the same columns, in the same statements."""
        target, frames = self.table(table), []
        for keys, frame in partitions:
            if not keys:
                raise ValueError(f"a partition of {table} is named by at least one key")
            frames.append(_within(frame, keys, table))
        conditions, values = zip(*(_condition(keys) for keys, _ in partitions), strict=True)
        # In the same order for everybody: two that wait for each other would wait for ever.
        for name in sorted(f"{target} {sorted(keys.items())}" for keys, _ in partitions):
            self.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        self.execute(
            f"DELETE FROM {target} WHERE {' OR '.join(f'({each})' for each in conditions)}",
            [value for each in values for value in each],
        )
        return self._insert(target, pl.concat(frames, how="vertical_relaxed"), on_conflict="")

    def append(self, table: str, frame: pl.DataFrame) -> AppendResult:
        """Insert the rows of ``frame`` that ``table`` does not have yet, by any of its unique constraints.

        A record of raw is there already if one of its tenant, source and event_id ever was. Of those that are
        twice in the frame the first counts.
        """
        if table in _KEYS:
            inserted = self._insert_records(table, frame)
        else:
            inserted = self._insert(self.table(table), frame, on_conflict="ON CONFLICT DO NOTHING")
        return AppendResult(inserted=inserted, duplicates=frame.height - inserted)

    def content_hash(
        self, table: str, keys: KeyValues | None = None, excluding: Sequence[str] = ("provenance_id",)
    ) -> str:
        """A hash of the rows of ``table`` whose columns equal ``keys``, without the columns ``excluding``.

        It does not depend on the order of the rows or the columns, and differs if any value differs in any
        bit (float8 is taken as its shortest exact text) or a row is there once more. The server adds up the
        first 60 bits of the md5 of each row's text, so memory stays bounded; names of columns, number of rows
        and sum are then hashed by sha256. It detects changes, not forgery.
        """
        target = self.table(table)
        columns = self.columns(table, excluding)
        if not columns:
            raise ValueError(f"no column of {table} is left to hash")
        condition, values = _condition(keys or {})
        row = self.fetch_one(
            "SELECT count(*),"
            " coalesce(sum(('x' || substr(md5(rows::text), 1, 15))::bit(60)::bigint), 0)::text"
            f" FROM (SELECT {', '.join(map(_quoted, columns))} FROM {target} WHERE {condition}) AS rows",
            values,
        )
        assert row is not None
        return content_version(columns, *row)

    def content_hashes(
        self, table: str, partitions: Sequence[KeyValues], excluding: Sequence[str] = ("provenance_id",)
    ) -> list[tuple[str, int]]:
        """``content_hash`` and the number of rows of many partitions, which have the same keys, in one query."""
        columns = self.columns(table, excluding)
        keys = list(partitions[0])
        row = f"ROW({', '.join(map(_quoted, columns))})::text"
        named = ", ".join(map(_quoted, keys)) or "1"
        asked = f"WHERE ({named}) IN ({', '.join(['(' + ', '.join(['%s'] * len(keys)) + ')'] * len(partitions))})"
        found = self.fetch_all(
            f"SELECT count(*), coalesce(sum(('x' || substr(md5({row}), 1, 15))::bit(60)::bigint), 0)::text, {named}"
            f" FROM {self.table(table)} {asked if keys else ''} GROUP BY {named if keys else '()'}",
            [value for partition in partitions for value in partition.values()],
        )
        counted = {tuple(values) if keys else (): (rows, total) for rows, total, *values in found}
        return [
            (content_version(columns, *state), state[0])
            for state in (counted.get(tuple(partition.values()), (0, "0")) for partition in partitions)
        ]

    def columns(self, table: str, excluding: Sequence[str] = ()) -> list[str]:
        """The names of the columns of ``table``, sorted, without those ``excluding``."""
        return sorted(
            name
            for (name,) in self.fetch_all(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                (self.table(table),),
            )
            if name not in excluding
        )

    def _describe(self, text: str) -> dict[str, tuple[pl.DataType, str]]:
        cursor = self.connection.execute(f"SELECT * FROM ({text}\n) AS query LIMIT 0".encode())
        described = cursor.description or []
        types = psycopg.adapters.types
        columns: dict[str, tuple[pl.DataType, str]] = {}
        for column in described:
            known = types.get(column.type_code)
            # An array has the type information of its elements, under an oid of its own.
            scalar = known is not None and known.oid == column.type_code
            columns[column.name] = _READ_AS.get(known.name, _TEXT) if known is not None and scalar else _TEXT
        if not columns or len(columns) != len(described):
            raise ValueError(f"a query to be read needs columns with names of their own: {text[:200]}")
        return columns

    def _insert(self, target: str, frame: pl.DataFrame, on_conflict: str) -> int:
        if frame.is_empty():
            return 0
        with self._incoming(target, frame) as (incoming, columns):
            return self.execute(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {incoming} {on_conflict}")

    def _insert_records(self, table: str, frame: pl.DataFrame) -> int:
        if frame.is_empty():
            return 0
        frame = frame.unique(_KEY, keep="first", maintain_order=True)
        key = ", ".join(_KEY)
        with self._incoming(table, frame) as (incoming, columns):
            # In the order of the index, which millions of keys would otherwise be put into here and there.
            keys = (
                f"INSERT INTO {_KEYS[table]} ({key}) SELECT {key} FROM {incoming} ORDER BY {key} ON CONFLICT DO NOTHING"
            )
            fresh = _FRESH.as_string(self.connection)
            self.execute(f"CREATE TEMPORARY TABLE {fresh} ON COMMIT DROP AS SELECT {key} FROM {table} WITH NO DATA")
            inserted = self.execute(
                f"WITH new AS ({keys} RETURNING {key}) INSERT INTO {fresh} ({key}) SELECT {key} FROM new"
            )
            joined = "" if inserted == frame.height else f" JOIN {fresh} USING ({key}) ORDER BY {incoming}.ctid"
            # In the order of the frame, which the numbers of the rows keep.
            self.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {incoming}{joined}")
            self.execute(f"DROP TABLE {fresh}")
            return inserted

    @contextmanager
    def _incoming(self, target: str, frame: pl.DataFrame) -> Iterator[tuple[str, str]]:
        """Names of a table that holds ``frame``, whose columns are those of ``target``, and of the columns."""
        frame = _storable(frame, target)
        columns = ", ".join(map(_quoted, frame.columns))
        incoming = _INCOMING.as_string(self.connection)
        # COPY may not write into a table whose row-level security applies, so rows go through a table without
        # any.
        self.execute(f"CREATE TEMPORARY TABLE {incoming} ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA")
        with (
            self.connection.cursor() as cursor,
            cursor.copy(f"COPY {incoming} ({columns}) FROM STDIN (FORMAT csv)".encode()) as copy,
        ):
            for part in frame.iter_slices(_ROWS_PER_WRITE):
                content = io.BytesIO()
                part.write_csv(content, include_header=False, quote_style="non_numeric")
                copy.write(content.getvalue())
        yield incoming, columns
        self.execute(f"DROP TABLE {incoming}")

    def _write_provenance(self, provenance: Mapping[str, Any]) -> None:
        columns = ", ".join(map(_quoted, provenance))
        values = [Jsonb(value) if isinstance(value, dict | list) else value for value in provenance.values()]
        places = ", ".join(["%s"] * len(values))
        self.execute(f"INSERT INTO ops.provenance ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING", values)


class PostgresClient:
    """Reach the data database as one role, and, if given, as one tenant. Opens a connection for each
    transaction.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        role: Role = "causeway_pipeline",
        tenant: str | None = None,
        schema_prefix: str = "",
    ) -> None:
        """``schema_prefix`` (of a scratch copy) goes before every schema in STAGES; ValueError if it
        cannot.
        """
        if schema_prefix and not _PREFIX.fullmatch(schema_prefix):
            raise ValueError(f"a schema prefix is made of lower-case letters, digits and _: {schema_prefix!r}")
        if role not in get_args(Role):
            raise ValueError(f"there is no role {role!r}")
        self.settings = settings
        self.role: Role = role
        self.tenant = tenant
        self.schema_prefix = schema_prefix

    def scoped(self, tenant: str | None, role: Role | None = None) -> "PostgresClient":
        """The same client for one tenant's rows, perhaps as another role. The pipeline sees every tenant
        regardless.
        """
        return PostgresClient(self.settings, role=role or self.role, tenant=tenant, schema_prefix=self.schema_prefix)

    def with_prefix(self, schema_prefix: str) -> "PostgresClient":
        """The same client in the scratch copy ``schema_prefix``."""
        return PostgresClient(self.settings, role=self.role, tenant=self.tenant, schema_prefix=schema_prefix)

    def table(self, name: str) -> str:
        """See ``PostgresTransaction.table``."""
        return _qualified(name, self.schema_prefix)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[PostgresTransaction]:
        """A transaction on a connection of its own; committed at the end, undone if an exception leaves the
        block.
        """
        with connect(self.settings.address(self.role), tenant=self.tenant) as connection:
            connection.read_only = read_only
            with connection.transaction():
                yield PostgresTransaction(connection, self.schema_prefix)

    @contextmanager
    def _statement(self) -> Iterator[PostgresTransaction]:
        with self.transaction() as transaction:
            yield transaction

    def execute(self, query: str, parameters: Parameters = None) -> int:
        """See ``PostgresTransaction.execute``."""
        with self._statement() as transaction:
            return transaction.execute(query, parameters)

    def fetch_one(self, query: str, parameters: Parameters = None) -> tuple[Any, ...] | None:
        """See ``PostgresTransaction.fetch_one``. The query may change rows, as with RETURNING."""
        with self._statement() as transaction:
            return transaction.fetch_one(query, parameters)

    def fetch_all(self, query: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """See ``PostgresTransaction.fetch_all``. The query may change rows, as with RETURNING."""
        with self._statement() as transaction:
            return transaction.fetch_all(query, parameters)

    def read(self, query: str, parameters: Parameters = None, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """See ``PostgresTransaction.read``. The query may not change anything."""
        with self.transaction(read_only=True) as transaction:
            return transaction.read(query, parameters, schema)

    def replace_partition(
        self, table: str, frame: pl.DataFrame, keys: KeyValues, provenance: Mapping[str, Any] | None = None
    ) -> int:
        """See ``PostgresTransaction.replace_partition``. All of it happens or nothing."""
        with self.transaction() as transaction:
            return transaction.replace_partition(table, frame, keys, provenance)

    def append(self, table: str, frame: pl.DataFrame) -> AppendResult:
        """See ``PostgresTransaction.append``. All of it happens or nothing."""
        with self.transaction() as transaction:
            return transaction.append(table, frame)

    def content_hash(
        self, table: str, keys: KeyValues | None = None, excluding: Sequence[str] = ("provenance_id",)
    ) -> str:
        """See ``PostgresTransaction.content_hash``."""
        with self.transaction(read_only=True) as transaction:
            return transaction.content_hash(table, keys, excluding)

    def create_scratch(self) -> None:
        """Make the schemas of this client's prefix, with empty copies of the tables that migrations made.

        They belong to the pipeline and nobody else may enter them. ValueError without a prefix.
        """
        with self.transaction() as transaction:
            for schema in self._scratch_schemas():
                transaction.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
            for schema, table in transaction.fetch_all(
                "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
                " WHERE relkind = 'r' AND relowner = 'causeway_owner'::regrole"
                " AND relnamespace::regnamespace::text = ANY(%s) AND has_table_privilege(oid, 'SELECT')",
                (list(STAGES),),
            ):
                original = _qualified(f"{schema}.{table}", "")
                copy = transaction.table(f"{schema}.{table}")
                transaction.execute(f"CREATE TABLE IF NOT EXISTS {copy} (LIKE {original} INCLUDING ALL)")

    def drop_scratch(self) -> None:
        """Drop the schemas of this client's prefix and all that is in them. ValueError without a prefix."""
        with self.transaction() as transaction:
            for schema in self._scratch_schemas():
                transaction.execute(f"DROP SCHEMA IF EXISTS {_quoted(schema)} CASCADE")

    def _scratch_schemas(self) -> list[str]:
        if not self.schema_prefix:
            raise ValueError("a scratch copy needs a schema prefix")
        return [self.schema_prefix + schema for schema in STAGES]


class KeptOpenClient(PostgresClient):
    """One connection for all transactions: for thousands of short ones, of which each would pay for a login.

    A transaction inside another has a connection of its own, as ever.
    """

    _connection: psycopg.Connection[Any] | None = None
    _is_lent = False

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[PostgresTransaction]:
        """See ``PostgresClient.transaction``."""
        if self._is_lent:
            with super().transaction(read_only=read_only) as transaction:
                yield transaction
            return
        connection = self._opened()
        self._is_lent = True
        try:
            connection.read_only = read_only
            with connection.transaction():
                yield PostgresTransaction(connection, self.schema_prefix)
        finally:
            self._is_lent = False

    @contextmanager
    def _statement(self) -> Iterator[PostgresTransaction]:
        """A single statement is a transaction of its own without being told so, in a third of the messages."""
        if self._is_lent:
            with super().transaction() as transaction:
                yield transaction
        else:
            yield PostgresTransaction(self._opened(), self.schema_prefix)

    def _opened(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.settings.address(self.role), tenant=self.tenant, autocommit=True)
            # What a prepared statement reads may be made anew meanwhile, with other columns.
            self._connection.prepare_threshold = None
        return self._connection

    def close(self) -> None:
        """Let go of the connection; the next transaction opens another."""
        if self._connection is not None:
            self._connection.close()


def content_version(columns: Sequence[str], rows: int, hash_sum: str) -> str:
    """The hash of a content of so many rows with these columns, whose hashes add up to ``hash_sum``.

    A sum can be kept while rows come and go, by ``dbt_project/macros/changes.sql``, which hashes a row in the same way.
    """
    return hashlib.sha256(repr((list(columns), (rows, hash_sum))).encode()).hexdigest()


def _qualified(name: str, schema_prefix: str) -> str:
    match = _TABLE_NAME.fullmatch(name)
    if match is None or match[1] not in STAGES + NEVER_PREFIXED:
        raise ValueError(f"not a table of Causeway: {name!r}; it is schema.table, with a schema of the road")
    schema, table = match[1], match[2]
    return f"{_quoted(schema if schema in NEVER_PREFIXED else schema_prefix + schema)}.{_quoted(table)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _condition(keys: KeyValues) -> tuple[str, list[str]]:
    parts = [f"{_quoted(name)} IS NULL" if value is None else f"{_quoted(name)} = %s" for name, value in keys.items()]
    return " AND ".join(parts) or "true", [value for value in keys.values() if value is not None]


def _carrier(dtype: pl.DataType) -> pl.DataType:
    """The type in which CSV carries a value of ``dtype``."""
    return pl.Int64() if dtype.is_temporal() or dtype == pl.Boolean else dtype


def _within(frame: pl.DataFrame, keys: KeyValues, table: str) -> pl.DataFrame:
    missing = [pl.lit(value, dtype=pl.String).alias(name) for name, value in keys.items() if name not in frame.columns]
    frame = frame.with_columns(missing)
    for name, value in keys.items():
        outside = frame.filter(pl.col(name).cast(pl.String).ne_missing(pl.lit(value, dtype=pl.String)))
        if outside.height:
            raise ValueError(
                f"{outside.height} rows for {table} lie outside the partition {name} = {value!r},"
                f" the first at {name} = {outside[name][0]!r}"
            )
    return frame


def _storable(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    converted = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype.is_nested() or dtype in (pl.Object, pl.Binary, pl.Duration):
            raise TypeError(f"column {name} for {target} is {dtype}: give JSON text or a plain type")
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
            raise TypeError(f"column {name} for {target} is a time without a time zone")
        if isinstance(dtype, pl.Datetime):
            column = column.cast(pl.Datetime("us", dtype.time_zone)).dt.convert_time_zone("UTC")
        elif dtype == pl.Float32:
            column = column.cast(pl.Float64)  # the shortest text of a float32 is another number as a float64
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        converted.append(column)
    return frame.select(converted)
