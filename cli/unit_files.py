"""Files of units and of their assignments, in the forms that people keep tables in; the suffix says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.json  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from cli.terminal import WrongInput

Writer = Callable[[pa.Table], None]


def read_table(path: Path, unit_column: str) -> pa.Table:
    """The table in a file; ids of units are text, whatever they look like. WrongInput says what cannot be read."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise WrongInput(f"{path} has no form that can be read: {', '.join(_READERS)}")
    if not path.is_file():
        raise WrongInput(f"there is no file {path}")
    try:
        table = reader(path, unit_column)
    except (pa.ArrowException, OSError) as error:
        raise WrongInput(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if unit_column not in table.column_names:
        listed = ", ".join(table.column_names)
        raise WrongInput(f"{path} has no column {unit_column!r}; it has {listed}. --unit-column names another")
    return table


def writer_of(path: Path) -> Writer:
    """What writes an assigned table to this file; WrongInput if nothing does, before any work is done."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise WrongInput(f"{path} has no form that can be written: {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise WrongInput(f"there is no folder {path.parent}")
    return lambda table: write(table.rename_columns({"value": "config"}), path)


def _read_csv(path: Path, unit_column: str) -> pa.Table:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={unit_column: pa.string()}, strings_can_be_null=True, null_values=[""]
        ),
    )


def _read_ndjson(path: Path, unit_column: str) -> pa.Table:
    return pa.json.read_json(path)


def _read_parquet(path: Path, unit_column: str) -> pa.Table:
    return pa.parquet.read_table(path)


def _read_arrow(path: Path, unit_column: str) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


_READERS: dict[str, Callable[[Path, str], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".ndjson": _read_ndjson,
    ".jsonl": _read_ndjson,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
}


def _write_csv(table: pa.Table, path: Path) -> None:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    columns = {name: _written_out(table.column(name)) for name in table.column_names}
    pa.csv.write_csv(pa.table(columns), path, pa.csv.WriteOptions(delimiter=separator))


def _write_ndjson(table: pa.Table, path: Path) -> None:
    with path.open("w") as file:
        for batch in table.to_batches(max_chunksize=50_000):
            for row in batch.to_pylist():
                config = row.pop("config")
                row["config"] = None if config is None else json.loads(config)
                file.write(json.dumps(row, default=_instant) + "\n")


def _instant(value: object) -> str:
    return str(value).replace(" ", "T").replace("+00:00", "Z")


def _written_out(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as CSV can say it."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _write_parquet(table: pa.Table, path: Path) -> None:
    pa.parquet.write_table(table, path)


def _write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_csv,
    ".ndjson": _write_ndjson,
    ".jsonl": _write_ndjson,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
}
