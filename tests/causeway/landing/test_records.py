"""Raw records: what is landed, what is quarantined and why, and that nothing is lost between the two."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import read_declaration
from causeway.declarations.study import StudyDeclaration
from causeway.landing.error import LandingError
from causeway.landing.reading import parse_table
from causeway.landing.records import (
    ASSIGNMENTS_SCHEMA,
    EVENTS_SCHEMA,
    LandingRecords,
    event_records,
    require_columns,
    study_records,
    trial_records,
)
from causeway.landing.table import QUARANTINE_SCHEMA

LANDED_AT = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)

TRIAL = """\
kind: experiment
key: campaign
unit: customer
control: none
variants: {none: 1, mens: 1}
metrics:
  - {key: visit, type: conversion, column: visit}
  - {key: spend, type: mean, column: spend}
covariates: [recency]
segments: [zip]
source: {file: campaign.csv, unit_id: customer, variant: arm}
"""

ROWS = """\
customer,arm,visit,spend,recency,zip
u1,none,1,2.5,10,007
u2,mens,false,,3,
u3,mens,TRUE,0,7,80331
"""


def declared(text: str = TRIAL) -> ExperimentDeclaration:
    declaration = read_declaration(text, "campaign.yaml")
    assert isinstance(declaration, ExperimentDeclaration)
    return declaration


def landed(rows: str, declaration: str = TRIAL) -> LandingRecords:
    return trial_records(parse_table(rows.encode(), ".csv"), declared(declaration), "demo|campaign", LANDED_AT)


def recorded(records: LandingRecords) -> dict[str, dict[str, Any]]:
    """What each unit's record holds, by unit."""
    assert records.events.select("event_id", "type").rows() == [
        (f"{unit}:record", "record") for unit in records.events.get_column("unit_id")
    ]
    return {unit: json.loads(text) for unit, text in records.events.select("unit_id", "properties").iter_rows()}


def quarantined(records: LandingRecords) -> list[tuple[int, str]]:
    return records.quarantine.select("row_number", "code").rows()


def test_each_row_lands_as_an_assignment_and_one_record() -> None:
    records = landed(ROWS)
    assert dict(records.events.schema) == EVENTS_SCHEMA
    assert dict(records.assignments.schema) == ASSIGNMENTS_SCHEMA
    assert dict(records.quarantine.schema) == QUARANTINE_SCHEMA
    assert recorded(records) == {
        "u1": {"visit": 1, "spend": 2.5, "recency": 10, "zip": "007"},
        "u2": {"visit": 0, "spend": None, "recency": 3, "zip": None},
        "u3": {"visit": 1, "spend": 0, "recency": 7, "zip": "80331"},
    }
    assert records.assignments.select("event_id", "unit_id", "experiment", "variant").rows() == [
        ("u1:assignment", "u1", "campaign", "none"),
        ("u2:assignment", "u2", "campaign", "mens"),
        ("u3:assignment", "u3", "campaign", "mens"),
    ]
    assert set(records.events.get_column("occurred_at")) | set(records.assignments.get_column("occurred_at")) == {
        LANDED_AT
    }
    assert (records.counts.rows, records.counts.events, records.counts.assignments) == (3, 3, 3)
    assert records.counts.quarantined == 0


def test_a_table_without_ids_takes_the_row_numbers() -> None:
    records = landed(ROWS.replace("u2,mens,false,,3,", "u2,mens"), TRIAL.replace("unit_id: customer, ", ""))
    assert records.assignments.get_column("unit_id").to_list() == ["1", "3"]
    assert quarantined(records) == [(2, "wrong_number_of_fields")]
    assert records.counts.rows == 3


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",none,1,1,1,a", "missing_unit"),
        ("  ,none,1,1,1,a", "missing_unit"),
        ("u9,,1,1,1,a", "missing_variant"),
        (f"{'x' * 513},none,1,1,1,a", "id_too_long"),
        (f"u9,{'x' * 513},1,1,1,a", "id_too_long"),
    ],
)
def test_a_row_without_a_usable_unit_or_variant_is_quarantined(row: str, code: str) -> None:
    records = landed(ROWS + row + "\n")
    assert quarantined(records) == [(4, code)]
    assert records.counts.by_code == {code: 1}
    assert records.assignments.height == 3
    assert json.loads(records.quarantine.item(0, "record"))["recency"] == "1"


def test_a_repeated_unit_keeps_its_first_row() -> None:
    records = landed(ROWS + "u1,none,0,9,9,x\n")
    assert quarantined(records) == [(4, "duplicate_unit")]
    assert records.quarantine.item(0, "reason") == "unit 'u1' of row 4 was already in row 1"
    assert recorded(records)["u1"] == {"visit": 1, "spend": 2.5, "recency": 10, "zip": "007"}
    assert records.assignments.height == 3


def test_a_unit_in_two_variants_lands_both_assignments_and_one_record() -> None:
    records = landed(ROWS + "u1,mens,0,9,9,x\nu1,mens,0,9,9,x\nu1,none,0,9,9,x\n")
    assert quarantined(records) == [(4, "duplicate_unit"), (5, "duplicate_unit"), (6, "duplicate_unit")]
    reason = records.quarantine.item(0, "reason")
    assert reason.startswith("unit 'u1' of row 4 is in variant 'mens' and was in variant 'none' in row 1")
    of_unit = records.assignments.filter(pl.col("unit_id") == "u1")
    assert of_unit.get_column("variant").to_list() == ["none", "mens"]
    assert of_unit.get_column("event_id").n_unique() == 2
    assert recorded(records)["u1"] == {"visit": 1, "spend": 2.5, "recency": 10, "zip": "007"}


def test_an_unlisted_variant_lands_as_it_is() -> None:
    records = landed(ROWS + "u4,kids,0,1,1,a\n")
    assert records.assignments.get_column("variant").to_list()[-1] == "kids"
    assert records.quarantine.is_empty()


def test_a_cell_that_is_no_number_is_null_and_quarantined_while_its_row_goes_on() -> None:
    records = landed(ROWS + "u4,none,maybe,NaN,1,a\nu5,none,1,inf,1,a\n")
    assert quarantined(records) == [(4, "not_a_number"), (4, "not_a_number"), (5, "not_a_number")]
    assert set(records.quarantine.get_column("reason")) == {
        "row 4, column 'visit': 'maybe' is not a number",
        "row 4, column 'spend': 'NaN' is not a number",
        "row 5, column 'spend': 'inf' is not a number",
    }
    assert recorded(records)["u4"] == {"visit": None, "spend": None, "recency": 1, "zip": "a"}
    assert records.assignments.height == 5


def test_a_missing_column_is_named_with_the_line_that_declares_it() -> None:
    text = TRIAL.replace("column: spend", "column: spnd").replace("[recency]", "[age]")
    with pytest.raises(LandingError) as raised:
        landed(ROWS, text)
    first, second = str(raised.value).splitlines()
    assert first == (
        "campaign.yaml:8: metrics[1].column: the table has no column 'spnd'; its columns are"
        " customer, arm, visit, spend, recency, zip (did you mean 'spend'?)"
    )
    assert second.startswith("campaign.yaml:9: covariates[0]: the table has no column 'age'")
    assert raised.value.column == "spnd"


def test_a_column_of_times_dates_both_records_and_is_in_neither() -> None:
    text = TRIAL.replace("variant: arm}", "variant: arm, occurred_at: at}")
    rows = (
        "customer,arm,visit,spend,recency,zip,at\n"
        "u1,none,1,1,1,a,2024-03-01\n"
        "u2,none,1,1,1,a,soon\n"
        "u3,none,1,1,1,a,2030-01-01\n"
    )
    records = landed(rows, text)
    for frame in (records.events, records.assignments):
        assert frame.get_column("occurred_at").to_list() == [dt.datetime(2024, 3, 1, tzinfo=dt.UTC)]
    assert recorded(records) == {"u1": {"visit": 1, "spend": 1, "recency": 1, "zip": "a"}}
    assert quarantined(records) == [(2, "bad_time"), (3, "future_time")]


def test_typed_columns_land_like_text() -> None:
    frame = pl.DataFrame(
        {
            "customer": [1.0, 2.0, None],
            "arm": pl.Series(["none", "mens", "none"], dtype=pl.Categorical),
            "visit": [True, False, True],
            "spend": [1.5, float("nan"), 0.0],
            "recency": [1, None, 3],
            "zip": [80331, 10115, 1],
        }
    )
    records = trial_records(frame, declared(), "s", LANDED_AT)
    assert recorded(records) == {
        "1": {"visit": 1, "spend": 1.5, "recency": 1, "zip": "80331"},
        "2": {"visit": 0, "spend": None, "recency": None, "zip": "10115"},
    }
    assert quarantined(records) == [(2, "not_a_number"), (3, "missing_unit")]


def test_columns_that_nobody_declared_are_kept_as_text_and_blanks_as_nothing() -> None:
    rows = "customer,arm,visit,spend,recency,zip,note,age\nu1,none,1,1,1,a,  ,7.0\nu2,none,1,1,1,a,maybe,\n"
    records = landed(rows)
    assert [(row["note"], row["age"]) for row in recorded(records).values()] == [
        (None, "7.0"),
        ("maybe", None),
    ]
    assert records.quarantine.is_empty()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pl.Series([True, None]), "true"),
        (pl.Series([7.0, float("nan")]), "7"),
        (pl.Series([dt.date(2024, 1, 31), None]), "2024-01-31"),
        (pl.Series([dt.timedelta(days=1), None]), "PT86400S"),
        (pl.Series([[1, 2], None]), "[1,2]"),
        (pl.Series([{"a": "x"}, None]), '{"a":"x"}'),
        (pl.Series([b"\xff", None]), "/w=="),
        (pl.Series(["x", None], dtype=pl.Enum(["x"])), "x"),
        (pl.Series([None, None]), None),
    ],
)
def test_an_undeclared_column_of_any_type_lands_as_text(column: pl.Series, text: str | None) -> None:
    """Nobody looked at these columns before landing: whatever a Parquet file holds must not stop it."""
    frame = parse_table(ROWS.encode(), ".csv").frame.head(2).with_columns(extra=column)
    records = trial_records(frame, declared(), "s", LANDED_AT)
    assert [row["extra"] for row in recorded(records).values()] == [text, None]


OUR_NAMES = """
unit_id variant experiment occurred_at sent_at event_id source type properties record
row index unit first_row first_variant literal v column_1
"""


@pytest.mark.parametrize("name", [*OUR_NAMES.split(), "", '"\\'])
def test_a_column_may_be_called_like_something_of_ours(name: str) -> None:
    without = parse_table((ROWS + "u1,mens,1,1,1,a\n").encode(), ".csv").frame
    frame = without.with_columns(pl.Series(name, ["mine", "", None, "repeated"]))
    records, plain = (trial_records(table, declared(), "s", LANDED_AT) for table in (frame, without))
    assert [row[name] for row in recorded(records).values()] == ["mine", None, None]
    assert records.events.drop("properties").equals(plain.events.drop("properties"))
    assert records.assignments.equals(plain.assignments)
    assert json.loads(records.quarantine.item(0, "record"))[name] == "repeated"


def test_a_column_with_a_role_that_is_declared_as_well_is_in_the_record() -> None:
    text = TRIAL.replace("variant: arm}", "variant: arm, occurred_at: at}").replace("[zip]", "[at]")
    records = landed("customer,arm,visit,spend,recency,at\nu1,none,1,1,1,2024-03-01\n", text)
    assert recorded(records)["u1"]["at"] == "2024-03-01"


def test_landing_twice_gives_the_same_records() -> None:
    first, second = landed(ROWS), landed(ROWS)
    assert first.events.equals(second.events)
    assert first.assignments.equals(second.assignments)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b", "c:assignment", "c", "é", "\0"]),
            st.sampled_from(["", "none", "mens", "assignment", "x"]),
            st.sampled_from(["1", "", "nan", "oops"]),
        ),
        max_size=12,
    )
)
def test_every_row_is_landed_or_quarantined_once(rows: list[tuple[str, str, str]]) -> None:
    frame = pl.DataFrame(rows, schema=["customer", "arm", "visit"], orient="row").with_columns(
        spend=pl.lit("1"), recency=pl.lit("1"), zip=pl.lit("z")
    )
    frame = frame.cast(pl.String)
    records = trial_records(frame, declared(), "s", LANDED_AT)
    units = list(recorded(records))
    refused = records.quarantine.filter(pl.col("code") != "not_a_number")
    assert len(units) == records.events.height
    assert len(units) + refused.height == len(rows)
    assert refused.get_column("row_number").n_unique() == refused.height
    assert records.events.get_column("event_id").n_unique() == records.events.height
    assert records.assignments.get_column("event_id").n_unique() == records.assignments.height
    pairs = {(unit, variant) for unit, variant, _ in rows if unit not in ("", "\0") and variant}
    assert set(records.assignments.select("unit_id", "variant").rows()) == pairs


def test_a_landing_needs_a_time_with_a_zone() -> None:
    with pytest.raises(ValueError, match="landed_at needs a time zone"):
        trial_records(pl.DataFrame(), declared(), "s", dt.datetime(2024, 1, 1))


STUDY = """\
kind: study
key: smoking
unit: person
treatment: {column: qsmk, values: {control: 0, treated: 1}}
outcome: {column: weight}
confounders: [age, region]
source: {file: nhefs.csv}
"""


def study(text: str = STUDY) -> StudyDeclaration:
    declaration = read_declaration(text, "study.yaml")
    assert isinstance(declaration, StudyDeclaration)
    return declaration


def test_a_study_lands_one_record_per_row_with_every_column() -> None:
    table = parse_table(b"qsmk,weight,age,region,other\n0,1.5,40,north,07\n1,,NA,south,8\n1,heavy,42,, \n", ".csv")
    records = study_records(table, study(), "s", LANDED_AT)
    assert recorded(records) == {
        "1": {"qsmk": 0, "weight": 1.5, "age": 40, "region": "north", "other": "07"},
        "2": {"qsmk": 1, "weight": None, "age": None, "region": "south", "other": "8"},
        "3": {"qsmk": 1, "weight": None, "age": 42, "region": None, "other": None},
    }
    assert quarantined(records) == [(3, "not_a_number")]
    assert records.assignments.is_empty()
    assert dict(records.assignments.schema) == ASSIGNMENTS_SCHEMA


def test_a_repeated_unit_of_a_study_keeps_its_first_row() -> None:
    table = parse_table(b"id,qsmk,weight,age,region\na,0,1,1,n\na,1,2,2,n\n,1,2,2,n\n", ".csv")
    records = study_records(table, study(STUDY.replace("nhefs.csv", "nhefs.csv, unit_id: id")), "s", LANDED_AT)
    assert quarantined(records) == [(2, "duplicate_unit"), (3, "missing_unit")]
    assert recorded(records) == {"a": {"qsmk": 0, "weight": 1, "age": 1, "region": "n"}}


def test_a_missing_column_of_a_study_is_named() -> None:
    with pytest.raises(LandingError, match=r"study.yaml:6: confounders\[1\]: the table has no column 'region'"):
        study_records(pl.DataFrame({"qsmk": [1], "weight": [1], "age": [1]}), study(), "s", LANDED_AT)


def test_columns_can_be_asked_for_before_anything_is_landed() -> None:
    table = parse_table(ROWS.encode(), ".csv").frame
    require_columns(table, declared())
    require_columns(pl.DataFrame({"qsmk": [1], "weight": [1], "age": [1], "region": ["n"]}), study())
    with pytest.raises(LandingError, match=r"source.unit_id: the table has no column 'customer'"):
        require_columns(table.drop("customer"), declared())
    streamed = "\n".join(line for line in TRIAL.splitlines() if not line.startswith("source"))
    with pytest.raises(ValueError, match="'campaign' names no table"):
        require_columns(table, declared(streamed))


def stream(lines: str) -> LandingRecords:
    return event_records(parse_table(lines.encode(), ".ndjson"), "app", LANDED_AT)


def test_a_stream_is_parted_into_events_and_assignments() -> None:
    records = stream(
        '{"type":"buy","unit_id":"u1","occurred_at":"2024-01-01T00:00:00Z","event_id":"e1","amount":3.5,"note":null}\n'
        '{"type":"assignment","unit_id":"u1","occurred_at":"2024-01-01","event_id":"a1","experiment":"x","variant":"A","by":"me"}\n'
        '{"type":"view","unit_id":7,"occurred_at":"2024-01-02","event_id":"e2","sent_at":"2024-01-03","experiment":"x",'
        '"properties":{"page":{"n":1}}}\n'
    )
    assert dict(records.events.schema) == EVENTS_SCHEMA
    assert records.events.select("event_id", "type", "unit_id").rows() == [
        ("e1", "buy", "u1"),
        ("e2", "view", "7"),
    ]
    assert [json.loads(text) for text in records.events.get_column("properties")] == [
        {"amount": 3.5},
        {"experiment": "x", "page": {"n": 1}},
    ]
    assert records.events.get_column("sent_at").to_list() == [None, dt.datetime(2024, 1, 3, tzinfo=dt.UTC)]
    assert records.assignments.select("event_id", "experiment", "variant", "properties").rows() == [
        ("a1", "x", "A", '{"by":"me"}')
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": ""}, "missing_type"),
        ({"type": None}, "missing_type"),
        ({"unit_id": " "}, "missing_unit"),
        ({"unit_id": "x" * 513}, "id_too_long"),
        ({"event_id": "x" * 513}, "id_too_long"),
        ({"occurred_at": None}, "bad_time"),
        ({"occurred_at": "last week"}, "bad_time"),
        ({"occurred_at": "2024-06-02T00:00:01Z"}, "future_time"),
        ({"sent_at": "never"}, "bad_time"),
        ({"type": "assignment", "variant": "A"}, "missing_experiment"),
        ({"type": "assignment", "experiment": "x"}, "missing_variant"),
        ({"properties": "[1]"}, "bad_properties"),
        ({"properties": '{"a":'}, "bad_properties"),
        ({"properties": '{"a": "\\u0000"}'}, "null_byte"),
        ({"unit_id": "a\0b"}, "null_byte"),
        ({"note": "a\0b"}, "null_byte"),
    ],
)
def test_a_bad_event_is_quarantined_and_the_rest_goes_on(fields: dict[str, str | None], code: str) -> None:
    good = {"type": "buy", "unit_id": "u1", "occurred_at": "2024-01-01", "event_id": "e"}
    frame = pl.from_dicts([good, {**good, **fields}, good], infer_schema_length=None)
    records = event_records(frame, "app", LANDED_AT)
    assert quarantined(records) == [(2, code)]
    assert records.counts.events + records.counts.assignments == 2
    assert "unit_id" in json.loads(records.quarantine.item(0, "record"))


def test_an_escaped_backslash_before_u0000_is_text() -> None:
    frame = pl.DataFrame({"type": ["a"], "unit_id": ["u"], "occurred_at": ["2024-01-01"], "note": ["\\u0000"]})
    records = event_records(frame, "app", LANDED_AT)
    assert [json.loads(text) for text in records.events.get_column("properties")] == [{"note": "\\u0000"}]


def test_an_event_without_an_id_is_known_by_its_content_alone() -> None:
    head = "type,unit_id,occurred_at,amount\n"
    row = "buy,u1,2024-01-01,7\n"
    alone = event_records(parse_table((head + row).encode(), ".csv"), "app", LANDED_AT)
    among = event_records(parse_table((head + "buy,u2,2024-01-01,x\n" + row).encode(), ".csv"), "app", LANDED_AT)
    (known,) = alone.events.get_column("event_id")
    assert len(known) == 64
    assert among.events.get_column("event_id").to_list()[1] == known
    assert among.events.get_column("event_id").n_unique() == 2


def test_a_stream_without_its_columns_is_an_error() -> None:
    with pytest.raises(LandingError, match="the table has no column 'occurred_at'; its columns are type, unit_id, at"):
        event_records(pl.DataFrame({"type": ["a"], "unit_id": ["u"], "at": [1]}), "app", LANDED_AT)


def test_a_large_file_is_landed_without_a_loop_over_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are counted in Python only where one is quarantined: 20,000 of them must not become Python
    objects.
    """
    seen: list[int] = []
    iterate = pl.Series.__iter__

    def counted(series: pl.Series) -> Any:
        seen.append(len(series))
        return iterate(series)

    monkeypatch.setattr(pl.Series, "__iter__", counted)
    rows = "".join(f"v{number},mens,1,2.5,3,z\n" for number in range(20_000))
    records = landed(ROWS + rows)
    assert records.counts.events == 20_003
    assert max(seen, default=0) < 100


def test_a_wide_file_of_64_000_rows_is_landed_in_a_second() -> None:
    """Twelve columns, half of them undeclared: a tenth of a second where nothing else runs."""
    columns = ROWS.splitlines()[0].split(",") + [f"extra_{number}" for number in range(6)]
    numbers = pl.int_range(64_000, eager=True)
    frame = pl.DataFrame({name: numbers.cast(pl.String) for name in columns})
    started = time.perf_counter()
    records = trial_records(frame, declared(), "s", LANDED_AT)
    assert time.perf_counter() - started < 1.5
    assert (records.counts.events, records.counts.assignments) == (64_000, 64_000)
