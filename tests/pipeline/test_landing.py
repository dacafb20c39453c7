"""What cannot be read is kept with the reason; a landing that is mostly unusable is kept and not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import House


def test_unreadable_rows_are_quarantined_with_their_reason_and_the_rest_is_analysed(house: House) -> None:
    rows = house.rows(
        "SELECT row_number, code, reason, record FROM raw.quarantine WHERE split_part(source, '@', 1) = 'unreadable'"
        " ORDER BY row_number"
    )
    assert [(row["row_number"], row["code"]) for row in rows][:2] == [(101, "missing_unit"), (102, "missing_variant")]
    assert rows[2]["row_number"] == 103
    assert all(row["reason"] for row in rows)
    assert "c9002" in rows[2]["record"]
    row = house.served_one("acme|unreadable", "spend", "difference_in_means")
    assert (row["status"], row["n"], row["n_control"]) == ("ok", 50, 50)


def test_quarantine_is_counted_by_source_and_code(house: House) -> None:
    rows = house.rows("SELECT code, records FROM events.quarantine_counts WHERE source = 'broken_log'")
    assert [(row["code"], row["records"]) for row in rows] == [("duplicate_unit", 4)]


def test_a_landing_with_too_many_unusable_rows_fails_its_blocking_check(house: House) -> None:
    (run,) = (run for run in house.first_runs if (run.work.job, run.work.partition) == ("land", "acme|refused"))
    assert run.closed_gates == ("meets_expectations",)
    (landing,) = house.rows("SELECT accepted, events, quarantined FROM raw.landings WHERE source = 'refused'")
    assert landing == {"accepted": False, "events": 8, "quarantined": 2}


@pytest.mark.parametrize("table", ["events", "exposures", "quarantine_counts"])
def test_nothing_of_a_refused_landing_reaches_events(house: House, table: str) -> None:
    assert house.rows("SELECT * FROM raw.events WHERE split_part(source, '@', 1) = 'refused'") != []
    assert house.rows(f"SELECT * FROM events.{table} WHERE split_part(source, '@', 1) = 'refused'") == []


def test_accepted_landings_reach_events_once(house: House) -> None:
    (counted,) = house.rows("SELECT count(*) AS events FROM events.events WHERE split_part(source, '@', 1) = 'lift'")
    assert counted["events"] == 240


def test_a_landed_unit_keeps_the_first_variant_that_the_file_gives_it(house: House) -> None:
    """Whoever asks the API for it is given the same one."""
    kept = house.rows(
        "SELECT unit_id, variant, bucket_version, policy_version FROM raw.sticky_assignments WHERE experiment = 'lift'"
    )
    landed = house.rows("SELECT unit_id, variant FROM experiments.first_exposures WHERE experiment = 'lift'")
    assert {row["unit_id"]: row["variant"] for row in kept} == {row["unit_id"]: row["variant"] for row in landed}
    assert len(kept) == len(landed) == 240
    assert {(row["bucket_version"], row["policy_version"]) for row in kept} == {(0, None)}


def test_what_a_refused_landing_brought_is_kept_by_nobody(house: House) -> None:
    assert house.rows("SELECT 1 FROM raw.assignments WHERE split_part(source, '@', 1) = 'refused'") != []
    assert house.rows("SELECT 1 FROM raw.sticky_assignments WHERE split_part(source, '@', 1) = 'refused'") == []
