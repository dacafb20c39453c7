"""A KPI from the effects on units to what is served: declared in YAML, made by the real graph on a real Postgres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.plan import Work, next_work
from tests.pipeline.conftest import House, Rows

REGIONS = ("east", "north", "south", "west")
EFFECTS = {"east": 2.0, "north": 0.05, "south": 1.0, "west": -1.0}


def people(count: int = 2_000, seed: int = 17) -> Rows:
    """Two thousand people in four regions; who is treated depends on age, and the effect on the region."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        age = float(np.round(rng.normal(), 3))
        region = REGIONS[number % 4]
        treated = int(rng.random() < 1 / (1 + np.exp(-age)))
        outcome = round(3 + age + EFFECTS[region] * treated + float(rng.normal(0, 0.5)), 4)
        rows.append({"person": f"p{number:04}", "age": age, "region": region, "treated": treated, "outcome": outcome})
    return rows


def scored(house: House, study: str, rows: Rows) -> None:
    """What the estimation of unit effects writes, with the true propensity and outcome model."""
    table = []
    for row in rows:
        e, effect = 1 / (1 + np.exp(-row["age"])), EFFECTS[row["region"]]
        residual = row["outcome"] - 3 - row["age"] - effect * row["treated"]
        weight = 1 / e if row["treated"] else -1 / (1 - e)
        table.append(
            (study, row["person"], effect, effect + weight * residual, e, bool(row["treated"]), row["outcome"])
        )
    with house.client.transaction() as transaction:
        transaction.execute("DELETE FROM estimates.unit_effects WHERE study = %s", (study,))
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO estimates.unit_effects (tenant_id, study, unit_id, effect, score, propensity, treated,"
                " outcome, extrapolated, provenance_id) VALUES ('acme', %s, %s, %s, %s, %s, %s, %s, false, 'p')",
                table,
            )


STUDY: dict[str, Any] = {
    "unit": "person",
    "treatment": {"column": "treated", "values": {"control": 0, "treated": 1}},
    "outcome": {"column": "outcome"},
}
KPI: dict[str, Any] = {"study": "offers", "value": 10, "cost": 4, "segments": ["region"], "budget": 1_200}


def of_kpis(work: Work) -> bool:
    return work.job in ("analyse_kpi", "publish_kpi")


def left(house: House) -> set[str | None]:
    """KPIs that there is something to make of."""
    house.pending()
    return {work.partition for work in next_work(house.instance, house.defs.resolve_asset_graph(), of_kpis)}


@pytest.fixture(scope="module")
def house(own_house: House) -> House:
    """A study whose regions differ, one that is withheld, and KPIs over them."""
    rows = people()
    own_house.table("offers.csv", rows)
    source = {"file": "offers.csv", "unit_id": "person"}
    own_house.declare("study", "offers", **STUDY, confounders=["age", "region"], source=source)
    own_house.declare("study", "other", **STUDY, confounders=["age", "region"], source=source)
    own_house.declare("kpi", "worth", **KPI, capacity={"east": 200, "atlantis": 5})
    own_house.declare("kpi", "forced", **KPI, minimum_share={"west": 1.0}, maximum_share={"west": 1.0})
    own_house.declare("kpi", "hidden", **KPI | {"study": "other"})
    own_house.refresh(only=lambda work: work.job in ("land", "conform", "analyse_study"))
    for study, verdict in (("offers", "credible"), ("other", "withheld")):
        with own_house.client.transaction() as transaction:
            transaction.execute("DELETE FROM estimates.study_effects WHERE study = %s", (study,))
            transaction.execute(
                "INSERT INTO estimates.study_effects (tenant_id, study, outcome, segment, verdict, estimand, n,"
                " n_left_out, provenance_id) VALUES ('acme', %s, 'outcome', '', %s, '{}', 2000, 0, 'p')",
                (study, verdict),
            )
        scored(own_house, study, rows)
    own_house.first_runs = own_house.refresh(only=of_kpis)
    return own_house


def gaps(house: House, kpi: str) -> dict[str, dict[str, Any]]:
    rows = house.rows("SELECT * FROM serving.kpi_gaps WHERE tenant_id = 'acme' AND kpi = %s", kpi)
    return {row["segment"]: row for row in rows}


def plan(house: House, kpi: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    rows = house.rows("SELECT * FROM serving.kpi_allocations WHERE tenant_id = 'acme' AND kpi = %s", kpi)
    (whole,) = (row for row in rows if row["segment"] is None)
    return whole, {row["segment"]: row for row in rows if row["segment"] is not None}


def test_all_kpis_were_made_once(house: House) -> None:
    assert {(run.work.job, run.work.partition) for run in house.first_runs} == {
        (job, f"acme|{kpi}") for job in ("analyse_kpi", "publish_kpi") for kpi in ("worth", "forced", "hidden")
    }
    assert left(house) == set()


def test_gaps_are_those_of_the_world(house: House) -> None:
    found = gaps(house, "worth")
    assert set(found) == set(REGIONS)
    for region, row in found.items():
        assert row["status"] == "ok" and row["levels"] == {"region": region}
        assert row["n"] == 500 == row["n_treated"] + row["n_to_treat"]
        assert abs(row["effect"] - EFFECTS[region]) < 4 * row["std_error"] < 0.3
        assert row["shrunk_effect_ci_low"] < row["shrunk_effect"] < row["shrunk_effect_ci_high"]
    assert found["north"]["verdict"] == "caution" and found["east"]["verdict"] == "credible"
    east = found["east"]
    assert east["units_reachable"] == 200 and east["cost"] == 800
    assert east["roi"] == pytest.approx(10 * 200 * east["effect"] / 800 - 1)
    assert [found[name]["ranks"]["effect"]["rank"] for name in ("east", "south", "north", "west")] == [1, 2, 3, 4]
    assert east["ranks"]["effect"]["tied_with"] == [] and east["ranks"]["effect"]["probability_best"] == 1.0


def test_the_budget_goes_where_it_earns_most(house: House) -> None:
    whole, parts = plan(house, "worth")
    assert whole["status"] == "ok"
    assert {name: row["units"] for name, row in parts.items()} == {"east": 200, "south": 100, "north": 0, "west": 0}
    assert whole["cost"] == 1_200 and whole["units"] == 300
    assert (
        whole["lower_value"]
        < whole["expected_value"]
        == pytest.approx(sum(row["expected_value"] for row in parts.values()))
    )
    assert whole["net_value"] == pytest.approx(whole["expected_value"] - 1_200)
    south = gaps(house, "worth")["south"]["shrunk_effect"]
    assert whole["shadow_price"] == pytest.approx((10 * south - 4) / 4)
    assert set(whole["binding"]) == {"budget", "capacity of east"}
    assert [point["net_value"] for point in whole["curve"]] == sorted(point["net_value"] for point in whole["curve"])


def test_a_segment_that_no_unit_is_in_is_said(house: House) -> None:
    checks = house.defs.resolve_asset_graph().asset_check_keys
    (check,) = (key for key in checks if key.name == "segments_are_known")
    found = house.instance.event_log_storage.get_asset_check_execution_history(check, limit=10)
    events = [record.event.dagster_event for record in found if record.event is not None]
    said = {event.asset_check_evaluation_data.description for event in events if event is not None}
    assert "no unit is in 'atlantis'" in said


def test_what_cannot_be_met_is_named(house: House) -> None:
    whole, parts = plan(house, "forced")
    untreated = gaps(house, "forced")["west"]["n_to_treat"]
    assert 4 * untreated < 1_200, "in this world it can be met, at a loss"
    assert whole["status"] == "ok" and parts["west"]["units"] == untreated
    house.declare("kpi", "forced", **KPI | {"budget": 100}, minimum_share={"west": 1.0})
    house.refresh(only=of_kpis)
    whole, parts = plan(house, "forced")
    assert (whole["status"], whole["conflict"]) == ("infeasible", ["budget", "minimum share of west"])
    assert parts == {} and whole["units"] is whole["expected_value"] is whole["cost"] is None


def test_a_withheld_study_gives_counts_and_no_number(house: House) -> None:
    found = gaps(house, "hidden")
    assert {row["status"] for row in found.values()} == {row["verdict"] for row in found.values()} == {"withheld"}
    counts = {"n", "n_treated", "n_to_treat", "extrapolated_share"}
    for row in found.values():
        numbers = {name for name, value in row.items() if isinstance(value, int | float) and name not in counts}
        assert (row["n"], numbers, row["ranks"]) == (500, set(), {})
    whole, parts = plan(house, "hidden")
    assert (whole["status"], parts, whole["curve"]) == ("withheld", {}, [])


def test_rows_are_of_their_tenant_alone_and_say_how_they_were_made(house: House) -> None:
    for table in ("serving.kpi_gaps", "serving.kpi_allocations"):
        for tenant, seen in (("acme", True), ("globex", False)):
            with house.client.scoped(tenant, "causeway_api").transaction() as transaction:
                row = transaction.fetch_one(f"SELECT count(*) > 0 FROM {table}")
                assert row == (seen,), (table, tenant)
    unknown = "LEFT JOIN ops.provenance AS p USING (provenance_id) WHERE p.asset IS NULL"
    for table in ("kpi_gaps", "kpi_allocations"):
        assert house.rows(f"SELECT 1 FROM serving.{table} {unknown}") == []


def test_a_changed_study_makes_its_own_kpis_stale_and_no_other(house: House) -> None:
    house.client.execute(
        "INSERT INTO ops.provenance (provenance_id, tenant_id, asset, partition_key, code_version, data_version,"
        " input_versions, run_id, row_count)"
        " VALUES ('p_new', 'acme', 'estimates/unit_effects', 'acme|offers', '1', 'v2', '{}', 'r', 1)"
    )
    assert left(house) == {"acme|worth", "acme|forced"}
    house.refresh(only=of_kpis)
    assert left(house) == set()


def test_a_study_without_effects_on_units_gives_no_plan(house: House) -> None:
    house.client.execute("DELETE FROM estimates.unit_effects WHERE study = 'offers'")
    house.declare("kpi", "worth", **KPI, capacity={"east": 100})
    house.refresh(only=of_kpis)
    whole, parts = plan(house, "worth")
    assert (gaps(house, "worth"), whole["status"], whole["units"], parts) == ({}, "no_units", None, {})


def test_kpis_compete_and_are_refused_where_they_do_not_fit(house: House) -> None:
    path = house.declare("kpi", "lost", **KPI | {"study": "offer"})
    with pytest.raises(Exception, match=r"there is no study 'offer' .did you mean 'offers'"):
        house.pending()
    house.declare("kpi", "lost", **KPI | {"segments": ["regio"]})
    with pytest.raises(Exception, match=r"study 'offers' declares no column 'regio' .did you mean 'region'"):
        house.pending()
    path.unlink()
