"""What one refresh of all worlds leaves behind, and that a second one has nothing to do."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from assets.publication import NOT_CONTENT
from jobs.road import analyse_experiment, design_experiment, find_interactions

if TYPE_CHECKING:
    from conftest import House

PYTHON_TABLES = {
    "experiments.assignments": "experiment",
    "experiments.health": "experiment",
    "features.health": "experiment",
    "models.prognostic_models": "experiment",
    "models.prognostic_predictions": "experiment",
    "twins.prognostic_scores": "experiment",
    "estimates.difference_in_means": "experiment",
    "estimates.adjusted_effects": "experiment",
    "estimates.segment_effects": "experiment",
    "estimates.post_stratified_effects": "experiment",
    "estimates.daily_looks": "experiment",
    "estimates.headline_effects": "experiment",
    "estimates.contrast_effects": "experiment",
    "estimates.heterogeneity": "experiment",
    "estimates.study_effects": "study",
    "estimates.unit_effects": "study",
    "decisions.experiment_decisions": "experiment",
}


def arms_of_lift(house: House, metric: str, **where: str) -> tuple[np.ndarray, np.ndarray]:
    with (house.folder / "lift.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] == value for name, value in where.items())]
    return tuple(np.array([float(row[metric]) for row in rows if row["arm"] == arm]) for arm in ("on", "off"))  # type: ignore[return-value]


def test_every_asset_of_every_stage_is_materialised(house: House) -> None:
    graph = house.defs.resolve_asset_graph()
    made = {key for key in graph.materializable_asset_keys if house.instance.get_latest_materialization_event(key)}
    once_a_night = find_interactions.selection.resolve(graph)
    of_drafts = design_experiment.selection.resolve(graph) - analyse_experiment.selection.resolve(graph)
    assert graph.materializable_asset_keys - made == once_a_night | of_drafts


def test_a_second_refresh_does_no_work(house: House) -> None:
    assert house.pending() == ()
    assert house.refresh() == []


@pytest.mark.parametrize("metric", ["spend", "visit"])
@pytest.mark.parametrize("segment", [None, "web", "phone"])
def test_the_served_difference_in_means_is_that_of_the_reference_libraries(
    house: House, metric: str, segment: str | None
) -> None:
    on, off = arms_of_lift(house, metric, **({"channel": segment} if segment else {}))
    wanted = None if segment is None else f"channel={segment}"
    (row,) = (
        row
        for row in house.served("acme|lift")
        if (row["metric"], row["segment"], row["method"]) == (metric, wanted, "difference_in_means")
    )
    welch = stats.ttest_ind(on, off, equal_var=False)
    low, high = CompareMeans(DescrStatsW(on), DescrStatsW(off)).tconfint_diff(usevar="unequal")
    expected = {
        "n": len(on), "n_control": len(off), "mean": on.mean(), "mean_control": off.mean(),
        "effect": on.mean() - off.mean(), "p_value": welch.pvalue, "ci_low": low, "ci_high": high,
        "relative_effect": on.mean() / off.mean() - 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert row["status"] == "ok"


def test_the_adjusted_effect_is_there_and_narrower_than_the_plain_one(house: House) -> None:
    plain = house.served_one("acme|lift", "spend", "difference_in_means")
    adjusted = house.served_one("acme|lift", "spend", "adjusted")
    assert adjusted["status"] == "ok"
    assert adjusted["ci_low"] < 6 < adjusted["ci_high"]  # what the world adds: 5, and 2 more for one half
    assert adjusted["std_error"] < 0.8 * plain["std_error"]


def test_segments_are_served_by_difference_in_means_and_by_econml(house: House) -> None:
    rows = [row for row in house.served("acme|lift") if row["segment"]]
    assert {(row["metric"], row["segment"], row["method"], row["status"]) for row in rows} == {
        (metric, segment, method, "ok")
        for metric in ("spend", "visit")
        for segment in ("channel=web", "channel=phone")
        for method in ("difference_in_means", "econml_linear_dml")
    }


def test_the_study_recovers_the_truth_that_the_unadjusted_difference_misses(house: House) -> None:
    rows = {
        row["method"]: row
        for row in house.rows("SELECT * FROM serving.study_results WHERE study = 'question' AND segment = ''")
    }
    adjusted, unadjusted = rows["aipw"], rows["difference_in_means"]
    assert adjusted["ci_low"] < 2 < adjusted["ci_high"]
    assert not unadjusted["ci_low"] < 2 < unadjusted["ci_high"]
    assert adjusted["refutations"] and adjusted["is_headline"]
    assert (adjusted["target"], unadjusted["target"]) == ("ATE", "association")


def test_an_experiment_that_is_served_has_a_decision_with_reasons(house: House) -> None:
    rows = house.rows("SELECT experiment, units, gates_passed, decision, decision_reasons FROM serving.experiments")
    by_name = {row["experiment"]: row for row in rows}
    assert by_name["lift"]["decision"] == "ship"
    assert by_name["lift"]["units"] == 240
    assert by_name["srm"]["decision"] == "withheld"
    assert all(row["decision_reasons"] for row in rows)


@pytest.mark.parametrize(("table", "unit"), PYTHON_TABLES.items())
def test_every_row_points_to_the_provenance_whose_version_is_the_hash_of_its_partition(
    house: House, table: str, unit: str
) -> None:
    partitions = house.rows(
        f"SELECT tenant_id, {unit} AS key, array_agg(DISTINCT provenance_id) AS ids FROM {table} GROUP BY 1, 2"
    )
    assert partitions
    for partition in partitions:
        (provenance_id,) = partition["ids"]
        (record,) = house.rows("SELECT * FROM ops.provenance WHERE provenance_id = %s", provenance_id)
        keys = {"tenant_id": partition["tenant_id"], unit: partition["key"]}
        assert record["asset"] == table.replace(".", "/")
        assert record["partition_key"] == f"{partition['tenant_id']}|{partition['key']}"
        assert record["data_version"] == house.client.content_hash(table, keys, NOT_CONTENT)
        assert record["code_version"]
        assert record["known_at"] <= record["materialized_at"]
        assert house.instance.get_run_by_id(record["run_id"]) is not None


def test_served_results_carry_provenance_ids_that_exist(house: House) -> None:
    assert house.rows("SELECT count(*) AS rows FROM serving.experiment_results")[0]["rows"] > 0
    for table in ("experiment_results", "experiment_health", "study_results"):
        assert (
            house.rows(
                f"SELECT provenance_id FROM serving.{table} AS served"
                " WHERE NOT EXISTS (SELECT FROM ops.provenance AS p WHERE p.provenance_id = served.provenance_id)"
            )
            == []
        )


def materialisations(house: House) -> list[tuple[str, dict[str, Any]]]:
    keys = house.defs.resolve_asset_graph().materializable_asset_keys
    return [
        (key.to_user_string(), dict(record.asset_materialization.metadata))
        for key in keys
        for record in house.instance.fetch_materializations(key, limit=100).records
        if record.asset_materialization is not None
    ]


def test_asset_pages_show_row_counts_column_schemas_and_pictures(house: House) -> None:
    found = materialisations(house)
    assert [key for key, metadata in found if "dagster/row_count" not in metadata] == []
    graph = house.defs.resolve_asset_graph()
    # Of models that dbt makes the definition says it, once; of others what was written.
    columns = {key for key, metadata in found if "dagster/column_schema" in metadata} | {
        key.to_user_string()
        for key in graph.materializable_asset_keys
        if "dagster/column_schema" in graph.get(key).metadata
    }
    assert {
        "events/events",
        "experiments/first_exposures",
        "features/unit_covariates",
        "serving/experiments",
    } <= columns
    pictures = {key for key, metadata in found if any("data:image/" in str(v.value) for v in metadata.values())}
    assert {
        "raw/landings",
        "experiments/health",
        "twins/prognostic_scores",
        "estimates/difference_in_means",
        "estimates/headline_effects",
        "estimates/daily_looks",
        "estimates/study_effects",
    } <= pictures
