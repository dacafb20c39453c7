"""A draft is planned from the tenant's own history, by the SQL and the methods that will analyse it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pytest

from causeway.design.baseline import Baseline
from causeway.design.comparison import Comparison
from causeway.design.power import sample_size
from causeway.design.replay import replay_difference_in_means
from cli.design import figure_of

if TYPE_CHECKING:
    from conftest import House

DAYS, UNITS = 49, 700
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
BEGINS = MONDAY + timedelta(days=21)
WEEK = timedelta(days=7)
DRAFT: dict[str, Any] = {
    "tenant": "shop",
    "unit": "customer",
    "status": "draft",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "analysis": {"correction": "none"},
    "metrics": [
        {"key": "bought", "type": "conversion", "event": "purchase", "window_days": 7, "role": "primary",
         "min_effect": 0.2},
        {"key": "revenue", "type": "sum", "event": "purchase", "column": "amount", "window_days": 7,
         "lookback_days": 21, "min_effect": 0.1},
        {"key": "per_visit", "type": "ratio", "event": "purchase", "column": "amount", "window_days": 7,
         "lookback_days": 21, "denominator": {"event": "visit"}, "min_effect": 0.1},
        {"key": "median", "type": "quantile", "event": "purchase", "column": "amount", "quantile": 0.5,
         "window_days": 7, "min_effect": 0.1},
        {"key": "spent", "type": "sum", "event": "purchase", "column": "amount"},
        {"key": "wait", "type": "time_to_event", "event": "purchase", "window_days": 7, "direction": "decrease"},
        {"key": "never", "type": "count", "event": "elsewhere", "role": "guardrail", "non_inferiority_margin": 0.1},
    ],
    "plan": {
        "history": {"from": "2024-01-22", "to": "2024-02-18"},
        "eligible": {"event": "visit", "where": {"page": "cart"}},
        "days": 14,
        "horizon": 28,
        "simulate": {"runs": 50, "replays": 400},
    },
}  # fmt: skip
BY_TOWN = DRAFT | {
    "cluster": "town",
    "covariates": ["town_size"],
    "metrics": [{"key": "revenue", "type": "sum", "event": "purchase", "column": "amount", "window_days": 7,
                 "role": "primary", "min_effect": 0.1}],
    "plan": {"simulate": {"runs": 50, "replays": 200}},
}  # fmt: skip


@dataclass
class Shop:
    """A house with the events of tenant shop: (kind, unit, at, properties)."""

    house: House
    events: list[tuple[str, str, datetime, dict[str, Any]]]

    def entered(self) -> dict[str, datetime]:
        """Of the declared history, when each unit put something into its cart first."""
        found: dict[str, datetime] = {}
        for kind, unit, at, rest in sorted(self.events, key=lambda event: event[2]):
            if kind == "visit" and rest["page"] == "cart" and BEGINS <= at < BEGINS + 4 * WEEK:
                found.setdefault(unit, at)
        return found

    def purchases(self, unit: str, begin: datetime, end: datetime) -> list[float]:
        """Amounts that one unit paid in between."""
        return [
            rest["amount"]
            for kind, who, at, rest in self.events
            if kind == "purchase" and who == unit and begin <= at < end
        ]

    def plans(self, experiment: str) -> dict[tuple[str, str, str], dict[str, Any]]:
        """What is served, by metric, interval and covariate."""
        rows = self.house.rows("SELECT * FROM serving.experiment_plans WHERE experiment = %s", experiment)
        return {(row["metric"], row["interval"], row["covariate"]): row for row in rows}

    def values(self, metric: str, column: str = "value") -> dict[str, float]:
        """What the history holds of the draft's metric, by unit."""
        rows = self.house.rows(
            f"SELECT unit_id, {column}::float8 AS found FROM design.history_values"
            " WHERE experiment = 'checkout' AND metric = %s AND value IS NOT NULL ORDER BY unit_id",
            metric,
        )
        return {row["unit_id"]: row["found"] for row in rows}


def customers_of_a_shop() -> list[tuple[str, str, datetime, dict[str, Any]]]:
    """700 customers over seven weeks: each visits about twice a week and spends what people of its town spend."""
    dice = random.Random(3)
    towns = [dice.gammavariate(9, 1 / 9) for _ in range(35)]
    found: list[tuple[str, str, datetime, dict[str, Any]]] = []
    for number in range(UNITS):
        unit, town = f"c{number:04}", number % 35
        appetite = towns[town] * dice.gammavariate(4, 0.25)
        found.append(("profile", unit, MONDAY, {"town": f"t{town}", "town_size": 1 + number % 3}))
        for day in range(dice.randrange(DAYS - 10), DAYS):
            if dice.random() > 0.3:
                continue
            at = MONDAY + timedelta(days=day, minutes=dice.randrange(1400))
            found.append(("visit", unit, at, {"page": dice.choice(["cart", "home"])}))
            if dice.random() < 0.4 * appetite:
                amount = round(appetite * dice.gammavariate(4, 5), 2)
                found.append(("purchase", unit, at + timedelta(minutes=5), {"amount": amount}))
    return found


@pytest.fixture(scope="module")
def shop(own_house: House) -> Shop:
    events = customers_of_a_shop()
    own_house.write(
        "shop.ndjson",
        "".join(
            json.dumps({"event_id": f"e{i}", "type": kind, "unit_id": unit, "occurred_at": at.isoformat(), **rest})
            + "\n"
            for i, (kind, unit, at, rest) in enumerate(events)
        ),
    )
    own_house.declare("source", "shop_events", tenant="shop", file="shop.ndjson", mode="snapshot")
    own_house.declare("experiment", "checkout", **DRAFT)
    own_house.declare("experiment", "towns", **BY_TOWN)
    own_house.declare("experiment", "unplanned", **{name: DRAFT[name] for name in DRAFT if name != "plan"})
    own_house.first_runs = own_house.refresh()
    return Shop(own_house, events)


def test_units_enter_the_history_as_they_would_enter_the_experiment(shop: Shop) -> None:
    rows = shop.house.rows("SELECT unit_id, first_exposed_at FROM design.history_units WHERE experiment = 'checkout'")
    assert {row["unit_id"]: row["first_exposed_at"] for row in rows} == shop.entered()


def test_values_are_those_of_the_days_that_are_over(shop: Shop) -> None:
    entered, ends = shop.entered(), BEGINS + 4 * WEEK
    whole = {unit: at for unit, at in entered.items() if at + WEEK <= ends}
    assert 100 < len(whole) < len(entered)
    expected = {unit: sum(shop.purchases(unit, at, at + WEEK)) for unit, at in whole.items()}
    assert shop.values("revenue") == pytest.approx(expected)
    before = {unit: sum(shop.purchases(unit, at - 3 * WEEK, at)) for unit, at in whole.items()}
    assert shop.values("revenue", "pre_value") == pytest.approx(before)
    assert shop.values("bought") == {unit: float(total > 0) for unit, total in expected.items()}


def test_a_metric_without_a_window_is_measured_to_the_end_of_the_history(shop: Shop) -> None:
    ends = BEGINS + 4 * WEEK
    expected = {unit: sum(shop.purchases(unit, at, ends)) for unit, at in shop.entered().items()}
    assert shop.values("spent") == pytest.approx(expected)


def test_the_plan_is_that_of_the_pure_functions_on_these_values(shop: Shop) -> None:
    found = shop.plans("checkout")
    bought = np.array(list(shop.values("bought").values()))
    row = found["bought", "fixed_horizon", "none"]
    wanted = sample_size(Baseline.of_proportion(bought.mean()), Comparison(), effect=0.2 * bought.mean())
    assert wanted.n_control is not None and wanted.n_treated is not None
    assert (row["units"], row["mean"]) == (wanted.n_control + wanted.n_treated, pytest.approx(bought.mean()))
    planned = row["settings"]["units_planned"]
    size = min(len(bought), int(np.ceil(planned)))
    again = replay_difference_in_means(bought, runs=400, units=None if size == len(bought) else size)
    assert again.false_positives is not None
    assert row["false_positive_rate"] == again.false_positives.share
    revenue, before = (np.array(list(shop.values("revenue", name).values())) for name in ("value", "pre_value"))
    left = 1 - np.corrcoef(revenue, before)[0, 1] ** 2
    adjusted = found["revenue", "fixed_horizon", "own_past"]
    assert adjusted["variance_factor"] == pytest.approx(left, rel=0.01)
    assert adjusted["units"] < found["revenue", "fixed_horizon", "none"]["units"]
    assert found["per_visit", "fixed_horizon", "own_past"]["variance_factor"] < 1


def test_every_metric_is_planned_or_says_why_not(shop: Shop) -> None:
    found = shop.plans("checkout")
    assert {key for key, _, _ in found} == {metric["key"] for metric in DRAFT["metrics"]}
    for (metric, interval, _), row in found.items():
        simulated = metric in ("median", "wait")
        if metric == "never":
            assert (row["status"], row["units"], row["variance_factor"]) == ("zero_variance", None, None)
        elif simulated and interval != "fixed_horizon":
            assert (row["status"], row["smallest_effect"]) == ("not_estimable", None)
        else:
            assert row["status"] == "ok", row
            assert row["smallest_effect"] > 0
            assert row["method"] == ("formula" if interval == "fixed_horizon" and not simulated else "simulation")
        assert (row["status"] == "ok") == (row["reason"] is None)
    assert found["wait", "fixed_horizon", "none"]["effect_unit"] == "hazard_ratio"


def test_the_methods_keep_their_word_on_this_history(shop: Shop) -> None:
    replayed = {key: row for key, row in shop.plans("checkout").items() if row["false_positive_rate"] is not None}
    assert len(replayed) >= 10
    for key, row in replayed.items():
        assert row["verdict"] != "too_many_false_positives", key
        assert row["false_positive_low"] <= 0.05, key
        if key[1] == "always_valid":
            assert row["false_positive_rate"] <= 0.05


def test_looks_cost_units_and_a_week_of_watching_costs_days(shop: Shop) -> None:
    found = shop.plans("checkout")
    once, daily = (found["bought", kind, "none"] for kind in ("fixed_horizon", "always_valid"))
    assert daily["units"] > 1.2 * once["units"]
    assert daily["mc_error"] is not None and once["mc_error"] is None
    assert all(row["effect"] is None for row in once["by_day"][:7])
    assert once["by_day"][13]["effect"] == pytest.approx(once["smallest_effect"])


def test_what_a_town_has_in_common_costs_units(shop: Shop) -> None:
    """The newest eight weeks of all events but profiles; units of a town are dealt a variant together."""
    row = shop.plans("towns")["revenue", "fixed_horizon", "none"]
    clusters = row["settings"]["clusters"]
    assert clusters["mean_size"] == pytest.approx(row["n_history"] / 35)
    assert clusters["design_effect"] > 1.5
    assert row["replay"]["settings"]["clusters"] == 35
    assert row["false_positive_low"] <= 0.05
    (history,) = shop.house.rows("SELECT * FROM design.histories WHERE experiment = 'towns'")
    last = max(at for kind, _, at, _ in shop.events if kind != "profile").date()
    assert history["ends_at"].date() == last + timedelta(days=1)
    assert history["ends_at"] - history["starts_at"] == timedelta(days=56)


def test_the_days_to_come_are_like_those_that_were(shop: Shop) -> None:
    visits: dict[date, set[str]] = {}
    for kind, unit, at, rest in shop.events:
        if kind == "visit" and rest["page"] == "cart" and BEGINS <= at < BEGINS + 4 * WEEK:
            visits.setdefault(at.date(), set()).add(unit)
    rows = shop.house.rows(
        "SELECT day, sum(units) AS units, sum(units) FILTER (WHERE gap = 0) AS fresh FROM design.history_days"
        " WHERE experiment = 'checkout' GROUP BY day"
    )
    assert {row["day"]: row["units"] for row in rows} == {day: len(units) for day, units in visits.items()}
    assert sum(row["fresh"] or 0 for row in rows) == len(shop.entered())


def test_the_page_of_the_asset_shows_the_smallest_effect_by_day(shop: Shop) -> None:
    event = shop.house.instance.get_latest_materialization_event(dg.AssetKey(["design", "plans"]))
    assert event is not None and event.asset_materialization is not None
    pictures = [name for name in event.asset_materialization.metadata if name.startswith("smallest effect on ")]
    assert "smallest effect on revenue" in pictures


def test_the_figure_is_drawn_from_what_is_served(shop: Shop) -> None:
    answer = {"experiment": "checkout", "planned_days": 14, "plans": list(shop.plans("checkout").values())}
    drawn = figure_of(answer, "revenue")
    assert drawn is not None
    text = drawn.decode()
    assert "<svg" in text
    assert all(line in text for line in ("fixed horizon, own past", "always valid", "planned: day 14"))
    assert figure_of(answer, "never") is None


def test_only_drafts_with_a_plan_are_planned_and_nothing_twice(shop: Shop) -> None:
    jobs = {(ran.work.job, ran.work.partition) for ran in shop.house.first_runs}
    assert {partition for job, partition in jobs if job == "design_experiment"} == {"shop|checkout", "shop|towns"}
    assert shop.house.pending() == ()


def test_what_was_planned_stays_when_the_experiment_runs(shop: Shop) -> None:
    before = shop.plans("towns")
    shop.house.declare("experiment", "towns", **BY_TOWN | {"status": "running"})
    ran = shop.house.refresh()
    assert {each.work.job for each in ran} == {"analyse_experiment", "publish_experiment"}
    assert shop.plans("towns") == before
    assert shop.house.pending() == ()
