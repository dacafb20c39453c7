"""From a file or events to the frame of a study: every declared column, every unit, and a count of what is missing."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from assets import declared, study_frames
from assets.study_counts import StudyCounts, study_counts
from assets.study_frames import study_frame, unit_column
from resources.postgres import PostgresResource

if TYPE_CHECKING:
    from conftest import House

    from jobs.plan import Work

ODD_NAMES = [
    "unit_id", "tenant_id", "study", "treated", "outcome", "propensity", "placebo", "n", "name", "value_text",
    "records", "field_values", "position", "unit id", 'quo"ted', "it's", "100 %s", "%(x)s", "{rows}", "größe ☃",
    "semi;colon", "back\\slash", "x" * 200, "  padded  ", "select", "0",
]  # fmt: skip


def frame_of(house: House, key: str) -> pl.DataFrame:
    postgres = PostgresResource()
    return study_frame(postgres, f"acme|{key}", declared.study(postgres, f"acme|{key}"))


def counts_of(house: House, key: str) -> StudyCounts:
    postgres = PostgresResource()
    return study_counts(postgres, f"acme|{key}", declared.study(postgres, f"acme|{key}"))


def made(house: House, key: str, **declaration: Any) -> pl.DataFrame:
    """The frame of a study that was just declared, with nothing after it."""
    house.declare(
        "study",
        key,
        unit="person",
        **{
            "treatment": {"column": "took", "values": {"control": 0, "treated": 1}},
            "outcome": {"column": "y"},
        }
        | declaration,
    )
    wanted = {f"acme|{key}", "acme|" + key + "_events", None, "acme"}

    def is_wanted(work: Work) -> bool:
        return work.job in ("land", "conform") or work.partition in wanted

    house.refresh(is_wanted)
    return frame_of(house, key)


def written(rows: list[list[Any]], separator: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue()


def test_the_frame_has_every_declared_column_typed_by_what_it_holds(own_house: House) -> None:
    head = ["person", "took", "y", "age", "town", "member", "zip", "w", "block", "class", "z", "y2", "price", "left"]
    rows = [
        ["b", 1, 2.5, 40, "Ulm", "true", "01234", 0.5, 7, "10", 1, 3, 1.5, "never asked for"],
        ["a", 0, 1e-3, "", "New, York", "FALSE", "99999", 2, 7, "10", 0, "", 2, "x"],
        ["ä", 0, -3, 50, 'a "b"', "", "10115", 1, 8, "11", 1, 5, 2, "x"],
        ["C", 1, 4, 60, "", "true", "10117", 1, 8, "", 0, 6, 2, "x"],
    ]
    head += ["p", "tea", "height"]
    own_house.write("typed.csv", written([head, *([*row, 0.5, 1, 2] for row in rows)]))
    found = made(
        own_house,
        "typed",
        confounders=["age", "town", "member", "zip"],
        instruments=["z"],
        negative_controls={"outcomes": ["height"], "exposures": ["tea"]},
        known_propensity="p",
        effect_modifiers=["age"],
        weights="w",
        blocks="block",
        clusters="class",
        outcomes=["y2"],
        segments=["town"],
        policy={"cost": "price", "value": 10, "budget": 0.5},
        source={"file": "typed.csv", "unit_id": "person"},
    )
    assert found.columns == [
        "unit_id", "took", "y", "y2", "age", "town", "member", "zip", "z", "height", "tea", "class", "p",
        "block", "w", "price",
    ]  # fmt: skip
    assert found["unit_id"].to_list() == ["C", "a", "b", "ä"], "in the order of the bytes of the ids"
    assert found["took"].to_list() == [1.0, 0.0, 1.0, 0.0]
    assert found["y"].to_list() == [4.0, 1e-3, 2.5, -3.0]
    assert found["age"].to_list() == [60.0, None, 40.0, 50.0]
    assert found["y2"].to_list() == [6.0, None, 3.0, 5.0]
    assert found["town"].to_list() == [None, "New, York", "Ulm", 'a "b"']
    assert found["member"].to_list() == [1.0, 0.0, 1.0, None]
    assert found["zip"].to_list() == ["10117", "99999", "01234", "10115"], "a code is no number"
    assert found["block"].to_list() == ["8", "7", "7", "8"], "a group is a name, whatever it looks like"
    assert found["class"].to_list() == [None, "10", "10", "11"]
    assert {found[name].dtype for name in ("took", "y", "y2", "age", "member", "z", "w", "price")} == {pl.Float64}
    assert counts_of(own_house, "typed") == StudyCounts(4, 0, 0, 4, 0, {})
    (fields,) = own_house.rows(
        "SELECT array_agg(name ORDER BY position) AS names FROM features.study_fields WHERE study = 'typed'"
    )
    assert fields["names"] == sorted(found.columns[1:]), "the one list is in SQL, and the other in Python"


def test_a_column_may_be_called_anything(own_house: House) -> None:
    rows = [[f"u{row}", row % 2, row, *(row * 100 + at for at in range(len(ODD_NAMES)))] for row in range(30)]
    own_house.write("odd.csv", written([["person", "took", "y", *ODD_NAMES], *rows]))
    found = made(own_house, "odd", confounders=ODD_NAMES, source={"file": "odd.csv", "unit_id": "person"})
    assert found.columns == ["unit_id_", "took", "y", *ODD_NAMES]
    assert unit_column(declared.study(PostgresResource(), "acme|odd")) == "unit_id_"
    of_unit = found.filter(pl.col("unit_id_") == "u7").row(0)
    assert of_unit == ("u7", 1.0, 7.0, *(700.0 + at for at in range(len(ODD_NAMES))))


def test_what_is_left_out_is_counted_with_its_reason(own_house: House) -> None:
    rows = [[f"u{row:03}", row % 2, row] for row in range(200)]
    rows += [["u000", 1, -1], ["u001", 0, -1], ["", 1, 1], ["u900", 1, 1, "surplus"]]
    rows[50][2] = "12,5 kg"
    own_house.write("counted.csv", written([["person", "took", "y"], *rows]))
    found = made(own_house, "counted", source={"file": "counted.csv", "unit_id": "person"})
    assert found.height == 200
    assert found.row(0) == ("u000", 0.0, 0.0), "the first row of a unit counts"
    assert found["y"][50] is None
    counts = counts_of(own_house, "counted")
    assert counts == StudyCounts(
        landed=204,
        quarantined=2,
        duplicates=2,
        units=200,
        bad_cells=1,
        reasons={"missing_unit": 1, "wrong_number_of_fields": 1},
    )
    assert counts.landed == counts.quarantined + counts.duplicates + counts.units


def test_the_same_file_in_parquet_with_blanks_around_its_names_is_the_same_frame(own_house: House) -> None:
    frame = pl.DataFrame(
        {" person": ["a", "b", "c"], "took ": [True, False, True], "y": [1, None, 3], "x": [0.5, float("nan"), 2.0]}
    )
    frame.write_parquet(own_house.folder / "padded.parquet")
    found = made(own_house, "padded", confounders=["x"], source={"file": "padded.parquet", "unit_id": "person"})
    assert found.rows() == [("a", 1.0, 1.0, 0.5), ("b", 0.0, None, None), ("c", 1.0, 3.0, 2.0)]


def test_a_column_declared_later_is_there_without_landing_again(own_house: House) -> None:
    """It had landed as text, NA and all."""
    rows = [[f"u{row}", row % 2, row, row / 4 if row else "NA"] for row in range(30)]
    own_house.write("later.csv", written([["person", "took", "y", "late"], *rows]))
    source = {"file": "later.csv", "unit_id": "person"}
    assert "late" not in made(own_house, "later", source=source).columns
    found = made(own_house, "later", source=source, confounders=["late"])
    assert found.filter(unit_id="u0")["late"].to_list() == [None]
    assert found.filter(unit_id="u3")["late"].to_list() == [0.75]
    (landings,) = own_house.rows("SELECT count(*) AS n FROM raw.landings WHERE source = 'later'")
    assert landings["n"] == 1


def test_of_events_the_newest_of_a_unit_counts_and_the_others_are_counted(own_house: House) -> None:
    def event(unit: str, day: int, properties: dict[str, Any]) -> dict[str, Any]:
        at = f"2024-03-{day:02}T00:00:00Z"
        return {"event_id": f"{unit}{day}", "type": "visit", "unit_id": unit, "occurred_at": at, **properties}

    events = [
        event("u1", 1, {"took": 0, "y": 1.0, "plan": "a"}),
        event("u1", 3, {"took": 1, "y": 2.0, "plan": 1}),
        event("u2", 2, {"took": False, "plan": "b"}),
        event("u3", 2, {"took": True, "y": 10**20, "plan": ""}),
    ]
    own_house.write("visits.ndjson", "".join(json.dumps(each) + "\n" for each in events))
    own_house.declare("source", "visits_events", file="visits.ndjson", mode="append")
    found = made(own_house, "visits", confounders=["plan"], source={"event": "visit"})
    assert found.rows() == [("u1", 1.0, 2.0, "1"), ("u2", 0.0, None, "b"), ("u3", 1.0, 1e20, None)]
    assert counts_of(own_house, "visits") == StudyCounts(4, 0, 1, 3, 0, {})


def test_a_wide_study_has_all_its_columns(own_house: House) -> None:
    names = [f"x{at}" for at in range(1_700)]
    rows = [[f"u{row}", row % 2, row, *(row + at for at in range(len(names)))] for row in range(25)]
    own_house.write("wide.csv", written([["person", "took", "y", *names], *rows]))
    found = made(own_house, "wide", confounders=names, source={"file": "wide.csv", "unit_id": "person"})
    assert found.shape == (25, 1_703)
    assert found.filter(unit_id="u9").row(0)[3:] == tuple(9.0 + at for at in range(len(names)))


def test_a_column_is_text_also_where_only_its_last_chunk_shows_it(
    own_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[f"u{row:03}", row % 2, row, "1.50" if row < 199 else "much"] for row in range(200)]
    rows[100][3] = "more"
    for row in rows[150:]:
        row[3] = "much"
    own_house.write("chunks.csv", written([["person", "took", "y", "x"], *rows]))
    whole = made(own_house, "chunks", confounders=["x"], source={"file": "chunks.csv", "unit_id": "person"})
    monkeypatch.setattr(study_frames, "CHUNK_BYTES", 100)
    assert frame_of(own_house, "chunks").equals(whole)
    assert whole["x"].to_list() == [row[3] for row in rows]
