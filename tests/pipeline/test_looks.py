"""Effects as they stood each day, the comparison that is judged, and contrasts: against the events themselves."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.group_sequential import GroupSequentialDesign, group_sequential
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.multiple_testing import holm
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.regression_adjustment import adjusted_effect
from tests.pipeline.shoppers import START_OF_LOOKS, shoppers

if TYPE_CHECKING:
    from conftest import House

ANY_TIME, PLANNED = "initech|looked_at", "initech|planned_looks"
NUMBERS = ("n", "n_control", "effect", "std_error", "ci_low", "ci_high", "p_value", "relative_effect")


@pytest.fixture(scope="module")
def units() -> dict[str, dict[str, Any]]:
    """By unit: arm, first exposure, and the moments of its events after it."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"buy": [], "visit": [], "complaint": [], "before": 0.0})
    for event in shoppers():
        at, unit = datetime.fromisoformat(event["occurred_at"]), found[event["unit_id"]]
        if event["type"] == "assignment":
            unit |= {"arm": event["variant"], "since": at}
        elif event["type"] == "buy" and "since" in unit and at < unit["since"]:
            unit["before"] += event["amount"]
        else:
            unit[event["type"]].append((at, event.get("amount", 1.0)))
    return dict(found)


def arm_at(units: dict[str, dict[str, Any]], arm: str, day: Any, kind: str = "buy") -> tuple[np.ndarray, ...]:
    """Sum of the events up to the end of the day, and what was before, of the units exposed by then."""
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), START_OF_LOOKS.tzinfo)
    chosen = [unit for unit in units.values() if unit["arm"] == arm and unit["since"] < end]
    values = [sum(amount for at, amount in unit[kind] if at < end) for unit in chosen]
    return np.array(values), np.array([unit["before"] for unit in chosen])


def looks(house: House, partition: str, metric: str, variant: str) -> list[dict[str, Any]]:
    return house.rows(
        "SELECT * FROM serving.experiment_daily_looks WHERE tenant_id || '|' || experiment = %s AND metric = %s"
        " AND variant = %s ORDER BY day",
        partition,
        metric,
        variant,
    )


def numbers(row: Any) -> dict[str, Any]:
    return {name: row[name] if isinstance(row, dict) else getattr(row, name) for name in NUMBERS}


def test_every_day_has_the_confidence_sequence_of_what_was_known_by_its_end(house: House, units: Any) -> None:
    rows = looks(house, ANY_TIME, "revenue", "high")
    assert len(rows) == 17, "every day on which anything changed: a visit counts too"
    ready = [row for row in rows if row["status"] == "ok"]
    assert len(ready) > 8
    assert {row["status"] for row in rows} == {"ok", "too_few_units"}
    for row in ready:
        arms = [Moments.from_arrays(*arm_at(units, arm, row["day"])) for arm in ("high", "off")]
        expected = confidence_sequence(adjusted_effect(*arms), planned_n=1400)
        assert numbers(row) == pytest.approx(numbers(expected), rel=1e-9)
        assert (row["method"], row["interval"]) == ("cuped", "always_valid")


def test_a_ratio_has_looks_too(house: House, units: Any) -> None:
    row = looks(house, ANY_TIME, "per_visit", "low")[-1]
    arms = []
    for arm in ("low", "off"):
        (bought, _), (visits, _) = (arm_at(units, arm, row["day"], kind) for kind in ("buy", "visit"))
        arms.append(JointMoments.from_arrays({"outcome": bought, "denominator": visits}))
    expected = confidence_sequence(difference_in_ratios(*arms), planned_n=1400)
    assert numbers(row) == pytest.approx(numbers(expected), rel=1e-9)


def test_planned_looks_are_taken_when_their_share_of_the_units_is_reached(house: House, units: Any) -> None:
    rows = looks(house, PLANNED, "revenue", "high")
    assert [row["settings"]["look"] for row in rows] == [1, 2, 3]
    exposed = [sum(len(arm_at(units, arm, row["day"])[0]) for arm in ("off", "low", "high")) for row in rows]
    for count, share in zip(exposed, (1 / 3, 2 / 3, 1), strict=True):
        assert count / 1200 >= share > (count - 110) / 1200
    fractions = [count / 1200 for count in exposed]
    arms = [Moments.from_arrays(*arm_at(units, arm, rows[-1]["day"])) for arm in ("high", "off")]
    expected = group_sequential(adjusted_effect(*arms), design=GroupSequentialDesign(), fractions=fractions)
    assert numbers(rows[-1]) == pytest.approx(numbers(expected), rel=1e-9)


def headlines(house: House, partition: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = [row for row in house.served(partition) if row["is_headline"]]
    assert all(row["segment"] is None for row in rows)
    return {(row["metric"], row["variant"]): row for row in rows}


def test_each_metric_and_variant_is_judged_by_one_row(house: House) -> None:
    found = headlines(house, ANY_TIME)
    metrics = ("revenue", "bought", "per_visit", "waiting", "complaints")
    assert set(found) == {(metric, variant) for metric in metrics for variant in ("low", "high")}
    assert len(found) == sum(row["is_headline"] for row in house.served(ANY_TIME))
    assert {row["interval"] for row in found.values()} == {"always_valid"}
    assert {key[0]: row["method"] for key, row in found.items()} == {
        "revenue": "cuped",
        "bought": "difference_in_means",
        "per_visit": "difference_in_means",
        "waiting": "difference_in_means",
        "complaints": "difference_in_means",
    }


def test_its_interval_is_that_of_its_method_made_valid_at_any_look(house: House) -> None:
    for (metric, variant), row in headlines(house, ANY_TIME).items():
        fixed = house.served_one(ANY_TIME, metric, row["method"], variant)
        assert (row["effect"], row["std_error"]) == (fixed["effect"], fixed["std_error"])
        assert row["ci_low"] < fixed["ci_low"] < fixed["ci_high"] < row["ci_high"]
        assert row["p_value"] >= fixed["p_value"]


def test_the_family_leaves_guardrails_out(house: House) -> None:
    found = headlines(house, ANY_TIME)
    family = {f"{key}": row["p_value"] for key, row in found.items() if key[0] != "complaints"}
    expected = holm(family)
    for key, row in found.items():
        if key[0] == "complaints":
            assert (row["adjusted_p_value"], row["is_significant"]) == (None, None)
        else:
            assert row["adjusted_p_value"] == pytest.approx(expected[f"{key}"], rel=1e-12)
            assert row["is_significant"] == (row["adjusted_p_value"] <= 0.05)
    assert found["revenue", "high"]["is_significant"]


def test_the_posterior_is_the_normal_one_of_effect_and_prior(house: House) -> None:
    row = headlines(house, ANY_TIME)["revenue", "low"]
    prior = 0.2 * row["mean_control"]
    weight = prior**2 / (prior**2 + row["std_error"] ** 2)
    mean, sd = weight * row["effect"], np.sqrt(weight) * row["std_error"]
    assert row["chance_to_beat"] == pytest.approx(stats.norm.cdf(mean / sd), rel=1e-9)
    loss = sd * stats.norm.pdf(mean / sd) - mean * stats.norm.sf(mean / sd)
    assert row["expected_loss"] == pytest.approx(loss, rel=1e-9)
    complaints = headlines(house, ANY_TIME)["complaints", "low"]
    assert (complaints["chance_to_beat"] > 0.5) == (complaints["effect"] < 0), "fewer are better"


def test_a_metric_without_days_has_no_planned_look(house: House) -> None:
    found = headlines(house, PLANNED)
    assert found["revenue", "high"]["ci_low"] == looks(house, PLANNED, "revenue", "high")[-1]["ci_low"]
    assert found["waiting", "high"]["status"] == "not_estimable"
    assert "declare always_valid" in found["waiting", "high"]["settings"]["or"]


def test_a_table_is_judged_once_by_its_most_precise_method(house: House) -> None:
    found = headlines(house, "acme|lift")
    assert {(row["method"], row["interval"]) for row in found.values()} == {("adjusted", "fixed_horizon")}
    assert looks(house, "acme|lift", "spend", "on") == []


@pytest.mark.parametrize(
    ("name", "coefficients"), [("dose", {"high": 1, "low": -1}), ("any", {"high": 0.5, "low": 0.5, "off": -1})]
)
def test_contrasts_are_those_of_the_arms_means(
    house: House, units: Any, name: str, coefficients: dict[str, float]
) -> None:
    (row,) = (
        row
        for row in house.served(ANY_TIME)
        if (row["method"], row["metric"], row["variant"]) == ("contrast", "revenue", name)
    )
    arms = {arm: arm_at(units, arm, (START_OF_LOOKS + timedelta(days=40)).date())[0] for arm in ("off", "low", "high")}
    assert row["effect"] == pytest.approx(sum(c * arms[arm].mean() for arm, c in coefficients.items()), rel=1e-9)
    variance = sum(c**2 * arms[arm].var(ddof=1) / len(arms[arm]) for arm, c in coefficients.items())
    assert row["std_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert (row["interval"], row["is_headline"]) == ("always_valid", False)
    if name == "dose":
        welch = difference_in_means(Moments.from_arrays(arms["high"]), Moments.from_arrays(arms["low"]))
        assert row["ci_high"] - row["ci_low"] > welch.ci_high - welch.ci_low  # type: ignore[operator]


def test_behind_a_closed_gate_there_is_no_look_and_no_headline(house: House) -> None:
    served = [row for row in house.served("acme|srm") if row["is_headline"]]
    assert served == []
