"""What is planned from a history is what the formulas say of its values, and its replays are honest."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from causeway.design.comparison import Comparison
from causeway.design.duration import ActivityHistory, enrolment_curve
from causeway.design.history import MetricHistory
from causeway.design.history_plan import Design, PlannedMetric, plan_from_history
from causeway.design.lifts import HazardRatio
from causeway.design.looks import Looks
from causeway.design.power import minimum_detectable_effect, sample_size
from causeway.design.replay import replay, replay_difference_in_means, replay_looks
from causeway.statistics import Moments, difference_in_means

RNG = np.random.default_rng(7)
N = 2_000
PAST = RNG.gamma(2.0, 5.0, N)
SPEND = 0.5 * PAST + RNG.gamma(2.0, 3.0, N)
DAY = np.sort(RNG.integers(0, 28, N))
TOWN = np.arange(N) % 40
BY_TOWN = RNG.normal(0, 3, 40)[TOWN] + SPEND
REVENUE = PlannedMetric("revenue", MetricHistory("mean", {"outcome": SPEND, "before": PAST}, day=DAY), "primary",
                        relevant_effect=0.05)  # fmt: skip
LOOKS = Looks("always_valid", planned_units=1_000.0, days=14, paths=1_000)
MONDAY = date(2024, 1, 1)
CURVE = enrolment_curve(ActivityHistory.of_new_units(MONDAY, [100] * 28), first_day=MONDAY, horizon=60, draws=20)


def design(**more):
    return Design("form", {"off": 1.0, "on": 1.0}, "off", **{"replays": 400, "runs": 60, **more})


def by_way(ways):
    return {(way.metric.key, way.interval, way.covariate): way for way in ways}


def welch(treated, control):
    return difference_in_means(Moments.from_arrays(treated[:, 0]), Moments.from_arrays(control[:, 0]))


def test_a_plan_is_the_formula_on_the_moments_of_the_history():
    ways = by_way(plan_from_history(design(curve=CURVE, days=14, covariate="own_past"), [REVENUE]))
    plain, adjusted = (ways["revenue", "fixed_horizon", kind] for kind in ("none", "own_past"))
    baseline = REVENUE.history.baseline
    assert (baseline.mean, baseline.variance) == (pytest.approx(SPEND.mean()), pytest.approx(SPEND.var(ddof=1)))
    wanted = sample_size(baseline, Comparison(), effect=0.05 * SPEND.mean())
    assert plain.reach.units == wanted.n_control + wanted.n_treated
    smallest = minimum_detectable_effect(baseline, Comparison(), n_treated=700, n_control=700)
    assert plain.reach.smallest == pytest.approx(smallest.relative_effect)
    left = 1 - np.corrcoef(PAST, SPEND)[0, 1] ** 2
    assert adjusted.reach.variance_factor == pytest.approx(left, rel=2e-3)
    assert adjusted.reach.units == pytest.approx(left * plain.reach.units, rel=5e-3)


@pytest.mark.parametrize("covariate", ["none", "own_past"])
def test_each_replay_is_that_of_the_method_on_the_same_units(covariate):
    way = by_way(plan_from_history(design(units=N, covariate="own_past"), [REVENUE]))
    found = way["revenue", "fixed_horizon", covariate].replay
    history = REVENUE.history
    if covariate == "none":
        assert found.false_positives == replay_difference_in_means(SPEND, runs=400).false_positives
    else:
        again = replay(history.rows, history.estimate("own_past", 0.05), runs=400)
        assert found.false_positives == again.false_positives
    assert found.false_positives.low <= 0.05 <= found.false_positives.high


def test_looking_every_day_at_a_fixed_horizon_is_found_out_and_an_always_valid_interval_is_not():
    naive = replay_looks(SPEND, DAY, lambda n: np.full(len(n), 1.96), runs=600)
    assert naive.verdict == "too_many_false_positives"
    assert naive.false_positives.low > 0.1
    honest = replay_looks(SPEND, DAY, LOOKS.critical_values(0.05), burn_in=LOOKS.may_look, runs=600)
    assert honest.false_positives.share <= 0.05
    assert honest.verdict == "valid"


def test_the_looks_of_a_replay_are_welch_tests_of_the_units_so_far():
    """One look is the plain replay; of several, the first crossing decides."""
    once = replay_looks(SPEND, np.zeros(N), lambda n: np.full(len(n), 1.9611), runs=300, seed=3)
    plain = replay_difference_in_means(SPEND, runs=300, seed=3)
    assert once.false_positives == plain.false_positives
    looks = [last >= DAY for last in np.unique(DAY)]
    assign = np.random.default_rng(np.random.SeedSequence(3).spawn(2)[1]).random((20, N)) < 0.5
    crossed = sum(
        any(abs(answer.effect / answer.std_error) > 2.5 for answer in (
            welch(SPEND[seen & treated][:, None], SPEND[seen & ~treated][:, None]) for seen in looks))
        for treated in assign
    )  # fmt: skip
    assert replay_looks(SPEND, DAY, lambda n: np.full(len(n), 2.5), runs=20, seed=3).false_positives.hits == crossed


def test_units_that_are_randomised_together_are_replayed_together():
    rows = np.column_stack([BY_TOWN, TOWN])
    naive = replay(rows, welch, runs=300, clusters=TOWN)
    assert naive.verdict == "too_many_false_positives"
    history = MetricHistory("mean", {"outcome": BY_TOWN, "cluster": TOWN.astype(float)})
    ways = plan_from_history(design(units=N), [PlannedMetric("spend", history, "primary", relevant_effect=0.1)])
    robust = by_way(ways)["spend", "fixed_horizon", "none"].replay
    assert robust.settings["clusters"] == 40
    assert robust.false_positives.low <= 0.05 <= robust.false_positives.high


def test_the_intraclass_correlation_is_that_of_the_towns():
    towns = np.repeat(np.arange(400), 5)
    common = np.random.default_rng(1).normal(0, 1.0, 400)[towns]
    values = 10 + common + np.random.default_rng(2).normal(0, 2.0, 2_000)
    clusters = MetricHistory("mean", {"outcome": values, "cluster": towns.astype(float)}).clusters
    assert clusters.correlation == pytest.approx(1 / 5, abs=0.05)
    assert (clusters.mean_size, clusters.size_cv) == (5, 0)


def test_a_covariate_that_knows_nothing_of_the_clusters_saves_little():
    """It explains half of what units differ by within towns, and towns are what makes the mean uncertain."""
    rng = np.random.default_rng(5)
    towns = np.repeat(np.arange(50), 40)
    known = rng.normal(0, 3, 2_000)
    values = rng.normal(0, 2, 50)[towns] + known + rng.normal(0, 1, 2_000)
    history = MetricHistory("mean", {"outcome": values, "score": known, "cluster": towns.astype(float)})
    assert MetricHistory("mean", {"outcome": values, "score": known}).variance_factor("twin") < 0.5
    assert history.variance_factor("twin") > 0.85


def test_what_cannot_be_planned_says_why():
    few = PlannedMetric("few", MetricHistory("mean", {"outcome": np.array([1.0])}), "primary")
    same = PlannedMetric("same", MetricHistory("mean", {"outcome": np.ones(50)}), relevant_effect=0.1)
    refused = PlannedMetric("refused", MetricHistory("quantile", {"outcome": SPEND}, quantile=0.5), unplannable="no")
    ways = plan_from_history(design(units=N), [few, same, refused])
    assert {way.metric.key: (way.status, way.reach) for way in ways} == {
        "few": ("too_few_units", None), "same": ("zero_variance", None), "refused": ("not_estimable", None),
    }  # fmt: skip
    assert all(way.reason for way in ways)


@pytest.mark.parametrize("covariate", ["none", "own_past", "twin"])
@pytest.mark.parametrize("kind", ["mean", "ratio", "quantile", "time_to_event"])
@pytest.mark.parametrize("n", [0, 1, 60])
def test_a_history_without_a_value_to_go_by_says_so_however_it_is_analysed(kind, covariate, n):
    """No units, one unit, or denominators that are all zero."""
    names = ("outcome", "denominator", "before", "denominator_before", "score")
    columns = {name: np.zeros(n) for name in names} | {"seen": np.zeros(n), "cluster": np.arange(n) % 6 * 1.0}
    for left_out in ((), ("cluster",)):
        kept = {name: each for name, each in columns.items() if name not in left_out}
        history = MetricHistory(kind, kept, day=np.arange(n) % 14, quantile=0.5, horizon=7.0)
        form = design(curve=CURVE, days=14, looks=LOOKS, covariate=covariate, replays=50)
        ways = plan_from_history(form, [PlannedMetric("m", history, "primary", relevant_effect=0.1)])
        assert {way.reach for way in ways} == {None}
        assert all(way.status != "ok" and way.reason for way in ways)
        assert all(way.replay is None or way.replay.verdict == "not_estimable" for way in ways)


def test_quantiles_and_times_are_simulated():
    median = PlannedMetric("median", MetricHistory("quantile", {"outcome": SPEND}, quantile=0.5), "primary",
                           relevant_effect=0.1)  # fmt: skip
    times = np.minimum(np.random.default_rng(3).exponential(5, N), 7.0)
    wait = PlannedMetric(
        "wait",
        MetricHistory("time_to_event", {"outcome": times, "seen": (times < 7) * 1.0}, horizon=7.0),
        direction="decrease",
        relevant_effect=0.2,
    )
    ways = by_way(plan_from_history(design(units=800), [median, wait]))
    for key, unit in (("median", "relative"), ("wait", "hazard_ratio")):
        way = ways[key, "fixed_horizon", "none"]
        assert (way.method, way.status, way.reach.unit) == ("simulation", "ok", unit)
        # The square-root rule: units of the wanted effect follow from the smallest one at the planned size.
        of_wanted = 800 * (way.reach.smallest / way.metric.relevant_effect) ** 2
        assert way.reach.units == pytest.approx(of_wanted, rel=0.01)
    # Schoenfeld 1983: 4 (z + z)**2 / log(hazard ratio)**2 events in all.
    events = 800 * (times < 7).mean()
    expected = np.exp(np.sqrt(4 * (2.24 + 0.84) ** 2 / events)) - 1
    assert ways["wait", "fixed_horizon", "none"].reach.smallest == pytest.approx(expected, rel=0.25)


def test_an_arm_whose_denominators_are_zero_has_no_answer():
    """A replay may deal all that has a denominator to the other arm."""
    towns = np.arange(80) % 8
    columns = {"outcome": SPEND[:80], "denominator": (towns < 4) * 1.0, "cluster": towns * 1.0}
    history = MetricHistory("ratio", columns)
    rows, some = history.rows, towns < 4
    found = history.estimate("none", 0.05)(rows[some], rows[~some])
    assert (found.status, found.n, found.n_control) == ("not_estimable", 40, 40)
    assert "denominators of an arm" in found.settings["reason"]


@pytest.mark.parametrize(("direction", "size"), [("decrease", np.exp(0.5) - 1), ("increase", 1 - np.exp(-0.5))])
def test_shorter_times_are_sought_in_larger_hazards_and_longer_times_in_smaller_ones(direction, size):
    """Schoenfeld 1983: the logarithm of the ratio is as large both ways, so its rise and its fall are not."""
    times = np.random.default_rng(3).exponential(5, N)
    history = MetricHistory("time_to_event", {"outcome": times, "seen": np.ones(N)}, horizon=30.0)
    # 4 (1.96 + 0.8416)**2 / 0.5**2 events: everybody's event is seen.
    wait = PlannedMetric("wait", history, direction=direction)
    (way,) = plan_from_history(design(units=126, runs=400, replays=50), [wait])
    assert way.reach.smallest == pytest.approx(size, rel=0.15)


def test_what_is_sought_in_a_time_is_what_the_method_calls_better():
    """A larger hazard makes the restricted mean smaller, which is where a metric that should decrease is better."""
    times = np.random.default_rng(3).exponential(5, N)
    history = MetricHistory("time_to_event", {"outcome": times, "seen": np.ones(N)}, horizon=30.0)
    for lift, sign in ((0.5, -1), (-0.5, 1)):
        treated = HazardRatio(history.rows)(history.rows, lift, np.random.default_rng(1))
        assert np.sign(history.estimate("none", 0.05)(treated, history.rows).effect) == sign


def test_planned_looks_spend_alpha_as_they_will():
    looks = Looks("group_sequential", planned_units=1_400.0, days=14, looks=4, paths=4_000)
    found = replay_looks(SPEND, DAY, looks.critical_values(0.05), burn_in=looks.may_look, runs=2_000)
    assert found.false_positives.low <= 0.05 <= found.false_positives.high
    ways = by_way(plan_from_history(design(curve=CURVE, days=14, looks=looks), [REVENUE]))
    once, four = (ways["revenue", kind, "none"] for kind in ("fixed_horizon", "group_sequential"))
    assert 1.0 < four.reach.units / once.reach.units < 1.06
