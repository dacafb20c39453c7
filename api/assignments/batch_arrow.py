"""Units as an Arrow IPC stream. What a few bytes can stand for is bounded before it is written out."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from api.assignments.batch import MOST_UNITS, UNIT, Units, too_many
from api.assignments.batch_lines import UNUSABLE
from api.assignments.lookups import MAX_UNIT_LENGTH
from api.problems import Problem

# A dictionary or a view says in a few bytes that a long text is there a million times.
MOST_BYTES = 128 * 1024 * 1024
MOST_DEPTH = 16

# No control character, and one that is no space; $ would let a line end follow.
_NOT_BLANK = r"\A[^\x00-\x1f\x7f]*[^\x00-\x20\x7f\x{85}\pZ][^\x00-\x1f\x7f]*\z"


def read_stream(body: bytes, attributes: Collection[str]) -> Units:
    """The units of the rows. Problem 400 if the stream is none or its columns cannot be units, 413 if there are too
    many.
    """
    wanted = [UNIT, *(name for name in sorted(attributes) if name != UNIT)]
    try:
        _refuse_compressed(body)
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            _check_schema(reader.schema, wanted)
            table = pa.Table.from_batches(_bounded(reader), reader.schema)
        table = table.select([name for name in wanted if name in table.column_names])
        table.validate(full=True)
        table = pa.table({name: _stored(table.column(name)) for name in table.column_names})
        for name in table.column_names:
            _refuse_long(name, table.column(name))
        table = pa.table({name: _written_out(table.column(name)) for name in table.column_names})
    except (pa.ArrowException, OSError, ValueError, OverflowError, struct.error, IndexError) as error:
        raise Problem(400, "bad-request", f"The body is not a stream of Arrow tables: {_first_line(error)}") from None
    return _units(table)


def write_stream(table: pa.Table) -> bytes:
    """The table as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _bounded(reader: pa.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        if rows > MOST_UNITS:
            raise too_many()
        yield batch


def _check_schema(schema: pa.Schema, wanted: Collection[str]) -> None:
    if UNIT not in schema.names:
        raise Problem(400, "bad-request", f"The table has no column {UNIT}.")
    for name in wanted:
        if schema.names.count(name) > 1:
            raise Problem(400, "bad-request", f"The table has more than one column {name}.")
    for field in schema:
        if not _is_plain(field.type):
            raise Problem(400, "bad-request", f"A column of type {field.type} cannot be taken: {field.name[:100]}")
    kind = _value_type(schema.field(UNIT).type)
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise Problem(400, "bad-request", f"The column {UNIT} must hold texts or integers, not {kind}.")


def _is_plain(kind: pa.DataType, depth: int = 0) -> bool:
    """Whether no value of this type can be larger than the bytes that were sent for it."""
    of = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _is_plain(kind.storage_type, depth + 1)
    if depth > MOST_DEPTH or of.is_union(kind) or of.is_run_end_encoded(kind):
        return False
    if of.is_list_view(kind) or of.is_large_list_view(kind):
        return False
    if of.is_dictionary(kind):
        return depth == 0 and not of.is_nested(kind.value_type)
    if depth and (of.is_string_view(kind) or of.is_binary_view(kind)):
        return False
    return all(_is_plain(kind.field(index).type, depth + 1) for index in range(kind.num_fields))


def _is_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What an extension is stored as; a meaning that we do not know cannot make a difference."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def _refuse_long(name: str, column: pa.ChunkedArray) -> None:
    kind = column.type
    total = 0
    for chunk in column.chunks:
        if pa.types.is_dictionary(kind):
            lengths = _lengths(chunk.dictionary)
            total += 0 if lengths is None else pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
        elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            total += pc.sum(_lengths(chunk)).as_py() or 0
    if total > MOST_BYTES:
        raise Problem(413, "content-too-large", f"The column {name} holds more than {MOST_BYTES} bytes of text.")


def _written_out(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts in place of views of them, which few of Arrow's functions know."""
    if pa.types.is_string_view(_value_type(column.type)):
        return column.cast(pa.large_string())
    return column.cast(pa.large_binary()) if pa.types.is_binary_view(_value_type(column.type)) else column


def _lengths(array: pa.Array) -> pa.Array | None:
    """Bytes of each text; None if it is none."""
    kind = array.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        # A view has 16 bytes and begins with its length.
        views = pa.Array.from_buffers(pa.binary(16), len(array), array.buffers()[:2], offset=array.offset)
        first = pc.binary_slice(views, 0, 4).cast(pa.binary(4))
        lengths = pa.Array.from_buffers(pa.int32(), len(array), first.buffers())
        return pc.cast(lengths, pa.int64())
    if _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pc.cast(pc.binary_length(array), pa.int64())
    return None


def _units(table: pa.Table) -> Units:
    """The rows, those without a usable unit noted."""
    ids = table.column(UNIT)
    kind = _value_type(ids.type)
    if table.num_rows == 0:
        # Arrow 25 ends the process when it looks for the places of nothing in a column without chunks.
        return Units(table, {})
    if pa.types.is_null(kind):
        return Units(table, dict.fromkeys(range(table.num_rows), "unit_id is missing"))
    flat = ids.cast(kind)
    errors = {row: "unit_id is missing" for row in pc.indices_nonzero(pc.is_null(flat)).to_pylist()}
    if _is_text(kind):
        texts = pc.cast(flat, pa.large_string())
        short = pc.less_equal(pc.utf8_length(texts), MAX_UNIT_LENGTH)
        usable = pc.and_(short, pc.match_substring_regex(texts, _NOT_BLANK))
        unusable = pc.fill_null(pc.invert(usable), False)
        errors.update((row, UNUSABLE) for row in pc.indices_nonzero(unusable).to_pylist())
    return Units(table, dict(sorted(errors.items())))


def _refuse_compressed(body: bytes) -> None:
    """Problem 400 for a stream whose buffers are compressed: their size is known only when they are written out.

    Content-Encoding compresses as well, and is bounded. A message of the stream is a mark of four bytes, the length
    of its head, the head (a flatbuffer) and a body; the head of a batch says in its fourth field, and the one of a
    dictionary in the batch that it holds, how the body is compressed.
    """
    position = 0
    while position + 8 <= len(body):
        mark, length = struct.unpack_from("<Ii", body, position)
        if mark != 0xFFFFFFFF or length <= 0:
            return
        head = memoryview(body)[position + 8 : position + 8 + length]
        message = _Table(head, struct.unpack_from("<I", head)[0])
        kind, batch = message.byte(1), message.table(2)
        if kind == _DICTIONARY and batch is not None:
            batch = batch.table(1)
        if kind in (_DICTIONARY, _BATCH) and batch is not None and batch.table(3) is not None:
            detail = "Send the buffers of the stream uncompressed; the body as a whole may have a Content-Encoding."
            raise Problem(400, "bad-request", detail)
        position += 8 + length + message.long(3)


_DICTIONARY, _BATCH = 2, 3


class _Table:
    """A table of a flatbuffer: its fields by number."""

    def __init__(self, content: memoryview, position: int) -> None:
        self._content, self._position = content, position
        self._fields = position - struct.unpack_from("<i", content, position)[0]

    def _place(self, field: int) -> int | None:
        (size,) = struct.unpack_from("<H", self._content, self._fields)
        if 4 + 2 * field >= size:
            return None
        (offset,) = struct.unpack_from("<H", self._content, self._fields + 4 + 2 * field)
        return self._position + offset if offset else None

    def byte(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else self._content[place]

    def long(self, field: int) -> int:
        """0 if it is not there; never negative, for whoever reads on must get further."""
        place = self._place(field)
        return 0 if place is None else max(0, struct.unpack_from("<q", self._content, place)[0])

    def table(self, field: int) -> _Table | None:
        place = self._place(field)
        if place is None:
            return None
        return _Table(self._content, place + struct.unpack_from("<I", self._content, place)[0])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
