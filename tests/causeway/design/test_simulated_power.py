"""Simulated power is the formula's where there is one, and that of the literature where there is another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from causeway.design.baseline import Baseline
from causeway.design.comparison import Comparison
from causeway.design.lifts import HazardRatio, multiply, shift
from causeway.design.power import minimum_detectable_effect, power, sample_size
from causeway.design.simulated_power import Simulation, excludes_zero, no_worse_than
from causeway.statistics import Effect, Moments, difference_in_means

RNG = np.random.default_rng(5)
COUNTS = RNG.poisson(9.0, 4_000).astype(float)
BASELINE = Baseline(float(COUNTS.mean()), float(COUNTS.var()))
REVENUE = np.where(RNG.random(4_000) < 0.2, RNG.lognormal(3, 2.0, 4_000), 0.0)


def welch(treated: np.ndarray, control: np.ndarray) -> Effect:
    return difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))


def difference_of_medians(treated: np.ndarray, control: np.ndarray) -> Effect:
    """With the standard error of McKean & Schrader 1984, from two order statistics."""

    def median_and_error(values: np.ndarray) -> tuple[float, float]:
        ordered, n = np.sort(values), len(values)
        c = int((n + 1) / 2 - 1.96 * math.sqrt(n / 4))
        return float(np.median(values)), float(ordered[n - c] - ordered[c - 1]) / (2 * 1.96)

    (y, s), (y_control, s_control) = median_and_error(treated), median_and_error(control)
    return as_effect(y - y_control, math.hypot(s, s_control), len(treated), len(control))


def log_rate_ratio(treated: np.ndarray, control: np.ndarray) -> Effect:
    (d, t), (d_control, t_control) = ((rows[:, 1].sum(), rows[:, 0].sum()) for rows in (treated, control))
    effect = float(np.log(d / t) - np.log(d_control / t_control))
    return as_effect(effect, math.sqrt(1 / d + 1 / d_control), len(treated), len(control))


def as_effect(effect: float, std_error: float, n: int, n_control: int) -> Effect:
    return Effect(
        "ok", n, n_control, effect=effect, std_error=std_error, ci_low=effect - 1.96 * std_error,
        ci_high=effect + 1.96 * std_error, p_value=float(2 * stats.norm.sf(abs(effect) / std_error)),
    )  # fmt: skip


def test_agrees_with_the_formula_on_means():
    """A shift leaves the variance as it is, as the formula assumes."""
    arms = {"n_treated": 120, "n_control": 240}
    comparison = Comparison(allocation=0.5)
    simulation = Simulation(COUNTS, welch, shift, runs=400)
    found = simulation.minimum_detectable_lift(**arms, start=0.5)
    theirs = minimum_detectable_effect(BASELINE, comparison, **arms)
    assert found.low < theirs.effect < found.high
    assert (found.high - found.low) / theirs.effect < 0.15

    seen = simulation.power(lift=theirs.effect, **arms)
    assert seen.power.low < 0.8 < seen.power.high
    assert simulation.power(lift=0.0, **arms).power.share == pytest.approx(0.05, abs=0.03)

    size = simulation.sample_size(lift=theirs.effect, allocation=0.5, start=60)
    assert size.low < 240 < size.high


def test_a_fall_is_looked_for_where_a_fall_is_wanted():
    found = Simulation(COUNTS, welch, shift, runs=200).minimum_detectable_lift(n_treated=150, n_control=150, start=-3.0)
    theirs = minimum_detectable_effect(BASELINE, Comparison(direction="decrease"), n_treated=150, n_control=150)
    assert found.low < theirs.effect < found.high < 0


def test_the_median_of_a_normal_needs_pi_halves_of_the_units():
    """The variance of a median is pi / 2 that of a mean (Laplace), so the smallest shift is sqrt(pi / 2) larger."""
    history = np.random.default_rng(6).normal(100, 10, 20_000)
    found = Simulation(history, difference_of_medians, shift, runs=500).minimum_detectable_lift(
        n_treated=300, n_control=300, start=2.0
    )
    mean = minimum_detectable_effect(Baseline(100, 100), Comparison(), n_treated=300, n_control=300).effect
    assert found.value == pytest.approx(mean * math.sqrt(math.pi / 2), rel=0.08)


def test_time_to_event_needs_the_events_of_schoenfeld():
    """Schoenfeld 1981: 4 (z + z')**2 / log(ratio)**2 events in both arms, whatever the time scale."""
    rng = np.random.default_rng(8)
    latent, watch = rng.exponential(10, 5_000), np.full(5_000, 8.0)
    history = np.column_stack([np.minimum(latent, watch), (latent <= watch).astype(float)])
    found = Simulation(history, log_rate_ratio, HazardRatio(history), runs=400).sample_size(lift=0.5, start=100)
    events = 4 * (1.959964 + 0.841621) ** 2 / math.log(1.5) ** 2
    chance = (1 - math.exp(-0.8) + 1 - math.exp(-1.2)) / 2
    assert found.value == pytest.approx(events / chance / 2, rel=0.12)


def test_capping_skewed_revenue_finds_smaller_lifts():
    def capped(treated: np.ndarray, control: np.ndarray) -> Effect:
        cap = np.quantile(np.concatenate([treated, control]), 0.99)
        return welch(np.minimum(treated, cap), np.minimum(control, cap))

    plain, smaller = (
        Simulation(REVENUE, method, multiply, runs=150).minimum_detectable_lift(n_treated=800, n_control=800, start=0.3)
        for method in (welch, capped)
    )
    assert smaller.value < 0.95 * plain.value, "the same draws, so the difference is not noise"


def test_the_error_that_is_reported_is_the_error_that_is_made():
    """Twenty searches with other seeds: their spread is what the interval says."""
    found = [
        Simulation(COUNTS[:500], welch, shift, runs=50, seed=seed).minimum_detectable_lift(
            n_treated=60, n_control=60, start=1.4
        )
        for seed in range(20)
    ]
    values, errors = np.array([f.value for f in found]), np.array([(f.high - f.low) / 3.92 for f in found])
    assert 0.6 < values.std(ddof=1) / np.median(errors) < 1.5


def test_a_guardrail_needs_the_units_of_its_margin():
    comparison = Comparison(alpha=0.025, sides=1, margin=1.0)
    found = Simulation(COUNTS, welch, shift, detects=no_worse_than(1.0), runs=300).sample_size(lift=0.0, start=50)
    assert found.low < sample_size(BASELINE, comparison, effect=0.0).n_control < found.high
    worse = Effect("ok", 9, 9, effect=0.0, std_error=0.5, ci_low=-1.2, ci_high=0.8, p_value=1.0)
    assert no_worse_than(1.0, direction="decrease")(worse)
    assert not no_worse_than(1.0)(worse)
    assert not no_worse_than(1.0)(Effect("no_units", 0, 0))
    assert not excludes_zero(worse)


def test_what_cannot_be_reached_is_said_and_answers_that_are_missing_are_counted():
    constant = Simulation(np.ones(50), welch, shift, runs=20)
    found = constant.minimum_detectable_lift(n_treated=20, n_control=20, largest=1.0)
    assert (found.status, found.value, found.low) == ("not_reachable", None, None)
    assert all(p.undefined == 20 and p.power.share == 0 for p in found.powers)
    nothing = Simulation(COUNTS, welch, shift, runs=40).sample_size(lift=0.0, start=10, largest=100)
    assert nothing.status == "not_reachable"


def test_the_same_seed_gives_the_same_power():
    arms = {"lift": 0.5, "n_treated": 50, "n_control": 50}
    same = [Simulation(COUNTS, welch, shift, runs=50, seed=2).power(**arms) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0].power.share == pytest.approx(
        power(BASELINE, Comparison(), effect=0.5, n_treated=50, n_control=50).power, abs=0.25
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Simulation([1.0, math.nan], welch, shift).power(lift=0, n_treated=5, n_control=5),
        lambda: Simulation([1.0], welch, shift).power(lift=0, n_treated=5, n_control=5),
        lambda: Simulation(COUNTS, welch, shift, runs=0).power(lift=0, n_treated=5, n_control=5),
        lambda: Simulation(COUNTS, welch, shift).power(lift=0, n_treated=0, n_control=5),
    ],
)
def test_questions_without_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
