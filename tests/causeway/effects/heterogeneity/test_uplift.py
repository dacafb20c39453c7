"""Qini and AUTOC agree with sums over ranks, cover, and are not found where the order is chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from causeway.effects.heterogeneity.uplift import Measure, area, curve, uplift

GENERATOR = np.random.default_rng(0)
TREATED = np.arange(2_000) % 2 == 0


def by_rank(scores: np.ndarray, priority: np.ndarray, measure: Measure) -> float:
    """Yadlowsky et al. 2025, section 2: the mean over ranks of the top's mean less the overall mean, as it stands."""
    ordered, n = scores[np.argsort(-priority)], len(scores)
    toc = np.cumsum(ordered) / np.arange(1, n + 1) - ordered.mean()
    return float(np.mean(toc * (np.arange(1, n + 1) / n if measure == "qini" else 1.0)))


@pytest.mark.parametrize("measure", ["qini", "autoc"])
def test_the_area_is_the_mean_over_ranks(measure: Measure) -> None:
    priority = GENERATOR.normal(size=2_000)
    scores = priority + GENERATOR.normal(size=2_000)
    found = area(scores, priority, np.ones(2_000), measure).effect
    assert found == pytest.approx(by_rank(scores, priority, measure), abs=4e-3)
    assert area(scores + 5, priority, np.ones(2_000), measure).effect == pytest.approx(found)
    assert area(scores, np.exp(priority), np.ones(2_000), measure).effect == found
    assert area(scores, -priority, np.ones(2_000), measure).effect < 0


@pytest.mark.parametrize("measure", ["qini", "autoc"])
def test_weights_are_copies_and_ties_are_means_over_their_orders(measure: Measure) -> None:
    scores, priority = GENERATOR.normal(size=60), GENERATOR.integers(0, 8, size=60).astype(float)
    weights = GENERATOR.integers(1, 4, size=60)
    copies = np.repeat(np.arange(60), weights)
    weighted = area(scores, priority, weights.astype(float), measure).effect
    assert weighted == pytest.approx(area(scores[copies], priority[copies], np.ones(len(copies)), measure).effect)
    drawn = [area(scores, priority + 1e-6 * GENERATOR.random(60), np.ones(60), measure).effect for _ in range(2_000)]
    tied = area(scores, priority, np.ones(60), measure).effect
    assert tied == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / math.sqrt(2_000))


@pytest.mark.parametrize("measure", ["qini", "autoc"])
def test_the_standard_error_is_that_of_repeated_samples(measure: Measure) -> None:
    """The order among more units is estimated too: without that part the error of skewed effects would be wrong."""
    found, errors = [], []
    generator = np.random.default_rng(1)
    for _ in range(400):
        priority = generator.exponential(size=400)
        each = area(2 * priority + generator.normal(size=400), priority, np.ones(400), measure)
        found.append(each.effect)
        errors.append(each.std_error)
    truth = 2 * (1.0 if measure == "autoc" else 0.25)
    assert np.mean(found) == pytest.approx(truth, abs=0.05)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.12)


def test_a_random_order_is_found_in_one_of_twenty_runs_whatever_the_outcome() -> None:
    generator = np.random.default_rng(2)
    p_values = []
    for seed in range(150):
        scores = np.exp(1.5 * generator.normal(size=200)) * generator.choice((-1, 1), 200)
        found = uplift(scores, generator.normal(size=200), np.arange(200) % 2 == 0, seed=seed, permutations=99)
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / 150))


def test_a_true_order_is_found_and_drawn() -> None:
    priority = GENERATOR.normal(size=2_000)
    scores = priority + 2 * GENERATOR.normal(size=2_000)
    found = uplift(scores, priority, TREATED, seed=1)
    assert found.p_value == 1 / 200
    assert found.qini is not None and found.qini.ci_low is not None and found.qini.ci_low > 0
    assert found.curve[0].gain == 0 and found.curve[-1].gain == pytest.approx(scores.mean())
    assert found.curve[-1].gain == pytest.approx(found.curve[-1].gain_of_chance)
    above = [point.gain - point.gain_of_chance for point in found.curve]
    # The area between the curves is Qini.
    assert np.trapezoid(above, [point.share for point in found.curve]) == pytest.approx(found.qini.effect, abs=2e-3)
    assert uplift(scores, priority, TREATED, seed=1) == found


def test_clusters_and_folds_ahead() -> None:
    """Whole clusters with one score each: units that are told apart would be found far too often."""
    generator = np.random.default_rng(3)
    told, untold = [], []
    for seed in range(100):
        clusters = np.repeat(np.arange(30), 20)
        scores, priority = generator.normal(size=30)[clusters], generator.normal(size=30)[clusters]
        for found, given in ((told, clusters), (untold, None)):
            made = uplift(scores, priority, np.arange(600) % 2 == 0, seed=seed, clusters=given, permutations=59)
            found.append(made.p_value)
    assert np.mean(np.array(told) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert np.mean(np.array(untold) <= 0.05) > 0.2


def test_one_priority_for_all_is_no_order() -> None:
    found = uplift(GENERATOR.normal(size=2_000), np.ones(2_000), TREATED, seed=1)
    assert found.status == "not_estimable" and found.qini is None and found.p_value is None
    assert curve(np.ones(4), np.ones(4), np.ones(4), points=2)[1].gain == pytest.approx(0.5)
