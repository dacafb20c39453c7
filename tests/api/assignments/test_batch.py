"""Tables of units as bodies: what can be read is assigned, what cannot says so, and nothing else happens."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.assignments import batch_arrow, batch_lines
from api.assignments.batch import (
    ANSWERED,
    ARROW,
    MOST_UNITS,
    NDJSON,
    assigned,
    attributes_of,
    read_units,
    write_assigned,
)
from api.problems import Problem
from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import Experiment, ExperimentRule, Flag, FlagSet, Variant
from causeway.assignment.sticky import StickyRecord

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TRIAL = Experiment(
    "trial",
    (Variant("off", {"depth": 1}), Variant("on", {"depth": 2.5})),
    attribute="targetingKey",
    condition={"$or": [{"plan": "pro"}, {"plan": {"$gte": 3}}, {"plan.name": "big"}]},
    policy_version="0a1b2c",
)
FLAGS = FlagSet({"trial": Flag("trial", {"depth": 1}, (ExperimentRule(TRIAL),))})
MANY = [{"unit_id": f"u-{number}", "plan": ["pro", "free", None][number % 3]} for number in range(500)]


def lines(*units):
    return b"".join(json.dumps(unit).encode() + b"\n" for unit in units)


def stream(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=200)
    return sink.getvalue().to_pybytes()


def answer(body, media_type, accept=NDJSON, sticky=None):
    units = read_units(body, media_type, attributes_of(FLAGS, "trial"))
    table = assigned(FLAGS, "trial", units, at=NOON, sticky=sticky)
    assert tuple(table.column_names) == ANSWERED
    table.validate(full=True)
    written = write_assigned(table, accept)
    if accept == ARROW:
        return pa.ipc.open_stream(written).read_all().to_pylist()
    return [json.loads(line) for line in written.splitlines()]


def said(unit):
    return evaluate(FLAGS, "trial", {**unit, "targetingKey": unit["unit_id"]}, at=NOON)


def test_lines_are_answered_one_by_one_in_their_order() -> None:
    odd = [{"unit_id": "a", "plan": 7}, {"unit_id": "b", "plan": {"name": "big"}}, {"unit_id": "c", "plan": True}]
    units = [*MANY, *odd]
    for unit, row in zip(units, answer(lines(*units), NDJSON), strict=True):
        single = said(unit)
        assert row == {
            "unit_id": unit["unit_id"],
            "variant": single.variant,
            "config": single.value,
            "in_experiment": single.in_experiment,
            "status": single.status,
            "reason": single.reason,
            "bucket": single.bucket,
            "sticky": False,
            "layer": None,
            "holdout": None,
            "randomization_unit": unit["unit_id"],
            "unit_attribute": "targetingKey",
            "window_start": None,
            "policy_version": "0a1b2c",
        }


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_lines_are_read_alike_however_many_are_packed_at_a_time(monkeypatch, rows) -> None:
    """A column whose values change their type, or begin late, is the same column however it is cut."""
    plans = [None, None, 1, 3, 2**70, 2.5, "pro", True, None, {"name": "big"}, ["pro"], "free", None]
    units = [
        {"unit_id": f"u-{number}", **({} if plan is None else {"plan": plan})} for number, plan in enumerate(plans)
    ]
    expected = answer(lines(*units), NDJSON)
    assert [row["variant"] for row in expected] == [said(unit).variant for unit in units]
    monkeypatch.setattr(batch_lines, "_ROWS_AT_ONCE", rows)
    assert answer(lines(*units), NDJSON) == expected


def test_a_stream_is_answered_like_lines() -> None:
    table = pa.Table.from_pylist(MANY)
    assert answer(stream(table), ARROW) == answer(lines(*MANY), NDJSON)
    rows = answer(stream(table), ARROW, ARROW)
    assert [row.pop("error") for row in rows] == [None] * 500
    assert [{**row, "config": json.loads(row["config"])} for row in rows] == answer(lines(*MANY), NDJSON)


def test_what_is_stored_of_a_unit_is_its_answer() -> None:
    stored = {"targetingKey||u-1": StickyRecord("targetingKey", "u-1", {"trial__0": "on"})}
    first, second, *_ = answer(lines(*MANY), NDJSON, sticky=stored)
    assert (second["variant"], second["status"], second["sticky"], first["sticky"]) == ("on", "sticky", True, False)


BROKEN = [
    (b"nope", None, "it is not JSON"),
    (b"\xff{}", None, "it is not JSON"),
    (b"[" * 100_000, None, "it is not JSON"),
    (b"[1]", None, "it is not a JSON object"),
    (b"null", None, "it is not a JSON object"),
    (b"{}", None, "unit_id is missing"),
    (b'{"unit_id": null}', None, "unit_id is missing"),
    (b'{"unit_id": 7}', None, "unit_id must be text"),
    (b'{"unit_id": ""}', None, "1 to 512 characters"),
    (b'{"unit_id": "\\u2003"}', None, "1 to 512 characters"),
    (b'{"unit_id": "a\\u0000"}', None, "none of them a control character"),
    (b'{"unit_id": "' + b"x" * 1_000_000 + b'"}', None, "1 to 512 characters"),
    (b'{"unit_id": "\\ud800"}', None, "half of a surrogate pair"),
    (b'{"unit_id": "a", "unit_id": "b"}', None, "'unit_id' is there twice"),
    (b'{"unit_id": "a", "n": NaN}', "a", "numbers must be finite"),
    (b'{"unit_id": "a", "n": 1e999}', "a", "numbers must be finite"),
    (b'{"unit_id": "a", "n": ' + b"[" * 40 + b"]" * 40 + b"}", "a", "32 deep"),
]


@pytest.mark.parametrize(("line", "unit", "why"), BROKEN, ids=range(len(BROKEN)))
def test_a_line_that_cannot_be_used_says_why_and_the_others_go_on(line, unit, why) -> None:
    before, after = {"unit_id": "u-1", "plan": "pro"}, {"unit_id": "u-2", "plan": "pro"}
    first, broken, last = answer(lines(before) + b"\r\n" + line + b"\n" + lines(after)[:-1], NDJSON)
    assert [first, last] == answer(lines(before, after), NDJSON)
    assert (broken["unit_id"], broken["status"], broken["reason"]) == (unit, "invalid", "ERROR")
    assert broken["error"].startswith("line 3: ")
    assert why in broken["error"]
    assert (broken["variant"], broken["in_experiment"], broken["bucket"], broken["config"]) == (None, False, None, None)


@pytest.mark.parametrize(
    ("ids", "errors"),
    [
        (pa.array(["a", None, "", "\u2003", "x" * 513, "b\n", "\x85", "x" * 512]), [1, 2, 3, 4, 5, 6]),
        (pa.array(["a", " ", None], pa.string_view()), [1, 2]),
        (pa.array(["a", "", "a"], pa.large_string()), [1]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["a", None, "\t"])), [1, 2, 3]),
        (pa.array([1, None]), [1]),
        (pa.nulls(2), [0, 1]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_row_without_a_usable_unit_is_invalid_and_keeps_its_place(ids, errors) -> None:
    table = pa.table({"unit_id": ids, "plan": ["pro"] * len(ids)})
    rows = answer(stream(table), ARROW, ARROW)
    assert [index for index, row in enumerate(rows) if row["status"] == "invalid"] == errors
    assert [row["unit_id"] for row in rows] == ids.to_pylist()
    assert all(("unit_id" in (row["error"] or "")) == (row["status"] == "invalid") for row in rows)
    assert {row["in_experiment"] for index, row in enumerate(rows) if index not in errors} <= {True}


# Length, first four bytes, number of the buffer, offset in it: 200 views of the same million bytes.
VIEWS = pa.py_buffer(struct.pack("<i4sii", 1_000_000, b"xxxx", 0, 0) * 200)
VIEW = pa.Array.from_buffers(pa.string_view(), 200, [None, VIEWS, pa.py_buffer(b"x" * 1_000_000)])
REFUSED = {
    "no stream": (b"{}", 400),
    "nothing": (b"", 400),
    "half a stream": (stream(pa.Table.from_pylist(MANY))[:3000], 400),
    "lz4": (stream(pa.Table.from_pylist(MANY), compression="lz4"), 400),
    "zstd": (stream(pa.Table.from_pylist(MANY), compression="zstd"), 400),
    "a compressed dictionary": (
        stream(pa.table({"unit_id": pa.array(["x" * 500] * 9).dictionary_encode()}), compression="zstd"),
        400,
    ),
    "no column of units": (stream(pa.table({"customer": ["a"]})), 400),
    "two columns of units": (stream(pa.table([pa.array(["a"])] * 2, names=["unit_id"] * 2)), 400),
    "units that are truths": (stream(pa.table({"unit_id": [True]})), 400),
    "units that are lists": (stream(pa.table({"unit_id": [["a"]]})), 400),
    "run ends": (
        stream(pa.table({"unit_id": ["a"] * 3, "plan": pa.RunEndEncodedArray.from_arrays([3], ["pro"])})),
        400,
    ),
    "views of lists": (
        stream(pa.table({"unit_id": ["a"], "plan": pa.array([["x"]], pa.list_view(pa.string()))})),
        400,
    ),
    "more rows than bytes": (stream(pa.table({"unit_id": pa.nulls(MOST_UNITS + 1)})), 413),
    "a dictionary that says much": (
        stream(pa.table({"unit_id": pa.DictionaryArray.from_arrays(pa.array([0] * 200), ["x" * 1_000_000])})),
        413,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_that_is_no_table_of_units_is_refused(what) -> None:
    body, status = REFUSED[what]
    with pytest.raises(Problem) as refusal:
        read_units(body, ARROW, {"plan"})
    assert refusal.value.status == status


def test_views_of_one_long_text_are_refused_before_they_are_written_out() -> None:
    with pytest.raises(Problem) as refusal:
        read_units(stream(pa.table({"unit_id": VIEW})), ARROW, set())
    assert refusal.value.status == 413


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(Problem) as refusal:
        read_units(b"1\n" * (MOST_UNITS + 1), NDJSON, set())
    assert refusal.value.status == 413


@pytest.mark.parametrize("media_type", [NDJSON, ARROW])
def test_no_units_have_no_answers(media_type) -> None:
    schema = pa.schema({"unit_id": pa.string(), "plan": pa.string()})
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, schema).close()
    for body in (
        (b"", b"\n \n") if media_type == NDJSON else (sink.getvalue().to_pybytes(), stream(schema.empty_table()))
    ):
        assert [answer(body, media_type, accept) for accept in (NDJSON, ARROW)] == [[], []]


def test_attributes_that_make_no_difference_are_not_kept() -> None:
    unit = {"unit_id": "a", "plan": "pro", "age": 7, "targetingKey": "b"}
    for body, media_type in ((lines(unit), NDJSON), (stream(pa.Table.from_pylist([unit])), ARROW)):
        units = read_units(body, media_type, attributes_of(FLAGS, "trial"))
        assert set(units.table.column_names) - {"targetingKey"} == {"unit_id", "plan"}
        assert answer(body, media_type)[0]["randomization_unit"] == "a"


SOUND = stream(pa.Table.from_pylist([*MANY[:3], {"unit_id": "a", "plan": "pro"}]))


CHANGES = st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=6)


@given(CHANGES, st.integers(0, 99))
def test_a_stream_that_was_tampered_with_is_answered_or_refused(changes, cut) -> None:
    body = bytearray(SOUND)
    for position, byte in changes:
        body[position] = byte
    try:
        answer(bytes(body[: len(body) - cut]), ARROW)
    except Problem as problem:
        assert problem.status in (400, 413)


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=8))
def test_any_lines_are_answered(parts) -> None:
    for row in answer(b"\n".join(parts), NDJSON):
        assert row["status"] == "invalid"


def test_reading_this_module_costs_the_api_neither_numpy_nor_pyarrow() -> None:
    code = "import api.assignments.batch, sys; print(sorted({'numpy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_reader_of_flatbuffers_stays_within_its_message() -> None:
    """A message whose body ends nowhere and one whose length is negative: the walk ends."""
    head = SOUND[:8]
    with pytest.raises(Problem):
        read_units(head + SOUND[8:40], ARROW, set())
    assert batch_arrow.read_stream(SOUND, {"plan"}).table.num_rows == 4
