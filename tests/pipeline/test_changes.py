"""A change makes what it is a change of, and nothing else; what was once made can be made again after it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
import yaml
from scipy import stats

from cli.house import House as OpenHouse
from cli.reproduce import make_again
from jobs.refresh import Ran

if TYPE_CHECKING:
    from conftest import House

TOUCHED = ("mended", "timing")


def everything_served(house: House) -> dict[str, list[dict[str, Any]]]:
    return {
        f"{table} {experiment}": house.rows(
            f"SELECT * FROM serving.{table} AS t WHERE experiment = %s ORDER BY t::text", experiment
        )
        for table in ("experiment_results", "experiment_health")
        for experiment in ("lift", "srm", "broken_log", "odd_arms", "unreadable", "refused", "mended", "timing")
    } | {"study": house.rows("SELECT * FROM serving.study_results AS t ORDER BY t::text")}


def untouched(served: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {name: rows for name, rows in served.items() if not name.endswith(TOUCHED)}


@dataclass(frozen=True)
class Landed:
    """What was served before, and the runs that followed."""

    before: dict[str, list[dict[str, Any]]]
    provenance: dict[str, dict[str, Any]]
    runs: list[Ran]


@pytest.fixture(scope="module")
def landed(house: House, request: pytest.FixtureRequest) -> Landed:
    """The lost half of ``mended`` is found, lost again and found again, and an old purchase arrives over HTTP."""
    before = everything_served(house)
    provenance = {
        f"{row['asset']} {row['partition_key']}": row
        for row in house.rows("SELECT * FROM ops.provenance ORDER BY materialized_at")
    }
    found = (house.folder / "lift.csv").read_text()
    landings = [
        ran
        for content in (found, "".join(found.splitlines(keepends=True)[:101]))
        if house.write("mended.csv", content)
        for ran in house.refresh(only=lambda work: work.job == "land")
    ]
    house.write("mended.csv", found)
    late = {
        "tenant_id": ["globex"],
        "source": ["shop"],
        "event_id": ["late"],
        "type": ["purchase"],
        "unit_id": ["u2"],
        "occurred_at": [dt.datetime(2024, 3, 11, tzinfo=dt.UTC)],
        "properties": ['{"amount": 7}'],
    }
    house.client.append("raw.events", pl.DataFrame(late))
    return Landed(before, provenance, landings + house.refresh())


def again(house: House, recorded: dict[str, Any]) -> dict[str, Any]:
    return make_again(OpenHouse(house.settings, house.client, None), recorded)  # type: ignore[arg-type]


def test_a_comment_in_a_declaration_makes_nothing_stale(house: House) -> None:
    path = house.folder / "acme_lift.yaml"
    path.write_text("# A remark.\n" + path.read_text() + "# Another one.\n")
    assert house.pending() == ()


def test_a_new_content_of_a_file_lands_that_file_alone(landed: Landed) -> None:
    assert [ran.work.partition for ran in landed.runs if ran.work.job == "land"] == ["acme|mended"] * 3


def test_mended_data_opens_the_gate(house: House, landed: Landed) -> None:
    assert {row["status"] for row in landed.before["experiment_results mended"]} == {"withheld"}
    row = house.served_one("acme|mended", "spend", "difference_in_means")
    same = house.served_one("acme|lift", "spend", "difference_in_means")
    assert row["status"] == "ok"
    assert (row["effect"], row["ci_low"], row["p_value"]) == (same["effect"], same["ci_low"], same["p_value"])


def test_only_what_a_restated_file_says_now_counts_also_when_it_said_so_before(house: House, landed: Landed) -> None:
    raw = house.rows(
        "SELECT events FROM raw.landings WHERE tenant_id = 'acme' AND source = 'mended' ORDER BY received_at"
    )
    (counted,) = house.rows("SELECT count(*) AS n FROM events.events WHERE split_part(source, '@', 1) = 'mended'")
    assert [row["events"] for row in raw] == [120, 240, 100, 240]
    assert counted["n"] == 240


def test_a_late_event_enters_the_experiment_it_belongs_to(house: House, landed: Landed) -> None:
    rows = house.rows("SELECT value FROM experiments.unit_metric_values WHERE unit_id = 'u2' AND metric = 'revenue'")
    assert [float(row["value"]) for row in rows] == [7]


def test_what_others_land_changes_no_number_and_no_provenance_elsewhere(house: House, landed: Landed) -> None:
    assert untouched(everything_served(house)) == untouched(landed.before)


def test_what_others_land_runs_only_dbt_elsewhere(house: House, landed: Landed) -> None:
    graph = house.defs.resolve_asset_graph()
    elsewhere = [ran for ran in landed.runs if ran.work.partition and not ran.work.partition.endswith(TOUCHED)]
    assert elsewhere
    assert [
        (ran.work.partition, key.to_user_string())
        for ran in elsewhere
        for key in ran.work.assets
        if "dbt" not in graph.get(key).kinds
    ] == []


def test_after_that_everything_is_up_to_date(house: House, landed: Landed) -> None:
    assert house.pending() == ()


@pytest.mark.parametrize(
    "made",
    [
        "estimates/adjusted_effects acme|lift",
        "experiments/assignments globex|timing",
        "experiments/unit_metric_values globex|timing",
        "experiments/health acme|mended",
        "features/health acme|lift",
    ],
)
def test_what_was_made_before_late_data_arrived_is_made_again_to_the_last_bit(
    house: House, landed: Landed, made: str
) -> None:
    recorded = landed.provenance[made]
    found = again(house, recorded)
    assert found["failures"] == ()
    assert (found["data_version"], found["rows"]) == (recorded["data_version"], recorded["row_count"])
    leftovers = house.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'again%%'")
    assert leftovers == []


@pytest.mark.parametrize(
    ("asset", "partition"),
    [
        ("events/exposures", None),
        ("experiments/unit_metric_values", "globex|timing"),
        ("experiments/daily_statistics", "globex|timing"),
        ("experiments/unit_metric_days", "acme|mended"),
    ],
)
def test_what_was_kept_up_to_date_is_made_again_to_the_last_bit(
    house: House, landed: Landed, asset: str, partition: str | None
) -> None:
    """In scratch schemas it is made anew; here only what arrived late was."""
    recorded = house.rows(
        "SELECT * FROM ops.provenance WHERE asset = %s AND partition_key IS NOT DISTINCT FROM %s"
        " ORDER BY materialized_at",
        asset,
        partition,
    )[-1]
    (event,) = house.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey.from_user_string(asset), asset_partitions=[partition] if partition else None),
        limit=1,
    ).records
    made_since = event.asset_materialization.metadata["changed_since"].value
    assert made_since != "-infinity"
    found = again(house, recorded)
    assert found["failures"] == ()
    assert (found["data_version"], found["rows"]) == (recorded["data_version"], recorded["row_count"])


def test_the_late_event_did_change_what_is_current(house: House, landed: Landed) -> None:
    """Without this, the reproduction above would prove nothing."""
    made = "experiments/unit_metric_values globex|timing"
    (now,) = house.rows(
        "SELECT data_version FROM ops.provenance WHERE asset = 'experiments/unit_metric_values'"
        " AND partition_key = 'globex|timing' ORDER BY materialized_at DESC LIMIT 1"
    )
    assert now["data_version"] != landed.provenance[made]["data_version"]


def test_a_history_of_declarations_that_was_tampered_with_is_found_out(house: House, landed: Landed) -> None:
    change = (
        "UPDATE registry.declaration_versions SET declaration = jsonb_set(declaration, '{{decision,alpha}}', '{}')"
        " WHERE tenant_id = 'acme' AND kind = 'experiment' AND key = 'lift'"
    )
    recorded = landed.provenance["estimates/difference_in_means acme|lift"]
    house.as_administrator(change.format("0.2"))
    try:
        found = again(house, recorded)
    finally:
        house.as_administrator(change.format("0.05"))
    assert found["failures"] == ()
    assert found["rows"] == recorded["row_count"]
    assert found["data_version"] != recorded["data_version"]


def edit(house: House, **changes: Any) -> None:
    path = house.folder / "acme_mended.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}, sort_keys=False))


def test_an_edited_declaration_makes_its_own_partition_stale_and_changes_its_numbers_only(
    house: House, landed: Landed
) -> None:
    before, old = everything_served(house), house.served_one("acme|mended", "spend", "difference_in_means")
    edit(
        house,
        decision={"alpha": 0.1},
        metrics=[
            {"key": "spend", "type": "mean", "column": "spend", "role": "primary"},
            {"key": "visit", "type": "conversion", "column": "visit"},
        ],
    )
    assert {(work.job, work.partition) for work in house.pending()} == {("analyse_experiment", "acme|mended")}
    assert {ran.work.partition for ran in house.refresh()} == {"acme|mended"}

    new = house.served_one("acme|mended", "spend", "difference_in_means")
    margin = stats.t.ppf(0.95, new["settings"]["df"]) if "df" in new["settings"] else None
    assert (new["effect"], new["p_value"]) == (old["effect"], old["p_value"])
    assert old["ci_low"] < new["ci_low"] < new["ci_high"] < old["ci_high"]
    assert margin is None or new["ci_high"] - new["effect"] == pytest.approx(margin * new["std_error"])
    assert house.served_one("acme|mended", "visit", "difference_in_means")["status"] == "ok"
    after = everything_served(house)
    assert {name for name in after if after[name] != before[name]} == {
        "experiment_results mended",
        "experiment_health mended",
    }


def test_weights_that_the_data_contradict_withdraw_the_numbers_served_before(house: House, landed: Landed) -> None:
    edit(house, variants={"off": 1, "on": 3})
    assert {(work.job, work.partition) for work in house.pending()} == {("analyse_experiment", "acme|mended")}
    assert {ran.work.partition for ran in house.refresh()} == {"acme|mended"}
    rows = house.served("acme|mended")
    assert {(row["status"], row["effect"], row["mean"]) for row in rows} == {("withheld", None, None)}
    assert house.pending() == ()
