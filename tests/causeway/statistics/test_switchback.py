from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causeway.statistics import relative_effect
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.switchback import SwitchbackCells, switchback_effect

RUNS = 400
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def autocorrelated(rng: np.random.Generator, units: int, windows: int, rho: float = 0.7) -> np.ndarray:
    """Noise of variance 1, shape (units, windows)."""
    noise = rng.normal(size=(units, windows))
    for w in range(1, windows):
        noise[:, w] = rho * noise[:, w - 1] + np.sqrt(1 - rho**2) * noise[:, w]
    return noise


def draw(rng: np.random.Generator, units: int, windows: int, drawn_for: int = 1) -> np.ndarray:
    arms = rng.random((units, -(-windows // drawn_for))) < 0.5
    return np.repeat(arms, drawn_for, axis=1)[:, :windows]


def cells_of(treated: np.ndarray, y: np.ndarray, denominator: np.ndarray | None = None) -> SwitchbackCells:
    unit, window = np.indices(y.shape)
    d = np.ones_like(y) if denominator is None else denominator
    return SwitchbackCells.from_arrays(unit.ravel(), window.ravel(), treated.ravel(), (y * d).ravel(), d.ravel())


def one(seed: int, units: int = 4, windows: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    treated = draw(rng, units, windows)
    return treated, 5 + treated + autocorrelated(rng, units, windows), rng.integers(1, 9, treated.shape).astype(float)


@pytest.mark.parametrize("lags", [1, 3, 6])
def test_newey_west_agrees_with_statsmodels(lags):
    """statsmodels' panel kernel on the regression weighted with the denominator, without small-sample correction."""
    treated, y, d = one(1)
    ours = switchback_effect(cells_of(treated, y, d), lags=lags)
    theirs = sm.WLS(y.ravel(), sm.add_constant(treated.ravel().astype(float)), weights=d.ravel()).fit(
        cov_type="hac-panel",
        cov_kwds={"groups": np.repeat(np.arange(4), 30), "maxlags": lags, "use_correction": False},
    )
    assert ours.effect == pytest.approx(theirs.params[1], rel=1e-9)
    kernel = np.maximum(0, 1 - np.abs(np.subtract.outer(np.arange(30), np.arange(30))) / (lags + 1))
    totals = [(d * arm).sum() for arm in (treated, ~treated)]
    loss = sum(
        np.einsum("uw,wv,uv->", d * arm, kernel, d * arm) / total**3
        for arm, total in zip((treated, ~treated), totals, strict=True)
    )
    everything = sum(1 / total for total in totals)
    factor = everything / (everything - loss)
    assert ours.std_error == pytest.approx(np.sqrt(factor) * theirs.bse[1], rel=1e-9)
    q = sum(d * arm / total**2 for arm, total in zip((treated, ~treated), totals, strict=True))
    df = everything * (everything - loss) / np.einsum("uw,wv,uv->", q, kernel**2, q)
    assert ours.settings["df"] == pytest.approx(df, rel=1e-9)
    means = [(y * d)[arm].sum() / d[arm].sum() for arm in (treated, ~treated)]
    scores = [d * arm * (y - mean) / total for arm, mean, total in zip((treated, ~treated), means, totals, strict=True)]
    v = factor * np.einsum("auw,wv,buv->ab", scores, kernel, scores)
    fieller = relative_effect(
        *means,
        variance=v[0, 0],
        variance_control=v[1, 1],
        covariance=v[0, 1],
        critical_value=float(stats.t.isf(0.025, df)),
    )
    assert (ours.relative_ci_low, ours.relative_ci_high) == pytest.approx((fieller.ci_low, fieller.ci_high), rel=1e-9)


def test_one_unit_agrees_with_statsmodels_hac():
    treated, y, _ = one(2, units=1, windows=60)
    theirs = sm.OLS(y[0], sm.add_constant(treated[0].astype(float))).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
    )
    ours = switchback_effect(cells_of(treated, y), lags=4)
    assert ours.effect == pytest.approx(theirs.params[1], rel=1e-9)
    # Bell & McCaffrey's factor for the cells and the kernel lies between none and that of one degree an arm and lag.
    assert 1 < ours.std_error / theirs.bse[1] < 1.2


def test_without_lags_cells_are_clusters():
    treated, y, d = one(3)
    ours = switchback_effect(cells_of(treated, y, d), lags=0)
    arms = [
        ClusteredArm(int(arm.sum()), JointMoments.from_arrays({"outcome": (y * d)[arm], "denominator": d[arm]}))
        for arm in (treated, ~treated)
    ]
    theirs = cluster_effect(*arms)
    for name in ("n", "n_control", "effect", "std_error", "p_value", "relative_ci_low", "relative_ci_high"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
    # The kernel of one lag tends to no lag as its weight does; its formula for no lag is the same.
    assert ours.settings["variance"] == "switchback_cluster_robust"


def test_windows_as_clusters_add_up_the_units():
    treated, y, d = one(4)
    joint = np.broadcast_to(treated[:1], treated.shape)
    ours = switchback_effect(cells_of(joint, y, d), cluster="window", lags=0)
    summed = switchback_effect(
        cells_of(joint[:1], ((y * d).sum(axis=0) / d.sum(axis=0))[None], d.sum(axis=0)[None]), lags=0
    )
    assert (ours.effect, ours.std_error) == pytest.approx((summed.effect, summed.std_error), rel=0.02)
    with_lags, summed = (
        switchback_effect(found, cluster="window", lags=3)
        for found in (
            cells_of(joint, y, d),
            cells_of(joint[:1], ((y * d).sum(axis=0) / d.sum(axis=0))[None], d.sum(axis=0)[None]),
        )
    )
    assert (with_lags.effect, with_lags.std_error) == pytest.approx((summed.effect, summed.std_error), rel=1e-9)
    assert (with_lags.n + with_lags.n_control, summed.n + summed.n_control) == (120, 30)


def test_the_order_of_rows_and_a_gap_between_units_do_not_matter():
    treated, y, d = one(5)
    unit, window = np.indices(y.shape)
    columns = [each.ravel() for each in (unit, window, treated, y * d, d)]
    order = np.random.default_rng(5).permutation(y.size)
    plain = switchback_effect(SwitchbackCells.from_arrays(*columns), lags=3, carryover=1)
    mixed = switchback_effect(SwitchbackCells.from_arrays(*(each[order] for each in columns)), lags=3, carryover=1)
    renamed = [np.char.add("city ", columns[0].astype(str)), columns[1] + 1_000, *columns[2:]]
    assert mixed == plain
    assert switchback_effect(SwitchbackCells.from_arrays(*renamed), lags=3, carryover=1).std_error == plain.std_error


def test_only_cells_with_a_settled_past_are_compared():
    found = SwitchbackCells.from_arrays(
        ["x"] * 6 + ["y"] * 3, [0, 1, 2, 3, 5, 6, 0, 1, 2], [1, 1, 0, 0, 0, 0, 0, 0, 0], np.zeros(9)
    )
    assert found.settled(0).all()
    assert found.settled(1).tolist() == [False, True, False, True, False, True, False, True, True]
    assert found.settled(2).tolist() == [False] * 8 + [True]
    there_and_back = SwitchbackCells.from_arrays(["x"] * 3 + ["y"], [0, 1, 2, 3], [0, 1, 0, 0], np.zeros(4))
    assert not there_and_back.settled(2).any()
    assert not there_and_back.settled(1).any()


def test_lags_that_are_not_given_follow_the_number_of_windows_and_the_carry_over():
    treated, y, _ = one(8)
    assert switchback_effect(cells_of(treated, y)).settings["lags"] == 8
    assert switchback_effect(cells_of(treated, y), carryover=1).settings["lags"] == 8
    assert switchback_effect(cells_of(treated, y), carryover=12).settings["lags"] == 12


def simulate(seed: int, truth: float, *, units=3, windows=60, drawn_for=1, carry=0.0, common=False, joint=False, **how):
    """Share of covered truths, and mean estimate less truth, over `RUNS` switchbacks with autocorrelated noise."""
    rng = np.random.default_rng(seed)
    covered, estimates = [], []
    for _ in range(RUNS):
        treated = draw(rng, 1 if joint else units, windows, drawn_for)
        treated = np.broadcast_to(treated, (units, windows))
        before = np.column_stack([np.zeros((units, 1)), treated[:, :-1]])
        noise = autocorrelated(rng, units, windows) + (autocorrelated(rng, 1, windows) if common else 0)
        d = rng.integers(5, 20, size=treated.shape).astype(float)
        found = switchback_effect(cells_of(treated, 3 + 0.5 * treated + carry * before + noise, d), **how)
        covered.append(found.ci_low <= truth <= found.ci_high)
        estimates.append(found.effect)
    return float(np.mean(covered)), float(np.mean(estimates)) - truth


def test_intervals_cover_under_autocorrelated_noise():
    for lags in (0, None):
        covered, bias = simulate(101, 0.5, lags=lags)
        assert abs(covered - 0.95) < THREE_ERRORS
        assert abs(bias) < 0.05


def test_arms_drawn_for_several_windows_need_lags():
    assert simulate(102, 0.5, drawn_for=4, lags=0)[0] < 0.88
    assert abs(simulate(102, 0.5, drawn_for=4)[0] - 0.95) < THREE_ERRORS


def test_carry_over_biases_the_plain_comparison_and_not_that_of_settled_cells():
    """0.5 at once and 0.5 in the next window: being treated throughout gives 1."""
    covered, bias = simulate(103, 1.0, carry=0.5)
    assert covered < 0.5
    assert bias == pytest.approx(-0.5, abs=0.05)
    covered, bias = simulate(103, 1.0, carry=0.5, carryover=1)
    assert abs(covered - 0.95) < THREE_ERRORS
    assert abs(bias) < 0.05


def test_units_that_switch_together_are_clustered_by_window():
    assert simulate(104, 0.5, common=True, joint=True, lags=0)[0] < 0.9
    assert abs(simulate(104, 0.5, common=True, joint=True, cluster="window", lags=0)[0] - 0.95) < THREE_ERRORS
    assert abs(simulate(104, 0.5, common=True, joint=True, cluster="window")[0] - 0.95) < THREE_ERRORS


@pytest.mark.parametrize(
    ("treated", "y", "how", "status"),
    [
        ([], [], {}, "no_units"),
        ([0, 0], [1.0, 2.0], {}, "no_units"),
        ([0, 0, 1], [1.0, 2.0, 3.0], {}, "too_few_units"),
        ([0, 1, 0, 1], [1.0, 2.0, 1.0, 2.0], {"lags": 0}, "zero_variance"),
        ([0, 1, 0, 1, 0, 1], [1.0, 2.0] * 3, {"lags": 1}, "zero_variance"),
        ([0, 1, 0, 1], [1.0, 2.0, 2.0, 4.0], {"lags": 10**6}, "not_estimable"),
        ([0, 1, 0, 1], [1.0, 2.0, 2.0, 4.0], {"carryover": 1}, "no_units"),
        ([0, 1, 0, 1], [1.0, 2.0, 2.0, 4.0], {"lags": 1}, "ok"),
    ],
)
def test_what_cannot_be_estimated_has_a_status(treated, y, how, status):
    found = switchback_effect(SwitchbackCells.from_arrays([0] * len(y), np.arange(len(y)), treated, y), **how)
    assert found.status == status
    assert (found.effect is None) == (status != "ok")
    assert json.loads(json.dumps(found.settings)) == found.settings


def test_cells_without_anything_in_them_are_left_out():
    found = SwitchbackCells.from_arrays([0] * 5, range(5), [0, 1, 0, 1, 1], [1.0, 2.0, 2.0, 4.0, 0.0], [1, 1, 1, 1, 0])
    effect = switchback_effect(found, lags=1)
    assert (effect.n, effect.settings["cells_left_out"]) == (2, 1)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (([0, 0], [1, 1], [0, 1], [1.0, 2.0]), "more than one row"),
        (([0, 0], [1.0, 2.0], [0, 1], [1.0, 2.0]), "whole numbers"),
        (([0, 0], [1, 2], [0, 1], [1.0, np.nan]), "finite"),
        (([0, 0], [1, 2], [0, 1], [1.0, 2.0], [1, -1]), "not negative"),
        (([0, 0], [1, 2], [0], [1.0, 2.0]), "one value"),
    ],
)
def test_impossible_cells_are_refused(columns, why):
    with pytest.raises(ValueError, match=why):
        SwitchbackCells.from_arrays(*columns)


def test_impossible_lags_and_windows_are_refused():
    treated, y, _ = one(6)
    for how in ({"lags": -1}, {"carryover": -1}):
        with pytest.raises(ValueError, match="negative"):
            switchback_effect(cells_of(treated, y), **how)
    seconds = SwitchbackCells.from_arrays([0, 0, 0, 0], [0, 1, 2, 10**9], [0, 1, 0, 1], [1.0, 2.0, 3.0, 5.0])
    with pytest.raises(ValueError, match="one by one"):
        switchback_effect(seconds, lags=1)
