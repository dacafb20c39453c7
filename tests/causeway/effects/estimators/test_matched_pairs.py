"""Pairs: nobody is in two, each is the nearest that was free, and rows may come in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causeway.effects.estimators.matched_pairs import matched_pairs
from causeway.effects.estimators.nearest import whitened
from causeway.effects.sensitivity.rosenbaum import rosenbaum_bounds


def study(n: int = 400, seed: int = 0, *, discrete: bool = False) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    x = np.round(x) if discrete else x
    propensity = 1 / (1 + np.exp(1.5 - x[:, 0]))
    treated = generator.uniform(size=n) < propensity
    outcome = x[:, 0] + 2.0 * treated + generator.normal(size=n)
    return {"treated": treated, "outcome": outcome, "x": x, "propensity": propensity}


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("caliper", [None, 0.15])
def test_pairs_are_those_of_a_loop_that_always_looks_at_everybody(discrete: bool, caliper: Any) -> None:
    data = study(seed=1, discrete=discrete)
    found = matched_pairs(**data, seed=0, caliper=caliper)
    places = whitened(data["x"])
    free = set(np.flatnonzero(~data["treated"]))
    partner = dict(zip(found.treated.tolist(), found.control.tolist(), strict=True))
    # Equal propensities may come in any order; within a point of the lattice all distances are the same.
    for unit in sorted(np.flatnonzero(data["treated"]), key=lambda i: -round(data["propensity"][i], 12)):
        distances = {j: float(np.linalg.norm(places[unit] - places[j])) for j in free}
        nearest = min(distances.values(), default=np.inf)
        if discrete:
            continue
        if nearest > (np.inf if caliper is None else caliper):
            assert unit not in partner
        else:
            assert distances[partner[unit]] == pytest.approx(nearest, abs=1e-12)
            free.remove(partner[unit])
    assert len(set(found.treated)) == len(found.treated) == len(set(found.control))
    assert data["treated"][found.treated].all() and not data["treated"][found.control].any()
    assert len(found.treated) + found.n_unmatched == data["treated"].sum()
    apart = np.linalg.norm(places[found.treated] - places[found.control], axis=1)
    assert caliper is None or apart.max() <= caliper + 1e-9
    assert found.differences == pytest.approx(data["outcome"][found.treated] - data["outcome"][found.control])


@pytest.mark.parametrize("metric", ["mahalanobis", "propensity", "both"])
def test_the_order_of_rows_changes_no_pair(metric: Any) -> None:
    data = study(seed=2, discrete=True)
    shuffled = np.random.default_rng(3).permutation(400)
    one = matched_pairs(**data, seed=0, metric=metric)
    other = matched_pairs(**{name: values[shuffled] for name, values in data.items()}, seed=0, metric=metric)
    assert set(zip(one.treated, one.control, strict=True)) == set(
        zip(shuffled[other.treated], shuffled[other.control], strict=True)
    )


def test_more_treated_than_controls_leaves_some_without_a_pair() -> None:
    data = study(seed=4)
    found = matched_pairs(**{**data, "treated": ~data["treated"]}, seed=0)
    assert len(found.treated) == data["treated"].sum()
    assert found.n_unmatched == 400 - 2 * data["treated"].sum()
    nobody = matched_pairs(**{**data, "treated": np.ones(400, dtype=bool)}, seed=0)
    assert (len(nobody.treated), nobody.n_unmatched) == (0, 400)
    with pytest.raises(ValueError, match="needs a propensity"):
        matched_pairs(**{**data, "propensity": None}, seed=0, metric="both")


def test_thousands_in_one_place_are_paired_without_looking_at_their_outcomes() -> None:
    """Ties broken by an order that the outcome has a part in would take the lowest controls for every pair."""
    generator = np.random.default_rng(5)
    treated = np.arange(20_000) < 6_000
    outcome = np.sort(generator.normal(size=14_000))
    outcome = np.concatenate([generator.normal(size=6_000), outcome])
    found = matched_pairs(treated=treated, outcome=outcome, x=np.zeros((20_000, 1)), seed=1)
    assert len(set(found.control)) == len(found.treated) == 6_000
    assert abs(found.differences.mean()) < 4 * np.sqrt(2 / 6_000)
    assert rosenbaum_bounds(found.differences, gammas=(1.0,)).critical_gamma == 1.0


def test_the_bounds_of_pairs_find_a_strong_effect_robust_and_no_effect_not() -> None:
    data = study(seed=6)
    pairs = matched_pairs(**data, seed=0, caliper=0.3)
    strong = rosenbaum_bounds(pairs.differences)
    assert strong.critical_gamma is not None and strong.critical_gamma > 5
    one = strong.bounds[0]
    assert one.effect_low == pytest.approx(2.0, abs=0.4)
    none = rosenbaum_bounds(pairs.differences - 2.0)
    assert none.critical_gamma is not None and none.critical_gamma < 1.6
