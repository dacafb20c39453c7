"""A replay tells a method that keeps its word from one that does not, and both ways to replay agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from causeway.design.monte_carlo import RunShare
from causeway.design.replay import _welch_p_values, replay, replay_difference_in_means, report
from causeway.statistics import Effect, Moments, adjusted_effect, difference_in_means

NORMAL = np.random.default_rng(1).normal(5, 2, 1_000)
WHALES = np.random.default_rng(2).lognormal(0, 2.5, 20_000)
RARE = np.where(np.random.default_rng(3).random(20_000) < 0.05, WHALES, 0.0)


def welch(treated: np.ndarray, control: np.ndarray) -> Effect:
    return difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))


def too_sure(treated: np.ndarray, control: np.ndarray) -> Effect:
    """A method that believes in half of its standard error."""
    honest = welch(treated, control)
    half = (honest.ci_high - honest.ci_low) / 4
    p_value = 2 * stats.norm.sf(abs(honest.effect) / (honest.std_error / 2))
    return Effect(
        "ok", honest.n, honest.n_control, effect=honest.effect, std_error=honest.std_error / 2,
        ci_low=honest.effect - half, ci_high=honest.effect + half, p_value=p_value,
    )  # fmt: skip


@pytest.mark.parametrize(("history", "units", "treated_share"), [(NORMAL, None, 0.5), (RARE, 100, 0.3)])
def test_the_fast_replay_gives_the_answers_of_the_loop(history, units, treated_share):
    question = {"runs": 300, "units": units, "treated_share": treated_share, "seed": 5}
    fast, slow = replay_difference_in_means(history, **question), replay(history, welch, **question)
    assert (fast.false_positives, fast.coverage, fast.undefined) == (
        slow.false_positives, slow.coverage, slow.undefined
    )  # fmt: skip
    assert (fast.p_value_deciles, fast.verdict, fast.sentence) == (slow.p_value_deciles, slow.verdict, slow.sentence)
    assert fast.ks_statistic == pytest.approx(slow.ks_statistic, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=12), st.integers(0, 1_000), st.sampled_from([1.0, 1e9, 1e-9]))
def test_p_values_from_sums_are_those_of_the_test(values, seed, scale):
    outcomes = np.array(values) * scale + scale
    treated = np.random.default_rng(seed).random((8, len(outcomes))) < 0.5
    for p_value, row in zip(_welch_p_values(outcomes, treated), treated, strict=True):
        theirs = welch(outcomes[row], outcomes[~row]).p_value
        assert np.isnan(p_value) if theirs is None else p_value == pytest.approx(theirs, abs=1e-9)


def test_two_constant_arms_have_no_p_value():
    history = np.array([0.1] * 7 + [0.3] * 20)
    split = np.arange(27) < 7
    assert np.isnan(_welch_p_values(history, np.array([split, ~split]))).all()
    assert welch(history[split], history[~split]).status == "zero_variance"


def test_no_unit_is_in_an_experiment_twice():
    history, totals = np.arange(40.0), []

    def listening(treated: np.ndarray, control: np.ndarray) -> Effect:
        totals.append(sorted([*treated, *control]))
        return welch(treated, control)

    replay(history, listening, units=40, runs=5)
    assert totals == [history.tolist()] * 5


def test_a_method_that_keeps_its_word_is_called_valid():
    answer = replay_difference_in_means(NORMAL, runs=4_000)
    assert answer.verdict == "valid"
    assert answer.false_positives.low < 0.05 < answer.false_positives.high
    assert answer.coverage.share == pytest.approx(1 - answer.false_positives.share)
    assert answer.ks_p_value > 0.001
    assert "keeps its word" in answer.sentence


def test_a_method_that_is_too_sure_of_itself_is_found_out():
    """Half the standard error: significant in 2 P(Z > 0.98) = 32.7 % of all replays."""
    answer = replay(NORMAL[:200], too_sure, runs=800)
    assert answer.verdict == "too_many_false_positives"
    assert answer.false_positives.low < 0.327 < answer.false_positives.high
    assert "not valid for this metric" in answer.sentence
    assert answer.ks_p_value < 1e-6


def test_whales_in_a_small_arm_make_the_t_test_invalid():
    """300 units of a log-normal with sigma 2.5, a tenth of them treated: three times as many false alarms."""
    answer = replay_difference_in_means(WHALES, units=300, treated_share=0.1)
    assert answer.verdict == "too_many_false_positives"
    assert answer.false_positives.share > 0.12
    assert replay_difference_in_means(np.minimum(WHALES, 20), units=3_000).verdict == "valid"


def test_rare_revenue_makes_the_t_test_lose_power():
    answer = replay_difference_in_means(RARE, units=200)
    assert answer.verdict == "conservative"
    assert answer.false_positives.share < 0.035


def test_few_runs_are_no_verdict_and_answers_that_are_missing_are_counted():
    assert replay_difference_in_means(NORMAL, runs=20).verdict == "too_few_runs"
    history = np.zeros(200)
    history[:4] = 1.0
    some = replay_difference_in_means(history, units=100, runs=500)
    assert 0 < some.undefined < 500
    assert some.false_positives.runs == 500 - some.undefined
    assert f"{some.undefined} more replays had no answer" in some.sentence
    none = replay_difference_in_means(np.ones(50), runs=30)
    assert (none.verdict, none.undefined, none.false_positives, none.ks_p_value) == ("not_estimable", 30, None, None)
    json.dumps([some.as_document(), none.as_document()], allow_nan=False)


def test_covariates_travel_with_their_units():
    rng = np.random.default_rng(4)
    before = rng.normal(size=400)
    history = np.column_stack([before + 0.1 * rng.normal(size=400), before])

    def adjusted(treated: np.ndarray, control: np.ndarray) -> Effect:
        return adjusted_effect(*(Moments.from_arrays(arm[:, 0], arm[:, 1]) for arm in (treated, control)))

    seen: list[float] = []

    def listening(treated: np.ndarray, control: np.ndarray) -> Effect:
        answer = adjusted(treated, control)
        seen.append(answer.std_error)
        return answer

    assert replay(history, listening, runs=1_000).verdict == "valid"
    assert np.mean(seen) == pytest.approx(0.1 * 2 / 20, rel=0.1), "the covariate's part of the variance is gone"


def test_the_same_seed_replays_the_same():
    assert replay_difference_in_means(NORMAL, runs=100, seed=3) == replay_difference_in_means(NORMAL, runs=100, seed=3)
    assert replay_difference_in_means(NORMAL, runs=100, seed=3) != replay_difference_in_means(NORMAL, runs=100, seed=4)


def test_p_values_right_at_five_percent_but_not_uniform_are_mentioned():
    p_values = np.concatenate([np.linspace(0, 0.0499, 100), np.linspace(0.5, 1, 1_900)])
    answer = report(p_values, p_values >= 0.05, alpha=0.05, settings={})
    assert answer.verdict == "valid"
    assert "not uniform" in answer.sentence


def test_intervals_that_cover_too_seldom_are_a_fault_even_with_honest_p_values():
    p_values = np.linspace(0, 1, 2_001)
    answer = report(p_values, np.arange(2_001) >= 300, alpha=0.05, settings={})
    assert answer.verdict == "too_many_false_positives"


@pytest.mark.parametrize("hits", [0, 1, 37, 999, 1_000])
def test_the_interval_of_a_share_is_that_of_statsmodels(hits):
    ours = RunShare(hits, 1_000, 0.99)
    assert (ours.low, ours.high) == pytest.approx(proportion_confint(hits, 1_000, 0.01, method="beta"), abs=1e-9)
    assert ours.mc_error > 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: replay_difference_in_means(NORMAL, runs=0),
        lambda: replay_difference_in_means(NORMAL, treated_share=1.0),
        lambda: replay_difference_in_means(NORMAL, units=1_001),
        lambda: replay_difference_in_means(NORMAL, alpha=0.0),
        lambda: replay_difference_in_means(NORMAL[:1]),
        lambda: replay_difference_in_means([1.0, np.nan, 3.0]),
        lambda: replay_difference_in_means(np.ones((4, 2))),
        lambda: RunShare(3, 2),
        lambda: RunShare(0, 0),
    ],
)
def test_questions_without_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
