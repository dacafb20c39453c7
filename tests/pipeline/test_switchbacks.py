"""Switchbacks from the log to what is served: the windows of the events, added up by hand, give the same numbers."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from causeway.assignment.declared import flag_set
from causeway.assignment.evaluate import evaluate
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import declaration_from_document
from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.switchback import SwitchbackCells, switchback_effect

if TYPE_CHECKING:
    from conftest import House

    from causeway.statistics.effect import Effect

CITIES = tuple(f"city-{number}" for number in range(6))
ORIGIN, LENGTH = datetime(2024, 2, 29, 21, 30, tzinfo=UTC), timedelta(hours=4)
FIRST, END = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 11, tzinfo=UTC)
LIFT = 3.0
METRICS = [
    {"key": "orders", "type": "count", "event": "order", "role": "primary"},
    {"key": "revenue", "type": "sum", "event": "order", "column": "amount"},
    {"key": "basket", "type": "mean", "event": "order", "column": "amount"},
    {"key": "bought", "type": "conversion", "event": "order"},
    {"key": "per_visit", "type": "ratio", "event": "order", "column": "amount", "denominator": {"event": "visit"}},
    {"key": "p80", "type": "quantile", "event": "order", "column": "amount", "quantile": 0.8, "level": "event"},
    {"key": "capped", "type": "sum", "event": "order", "column": "amount", "cap": {"upper": 100}},
]
DECLARED: dict[str, Any] = {
    "unit": "courier",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": METRICS,
    "start": "2024-03-01",
    "end": "2024-03-10",
}
BY_CITY = {"by": "switchback", "window": "4h", "origin": ORIGIN.isoformat(), "attribute": "city"}
BY_COURIER = {"by": "switchback", "window": "4h", "origin": ORIGIN.isoformat(), "washout": "30m", "carryover": 1}
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "by_city": {**DECLARED, "randomization": BY_CITY, "covariates": ["age"], "segments": ["city"]},
    "by_courier": {**DECLARED, "randomization": BY_COURIER, "aa": True},
    "torn": {**DECLARED, "randomization": BY_CITY},
}
NUMBERS = ("n", "n_control", "mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value")
Event = dict[str, Any]


def index_of(at: datetime) -> int:
    return (at - ORIGIN) // LENGTH


def dealt(key: str, courier: str, city: str, at: datetime) -> str:
    document = {"kind": "experiment", "key": key, "tenant": "acme", **EXPERIMENTS[key]}
    if key not in FLAGS:
        declared = declaration_from_document(yaml.safe_load(yaml.safe_dump(document)))
        assert isinstance(declared, ExperimentDeclaration)
        FLAGS[key] = flag_set([declared])
    variant = evaluate(FLAGS[key], key, {"targetingKey": courier, "city": city}, at=at).variant
    assert variant is not None
    return variant


FLAGS: dict[str, Any] = {}


def log() -> list[Event]:
    """Ten days of 36 couriers in six cities, of whom some ask for their variant in each window.

    A city has its own level, and what goes on there lasts longer than a window. Where the city is `on` there are three
    orders more. Nobody asks in one window in thirty; a few ask just before a window ends and are written down after.
    """
    dice = random.Random(12)
    events: list[Event] = []

    def event(kind: str, courier: str, at: datetime, **properties: Any) -> None:
        events.append(
            {
                "event_id": str(len(events)),
                "type": kind,
                "unit_id": courier,
                "occurred_at": at.isoformat(),
                **properties,
            }
        )

    mood = dict.fromkeys(CITIES, 0.0)
    for place, city in enumerate(CITIES):
        for number in range(6):
            event("profile", f"{city}/{number}", FIRST - timedelta(days=3), city=city, age=20 + number + place)
    for window in range(index_of(FIRST), index_of(END) + 1):
        start = ORIGIN + window * LENGTH
        for place, city in enumerate(CITIES):
            mood[city] = 0.7 * mood[city] + dice.gauss(0, 1)
            couriers = [f"{city}/{number}" for number in dice.sample(range(6), 4)]
            on = dealt("by_city", couriers[0], city, start) == "on"
            for asking in couriers[:3] if dice.random() > 1 / 30 else ():
                at = start + timedelta(minutes=dice.randrange(1, 230), seconds=30)
                for key in EXPERIMENTS:
                    variant = dealt(key, asking, city, at)
                    # The city is what its caller says, not what its profile says.
                    event("assignment", asking, at, experiment=key, variant=variant, city=city)
                if window % 12 == place:
                    other = {"on": "off", "off": "on"}[dealt("torn", asking, city, at)]
                    later = at + timedelta(minutes=5)
                    event("assignment", couriers[0], later, experiment="torn", variant=other, city=city)
            if window % 5 == place and window > index_of(FIRST):
                before = dealt("by_city", couriers[0], city, start - timedelta(seconds=1))
                late = start + timedelta(seconds=59)
                event("assignment", couriers[0], late, experiment="by_city", variant=before, city=city)
            for _ in range(max(0, round(6 + place + 2 * mood[city] + LIFT * on + dice.gauss(0, 1)))):
                where = {"city": city} if dice.random() < 0.5 else {}
                amount = round(dice.lognormvariate(3, 0.5) + 2 * on, 2)
                at = start + timedelta(microseconds=dice.randrange(0, 4 * 3_600_000_000))
                event("order", dice.choice(couriers), at, amount=amount, **where)
            for _ in range(12 + place):
                event("visit", dice.choice(couriers), start + timedelta(minutes=dice.randrange(240)))
            event("order", couriers[3], start, amount="none", city=city)
    return events


LOG = log()


def city_of(event: Event) -> str:
    return str(event.get("city", event["unit_id"].partition("/")[0]))


def cells(key: str, metric: str, carrier: Any, washout: timedelta = timedelta(0)) -> list[tuple[Any, ...]]:
    """Cluster, window, variant, outcome and denominator of the whole windows, straight from the events."""
    asked: dict[tuple[str, int], list[tuple[datetime, str, str]]] = defaultdict(list)
    orders: dict[tuple[str, int], list[tuple[str, float]]] = defaultdict(list)
    visits: dict[tuple[str, int], int] = defaultdict(int)
    for event in LOG:
        at = datetime.fromisoformat(event["occurred_at"])
        cell = (carrier(event), index_of(at))
        counts = at >= ORIGIN + cell[1] * LENGTH + washout
        if event["type"] == "assignment" and event["experiment"] == key and FIRST <= at < END:
            asked[cell].append((at, event["variant"], event["unit_id"]))
        elif event["type"] == "order" and counts:
            orders[cell].append((event["unit_id"], event["amount"]))
        elif event["type"] == "visit" and counts:
            visits[cell] += 1
    found = []
    for cell, asking in asked.items():
        start = ORIGIN + cell[1] * LENGTH
        minute = start + timedelta(minutes=1)
        variants = {variant for at, variant, _ in asking if at >= minute} or {variant for _, variant, _ in asking}
        if len(variants) > 1 or start < FIRST or start + LENGTH > END:
            continue
        couriers = {courier for _, _, courier in asking}
        amounts = [amount for _, amount in orders[cell] if amount != "none"]
        outcome, denominator = {
            "orders": (len(orders[cell]), 1),
            "revenue": (sum(amounts), 1),
            "basket": (sum(amounts), len(amounts)),
            "bought": (len({courier for courier, _ in orders[cell]} & couriers), len(couriers)),
            "per_visit": (sum(amounts), visits[cell]),
        }[metric]
        found.append((*cell, variants.pop(), outcome, denominator))
    return found


def by_hand(found: list[tuple[Any, ...]], **settings: Any) -> Effect:
    cluster, window, variant, outcome, denominator = zip(*found, strict=True)
    on = np.array(variant) == "on"
    return switchback_effect(SwitchbackCells.from_arrays(cluster, window, on, outcome, denominator), **settings)


@pytest.fixture(scope="module")
def switched(own_house: House) -> House:
    own_house.write("log.ndjson", "".join(json.dumps(event) + "\n" for event in LOG))
    own_house.declare("source", "log", file="log.ndjson", mode="snapshot")
    for key, declared in EXPERIMENTS.items():
        own_house.declare("experiment", key, **declared)
    own_house.refresh()
    return own_house


def agree(row: dict[str, Any], effect: Effect) -> None:
    assert (row["status"], effect.status) == ("ok", "ok")
    for name in NUMBERS:
        assert row[name] == pytest.approx(getattr(effect, name), rel=1e-9), name


@pytest.mark.parametrize("metric", ["orders", "revenue", "basket", "bought", "per_visit"])
def test_cities_that_switch(switched: House, metric: str) -> None:
    found = cells("by_city", metric, city_of)
    assert 300 < len(found) < 354
    effect = by_hand(found)
    row = switched.served_one("acme|by_city", metric, "difference_in_means")
    agree(row, effect)
    assert row["settings"]["variance"] == "switchback_newey_west"
    assert row["settings"]["units"] == len(CITIES)
    for name in ("lags", "df", "windows", "carryover"):
        assert row["settings"][name] == pytest.approx(effect.settings[name], rel=1e-9)
    if metric == "orders":
        assert row["ci_low"] < LIFT < row["ci_high"]


@pytest.mark.parametrize("metric", ["orders", "per_visit"])
def test_couriers_that_switch_with_a_wash_out_and_carry_over(switched: House, metric: str) -> None:
    found = cells("by_courier", metric, lambda event: event["unit_id"], timedelta(minutes=30))
    effect = by_hand(found, carryover=1)
    assert effect.settings["cells_left_out"] > 0
    row = switched.served_one("acme|by_courier", metric, "difference_in_means")
    agree(row, effect)
    assert (row["settings"]["washout"], row["settings"]["carryover"]) == ("30m", 1)


def test_what_reaches_beyond_a_window_or_bounds_a_unit_has_no_number(switched: House) -> None:
    reasons = {
        row["metric"]: row["settings"]["reason"]
        for row in switched.served("acme|by_city")
        if row["method"] == "difference_in_means" and row["status"] == "not_estimable"
    }
    assert set(reasons) == {"p80", "capped"}
    assert "a quantile is none" in reasons["p80"]
    assert "cap" in reasons["capped"]


def test_methods_that_compare_units_have_none_either(switched: House) -> None:
    rows = [row for row in switched.served("acme|by_city") if row["method"] != "difference_in_means"]
    assert {row["method"] for row in rows} >= {"cuped", "adjusted"}
    for row in rows:
        assert (row["status"], row["effect"]) == ("not_estimable", None)
        assert "difference_in_means compares the windows" in row["settings"]["reason"]


def test_what_is_judged_counts_windows_at_any_look(switched: House) -> None:
    effect = by_hand(cells("by_city", "orders", city_of))
    (row,) = switched.rows(
        "SELECT * FROM estimates.headline_effects WHERE experiment = 'by_city' AND metric = 'orders'"
    )
    expected = confidence_sequence(effect, planned_n=10_000, n=effect.n + effect.n_control)
    assert (row["interval"], row["method"]) == ("always_valid", "difference_in_means")
    agree(row, expected)
    assert row["settings"]["n"] == effect.n + effect.n_control
    looks = switched.rows("SELECT 1 FROM serving.experiment_daily_looks WHERE experiment = 'by_city'")
    assert looks == []


def test_gates_are_open_and_count_windows(switched: House) -> None:
    gates = switched.gates("acme|by_city")
    closed = {name: gate["detail"] for name, gate in gates.items() if gate["blocking"] and not gate["passed"]}
    assert closed == {}
    counted = defaultdict(set)
    for event in LOG:
        at = datetime.fromisoformat(event["occurred_at"])
        if event["type"] == "assignment" and event["experiment"] == "by_city" and FIRST <= at < END:
            counted[city_of(event), index_of(at)].add(event["variant"])
    assert sum(gates["srm"]["observed"]["units"].values()) == len(counted)
    assert gates["srm"]["passed"]
    assert "windows" in gates["srm"]["detail"]
    assert (gates["crossover"]["passed"], gates["crossover"]["observed"]["crossover_units"]) == (True, 0)
    assert any(len(variants) > 1 for variants in counted.values())
    assert gates["metric_drift"]["detail"].startswith("Not looked at: ")
    for name in ("pre_exposure_imbalance:age", "srm:city"):
        assert (gates[name]["passed"], gates[name]["detail"][:15]) == (True, "Not looked at: ")
    assert gates["missing_events:orders"]["observed"]["days"] >= 9
    assert gates["constant_metric:orders"]["passed"]


def test_an_a_a_switchback_is_looked_at_by_its_windows(switched: House) -> None:
    gate = switched.gates("acme|by_courier")["a_a"]
    assert gate["observed"]["comparisons"] == 5
    assert gate["passed"]


def test_windows_that_contradict_themselves_close_the_crossover_gate(switched: House) -> None:
    variants = defaultdict(set)
    for event in LOG:
        at = datetime.fromisoformat(event["occurred_at"])
        if event["type"] == "assignment" and event["experiment"] == "torn" and FIRST <= at < END:
            variants[city_of(event), index_of(at)].add(event["variant"])
    torn = {cell for cell, seen in variants.items() if len(seen) > 1}
    assert 10 < len(torn) < 40
    gate = switched.gates("acme|torn")["crossover"]
    assert (gate["passed"], gate["blocking"]) == (False, True)
    assert gate["observed"]["crossover_units"] == len(torn)
    assert f"{len(torn)} of {len(variants)} windows were in more than one variant" in gate["detail"]
    assert {row["status"] for row in switched.served("acme|torn")} == {"withheld"}
    kept = switched.rows(
        "SELECT cluster_id, window_index FROM experiments.switchback_cells"
        " WHERE experiment = 'torn' AND metric = 'orders'"
    )
    assert not torn & {(row["cluster_id"], row["window_index"]) for row in kept}


def test_windows_are_those_of_the_assignment(switched: House) -> None:
    rows = switched.rows("SELECT * FROM experiments.switchback_windows WHERE experiment = 'by_city'")
    for row in rows:
        assert row["window_start"] == ORIGIN + row["window_index"] * LENGTH
        assert row["window_end"] - row["window_start"] == LENGTH
        assert row["is_whole"] == (row["window_start"] >= FIRST and row["window_end"] <= END)
        assert row["variant"] == dealt("by_city", "anybody", row["cluster_id"], row["window_start"])
    assert {row["is_whole"] for row in rows} == {True, False}


def test_units_of_a_switchback_are_in_no_arm(switched: House) -> None:
    units = switched.rows(
        "SELECT is_eligible, variants_seen FROM experiments.first_exposures WHERE experiment = 'by_city'"
    )
    assert {row["is_eligible"] for row in units} == {False}
    assert max(row["variants_seen"] for row in units) == 2
    assert switched.rows("SELECT 1 FROM experiments.unit_metric_values WHERE experiment = 'by_city'") == []
