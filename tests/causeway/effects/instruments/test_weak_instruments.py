"""Sets that hold however weak the instruments are, and the F that says how weak they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from causeway.effects.estimators.partialling_out import Covariates
from causeway.effects.instruments import ConfidenceSet, ratio_set, two_stage_least_squares
from causeway.effects.instruments.first_stage import critical_effective_f
from causeway.effects.instruments.reduced_form import ReducedForm, reduced_form

NO_X = np.zeros((400, 0))


def _world(seed: int, strength: float, q: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    z, hidden = generator.normal(size=(n, q)), generator.normal(size=n)
    t = strength * z.sum(axis=1) + hidden + 0.3 * generator.normal(size=n)
    return t + 2 * hidden * np.sqrt(0.5 + 0.5 * z[:, 0] ** 2) + generator.normal(size=n), t, z


def _tested(y: np.ndarray, t: np.ndarray, z: np.ndarray, effect: float) -> float:
    """p-value of the robust F of the instruments on y - effect t, HC3, by the textbook's matrices."""
    n, q = z.shape
    exog = np.column_stack([np.ones(n), z])
    inverse = np.linalg.inv(exog.T @ exog)
    beta = inverse @ exog.T @ (y - effect * t)
    leverage = np.einsum("ij,jk,ik->i", exog, inverse, exog)
    scores = exog * ((y - effect * t - exog @ beta) / (1 - leverage))[:, None]
    covariance = (inverse @ scores.T @ scores @ inverse)[1:, 1:]
    return float(stats.f.sf(beta[1:] @ np.linalg.solve(covariance, beta[1:]) / q, q, n - q - 1))


@pytest.mark.parametrize("q", [1, 2, 5])
@pytest.mark.parametrize("strength", [0.0, 0.05, 0.15, 1.0])
def test_set_holds_exactly_the_effects_that_the_test_does_not_reject(q: int, strength: float) -> None:
    """Every kind of set turns up; inside and outside agree with the test done one effect at a time."""
    for seed in range(8):
        y, t, z = _world(seed, strength, q)
        found = two_stage_least_squares(y, t, z, NO_X).robust_set
        assert found is not None
        assert found.p_value == pytest.approx(_tested(y, t, z, 0.0), rel=1e-6)
        for end in [end for piece in found.pieces for end in piece if end is not None]:
            assert _tested(y, t, z, end) == pytest.approx(0.05, abs=1e-6)
        effects = np.tan(np.linspace(-1.57, 1.57, 61))
        for effect in effects:
            assert found.contains(float(effect)) == (_tested(y, t, z, float(effect)) >= 0.05), (seed, effect, found)


def test_all_kinds_of_set_are_named() -> None:
    kinds = {
        two_stage_least_squares(*_world(seed, strength, q), NO_X).robust_set.kind  # type: ignore[union-attr]
        for strength in (0.0, 0.06, 1.0)
        for q in (1, 2)
        for seed in range(25)
    }
    assert {"bounded", "two_rays", "unbounded"} <= kinds
    y, t, z = _world(0, 1.0, 2)
    contradicted = two_stage_least_squares(y + 5 * z[:, 1], t, z, NO_X).robust_set
    assert contradicted is not None and contradicted.kind == "empty" and contradicted.pieces == ()
    assert "contradict" in contradicted.in_words


def test_words_say_what_the_set_is() -> None:
    rays = ConfidenceSet("two_rays", ((None, -1.0), (2.5, None)), 0.05)
    assert rays.in_words == "at most -1 or at least 2.5 at 95 %: the instruments are too weak for an interval"
    assert "nothing" in ConfidenceSet("unbounded", ((None, None),), 0.1).in_words
    assert rays.contains(-5) and rays.contains(3) and not rays.contains(0)


@pytest.mark.parametrize("denominator", [3.0, 0.5, 0.1, 0.0, -2.0])
@pytest.mark.parametrize("numerator", [0.0, 1.0, -4.0])
def test_ratio_set_is_what_the_inequality_says(numerator: float, denominator: float) -> None:
    covariance = (0.3, 0.1, 0.2)
    found = ratio_set(numerator, denominator, covariance, critical_value=1.96, alpha=0.05)
    for b in np.tan(np.linspace(-1.57, 1.57, 801)):
        variance = covariance[0] - 2 * b * covariance[1] + b * b * covariance[2]
        assert found.contains(float(b)) == (abs(numerator - b * denominator) <= 1.96 * math.sqrt(variance))


def test_effective_f_wants_23_of_one_instrument_and_37_for_half_the_bias() -> None:
    """Montiel Olea & Pflueger 2013, table 1, one effective degree of freedom: 37.42, 23.11, 15.06, 12.05."""
    y, t, z = _world(0, 0.5, 1)
    found = reduced_form(y, t, z / np.linalg.norm(z), Covariates.from_arrays(NO_X), None)
    values = [critical_effective_f(found, bias=bias) for bias in (0.05, 0.1, 0.2, 0.3)]
    assert values == pytest.approx([37.42, 23.11, 15.06, 12.05], abs=0.01)


def test_critical_value_is_the_supremum_over_effects_and_directions() -> None:
    """By random search over both, where the code takes eigenvalues and one line."""
    generator = np.random.default_rng(1)
    root = generator.normal(size=(6, 12))
    covariance = root @ root.T
    found = ReducedForm(np.ones(3), np.ones(3), covariance, covariance, 1.0, 100)
    w1, w12, w2 = found.covariances()
    worst = 0.0
    for effect in np.tan(np.linspace(-1.57, 1.57, 400)):
        s12, s1 = w12 - effect * w2, w1 - effect * (w12 + w12.T) + effect**2 * w2
        c = generator.normal(size=(300, 3))
        c /= np.linalg.norm(c, axis=1)[:, None]
        bias = np.abs(np.trace(s12) - 2 * np.einsum("ij,jk,ik->i", c, s12, c)) / np.trace(w2)
        worst = max(worst, float(bias.max() / np.sqrt(np.trace(s1) / np.trace(w2))))
    x = worst / 0.1
    largest, trace = np.linalg.eigvalsh(w2)[-1], np.trace(w2)
    k = trace**2 * (1 + 2 * x) / (np.trace(w2 @ w2) + 2 * x * trace * largest)
    assert critical_effective_f(found) == pytest.approx(stats.ncx2.isf(0.05, k, x * k) / k, rel=0.02)
    assert critical_effective_f(found) <= critical_effective_f(found, conservative=True)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_worst_bias_may_be_at_a_finite_effect_of_either_sign(sign: float) -> None:
    """W2 = 1, W12 = diag(1, 1, -1): at effect b the bias is (3 - b) / sqrt(3 tr S1), at infinity only a third."""
    w12 = sign * np.diag([1.0, 1.0, -1.0])
    covariance = np.block([[1.01 * np.eye(3), w12], [w12, np.eye(3)]])
    found = ReducedForm(np.ones(3), np.ones(3), covariance, covariance, 1.0, 100)
    b = np.linspace(-1, 1, 100_001)
    x = 10 * float(np.max((3 - b) / np.sqrt(3 * (3.03 - 2 * b + 3 * b**2))))
    assert critical_effective_f(found) == pytest.approx(stats.ncx2.isf(0.05, 3, 3 * min(x, 10.0)) / 3, rel=1e-6)


def test_a_set_much_narrower_than_the_grid_is_not_missed() -> None:
    """Instruments that all but contradict each other leave a sliver around the effect that fits best."""
    y, t, z = _world(0, 1.0, 2)
    y = y + 0.3 * z[:, 1]
    best = optimize.minimize_scalar(
        lambda b: -_tested(y, t, z, b), bounds=(0, 3), method="bounded", options={"xatol": 1e-12}
    )
    found = two_stage_least_squares(y, t, z, NO_X, alpha=-best.fun * (1 - 1e-9)).robust_set
    assert found is not None and found.kind == "bounded" and found.contains(best.x)
    ((low, high),) = found.pieces
    assert low is not None and high is not None and 0 < high - low < 1e-4


@pytest.mark.parametrize("q", [1, 3])
def test_robust_set_covers_where_the_usual_interval_fails(q: int) -> None:
    """250 studies each of instruments that are strong, weak, and useless, with a strong hidden cause."""
    covered = {}
    for strength in (1.0, 0.06, 0.0):
        usual = robust = 0
        for seed in range(250):
            found = two_stage_least_squares(*_world(1_000 + seed, strength / math.sqrt(q), q), NO_X)
            assert found.robust_set and found.inference and found.inference.ci_low and found.inference.ci_high
            usual += found.inference.ci_low <= 1.0 <= found.inference.ci_high
            robust += found.robust_set.contains(1.0)
        covered[strength] = (usual / 250, robust / 250)
    print(q, covered)
    assert all(abs(robust - 0.95) <= 0.042 for _, robust in covered.values())
    assert abs(covered[1.0][0] - 0.95) <= 0.042
    assert covered[0.0][0] < 0.85


@pytest.mark.parametrize("q", [2])
def test_clustered_instruments_are_covered_by_both(q: int) -> None:
    """300 studies of 30 clusters of 10: instrument, and part of the errors, belong to the cluster."""
    clusters = np.repeat(np.arange(30), 10)
    usual = robust = unclustered = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        z, shared = generator.normal(size=(30, q))[clusters], generator.normal(size=(30, 2))[clusters]
        hidden = generator.normal(size=300)
        t = 1.5 * z[:, 0] + 0.5 * shared[:, 0] + hidden
        y = t + hidden + shared[:, 1] + generator.normal(size=300)
        found = two_stage_least_squares(y, t, z, NO_X[:300], clusters=clusters)
        naive = two_stage_least_squares(y, t, z, NO_X[:300])
        assert found.robust_set and found.inference and found.inference.ci_low and found.inference.ci_high
        usual += found.inference.ci_low <= 1.0 <= found.inference.ci_high
        robust += found.robust_set.contains(1.0)
        assert naive.robust_set is not None
        unclustered += naive.robust_set.contains(1.0)
    print(q, usual / 300, robust / 300, unclustered / 300)
    assert abs(usual / 300 - 0.95) <= 0.038
    assert abs(robust / 300 - 0.95) <= 0.038
    assert unclustered / 300 < 0.75
