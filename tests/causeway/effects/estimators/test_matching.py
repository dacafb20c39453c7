"""Matching: a brute-force second implementation agrees, the order of rows means nothing, and the interval covers."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from causeway.effects.estimators.matching import MatchingTarget, match
from causeway.effects.estimators.nearest import Points, neighbours, whitened
from causeway.effects.influence import infer

TARGETS = get_args(MatchingTarget)


def brute_force(
    treated: Any, outcome: Any, x: Any, *, target: str, m: int, weights: Any = None, variance_neighbours: int = 2,
    caliper: float = np.inf, corrected: bool = False,
) -> tuple[float, float]:  # fmt: skip
    """Abadie & Imbens 2006, by loops over all pairs, with the Mahalanobis distance of numpy's covariance."""
    n = len(treated)
    weights = np.ones(n) if weights is None else weights
    inverse = np.linalg.pinv(np.cov(x.T, bias=True).reshape(x.shape[1], x.shape[1]), rcond=1e-10)
    apart = np.array([[np.sqrt((a - b) @ inverse @ (a - b)) for b in x] for a in x])
    own, share, imputed = np.zeros(n), np.zeros((n, n)), outcome.astype(float).copy()
    for i in range(n):
        if target == "ATE" or (target == "ATT") == treated[i]:
            others = np.flatnonzero(treated != treated[i])
            reach = min(np.sort(apart[i, others])[m - 1], caliper) + 1e-8
            near = others[apart[i, others] <= reach]
            if len(near):
                own[i] = weights[i]
                share[i, near] = weights[near] / weights[near].sum()
    used = own @ share
    y = outcome.astype(float)
    if corrected:
        fitted = np.zeros((2, n))
        for arm in (0, 1):
            users = (treated == arm) & (used > 0)
            if users.any():
                design = np.column_stack([np.ones(n), x])
                root = np.sqrt(used[users])[:, None]
                beta = np.linalg.lstsq(design[users] * root, y[users] * root[:, 0], rcond=None)[0]
                fitted[arm] = design @ beta
    for i in np.flatnonzero(own):
        imputed[i] = share[i] @ y
        if corrected:
            other = fitted[1 - int(treated[i])]
            imputed[i] += other[i] - share[i] @ other
    sign = np.where(treated, 1.0, -1.0)
    tau_i = sign * (y - imputed)
    tau = own @ tau_i / own.sum()
    values = y - np.where(treated, fitted[1], fitted[0]) if corrected else y
    noise = np.zeros(n)
    for i in range(n):
        same = np.array([j for j in range(n) if treated[j] == treated[i] and j != i])
        reach = np.sort(apart[i, same])[variance_neighbours - 1] + 1e-8
        near = same[apart[i, same] <= reach]
        noise[i] = len(near) / (len(near) + 1) * (values[i] - values[near].mean()) ** 2
    excess = (own + used) ** 2 - own**2 - (own**2) @ share**2
    return tau, np.sqrt(own**2 @ (tau_i - tau) ** 2 + excess @ noise) / own.sum()


def study(seed: int, n: int = 90, p: int = 3, *, discrete: bool = False) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, p)) @ (np.eye(p) + 0.4)
    if discrete:
        x = np.round(x)
    treated = generator.uniform(size=n) < 1 / (1 + np.exp(-0.7 * x[:, 0]))
    outcome = x @ np.arange(1.0, p + 1) + treated * (1 + 0.5 * x[:, 0]) + generator.normal(size=n) * (1 + treated)
    return {"treated": treated, "outcome": outcome, "x": x}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("corrected", [False, True])
def test_effect_and_error_are_those_of_loops_over_all_pairs(
    target: Any, discrete: bool, m: int, corrected: bool
) -> None:
    data = study(m, discrete=discrete)
    found = match(**data, target=target, n_matches=m, bias_correction=corrected).found
    assert found is not None
    effect, error = brute_force(**data, target=target, m=m, corrected=corrected)
    assert found.effect == pytest.approx(effect, abs=1e-9)
    assert found.std_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_and_calipers_are_those_of_loops_over_all_pairs(target: Any) -> None:
    data = study(7, discrete=True)
    weights = np.random.default_rng(0).uniform(0.5, 3, size=90)
    found = match(**data, target=target, n_matches=2, weights=weights, caliper=0.6, bias_correction=False)
    mean = weights.mean()
    effect, error = brute_force(**data, target=target, m=2, weights=weights / mean, caliper=0.6)
    assert found.found is not None
    assert found.n_dropped_treated + found.n_dropped_control > 0
    assert found.found.effect == pytest.approx(effect, abs=1e-9)
    assert found.found.std_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("metric", ["mahalanobis", "propensity", "both"])
def test_the_order_of_rows_changes_nothing_to_the_last_bit(discrete: bool, metric: Any) -> None:
    data = study(3, 400, discrete=discrete)
    propensity = 1 / (1 + np.exp(-0.7 * data["x"][:, 0]))
    shuffled = np.random.default_rng(1).permutation(400)
    one = match(**data, metric=metric, propensity=propensity, target="ATE", n_matches=2)
    other = match(
        **{name: values[shuffled] for name, values in data.items()}, metric=metric, propensity=propensity[shuffled],
        target="ATE", n_matches=2,
    )  # fmt: skip
    assert one.found is not None and other.found is not None
    assert other.found.effect == one.found.effect
    assert np.array_equal(other.found.contributions, one.found.contributions[shuffled])
    assert np.array_equal(other.weights, one.weights[shuffled])


def test_the_effect_on_everybody_is_between_those_on_the_groups_in_their_shares() -> None:
    data = study(5, 300)
    effects = {target: match(**data, target=target).found for target in TARGETS}
    share = data["treated"].mean()
    ate, att, atc = (effects[target] for target in TARGETS)
    assert ate and att and atc
    # Without the correction it is exact; the lines of the two differ in the weights of their units.
    plain = [match(**data, target=target, bias_correction=False).found for target in TARGETS]
    assert plain[0] and plain[1] and plain[2]
    assert plain[0].effect == pytest.approx(share * plain[1].effect + (1 - share) * plain[2].effect, abs=1e-12)


def test_what_units_weigh_reproduces_the_uncorrected_effect() -> None:
    data = study(6, 200)
    for target in TARGETS:
        result = match(**data, target=target, n_matches=3, bias_correction=False)
        assert result.found is not None
        means = [
            np.average(data["outcome"][arm], weights=result.weights[arm]) for arm in (data["treated"], ~data["treated"])
        ]
        assert result.found.effect == pytest.approx(means[0] - means[1], abs=1e-10)


def test_exact_twins_leave_no_bias_and_a_line_none_after_its_correction() -> None:
    generator = np.random.default_rng(2)
    x = np.repeat(generator.normal(size=(60, 2)), 2, axis=0)
    treated = np.tile([True, False], 60)
    outcome = np.exp(x[:, 0]) + 2.0 * treated + generator.normal(size=120) * 1e-3
    found = match(treated=treated, outcome=outcome, x=x, target="ATE", bias_correction=False).found
    assert found is not None and found.effect == pytest.approx(2.0, abs=1e-3)
    shifted = study(8, 200)
    linear = shifted["x"] @ [1.0, -2.0, 3.0] + 5.0 * shifted["treated"]
    far = {**shifted, "outcome": linear + 1e-6 * generator.normal(size=200)}
    assert match(**far, target="ATT").found.effect == pytest.approx(5.0, abs=1e-5)  # type: ignore[union-attr]
    plain = match(**far, target="ATT", bias_correction=False).found
    assert plain is not None and abs(plain.effect - 5.0) > 0.1


def test_the_scale_of_the_unit_of_a_covariate_means_nothing() -> None:
    data = study(9)
    rescaled = {**data, "x": data["x"] @ np.array([[1000.0, 0, 1], [0, 0.01, 0], [0, 2, 5]])}
    one, other = match(**data).found, match(**rescaled).found
    assert one and other
    assert other.effect == pytest.approx(one.effect, abs=1e-9)


def test_columns_that_repeat_or_are_constant_add_nothing() -> None:
    data = study(10)
    x = data["x"]
    wide = {**data, "x": np.column_stack([x, x[:, 0] - x[:, 1], np.full(90, 4.0)])}
    one, other = match(**data).found, match(**wide).found
    assert one and other
    assert other.effect == pytest.approx(one.effect, abs=1e-8)


def test_thousands_of_ties_cost_as_little_as_none() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, size=(40_000, 4)).astype(np.float64)
    treated = generator.uniform(size=40_000) < 0.3 + 0.1 * x[:, 0]
    outcome = x.sum(axis=1) + treated + generator.normal(size=40_000)
    result = match(treated=treated, outcome=outcome, x=x, target="ATE")
    assert result.found is not None
    cells = x @ [8, 4, 2, 1]
    by_cell = [
        (np.sum(cells == c), outcome[(cells == c) & treated].mean() - outcome[(cells == c) & ~treated].mean())
        for c in range(16)
    ]
    # Matching on a cell is exact stratification.
    assert result.found.effect == pytest.approx(sum(n * d for n, d in by_cell) / 40_000, abs=1e-10)
    # Its error as well: that of a difference of means in each cell, and of what the cells differ in.
    variance = sum(
        (np.sum(cells == c) / 40_000) ** 2
        * sum(outcome[(cells == c) & arm].var(ddof=1) / np.sum((cells == c) & arm) for arm in (treated, ~treated))
        for c in range(16)
    )
    assert result.found.std_error == pytest.approx(np.sqrt(variance), rel=0.01)


def test_a_caliper_counts_whom_it_leaves_out() -> None:
    x = np.concatenate([np.linspace(0, 1, 40), np.linspace(0, 1, 40), [50.0, 60.0]])[:, None]
    treated = np.arange(82) >= 40
    outcome = np.random.default_rng(0).normal(size=82) + treated
    result = match(treated=treated, outcome=outcome, x=x, target="ATT", caliper=0.05)
    assert (result.n_dropped_treated, result.n_dropped_control) == (2, 0)
    assert result.settings["dropped"] == {"treated": 2, "control": 0}
    assert not result.weights[-2:].any()
    assert result.found is not None and not result.found.contributions[-2:].any()
    nobody = match(treated=treated, outcome=outcome, x=x + 100 * treated[:, None], target="ATT", caliper=0.05)
    assert (nobody.status, nobody.found, nobody.n_dropped_treated) == ("not_estimable", None, 42)


def test_what_cannot_be_matched_has_a_status_and_what_cannot_be_meant_is_refused() -> None:
    data = study(11)
    few = {**data, "treated": np.arange(90) < 2}
    assert match(**few).status == "too_few_units"
    assert match(**{**data, "treated": np.zeros(90, dtype=bool)}).status == "no_units"
    assert match(**{**data, "outcome": np.full(90, 3.3)}).status == "zero_variance"
    for wrong in ({"target": "LATE"}, {"metric": "near"}, {"metric": "both"}, {"n_matches": 0}, {"caliper": 0.0}):
        with pytest.raises(ValueError, match=r"needs|must be|estimates one|distance"):
            match(**data, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        match(**data, weights=-np.ones(90))


def test_a_unit_of_no_weight_is_not_there() -> None:
    data = study(12)
    present = np.arange(90) % 5 != 0
    one = match(**data, weights=present.astype(float)).found
    other = match(**{name: values[present] for name, values in data.items()}).found
    assert one and other
    assert one.effect == pytest.approx(other.effect, abs=1e-12)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-9)


def test_neighbours_include_every_tie_and_the_whole_of_a_small_pool() -> None:
    pool = Points.of(np.array([[1.0], [-1.0], [1.0], [2.0], [5.0]]))
    (found,) = [each for each in neighbours(np.zeros((1, 1)), pool, needed=1) if len(each.query)]
    assert pool.places[found.near, 0].tolist() == [-1.0, 1.0] or pool.places[found.near, 0].tolist() == [1.0, -1.0]
    pairs = sum(len(each.near) for each in neighbours(np.zeros((1, 1)), pool, needed=99))
    assert pairs == 4
    lattice = Points.of(np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 101)[:-1]]))
    assert sum(len(each.near) for each in neighbours(np.zeros((1, 2)), lattice, needed=1)) == 100


def test_whitened_columns_are_uncorrelated_with_unit_variance() -> None:
    places = whitened(study(13, 500)["x"])
    assert np.cov(places.T, bias=True) == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("target", ["ATE", "ATT"])
def test_the_interval_covers_where_the_effect_varies_and_matching_is_inexact(target: Any) -> None:
    """200 studies of 400 units, two covariates, effects that vary; 600 by hand gave what the closing note says."""
    covered, z = 0, []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(400, 2))
        treated = generator.uniform(size=400) < 1 / (1 + np.exp(-0.8 * x[:, 0]))
        tau = 1 + x[:, 0]
        outcome = x[:, 0] + np.sin(2 * x[:, 1]) + tau * treated + generator.normal(size=400)
        truth = 1.0 if target == "ATE" else 1 + TREATED_MEAN
        found = match(treated=treated, outcome=outcome, x=x, target=target).found
        assert found is not None
        answer = infer(found, treated)
        assert answer.ci_low is not None and answer.ci_high is not None
        covered += answer.ci_low <= truth <= answer.ci_high
        z.append((found.effect - truth) / found.std_error)
    assert 0.90 <= covered / 200 <= 0.985
    assert 0.85 <= np.std(z) <= 1.15


def _treated_mean() -> float:
    grid = np.linspace(-9, 9, 20_001)
    density = np.exp(-(grid**2) / 2) / (1 + np.exp(-0.8 * grid))
    return float(grid @ density / density.sum())


TREATED_MEAN = _treated_mean()


def test_clusters_widen_the_interval_of_what_is_common_to_them() -> None:
    """Treatment by cluster, half of the noise common to it: units' own intervals cover half the time or less."""
    covered = {"units": 0, "clusters": 0}
    for seed in range(120):
        generator = np.random.default_rng(seed)
        labels = np.repeat(np.arange(60), 8)
        x = generator.normal(size=(480, 2))
        treated = (generator.permutation(60) < 30)[labels]
        outcome = x[:, 0] + treated + generator.normal(size=60)[labels] + generator.normal(size=480)
        data: dict[str, Any] = {"treated": treated, "outcome": outcome, "x": x, "target": "ATE", "n_matches": 2}
        found, plain = match(**data, clusters=labels), match(**data)
        assert found.found and plain.found
        for name, answer in (
            ("clusters", infer(found.found, treated, clusters=labels)),
            ("units", infer(plain.found, treated)),
        ):
            assert answer.ci_low is not None and answer.ci_high is not None
            covered[name] += answer.ci_low <= 1 <= answer.ci_high
    assert covered["clusters"] / 120 >= 0.90
    assert covered["units"] / 120 <= 0.75


def test_the_likeness_of_neighbours_does_not_shrink_the_error_of_clusters() -> None:
    """Covariates of the cluster: the nearest units of the same group share all that their cluster has in common."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(60), 8)
    treated = (generator.permutation(60) < 30)[labels]
    data: dict[str, Any] = {
        "treated": treated,
        "outcome": treated + generator.normal(size=60)[labels] + generator.normal(size=480),
        "x": generator.normal(size=(60, 2))[labels] + 1e-3 * generator.normal(size=(480, 2)),
        "target": "ATE",
    }
    assert match(**data).settings["scale"] < 0.95
    together = match(**data, clusters=labels)
    assert (together.settings["scale"], together.settings["variance"]) == (1.0, "martingale")


def test_what_is_curved_is_corrected_by_squares_and_not_by_a_line() -> None:
    """Of controls alone, the ATT is off where the outcome bends and nobody near is found."""
    errors: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(12):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(500, 4))
        treated = generator.random(500) < 1 / (1 + np.exp(-x[:, 1]))
        outcome = x[:, 1] ** 2 + 0.3 * generator.normal(size=500)
        for curved, found in errors.items():
            result = match(treated=treated, outcome=outcome, x=x, target="ATT", curved=curved)
            assert result.found is not None
            assert result.settings["curved"] is curved
            found.append(result.found.effect)
    assert np.mean(errors[False]) > 0.08
    assert abs(np.mean(errors[True])) < 0.03


def test_with_few_units_the_correction_stays_a_line() -> None:
    generator = np.random.default_rng(3)
    x, treated = generator.normal(size=(60, 4)), np.arange(60) % 2 == 0
    outcome = generator.normal(size=60)
    one, other = (match(treated=treated, outcome=outcome, x=x, curved=curved) for curved in (True, False))
    assert one.found is not None
    assert other.found is not None
    assert one.found.effect == other.found.effect
    assert one.settings["curved"] is False
