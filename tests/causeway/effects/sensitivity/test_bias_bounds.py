"""Bounds of omitted variable bias: closed forms of the linear model, a confounder that was left out, coverage."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from causeway.effects.influence import Linearised, infer
from causeway.effects.nuisances import Nuisances
from causeway.effects.sensitivity.bias_bounds import (
    BoundsTarget,
    Fit,
    OmittedVariables,
    Representation,
    benchmark,
    represent,
)
from causeway.effects.sensitivity.contour import contour
from causeway.effects.sensitivity.linear_bias import LinearSensitivity, linear_benchmark
from causeway.effects.sensitivity.strength import Strength

FLAT = np.zeros(0, dtype=np.int64)


def _binary_worlds(n: int, seed: int) -> dict[str, Any]:
    """x and u are coins, so that every expectation is a sum over four cells."""
    generator = np.random.default_rng(seed)
    x, u = generator.integers(0, 2, size=(2, n))
    propensity = 0.3 + 0.2 * x + 0.25 * u
    treated = generator.uniform(size=n) < propensity
    mean = x + 1.5 * u
    effect = 1 + 0.5 * x + 0.5 * u
    return {
        "x": x, "u": u, "treated": treated, "long": propensity, "g": (mean, mean + effect),
        "outcome": mean + effect * treated + generator.normal(size=n), "effect": effect,
    }  # fmt: skip


def _short(world: dict[str, Any]) -> Nuisances:
    """E[. | x] without u, from the cells' true probabilities."""
    x = world["x"]
    e = 0.3 + 0.2 * x + 0.125
    u_if_treated, u_if_control = (0.55 + 0.2 * x) / 2 / e, (0.45 - 0.2 * x) / 2 / (1 - e)
    control = x + 1.5 * u_if_control
    above = x + 1.5 * u_if_treated + 1 + 0.5 * x + 0.5 * u_if_treated
    return Nuisances(np.zeros(len(x), dtype=np.int64), e, control, above)


def _aipw(world: dict[str, Any], nuisances: Nuisances) -> Linearised:
    t, e = world["treated"], nuisances.propensity
    g = np.where(t, nuisances.outcome_treated, nuisances.outcome_control)
    alpha = np.where(t, 1 / e, -1 / (1 - e))
    score = nuisances.outcome_treated - nuisances.outcome_control + alpha * (world["outcome"] - g)
    return Linearised(float(score.mean()), (score - score.mean()) / len(t))


def test_the_bias_of_leaving_out_a_confounder_is_within_its_bound_and_the_degree_makes_it_exact() -> None:
    world = _binary_worlds(400_000, 1)
    nuisances = _short(world)
    short, found = represent(
        treated=world["treated"], outcome=world["outcome"], nuisances=nuisances, target="ATE"
    ), _aipw(world, nuisances)  # fmt: skip
    assert short is not None
    full = Nuisances(nuisances.folds, world["long"], *world["g"])
    long = represent(treated=world["treated"], outcome=world["outcome"], nuisances=full, target="ATE")
    assert long is not None
    of_outcome = 1 - long.residual_variance / short.residual_variance
    of_treatment = 1 - short.riesz_variance / long.riesz_variance
    analysis = OmittedVariables(found, short, world["treated"])
    bias = found.effect - float(world["effect"].mean())
    assert bias > 0.1
    bound = analysis.bias(Strength(of_outcome, of_treatment))
    assert bias < bound < 2 * bias
    # rho is the correlation of what u adds to g with what it adds to alpha.
    t = world["treated"]
    gain_g = np.where(t, full.outcome_treated - nuisances.outcome_treated, full.outcome_control - nuisances.outcome_control)  # fmt: skip  # noqa: E501
    gain_alpha = np.where(t, 1 / full.propensity, -1 / (1 - full.propensity)) - np.where(
        t, 1 / nuisances.propensity, -1 / (1 - nuisances.propensity)
    )
    degree = abs(float(np.corrcoef(gain_g, gain_alpha)[0, 1]))
    assert analysis.bias(Strength(of_outcome, of_treatment, degree)) == pytest.approx(bias, abs=0.012)
    # The same strength out of the two fits, as a benchmark has it.
    found_benchmark = benchmark(
        "u",
        full=Fit(_aipw(world, full).effect, long.residual_variance, long.riesz_variance),
        without=Fit(found.effect, short.residual_variance, short.riesz_variance),
    )
    assert found_benchmark.change == pytest.approx(bias, abs=0.02)
    assert found_benchmark.strength is not None
    assert found_benchmark.strength.degree == pytest.approx(degree, abs=0.02)
    assert found_benchmark.strength.treatment == pytest.approx(of_treatment / (1 - of_treatment), rel=1e-9)


@pytest.mark.parametrize("target", get_args(BoundsTarget))
def test_the_riesz_variance_is_that_of_the_representer(target: Any) -> None:
    """nu^2 = E alpha^2, from probabilities alone, where estimates use data."""
    world = _binary_worlds(300_000, 2)
    nuisances = _short(world)
    found = represent(treated=world["treated"], outcome=world["outcome"], nuisances=nuisances, target=target)
    assert found is not None
    e = nuisances.propensity
    p = float(e.mean())
    expected = {
        "ATE": np.mean(1 / e + 1 / (1 - e)),
        "ATT": np.mean(e + e**2 / (1 - e)) / p**2,
        "ATC": np.mean((1 - e) + (1 - e) ** 2 / e) / (1 - p) ** 2,
        "ATO": 1 / np.mean(e * (1 - e)),
    }[target]
    assert found.riesz_variance == pytest.approx(expected, rel=0.01)
    assert found.riesz_contributions.sum() == pytest.approx(0, abs=1e-9)
    assert found.residual_contributions.sum() == pytest.approx(0, abs=1e-9)


def test_weights_count_units_as_often() -> None:
    world = _binary_worlds(500, 3)
    nuisances = _short(world)
    times = np.random.default_rng(0).integers(1, 4, size=500)
    rows = np.repeat(np.arange(500), times)
    repeated = Nuisances(
        nuisances.folds[rows], nuisances.propensity[rows], nuisances.outcome_control[rows],
        nuisances.outcome_treated[rows],
    )  # fmt: skip
    for target in get_args(BoundsTarget):
        one = represent(
            treated=world["treated"], outcome=world["outcome"], nuisances=nuisances, target=target,
            weights=times.astype(np.float64),
        )  # fmt: skip
        other = represent(
            treated=world["treated"][rows], outcome=world["outcome"][rows], nuisances=repeated, target=target
        )
        assert one and other
        assert (one.residual_variance, one.riesz_variance) == pytest.approx(
            (other.residual_variance, other.riesz_variance), rel=1e-12
        )


def test_in_a_linear_model_it_is_cinelli_and_hazletts() -> None:
    """Partialling out by least squares: S is the coefficient's se sqrt(df), so bias and robustness value agree."""
    generator = np.random.default_rng(4)
    n = 400
    x = generator.normal(size=(n, 2))
    treated = generator.uniform(size=n) < 1 / (1 + np.exp(-x[:, 0]))
    outcome = 2 * treated + x @ [1.0, 1.0] + generator.normal(size=n)
    basis = np.column_stack([np.ones(n), x])
    t = treated.astype(float)
    propensity = basis @ np.linalg.lstsq(basis, t, rcond=None)[0]
    mean = basis @ np.linalg.lstsq(basis, outcome, rcond=None)[0]
    theta = float((t - propensity) @ outcome / ((t - propensity) @ t))
    nuisances = Nuisances(np.zeros(n, dtype=np.int64), propensity, mean - propensity * theta, mean + (1 - propensity) * theta)  # fmt: skip  # noqa: E501
    found = represent(treated=treated, outcome=outcome, nuisances=nuisances, target="ATO")
    assert found is not None
    residual = outcome - mean - (t - propensity) * theta
    df = n - 4
    std_error = float(np.sqrt(residual @ residual / df / ((t - propensity) @ t)))
    linear = LinearSensitivity(theta, std_error, df)
    assert found.scale == pytest.approx(linear.scale, rel=1e-10)
    analysis = OmittedVariables(Linearised(theta, np.full(n, std_error / np.sqrt(n))), found, treated)
    assert analysis.robustness_value() == pytest.approx(linear.robustness_value(), rel=1e-9)
    # A benchmark by the gains of two fits is the one by partial R2, but for what the covariates share.
    without = basis[:, :2]
    left = [v - without @ np.linalg.lstsq(without, v, rcond=None)[0] for v in (t, outcome)]
    short = float(left[0] @ left[1] / (left[0] @ left[0]))
    gain = benchmark(
        "x2",
        full=Fit(theta, found.residual_variance, found.riesz_variance),
        without=Fit(short, float(np.mean((left[1] - short * left[0]) ** 2)), float(n / (left[0] @ left[0]))),
    )
    partial = 1 - (t - propensity) @ (t - propensity) / (left[0] @ left[0])
    assert gain.strength is not None
    assert gain.strength.treatment == pytest.approx(
        linear_benchmark(treatment=partial, outcome=0.1, times_treatment=1, times_outcome=1).treatment, rel=1e-9
    )


def _analysis(seed: int, n: int = 2_000) -> tuple[OmittedVariables, dict[str, Any]]:
    world = _binary_worlds(n, seed)
    nuisances = _short(world)
    found = represent(treated=world["treated"], outcome=world["outcome"], nuisances=nuisances, target="ATE")
    assert found is not None
    return OmittedVariables(_aipw(world, nuisances), found, world["treated"]), world


def test_without_confounding_bounds_are_the_estimate_and_its_interval() -> None:
    analysis, world = _analysis(5)
    bounds, plain = analysis.bounds(Strength(0, 0)), infer(analysis.found, world["treated"])
    assert (bounds.lower, bounds.upper) == (analysis.found.effect, analysis.found.effect)
    assert (bounds.ci_low, bounds.ci_high) == (plain.ci_low, plain.ci_high)


def test_at_the_robustness_values_the_bound_and_its_interval_reach_the_null() -> None:
    analysis, _ = _analysis(6)
    for null in (0.0, 3.0):
        value, limit = analysis.robustness_value(null), analysis.robustness_value_interval(null=null)
        assert limit is not None and 0 < limit < value < 1
        at_value, at_limit = analysis.bounds(Strength(value, value)), analysis.bounds(Strength(limit, limit))
        ends = (at_value.lower, at_limit.ci_low) if null == 0 else (at_value.upper, at_limit.ci_high)
        assert ends == pytest.approx((null, null), abs=1e-6)
    assert analysis.robustness_value_interval(null=analysis.found.effect + 0.01) == 0.0


def test_the_ends_of_the_bounds_know_that_the_bias_is_estimated_from_the_same_units() -> None:
    analysis, _ = _analysis(10)
    strength = Strength(0.3, 0.2)
    bounds, bias = analysis.bounds(strength), 0.3**0.5 * (0.2 / 0.8) ** 0.5
    of_scale = analysis.representation.scale_contributions
    for sign, middle, end in ((-1, bounds.lower, bounds.ci_low), (1, bounds.upper, bounds.ci_high)):
        together = analysis.found.contributions + sign * bias * of_scale
        apart = analysis.found.contributions - sign * bias * of_scale
        assert middle == pytest.approx(analysis.found.effect + sign * bias * analysis.scale)
        assert end == pytest.approx(middle + sign * 1.959964 * np.linalg.norm(together), rel=1e-6)
        assert np.linalg.norm(together) != pytest.approx(np.linalg.norm(apart), rel=1e-4)


def test_clusters_widen_the_bounds() -> None:
    analysis, world = _analysis(7)
    # Units of one cluster are alike in all they contribute.
    order = np.argsort(analysis.found.contributions)
    labels = np.empty(2_000, dtype=np.int64)
    labels[order] = np.arange(2_000) // 20
    wide = OmittedVariables(analysis.found, analysis.representation, world["treated"], labels)
    plain, clustered = (each.bounds(Strength(0.1, 0.1)) for each in (analysis, wide))
    assert plain.status == clustered.status == "ok"
    assert plain.ci_low and clustered.ci_low and clustered.ci_low < plain.ci_low
    assert (plain.lower, plain.upper) == (clustered.lower, clustered.upper)


def test_the_interval_of_the_bounds_covers_the_effect_when_the_strength_is_the_true_one() -> None:
    """300 studies that leave out u, told how strong it is: their estimates' own intervals miss, the bounds' do not."""
    world = _binary_worlds(400_000, 1)
    nuisances = _short(world)
    full = Nuisances(nuisances.folds, world["long"], *world["g"])
    long, short = (
        represent(treated=world["treated"], outcome=world["outcome"], nuisances=each, target="ATE")
        for each in (full, nuisances)
    )
    assert long and short
    strength = Strength(
        1 - long.residual_variance / short.residual_variance, 1 - short.riesz_variance / long.riesz_variance
    )
    covered = {"bounds": 0, "estimate": 0}
    for seed in range(300):
        analysis, one = _analysis(1_000 + seed, 800)
        bounds, plain = analysis.bounds(strength), infer(analysis.found, one["treated"])
        for name, answer in (("bounds", bounds), ("estimate", plain)):
            assert answer.ci_low is not None and answer.ci_high is not None
            covered[name] += answer.ci_low <= 1.5 <= answer.ci_high
    assert covered["bounds"] / 300 >= 0.94
    assert covered["estimate"] / 300 < 0.3


def test_the_scale_moves_with_its_contributions() -> None:
    """The delta method against S recomputed with one unit counted a little more."""
    world = _binary_worlds(300, 8)
    nuisances = _short(world)
    arguments: dict[str, Any] = {
        "treated": world["treated"], "outcome": world["outcome"], "nuisances": nuisances, "target": "ATE"
    }  # fmt: skip
    found = represent(**arguments)
    assert found is not None
    for unit in (0, 100):
        weights = np.ones(300)
        weights[unit] += 1e-5
        moved = represent(**arguments, weights=weights)
        assert moved is not None
        assert (moved.scale - found.scale) / 1e-5 == pytest.approx(found.scale_contributions[unit], rel=1e-3)


def test_what_has_no_variance_has_no_representation() -> None:
    world = _binary_worlds(100, 9)
    nuisances = _short(world)
    fitted = np.where(world["treated"], nuisances.outcome_treated, nuisances.outcome_control)
    assert represent(treated=world["treated"], outcome=fitted, nuisances=nuisances, target="ATE") is None
    certain = Nuisances(
        nuisances.folds, world["treated"].astype(float), nuisances.outcome_control, nuisances.outcome_treated
    )
    for target in get_args(BoundsTarget):
        assert represent(treated=world["treated"], outcome=world["outcome"], nuisances=certain, target=target) is None
    with pytest.raises(ValueError, match="not for 'LATE'"):
        represent(treated=world["treated"], outcome=fitted, nuisances=nuisances, target="LATE")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        benchmark("x", full=Fit(1.0, 0.0, 1.0), without=Fit(1.0, 1.0, 1.0))
    assert benchmark("x", full=Fit(1.0, 1.0, 9.0), without=Fit(1.0, 2.0, 1.0)).strength is None


def test_a_contour_crosses_zero_where_its_effects_change_sign() -> None:
    grid = np.linspace(0, 0.9, 31)
    found = contour(effect=-2.0, scale=3.0, outcome_strengths=grid, treatment_strengths=grid)
    assert np.array(found.effects)[0] == pytest.approx(-2.0)
    for j, crossing in enumerate(found.crossing):
        column = np.array(found.effects)[:, j]
        assert np.all(np.diff(column) >= 0)
        assert crossing is None or crossing <= 1
        if crossing is None or crossing > 0.9:
            assert np.all(column < 0)
        else:
            assert np.all((column >= -1e-12) == (grid >= crossing - 1e-12))
            assert contour(effect=-2.0, scale=3.0, outcome_strengths=[crossing], treatment_strengths=[grid[j]]).effects[
                0
            ][0] == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="positive"):
        contour(effect=1.0, scale=0.0, outcome_strengths=[0], treatment_strengths=[0])


def test_a_representation_has_a_scale() -> None:
    assert Representation(4.0, 9.0, np.zeros(2), np.zeros(2)).scale == 6.0
