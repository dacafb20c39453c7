"""Balance and overlap on groups that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.effects.balance import adjustment_weights, balance, effective_sample_size
from causeway.effects.estimators.matching import match


def test_the_standardised_difference_is_the_textbook_one() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0], [4.0, 5.0], [6.0, 5.0]])
    first, second = balance(x, ["x", "constant"], np.array([False, False, True, True]))
    assert first.smd == pytest.approx(3 / np.sqrt(2))
    assert second.smd is None
    assert (first.variance_ratio, second.variance_ratio) == (pytest.approx(1.0), None)


def _confounded(n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    x = np.column_stack([generator.normal(size=n), generator.exponential(size=n)])
    propensity = 1 / (1 + np.exp(-0.8 * x[:, 0] - 0.4 * (x[:, 1] - 1)))
    return x, propensity, generator.uniform(size=n) < propensity


@pytest.mark.parametrize("target", ["ATE", "ATT", "ATC", "ATO"])
def test_weights_of_every_target_balance_the_groups_towards_it(target: str) -> None:
    x, propensity, treated = _confounded()
    weights = adjustment_weights(treated=treated, propensity=propensity, target=target)  # type: ignore[arg-type]
    before, after = (balance(x, ["a", "b"], treated, weights=each) for each in (None, weights))
    assert min(abs(each.smd or 0) for each in before) > 0.2
    assert max(abs(each.smd or 9) for each in after) < 0.05
    assert all(abs((each.variance_ratio or 9) - 1) < 0.15 for each in after)
    population = {"ATE": x.mean(0), "ATT": x[treated].mean(0), "ATC": x[~treated].mean(0)}
    if target in population:
        for arm in (treated, ~treated):
            assert np.average(x[arm], axis=0, weights=weights[arm]) == pytest.approx(population[target], abs=0.05)


def test_what_matching_used_is_balanced() -> None:
    x, _, treated = _confounded(2_000)
    result = match(treated=treated, outcome=x[:, 0], x=x, target="ATT")
    before, after = (balance(x, ["a", "b"], treated, weights=each) for each in (None, result.weights))
    assert all(abs(b.smd or 9) < 0.3 * abs(a.smd or 0) for a, b in zip(before, after, strict=True))


def test_whole_weights_are_repeated_units_and_the_spread_stays_the_one_before() -> None:
    x, _, treated = _confounded(200)
    times = np.random.default_rng(0).integers(1, 4, size=200)
    rows = np.repeat(np.arange(200), times)
    (weighted,) = balance(x[:, :1], ["a"], treated, weights=times.astype(float), sampling_weights=times.astype(float))
    (repeated,) = balance(x[rows, :1], ["a"], treated[rows])
    assert weighted.smd == pytest.approx(repeated.smd, rel=0.02)
    (adjusted,) = balance(x[:, :1], ["a"], treated, weights=times.astype(float))
    means = [np.average(x[arm, 0], weights=times[arm]) for arm in (treated, ~treated)]
    spread = np.sqrt((x[treated, 0].var(ddof=1) + x[~treated, 0].var(ddof=1)) / 2)
    assert adjusted.smd == pytest.approx((means[0] - means[1]) / spread)


def test_a_group_that_weighs_nothing_has_no_balance() -> None:
    x, _, treated = _confounded(50)
    (found,) = balance(x[:, :1], ["a"], treated, weights=treated.astype(float))
    assert (found.smd, found.variance_ratio) == (None, None)


def test_a_column_that_does_not_vary_has_none_whatever_its_value() -> None:
    _, _, treated = _confounded(50)
    (found,) = balance(np.full((50, 1), 0.1), ["a"], treated, weights=np.random.default_rng(0).uniform(size=50))
    assert (found.smd, found.variance_ratio) == (None, None)


def test_the_effective_sample_size_is_the_number_of_equal_weights() -> None:
    assert effective_sample_size(np.array([2.0, 2.0, 0.0, 2.0])) == pytest.approx(3)
    assert effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(1.6)
    assert effective_sample_size(np.zeros(3)) == 0.0


def test_a_propensity_of_one_has_no_weight_for_its_control() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        adjustment_weights(treated=np.array([True, False]), propensity=np.array([0.5, 1.0]), target="ATE")
    kept = adjustment_weights(
        treated=np.array([True, False, False]), propensity=np.array([0.5, 0.5, 0.5]), target="ATT",
        sampling_weights=np.array([1.0, 1.0, 3.0]),
    )  # fmt: skip
    assert kept == pytest.approx([1.0, 0.5, 1.5])
