"""Least squares for a treatment on a scale: statsmodels agrees, clusters and weights are counted, bad input is told."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.estimators.least_squares import treatment_coefficient
from causeway.effects.estimators.linear_effect import linear_effect
from causeway.effects.estimators.slope_clusters import conventional_factor, small_sample_of_slope
from causeway.effects.influence import Linearised, infer


def _world(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    t = x[:, 0] + generator.normal(size=n)
    y = 2 * t + x @ [1.0, -1.0, 0.5] + generator.normal(size=n) * (1 + np.abs(t))
    return y, t, x, generator.uniform(0.2, 3.0, size=n)


@pytest.mark.parametrize("weighted", [False, True])
def test_estimate_and_hc3_error_are_those_of_statsmodels(weighted: bool) -> None:
    y, t, x, weights = _world()
    exog = np.column_stack([np.ones(len(y)), t, x])
    reference = sm.WLS(y, exog, weights=weights if weighted else 1.0).fit(cov_type="HC3", use_t=True)
    found = linear_effect(y, t, x, weights=weights if weighted else None)
    assert found.effect is not None and found.inference is not None
    assert (found.status, found.variance) == ("ok", "hc3")
    assert found.effect.effect == pytest.approx(reference.params[1], abs=1e-12)
    assert found.effect.std_error == pytest.approx(reference.bse[1], rel=1e-10)
    assert (found.inference.ci_low, found.inference.ci_high) == pytest.approx(tuple(reference.conf_int()[1]), rel=1e-9)
    coefficient = treatment_coefficient(exog, y, weights if weighted else None)
    assert coefficient.value == pytest.approx(found.effect.effect, abs=1e-12)
    assert coefficient.std_error == pytest.approx(found.effect.std_error, rel=1e-10)


def test_only_ratios_of_weights_matter_and_weight_zero_is_no_unit() -> None:
    y, t, x, weights = _world()
    weights[:50] = 0.0
    found, again = linear_effect(y, t, x, weights=weights), linear_effect(y, t, x, weights=1e6 * weights)
    alone = linear_effect(y[50:], t[50:], x[50:], weights=weights[50:])
    assert found.effect and again.effect and alone.effect and found.inference and alone.inference
    assert found.units == alone.units == 150
    assert found.effect.std_error == pytest.approx(again.effect.std_error, rel=1e-9)
    assert found.effect.effect == pytest.approx(alone.effect.effect, rel=1e-9)
    assert found.inference.ci_low == pytest.approx(alone.inference.ci_low, rel=1e-9)


def test_collinear_and_constant_columns_are_dropped_by_position_and_change_nothing() -> None:
    y, t, x, _ = _world()
    more = np.column_stack([x[:, 0], np.full(len(y), 2020.0), x[:, 1], x[:, 2], x[:, 0] - 3 * x[:, 2]])
    found, plain = linear_effect(y, t, more), linear_effect(y, t, x)
    assert found.dropped_x == (1, 4)
    assert found.effect and plain.effect
    assert found.effect.std_error == pytest.approx(plain.effect.std_error, rel=1e-10)
    assert found.effect.df == plain.effect.df == 195


def test_units_of_the_treatment_do_not_decide_whether_there_is_an_answer() -> None:
    """A treatment in billions has a tiny coefficient and a tiny error, neither of which is rounding."""
    y, t, x, _ = _world()
    found = linear_effect(y, 1e12 * t + 1e13, x)
    plain = linear_effect(y, t, x)
    assert found.effect and plain.effect
    assert found.effect.effect == pytest.approx(1e-12 * plain.effect.effect, rel=1e-6)


def test_equal_clusters_of_a_clustered_treatment_have_a_degree_of_freedom_each_less_two() -> None:
    """As if the cluster means were regressed: the residual degrees of freedom of that, and its factor."""
    clusters = np.repeat(np.arange(12), 5)
    of_clusters = np.tile([-1.0, 1.0], 6)
    t = of_clusters[clusters]
    slope, constant = t / (t @ t), np.full(60, 1 / np.sqrt(60))
    basis = np.column_stack([constant, t / np.sqrt(60)])
    factor, df = small_sample_of_slope(slope, basis, clusters, np.ones(60))
    assert factor == pytest.approx(12 / 10)
    assert df == pytest.approx(10)


@pytest.mark.parametrize("weighted", [False, True])
def test_small_sample_of_a_slope_is_that_of_the_matrix_written_out(weighted: bool) -> None:
    _, t, x, weights = _world(2, 60)
    roots = np.sqrt(weights / weights.mean()) if weighted else np.ones(60)
    clusters = np.random.default_rng(3).integers(0, 9, 60)
    basis = np.linalg.qr(np.column_stack([np.ones(60), x, t]) * roots[:, None])[0]
    slope = basis[:, 4] / 7.0
    rows = np.array([np.where(clusters == g, slope, 0.0) for g in range(9)])
    left = np.eye(60) - basis @ basis.T
    b = rows @ left @ np.diag(roots**2) @ left @ rows.T
    factor, df = small_sample_of_slope(slope, basis, clusters, roots)
    assert factor == pytest.approx(float(slope @ (roots**2 * slope)) / np.trace(b), rel=1e-10)
    assert df == pytest.approx(np.trace(b) ** 2 / np.sum(b * b), rel=1e-10)


def test_clustered_error_is_that_of_statsmodels_but_for_the_factor() -> None:
    y, t, x, weights = _world(4, 300)
    clusters = np.random.default_rng(5).integers(0, 40, 300)
    exog = np.column_stack([np.ones(300), t, x])
    reference = sm.WLS(y, exog, weights=weights).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    found = linear_effect(y, t, x, weights=weights, clusters=clusters)
    assert found.inference and found.effect and found.effect.of_clusters and found.inference.std_error
    factor = found.effect.of_clusters[0]
    conventional = conventional_factor(300, 5, clusters)
    assert found.inference.std_error == pytest.approx(reference.bse[1] * np.sqrt(factor / conventional), rel=1e-9)
    assert found.inference.clusters == 40


def test_few_unequal_clusters_still_cover_where_conventional_degrees_of_freedom_do_not() -> None:
    """1,000 studies of 12 clusters, one of them with a third of the units; the treatment belongs to the cluster."""
    sizes = np.array([60] + [10] * 11)
    clusters = np.repeat(np.arange(12), sizes)
    covered = conventional = 0
    for seed in range(1_000):
        generator = np.random.default_rng(seed)
        t = generator.normal(size=12)[clusters]
        y = t + 0.5 * generator.normal(size=12)[clusters] + generator.normal(size=len(clusters))
        found = linear_effect(y, t, np.zeros((len(t), 0)), clusters=clusters)
        if found.status != "ok":
            covered += 1
            continue
        assert found.effect and found.inference and found.inference.ci_low and found.inference.ci_high
        covered += found.inference.ci_low <= 1.0 <= found.inference.ci_high
        naive = infer(
            Linearised(found.effect.effect, found.effect.contributions, None, (12 / 11, 1e9)), None, clusters=clusters
        )
        assert naive.ci_low and naive.ci_high
        conventional += naive.ci_low <= 1.0 <= naive.ci_high
    print("ours", covered / 1_000, "conventional", conventional / 1_000)
    assert covered / 1_000 >= 0.93
    assert conventional / 1_000 < 0.90


def test_clusters_need_arms_or_an_estimate_that_counts_them() -> None:
    found = Linearised(1.0, np.array([0.1, -0.1, 0.2, -0.2]))
    with pytest.raises(ValueError, match="counted in arms"):
        infer(found, None, clusters=np.array([0, 0, 1, 1]))


def test_bad_input_is_a_status_with_a_reason() -> None:
    y, t, x, _ = _world(6, 20)
    cases = {
        "constant treatment": (linear_effect(y, np.full(20, 3.3), x), "not_estimable"),
        "treatment in x": (linear_effect(y, x[:, 0] + x[:, 1], x), "not_estimable"),
        "constant outcome": (linear_effect(np.full(20, 0.1), t, x), "zero_variance"),
        "exact outcome": (linear_effect(2 * t, t, x), "zero_variance"),
        "more columns than units": (
            linear_effect(y, t, np.random.default_rng(0).normal(size=(20, 30))),
            "too_few_units",
        ),
        "one cluster": (linear_effect(y, t, x, clusters=np.zeros(20, np.int64)), "too_few_units"),
    }
    for name, (found, status) in cases.items():
        assert found.status == status, name
        assert found.reason and found.effect is None and found.inference is None, name
    with pytest.raises(ValueError, match="finite"):
        linear_effect(np.where(np.arange(20) == 3, np.nan, y), t, x)
    with pytest.raises(ValueError, match="negative"):
        linear_effect(y, t, x, weights=np.full(20, -1.0))


def test_a_unit_that_is_fitted_exactly_makes_it_hc1() -> None:
    y, t, x, _ = _world(7, 40)
    alone = np.column_stack([x, np.arange(40) == 7])
    found = linear_effect(y, t, alone)
    reference = sm.OLS(y, np.column_stack([np.ones(40), t, alone])).fit(cov_type="HC1")
    assert found.effect and found.variance == "hc1"
    assert found.effect.std_error == pytest.approx(reference.bse[1], rel=1e-10)
