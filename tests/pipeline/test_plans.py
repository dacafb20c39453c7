"""A draft is planned from the tenant's own history, by the SQL and the methods that will analyse it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import House

DAYS, UNITS = 42, 900
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
DRAFT: dict[str, Any] = {
    "tenant": "shop",
    "unit": "customer",
    "status": "draft",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": [
        {"key": "bought", "type": "conversion", "event": "purchase", "window_days": 7, "role": "primary",
         "min_effect": 0.2},
        {"key": "revenue", "type": "sum", "event": "purchase", "column": "amount", "window_days": 7,
         "lookback_days": 7, "min_effect": 0.1},
        {"key": "per_visit", "type": "ratio", "event": "purchase", "column": "amount", "window_days": 7,
         "lookback_days": 7, "denominator": {"event": "visit"}, "min_effect": 0.1},
        {"key": "median", "type": "quantile", "event": "purchase", "column": "amount", "quantile": 0.5,
         "window_days": 7, "min_effect": 0.1},
        {"key": "returns", "type": "count", "event": "return", "window_days": 7, "role": "guardrail",
         "direction": "decrease", "non_inferiority_margin": 0.1},
        {"key": "wait", "type": "time_to_event", "event": "purchase", "window_days": 7, "direction": "decrease"},
    ],
    "plan": {"eligible": {"event": "visit"}, "days": 14, "horizon": 28, "simulate": {"runs": 60, "replays": 200}},
}  # fmt: skip


def shop(house: House) -> None:
    """900 customers of tenant shop over six weeks: each visits about twice a week and spends what it always spends."""
    dice = random.Random(3)
    events: list[dict[str, Any]] = []

    def event(kind: str, unit: str, at: datetime, **rest: Any) -> None:
        events.append(
            {"event_id": f"e{len(events)}", "type": kind, "unit_id": unit, "occurred_at": at.isoformat(), **rest}
        )

    for number in range(UNITS):
        unit, appetite = f"c{number:04}", dice.gammavariate(4, 0.25)
        town = f"t{number % 45}"
        event("profile", unit, MONDAY - timedelta(days=1), town=town, plan=dice.choice(["basic", "pro"]))
        for day in range(dice.randrange(DAYS - 10), DAYS):
            if dice.random() > 0.3:
                continue
            at = MONDAY + timedelta(days=day, minutes=dice.randrange(1400))
            event("visit", unit, at)
            if dice.random() < 0.4 * appetite:
                event("purchase", unit, at + timedelta(minutes=5), amount=round(appetite * dice.gammavariate(4, 5), 2))
            if dice.random() < 0.3:
                event("return", unit, at + timedelta(minutes=9))
    house.write("shop.ndjson", "".join(json.dumps(each) + "\n" for each in events))
    house.declare("source", "shop_events", tenant="shop", file="shop.ndjson", mode="snapshot")


@pytest.fixture(scope="module")
def planned(own_house: House) -> House:
    shop(own_house)
    own_house.declare("experiment", "checkout", **DRAFT)
    own_house.first_runs = own_house.refresh()
    return own_house


def plans(house: House, experiment: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = house.rows("SELECT * FROM serving.experiment_plans WHERE experiment = %s", experiment)
    return {(row["metric"], row["interval"], row["covariate"]): row for row in rows}


def test_every_metric_is_planned(planned: House) -> None:
    found = plans(planned, "checkout")
    for key, row in found.items():
        print(key, row["status"], row["reason"], row["n_history"], row["mean"], row["units"], row["days"], row["smallest_effect"], row["power_as_planned"], row["variance_factor"], row["false_positive_rate"], row["verdict"])
        print("   ", row["sentence"])
    assert found
