"""Whatever type a column has, its cells are what the evaluation of a single unit would have been given."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from causeway.assignment.batch.columns import cells, distinct, plain, unit_texts
from causeway.assignment.batch.table import assign_table
from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import Experiment, ExperimentRule, Flag, FlagSet, Variant
from causeway.assignment.json_values import Json, unit_text

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRIAL = Experiment("trial", (Variant("off", 0), Variant("on", 1)), attribute="targetingKey")
FLAGS = FlagSet({"trial": Flag("trial", None, (ExperimentRule(TRIAL),))})

COLUMNS: dict[str, tuple[pa.Array, list[Json]]] = {
    "string": (pa.array(["a", "", None, "ä"]), ["a", "", None, "ä"]),
    "large_string": (pa.array(["a", "", None], pa.large_string()), ["a", "", None]),
    "string_view": (
        pa.array(["a", None, "longer than twelve bytes"], pa.string_view()),
        ["a", None, "longer than twelve bytes"],
    ),
    "binary": (pa.array(["ä".encode(), b"", None]), ["ä", "", None]),
    "binary_view": (pa.array([b"ab", None], pa.binary_view()), ["ab", None]),
    "no UTF-8": (pa.array([b"\xff", b"a"]), ["\udcff", "a"]),
    "fixed_size_binary": (pa.array([b"abcd", None], pa.binary(4)), ["abcd", None]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "dictionary with a null value": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", None])),
        ["a", None, None],
    ),
    "dictionary of integers": (pa.array([7, 7, None]).dictionary_encode(), [7, 7, None]),
    "int8": (pa.array([1, -1, 0, None], pa.int8()), [1, -1, 0, None]),
    "int64": (pa.array([2**53, 2**53 + 1, -(2**63)]), [2**53, 2**53 + 1, -(2**63)]),
    "uint64": (pa.array([2**64 - 1, 0], pa.uint64()), [2**64 - 1, 0]),
    "double": (pa.array([1.0, 1.5, -0.0, 1e21, 1e-7, None]), [1.0, 1.5, -0.0, 1e21, 1e-7, None]),
    "half": (pa.array([1.5, None], pa.float16()), [1.5, None]),
    "bool": (pa.array([True, False, None]), [True, False, None]),
    "null": (pa.nulls(2), [None, None]),
    "decimal": (pa.array([Decimal("1.50"), None]), [1.5, None]),
    "timestamp": (pa.array([NOON], pa.timestamp("us", "Asia/Tokyo")), ["2026-01-05T12:00:00Z"]),
    "timestamp without zone": (pa.array([NOON.replace(tzinfo=None)], pa.timestamp("s")), ["2026-01-05T12:00:00Z"]),
    "nanoseconds": (pa.array([1], pa.timestamp("ns", "UTC")), ["1970-01-01T00:00:00Z"]),
    "date": (pa.array([date(2026, 1, 5)]), ["2026-01-05"]),
    "time": (pa.array([time(1, 2)]), ["01:02:00"]),
    "duration": (pa.array([timedelta(minutes=1)]), [60.0]),
    "list": (pa.array([["a", None], None]), [["a", None], None]),
    "struct": (pa.array([{"at": NOON, "n": [Decimal(1)]}]), [{"at": "2026-01-05T12:00:00Z", "n": [1.0]}]),
    "map": (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None]),
    "JSON": (
        pa.array(['"a"', "7", "7.5", "true", '{"k": [1]}', "null", None], pa.string()).cast(pa.json_()),
        ["a", 7, 7.5, True, {"k": [1]}, None, None],
    ),
    "run ends": (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]), ["a", "a", None]),
    "uuid": (pa.array([UUID(int=2**127).bytes], pa.binary(16)).cast(pa.uuid()), ["\udc80" + "\x00" * 15]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_cells_are_json(name: str) -> None:
    array, expected = COLUMNS[name]
    (chunk,) = plain(pa.chunked_array([array])).chunks
    assert [json.dumps(cell) for cell in cells(chunk)] == [json.dumps(cell) for cell in expected]


@pytest.mark.parametrize("name", COLUMNS)
def test_distinct_values_and_where_they_stand(name: str) -> None:
    array, expected = COLUMNS[name]
    (chunk,) = plain(pa.chunked_array([array])).chunks
    codes, values = distinct(chunk)
    assert values[-1] is None
    assert [json.dumps(values[code]) for code in codes] == [json.dumps(cell) for cell in expected]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_unit_of_any_type_is_the_text_that_a_single_evaluation_hashes(name: str) -> None:
    array, expected = COLUMNS[name]
    (chunk,) = plain(pa.chunked_array([array])).chunks
    assert [text or "" for text in unit_texts(chunk).to_pylist()] == [unit_text(cell) for cell in expected]
    # A slice in the middle, as tables have them.
    assert unit_texts(chunk.slice(1)).to_pylist() == unit_texts(chunk).to_pylist()[1:]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_with_ids_of_any_type_is_assigned(name: str) -> None:
    array, expected = COLUMNS[name]
    assigned = assign_table(FLAGS, "trial", pa.table({"unit_id": array}))
    for row, unit in enumerate(expected):
        said = evaluate(FLAGS, "trial", {} if unit is None else {"targetingKey": unit})
        found: dict[str, Any] = {name: assigned[name][row].as_py() for name in ("variant", "status", "bucket")}
        assert found == {"variant": said.variant, "status": said.status, "bucket": said.bucket}
        assert assigned["randomization_unit"][row].as_py() == said.unit_id
    assert assigned["unit_id"].type == array.type


def test_a_number_that_is_none_identifies_nobody() -> None:
    ids = pa.array([math.nan, math.inf, 0.0])
    assert assign_table(FLAGS, "trial", pa.table({"unit_id": ids}))["status"].to_pylist() == ["no_unit"] * 3
