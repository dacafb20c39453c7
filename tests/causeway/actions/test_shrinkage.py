"""What the best of many segments promises, before and after shrinking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from causeway.actions import shrinkage
from causeway.actions.ranks import rank_segments
from causeway.actions.shrinkage import ONE_EFFECT, shrink

Truth = Callable[[np.random.Generator, int], np.ndarray]


def promised(truth: Truth, k: int, runs: int = 400, top: int = 3) -> tuple[float, float, float]:
    """Mean excess of what the chosen segments promise over what they bring: raw, shrunk, and the shrunk one's error."""
    rng = np.random.default_rng(20_240_117)
    raw, shrunk = [], []
    for _ in range(runs):
        effects, errors = truth(rng, k), rng.uniform(0.03, 0.12, k)
        found = effects + errors * rng.standard_normal(k)
        belief = shrink(found, errors, seed=1).mean
        best, believed = np.argsort(-found)[:top], np.argsort(-belief)[:top]
        raw.append(float((found - effects)[best].mean()))
        shrunk.append(float((belief - effects)[believed].mean()))
    return float(np.mean(raw)), float(np.mean(shrunk)), float(np.std(shrunk) / np.sqrt(runs))


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "promise" in request.node.name:
        monkeypatch.setattr(shrinkage, "DRAWS", 2)
        monkeypatch.setattr(shrinkage, "_quantile", lambda share, mass, means, variances: means[0])


@pytest.mark.parametrize("k", [8, 20])
@pytest.mark.parametrize(
    "truth",
    [
        lambda rng, k: rng.normal(0.1, 0.06, k),
        lambda rng, k: np.where(rng.random(k) < 0.1, 0.3, 0.0),
        lambda rng, k: 0.1 + 0.03 * rng.standard_t(3, k),
        lambda rng, k: rng.normal(0.1, 0.3, k),
    ],
    ids=["normal", "sparse", "heavy", "wide"],
)
def test_what_the_chosen_segments_promise_is_not_too_much(truth: Truth, k: int) -> None:
    raw, shrunk, error = promised(truth, k)
    assert raw > 0.012, "without shrinking the best of many promise too much"
    assert shrunk < 2.5 * error


@pytest.mark.parametrize("k", [8, 20])
def test_where_there_is_nothing_to_choose_the_promise_is_a_sixth_of_the_luck(k: int) -> None:
    """The hardest case: all effects are the same, and every difference is noise."""
    raw, shrunk, _ = promised(lambda _, k: np.full(k, 0.1), k)
    assert raw > 0.06
    assert shrunk < raw / 6


def test_the_posterior_is_that_of_numerical_integration() -> None:
    """Three segments, over A by scipy's quadrature; given A it is regression to the weighted mean."""
    found, errors = np.array([0.3, 0.1, -0.05]), np.array([0.1, 0.05, 0.08])
    s0 = 3 / np.sum(errors**-2)

    def given(between: float) -> tuple[float, np.ndarray]:
        covariance = np.diag(errors**2 + between)
        weights = 1 / np.diag(covariance)
        mean = weights @ found / weights.sum()
        marginal = stats.norm.pdf(found, mean, np.sqrt(np.diag(covariance))).prod() / np.sqrt(weights.sum())
        return float(marginal), mean + between * weights * (found - mean)

    def over(index: int | None) -> float:
        def density(factor: float) -> float:
            likelihood, means = given(s0 * (1 - factor) / factor)
            return likelihood * (1.0 if index is None else float(means[index]))

        spread, _ = integrate.quad(density, 1e-9, 1)
        return (1 - ONE_EFFECT) * spread + ONE_EFFECT * density(1.0)

    expected = [over(index) / over(None) for index in range(3)]
    got = shrink(found, errors, seed=0)
    np.testing.assert_allclose(got.mean, expected, atol=2e-4)
    np.testing.assert_allclose(got.draws.mean(axis=0), got.mean, atol=5 * got.std.max() / np.sqrt(len(got.draws)))
    np.testing.assert_allclose(np.quantile(got.draws, [0.025, 0.975], axis=0), [got.low, got.high], atol=0.02)


def test_intervals_of_chosen_segments_nearly_cover() -> None:
    """0.90 where effects do differ: the prior that they are all the same costs a little there."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(200):
        effects, errors = rng.normal(0.1, 0.06, 10), rng.uniform(0.03, 0.12, 10)
        belief = shrink(effects + errors * rng.standard_normal(10), errors, seed=1)
        best = int(np.argmax(belief.mean))
        held += belief.low[best] <= effects[best] <= belief.high[best]
    assert held / 200 > 0.86


def test_one_segment_is_left_as_it_is_and_the_same_seed_gives_the_same() -> None:
    one = shrink([0.2], [0.1], seed=0)
    assert (one.mean[0], one.std[0], one.shrinkage[0]) == (0.2, 0.1, 0.0)
    assert one.high[0] == pytest.approx(0.2 + 1.959964 * 0.1)
    first, again = (shrink([0.2, 0.1], [0.1, 0.2], seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.draws, again.draws)


@pytest.mark.parametrize(
    ("found", "errors"), [([0.1], [0.0]), ([np.nan, 1.0], [1.0, 1.0]), ([], []), ([1.0], [1.0, 2.0])]
)
def test_what_cannot_be_shrunk_is_refused(found: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError):
        shrink(found, errors, seed=0)


def test_rank_intervals_cover_all_true_places_at_once() -> None:
    rng, held, runs = np.random.default_rng(9), 0, 200
    effects = np.array([0.0, 0.0, 0.1, 0.3, 0.35, 1.0])
    best = np.array([1 + np.sum(effects > each) for each in effects])
    worst = np.array([np.sum(effects >= each) for each in effects])
    errors = np.array([0.05, 0.1, 0.05, 0.08, 0.08, 0.1])
    for seed in range(runs):
        ranks = rank_segments(effects + errors * rng.standard_normal(6), errors, seed=seed)
        held += all(rank.low <= b and w <= rank.high for rank, b, w in zip(ranks, best, worst, strict=True))
    assert held / runs > 0.92


def test_ties_are_said_and_a_clear_first_is_first() -> None:
    first, second, third = rank_segments(
        [10.0, 1.0, 1.1], [0.1, 0.1, 0.1], seed=0, draws=np.tile([10.0, 1.0, 1.1], (50, 1))
    )
    assert (first.rank, first.low, first.high, first.tied_with, first.probability_best) == (1, 1, 1, (), 1.0)
    assert (second.rank, second.low, second.high, second.tied_with) == (3, 2, 3, (2,))
    assert (third.rank, third.low, third.high, third.tied_with, third.probability_best) == (2, 2, 3, (1,), 0.0)


def test_two_segments_are_told_apart_as_by_their_difference() -> None:
    """With one pair the critical value is the normal's."""
    for apart, told in ((1.9, False), (2.05, True)):
        upper, _ = rank_segments([apart * np.sqrt(2), 0.0], [1.0, 1.0], seed=4)
        assert (upper.high == 1) is told
