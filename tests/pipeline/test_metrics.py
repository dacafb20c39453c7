"""Four units whose events can be added up by hand: what each type of metric makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from jobs.observe import observe
from resources.registry import register_folder

if TYPE_CHECKING:
    from conftest import House

# u1 came back and bought, u2 once bought a lot, u3 took the steps in the wrong order, u4 did nothing.
EVENTS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "u1": [
        ("2024-02-20", "purchase", {"amount": 7, "country": "DE"}),
        ("2024-02-28", "visit", {}),
        ("2024-03-01", "visit", {}),
        ("2024-03-02", "cart", {"page": "a"}),
        ("2024-03-03", "purchase", {"amount": 10, "country": "DE"}),
        ("2024-03-09", "visit", {}),
        ("2024-03-10", "purchase", {"amount": "30", "country": "AT"}),
    ],
    "u2": [
        ("2024-03-05", "purchase", {"amount": 1000, "country": "DE"}),
        ("2024-03-05", "visit", {}),
    ],
    "u3": [
        ("2024-03-02", "purchase", {"amount": 5}),
        ("2024-03-04", "cart", {"page": "a"}),
        ("2024-03-31", "visit", {}),
    ],
    "u4": [],
}
PURCHASE = {"unit": "user", "event": "purchase"}
AMOUNT = {**PURCHASE, "column": "amount"}
METRICS: dict[str, dict[str, Any]] = {
    "bought": {**PURCHASE, "type": "conversion"},
    "purchases": {**PURCHASE, "type": "count"},
    "german_purchases": {**PURCHASE, "type": "count", "where": {"country": "DE"}},
    "large_purchases": {**PURCHASE, "type": "count", "where": {"amount": {"$gte": 30}}},
    "revenue": {**AMOUNT, "type": "sum", "lookback_days": 14},
    "first_week": {**AMOUNT, "type": "sum", "window_days": 7},
    "second_week": {**AMOUNT, "type": "sum", "delay_days": 7, "window_days": 14},
    "capped": {**AMOUNT, "type": "sum", "cap": {"upper": 50, "lower": 1}},
    "capped_at_quantile": {**AMOUNT, "type": "sum", "cap": {"upper_quantile": 0.75}},
    "capped_without_zeros": {**AMOUNT, "type": "sum", "cap": {"upper_quantile": 0.5, "ignore_zeros": True}},
    "without_outliers": {**AMOUNT, "type": "sum", "exclude": {"above": 500}},
    "basket": {**AMOUNT, "type": "mean"},
    "revenue_per_visit": {**AMOUNT, "type": "ratio", "denominator": {"event": "visit"}, "lookback_days": 14},
    "returned": {"unit": "user", "type": "retention", "event": "visit", "from_day": 7, "to_day": 14},
    "checkout": {
        "unit": "user",
        "type": "funnel",
        "steps": [{"event": "cart", "where": {"page": "a"}}, {"event": "purchase"}],
    },
    "bought_again": {"unit": "user", "type": "funnel", "steps": [{"event": "purchase"}, {"event": "purchase"}]},
    "time_to_purchase": {**PURCHASE, "type": "time_to_event", "window_days": 3},
}
EXPECTED: dict[str, tuple[float | None, ...]] = {
    "bought": (1, 1, 1, 0),
    "purchases": (2, 1, 1, 0),
    "german_purchases": (1, 1, 0, 0),
    "large_purchases": (1, 1, 0, 0),
    "revenue": (40, 1000, 5, 0),
    "first_week": (10, 1000, 5, 0),
    "second_week": (30, 0, 0, 0),
    "capped": (40, 50, 5, 1),
    "capped_at_quantile": (40, 40, 5, 0),
    "capped_without_zeros": (40, 40, 5, 0),
    "without_outliers": (40, None, 5, 0),
    "basket": (20, 1000, 5, None),
    "revenue_per_visit": (40, 1000, 5, 0),
    "returned": (1, 0, 0, 0),
    "checkout": (1, 0, 0, 0),
    "bought_again": (1, 0, 0, 0),
    "time_to_purchase": (2, 3, 1, 3),
}
UNITS = tuple(EVENTS)
VALUES = dg.AssetKey(["experiments", "unit_metric_values"])


@pytest.fixture(scope="module")
def metric_house(own_house: House) -> House:
    events: list[dict[str, Any]] = [
        {"type": "assignment", "unit_id": unit, "occurred_at": "2024-03-01T00:00:00Z", "experiment": "trial"}
        | {"variant": ("off", "on")[number % 2]}
        for number, unit in enumerate(UNITS)
    ]
    for unit, did in EVENTS.items():
        events += [
            {"type": type_, "unit_id": unit, "occurred_at": f"{day}T00:00:00Z", **more} for day, type_, more in did
        ]
    numbered = [{"event_id": f"e{number}", **event} for number, event in enumerate(events)]
    own_house.write("events.ndjson", "".join(json.dumps(event) + "\n" for event in numbered))
    own_house.declare("source", "acme_events", file="events.ndjson", mode="snapshot")
    for key, body in METRICS.items():
        own_house.declare("metric", key, **body)
    own_house.declare(
        "experiment",
        "trial",
        unit="user",
        control="off",
        variants={"off": 1, "on": 1},
        metrics=list(METRICS),
    )
    own_house.refresh(only=lambda work: work.job in ("land", "conform"))
    make(own_house)
    return own_house


def make(house: House, *estimates: str) -> None:
    register_folder(house.client, house.folder)
    observe(house.instance, house.client)
    house.defs.resolve_job_def("analyse_experiment").execute_in_process(
        instance=house.instance,
        partition_key="acme|trial",
        asset_selection=[
            dg.AssetKey(["experiments", name])
            for name in (
                "experiment_variants",
                "first_exposures",
                "metric_definitions",
                "unit_metric_values",
                "unit_metric_days",
                "daily_statistics",
                "sufficient_statistics",
                "known_units",
                "switchback_windows",
                "enrolment",
                "cohort_statistics",
                "assignment_counts",
                "health",
            )
        ]
        + [dg.AssetKey(["features", "unit_covariates"])] * bool(estimates)
        + [dg.AssetKey(["estimates", name]) for name in estimates],
    )


def values(house: House, metric: str) -> dict[str, dict[str, Any]]:
    rows = house.rows("SELECT * FROM experiments.unit_metric_values WHERE metric = %s ORDER BY unit_id", metric)
    return {row["unit_id"]: row for row in rows}


@pytest.mark.parametrize("metric", METRICS)
def test_each_type_makes_its_value_of_the_events(metric_house: House, metric: str) -> None:
    found = values(metric_house, metric)
    shown = tuple(None if found[unit]["value"] is None else float(found[unit]["value"]) for unit in UNITS)
    assert shown == EXPECTED[metric]


def test_a_ratio_has_its_denominator_and_both_have_their_past(metric_house: House) -> None:
    found = values(metric_house, "revenue_per_visit")
    assert [found[unit]["denominator"] for unit in UNITS] == [2, 1, 1, 0]
    assert [found[unit]["pre_value"] for unit in UNITS] == [7, 0, 0, 0]
    assert [found[unit]["pre_denominator"] for unit in UNITS] == [1, 0, 0, 0]


def test_the_past_is_that_of_the_declared_days(metric_house: House) -> None:
    assert [row["pre_value"] for row in values(metric_house, "revenue").values()] == [7, 0, 0, 0]
    assert [row["pre_value"] for row in values(metric_house, "bought").values()] == [None] * 4


def test_a_time_is_that_of_the_event_or_of_the_end_of_what_was_seen(metric_house: House) -> None:
    assert [row["is_observed"] for row in values(metric_house, "time_to_purchase").values()] == [
        True,
        False,
        True,
        False,
    ]


def test_why_a_unit_has_no_value_is_said(metric_house: House) -> None:
    assert [row["status"] for row in values(metric_house, "without_outliers").values()] == [
        "measured",
        "excluded",
        "measured",
        "measured",
    ]
    assert values(metric_house, "basket")["u4"]["status"] == "missing"


def test_statistics_count_what_is_missing_and_not_what_was_left_out(metric_house: House) -> None:
    found = metric_house.rows(
        "SELECT metric, variant, n, n_missing, mean FROM experiments.sufficient_statistics"
        " WHERE metric IN ('without_outliers', 'basket') ORDER BY metric, variant"
    )
    assert [tuple(row.values()) for row in found] == [
        ("basket", "off", 2, 0, 12.5),
        ("basket", "on", 1, 1, 1000.0),
        ("without_outliers", "off", 2, 0, 22.5),
        ("without_outliers", "on", 1, 0, 0.0),
    ]


def test_units_whose_days_are_not_over_are_immature(metric_house: House) -> None:
    metric_house.declare("metric", "returned", unit="user", type="retention", event="visit", from_day=7, to_day=30_000)
    make(metric_house)
    found = values(metric_house, "returned")
    assert {(row["value"], row["status"]) for row in found.values()} == {(None, "immature")}


def test_an_edited_metric_makes_the_experiments_that_use_it_stale(metric_house: House) -> None:
    make(metric_house)
    definitions = dg.AssetKey(["experiments", "metric_definitions"])
    assert all(definitions not in work.assets for work in metric_house.pending())
    metric_house.declare("metric", "bought", unit="user", type="conversion", event="visit")
    (work,) = (work for work in metric_house.pending() if definitions in work.assets)
    assert work.partition == "acme|trial"


def effects(house: House, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = house.rows(f"SELECT * FROM estimates.{table} WHERE segment IS NULL")
    return {(row["metric"], row["variant"]): row for row in rows}


def test_a_ratio_is_compared_as_a_ratio_of_sums(metric_house: House) -> None:
    make(metric_house, "difference_in_means", "cuped_effects")
    row = effects(metric_house, "difference_in_means")["revenue_per_visit", "on"]
    # u1 and u3 have 45 over 3 visits, u2 and u4 1000 over 1: too few to say how sure that is.
    assert (row["n"], row["n_control"], row["status"]) == (2, 2, "not_estimable")
    assert row["settings"]["reason"]
    adjusted = effects(metric_house, "cuped_effects")
    assert {metric for metric, _ in adjusted} == set(METRICS) - {"time_to_purchase"}
    assert adjusted["bought", "on"]["status"] == "no_covariates"


def test_a_time_is_compared_as_the_time_without_the_event(metric_house: House) -> None:
    make(metric_house, "difference_in_means")
    row = effects(metric_house, "difference_in_means")["time_to_purchase", "on"]
    # u2 and u4 were without a purchase for all three days, u1 for two and u3 for one.
    assert (row["mean"], row["mean_control"], row["effect"]) == (3.0, 1.5, 1.5)
