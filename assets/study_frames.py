"""The data of one study as its estimators get it: one row a unit, always in the order of unit_id."""

import io
from collections.abc import Iterator, Mapping, Sequence

import polars as pl
import psycopg

from assets.partitions import split
from causeway.declarations.study import StudyDeclaration
from causeway.landing.cells import as_value, is_blank, plain_numbers
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

CHUNK_BYTES = 32 * 2**20
"""Of text that is held while it is turned into columns: what is read at once does not grow with the study."""

FIELDS_AT_ONCE = 500
"""Fewer than the 1,664 columns that a query may have."""

# A place in an array of texts is found by walking to it: arrays are cut into runs, and those are walked.
_RUN = 50


def study_frame(postgres: PostgresResource, partition_key: str, study: StudyDeclaration) -> pl.DataFrame:
    """The units' ids (String, named by ``unit_column``) and then every declared column, null where missing.

    A column is Float64 if all its values are numbers (true and false are 1 and 0), and else String. As in landing, a
    text column counts as numbers if 95 % of its cells are, and the others are null then; codes such as 007 are text,
    but for outcomes, weights and the like. Clusters, blocks and segments are String whatever they look like, unless
    they have another role too. A column without any value is Float64. Memory beyond the frame does not grow with the
    number of units.

    LookupError when the table was made from a declaration with other columns.
    """
    with postgres.client().transaction(read_only=True) as transaction:
        # All passes over the table see the same rows.
        transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        units = _Units(transaction, partition_key)
        positions = units.positions()
        absent = [name for name in study.columns if name not in positions]
        if absent:
            raise LookupError(f"features.study_units lacks {', '.join(map(repr, absent))}: it has to be made again")
        named = list(study.columns)
        columns = [units.ids(unit_column(study))]
        for start in range(0, len(named), FIELDS_AT_ONCE):
            block = {name: positions[name] for name in named[start : start + FIELDS_AT_ONCE]}
            columns += units.columns(block, labels=study.label_columns, numbers=study.number_columns)
    return pl.DataFrame(columns)


def unit_column(study: StudyDeclaration) -> str:
    """The name of the column of ids: unit_id, with an underscore after it while that is a declared column."""
    name = "unit_id"
    while name in study.columns:
        name += "_"
    return name


class _Units:
    """The rows of one study in features.study_units, in the order of their ids, a chunk at a time."""

    def __init__(self, transaction: PostgresTransaction, partition_key: str) -> None:
        self._transaction = transaction
        self._keys = split(partition_key)

    def positions(self) -> dict[str, int]:
        """The place of each column in the arrays, from 1."""
        return dict(
            self._transaction.fetch_all(
                f"SELECT name, position FROM {self._transaction.table('features.study_fields')}"
                " WHERE tenant_id = %s AND study = %s",
                self._keys,
            )
        )

    def ids(self, name: str) -> pl.Series:
        """The ids of the units."""
        found = [chunk.to_series() for chunk in self._chunks("unit_id", ["unit_id"])]
        return _stacked(found, pl.String()).alias(name)

    def columns(
        self, positions: Mapping[str, int], *, labels: frozenset[str], numbers: frozenset[str]
    ) -> list[pl.Series]:
        """Each named column as numbers or text."""
        kept: dict[str, list[pl.Series]] = {name: [] for name in positions}
        texts = set(labels)
        for chunk in self._fields(list(positions.values())):
            for name, cells in zip(positions, chunk.get_columns(), strict=True):
                plain = None if name in texts else plain_numbers(cells)
                if plain is None:
                    texts.add(name)
                kept[name].append(cells if plain is None else plain)
        # Of a column that began like numbers and went on as text, the beginning is read once more.
        mixed = {name: positions[name] for name, parts in kept.items() if len({part.dtype for part in parts}) > 1}
        if mixed:
            kept |= {name: [] for name in mixed}
            for chunk in self._fields(list(mixed.values())):
                for name, cells in zip(mixed, chunk.get_columns(), strict=True):
                    kept[name].append(cells)
        return [
            _typed(kept.pop(name), is_label=name in labels, is_number=name in numbers).alias(name) for name in positions
        ]

    def _fields(self, positions: Sequence[int]) -> Iterator[pl.DataFrame]:
        runs = sorted({(position - 1) // _RUN for position in positions})
        cut = ", ".join(f"whole[{run * _RUN + 1}:{run * _RUN + _RUN}] AS run_{run}" for run in runs)
        places = [f"run_{(position - 1) // _RUN}[{(position - 1) % _RUN + 1}]" for position in positions]
        # A wide array lies packed: what is joined to nothing is unpacked once. OFFSET 0 keeps it so.
        inner = "(SELECT unit_id, field_values || '{{}}'::text[] AS whole FROM {rows} AS rows OFFSET 0)"
        yield from self._chunks(f"unit_id, {cut}", places, of=inner)

    def _chunks(self, inside: str, selected: Sequence[str], of: str = "{rows}") -> Iterator[pl.DataFrame]:
        """The selected expressions of the rows as text columns named by their index."""
        rows = (
            f"(SELECT unit_id, field_values FROM {self._transaction.table('features.study_units')}"
            ' WHERE tenant_id = %s AND study = %s ORDER BY unit_id COLLATE "C")'
        )
        # A row of a single null would be an empty line, which a reader of CSV may take for no row at all.
        cut = f"(SELECT {inside} FROM {of.format(rows=rows)} AS units OFFSET 0) AS cut"
        ordered = f'SELECT {", ".join(selected)}, 0 FROM {cut} ORDER BY unit_id COLLATE "C"'
        query = f"COPY ({ordered}) TO STDOUT (FORMAT csv)"
        connection = self._transaction.connection
        statement = psycopg.ClientCursor(connection).mogrify(query.encode(), self._keys)
        schema = dict.fromkeys(map(str, range(len(selected) + 1)), pl.String())
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            held: list[bytes] = []
            size = 0
            # The server sends a row at a time, so chunks end where rows do.
            for row in copy:
                held.append(bytes(row))
                size += len(row)
                if size >= CHUNK_BYTES:
                    yield _parsed(held, schema)
                    held, size = [], 0
            if held:
                yield _parsed(held, schema)


def _parsed(rows: Sequence[bytes], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    frame = pl.read_csv(io.BytesIO(b"".join(rows)), has_header=False, schema=dict(schema), infer_schema=False)
    if frame.height != len(rows):
        raise RuntimeError(f"{len(rows)} rows of features.study_units were read as {frame.height}")
    return frame.select(frame.columns[:-1])


def _typed(parts: Sequence[pl.Series], *, is_label: bool, is_number: bool) -> pl.Series:
    column = _stacked(parts, pl.Float64())
    if column.dtype == pl.Float64:
        return column
    if is_label:
        return column.set(is_blank(column), None)
    values = as_value(column, codes_are_text=not is_number).values
    return values if values.dtype == pl.String else values.cast(pl.Float64)


def _stacked(parts: Sequence[pl.Series], dtype: pl.DataType) -> pl.Series:
    return pl.concat(parts, rechunk=True) if parts else pl.Series(dtype=dtype)
