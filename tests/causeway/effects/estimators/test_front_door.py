"""The front door: the truth is found behind a hidden cause, and one wrong part does not move it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from causeway.effects.estimators.front_door import FrontDoorNuisances, fit_front_door_nuisances, front_door_effect
from causeway.effects.estimators.linear_effect import linear_effect

SHIFT, SLOPE = 0.4, 2.5
TRUTH = SHIFT * SLOPE


def _world(seed: int, n: int = 1_000, clusters: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """A hidden cause of treatment and outcome; the treatment acts by moving a two-valued mediator with chance 0.4."""
    generator = np.random.default_rng(seed)
    x, hidden = generator.normal(size=(n, 1)), generator.normal(size=n)
    shared = np.zeros(n) if clusters is None else generator.normal(size=clusters.max() + 1)[clusters]
    t = hidden + 0.5 * x[:, 0] + shared + generator.logistic(size=n) > 0
    m = (generator.uniform(size=n) < 0.3 + SHIFT * t).astype(float)
    y = SLOPE * m + x[:, 0] + 2 * hidden + generator.normal(size=n)
    return y, t, m[:, None], x, np.arange(n) % 5


def _found(y: np.ndarray, t: np.ndarray, m: np.ndarray, x: np.ndarray, folds: np.ndarray, **more: np.ndarray) -> object:
    return front_door_effect(y, t, fit_front_door_nuisances(y, t, m, x, folds=folds), **more)


def test_truth_is_recovered_and_covered_where_adjustment_is_far_off() -> None:
    covered = 0
    estimates, adjusted = [], []
    for seed in range(120):
        y, t, m, x, folds = _world(seed)
        found = _found(y, t, m, x, folds)
        covered += found.inference.ci_low <= TRUTH <= found.inference.ci_high
        estimates.append(found.effect.effect)
        adjusted.append(linear_effect(y, t.astype(float), x).effect.effect)
    print(covered / 120, np.mean(estimates), np.std(estimates), np.mean(adjusted))
    assert abs(np.mean(estimates) - TRUTH) <= 4 * np.std(estimates) / math.sqrt(120)
    assert abs(covered / 120 - 0.95) <= 0.06
    assert np.mean(adjusted) - TRUTH > 1


@pytest.mark.parametrize("wrong", ["outcomes", "mediators"])
def test_one_wrong_part_of_the_nuisances_does_not_move_it(wrong: str) -> None:
    estimates = []
    for seed in range(30):
        y, t, m, x, folds = _world(seed, 3_000)
        right = fit_front_door_nuisances(y, t, m, x, folds=folds)
        if wrong == "outcomes":
            zero = np.zeros(3_000)
            nuisances = replace(right, outcome_control=zero, outcome_treated=zero, carried=np.zeros((3_000, 2, 2)))
        else:
            # As if the mediator said nothing of the treatment; the outcome's part stays.
            nuisances = replace(right, propensity_given_mediators=right.propensity)
        estimates.append(front_door_effect(y, t, nuisances).effect.effect)  # type: ignore[union-attr]
    print(wrong, np.mean(estimates), np.std(estimates))
    assert abs(np.mean(estimates) - TRUTH) <= 4 * np.std(estimates) / math.sqrt(30)


def test_without_covariates_it_is_pearls_sum_over_the_table() -> None:
    """Sum over m of P(m | t) sum over t' of E[Y | t', m] P(t'), all from one table."""
    y, t, m, _, _ = _world(0, 2_000)
    value = m[:, 0] == 1
    share, n = t.mean(), len(y)
    mean = {(a, b): y[(t == a) & (value == b)].mean() for a in (False, True) for b in (False, True)}
    chance = {a: value[t == a].mean() for a in (False, True)}

    def carried(a: bool, b: bool) -> float:
        return float(chance[b] * mean[a, True] + (1 - chance[b]) * mean[a, False])

    truth = sum(
        sign * (share * carried(True, b) + (1 - share) * carried(False, b)) for sign, b in ((1, True), (-1, False))
    )
    given = np.where(value, t[value].mean(), t[~value].mean())
    low, high = (np.where(value, mean[a, True], mean[a, False]) for a in (False, True))
    table = np.array([[carried(a, b) for b in (False, True)] for a in (False, True)])
    nuisances = FrontDoorNuisances(np.full(n, share), given, low, high, np.broadcast_to(table, (n, 2, 2)))
    found = front_door_effect(y, t, nuisances)
    assert found.effect is not None and found.effect.effect == pytest.approx(truth, rel=1e-10)


def test_weights_and_clusters_count() -> None:
    clusters = np.repeat(np.arange(50), 20)
    y, t, m, x, folds = _world(1, clusters=clusters)
    plain, clustered = _found(y, t, m, x, folds), _found(y, t, m, x, folds, clusters=clusters)
    assert plain.effect.effect == clustered.effect.effect
    assert clustered.inference.clusters == 50 and plain.inference.clusters is None
    weights = np.where(np.arange(1_000) < 500, 1.0, 0.0)
    half = front_door_effect(y, t, fit_front_door_nuisances(y, t, m, x, folds=folds, weights=weights), weights=weights)
    alone = _found(y[:500], t[:500], m[:500], x[:500], folds[:500])
    assert half.units == 500 and half.effect and half.effect.effect == pytest.approx(alone.effect.effect, rel=0.05)


def test_bad_input_is_a_status_with_a_reason() -> None:
    y, t, m, x, folds = _world(2, 200)
    right = fit_front_door_nuisances(y, t, m, x, folds=folds)
    cases = {
        "one arm": (front_door_effect(y, np.ones(200, bool), right), "too_few_units"),
        "certain": (front_door_effect(y, t, replace(right, propensity_given_mediators=t * 1.0)), "not_estimable"),
        "constant outcome": (front_door_effect(np.full(200, 0.1), t, right), "zero_variance"),
        "one cluster": (front_door_effect(y, t, right, clusters=np.zeros(200, np.int64)), "too_few_units"),
    }
    for name, (found, status) in cases.items():
        assert found.status == status, name
        assert found.reason and found.effect is None, name
