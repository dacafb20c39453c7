"""Power, smallest effect and sample size agree with other libraries, with each other, and with simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import TTestIndPower, normal_power_het
from tea_tasting.aggr import Aggregates

from causeway.design.baseline import Baseline, variance_left
from causeway.design.comparison import Clusters, Comparison, split_alpha
from causeway.design.power import minimum_detectable_effect, power, sample_size
from causeway.statistics import Moments, difference_in_means
from causeway.statistics.joint_moments import JointMoments

RUNS = 4000
PLAIN = Baseline(10.0, 4.0)

effects = st.floats(0.02, 3.0)
allocations = st.floats(0.1, 10.0)


@pytest.mark.parametrize("n", [8, 60, 5_000, 400_000])
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_agrees_with_statsmodels_for_equal_arms(n, sides, alpha):
    """With unequal arms statsmodels pools the variance, while the house's test is Welch's: see tea-tasting below."""
    theirs = TTestIndPower()
    comparison = Comparison(alpha=alpha, sides=sides)
    given_ = {"alpha": alpha, "alternative": "two-sided" if sides == 2 else "larger"}
    effect = 3 * 2 / math.sqrt(n)
    ours = power(PLAIN, comparison, effect=effect, n_treated=n, n_control=n)
    assert ours.power == pytest.approx(theirs.power(effect / 2, n, **given_), abs=1e-9)

    # Their solver stops at about 1e-6, so our answer is put into their formula.
    found = minimum_detectable_effect(PLAIN, comparison, n_treated=n, n_control=n)
    assert theirs.power(found.effect / 2, n, **given_) == pytest.approx(0.8, abs=1e-9)
    assert found.effect / 2 == pytest.approx(theirs.solve_power(nobs1=n, power=0.8, **given_), rel=1e-4)
    size = sample_size(PLAIN, comparison, effect=effect, power=0.9)
    assert theirs.power(effect / 2, size.settings["exact_n_control"], **given_) == pytest.approx(0.9, abs=1e-9)


@pytest.mark.parametrize("allocation", [1.0, 0.25, 9.0])
@pytest.mark.parametrize("direction", ["increase", "decrease"])
@pytest.mark.parametrize("sides", [1, 2])
def test_agrees_with_tea_tasting(allocation, direction, sides):
    sign = 1 if direction == "increase" else -1
    one_sided = "greater" if sign > 0 else "less"
    history = Aggregates(count_=1_000, mean_={"y": 10.0}, var_={"y": 4.0}, cov_={})

    def theirs(**question):
        metric = tea_tasting.Mean(
            "y", ratio=allocation, alternative=one_sided if sides == 1 else "two-sided", **question
        )
        return metric

    comparison = Comparison(direction=direction, sides=sides, allocation=allocation)
    total = 700
    n_control = total / (1 + allocation)
    arms = {"n_treated": allocation * n_control, "n_control": n_control}
    chance = theirs(effect_size=sign * 0.3, n_obs=total).solve_power_from_aggregates(history, "power")[0].power
    assert power(PLAIN, comparison, effect=sign * 0.3, **arms).power == pytest.approx(chance, abs=1e-9)

    smallest = theirs(n_obs=total).solve_power_from_aggregates(history, "effect_size")[0]
    ours = minimum_detectable_effect(PLAIN, comparison, **arms)
    assert ours.effect == pytest.approx(smallest.effect_size * (sign if sides == 2 else 1), rel=1e-6)
    assert abs(ours.relative_effect) == pytest.approx(abs(smallest.rel_effect_size), rel=1e-6)

    size = sample_size(PLAIN, comparison, effect=sign * 0.3)
    exact = size.settings["exact_n_control"] * (1 + allocation)
    # Their own search for n starts at arms of less than one unit, where unequal arms have no t distribution.
    for total, reaches in ((math.ceil(exact), True), (math.floor(exact), False)):
        metric = theirs(effect_size=sign * 0.3, n_obs=total)
        assert (metric.solve_power_from_aggregates(history, "power")[0].power >= 0.8) == reaches
    if allocation == 1:
        wanted = theirs(effect_size=sign * 0.3).solve_power_from_aggregates(history, "n_obs")[0].n_obs
        assert exact == pytest.approx(wanted, abs=1.0)


def test_a_covariate_and_a_ratio_are_those_of_tea_tasting():
    rng = np.random.default_rng(3)
    sessions = rng.poisson(5, 3_000) + 1.0
    before = rng.poisson(2 * sessions)
    orders = before + rng.poisson(sessions)
    rows = {"orders": orders, "sessions": sessions, "before": before}
    names = sorted(rows)
    history = Aggregates(
        count_=3_000,
        mean_={name: rows[name].mean() for name in names},
        var_={name: rows[name].var(ddof=1) for name in names},
        cov_={(a, b): np.cov(rows[a], rows[b])[0, 1] for a in names for b in names if a < b},
    )
    arms = {"n_treated": 1_000.0, "n_control": 1_000.0}

    joint = JointMoments.from_arrays(rows)
    ratio = Baseline.of_ratio(joint, outcome="orders", denominator="sessions")
    theirs = tea_tasting.RatioOfMeans("orders", "sessions", n_obs=2_000).solve_power_from_aggregates(history)[0]
    ours = minimum_detectable_effect(ratio, Comparison(), **arms)
    assert (ours.effect, ours.relative_effect) == pytest.approx((theirs.effect_size, theirs.rel_effect_size), rel=1e-6)

    # The history's own fit costs a degree of freedom, which tea-tasting leaves out.
    plain = Baseline.of_moments(joint.moments("orders"))
    left = variance_left(joint, ["before"], outcome="orders") * 2_998 / 2_999
    theirs = tea_tasting.Mean("orders", "before", n_obs=2_000).solve_power_from_aggregates(history)[0]
    ours = minimum_detectable_effect(plain, Comparison(variance_factor=left), **arms)
    assert (ours.effect, ours.relative_effect) == pytest.approx((theirs.effect_size, theirs.rel_effect_size), rel=1e-6)


def test_what_several_covariates_leave_is_one_minus_the_adjusted_r_squared():
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(2, 500))
    rows = {"outcome": 2 * x - z + rng.normal(size=500), "x": x, "z": z, "same": x, "one": np.ones(500)}
    joint = JointMoments.from_arrays(rows)
    theirs = OLS(rows["outcome"], np.column_stack([np.ones(500), x, z])).fit()
    left = variance_left(joint, ["x", "z", "same", "one"])
    assert left == pytest.approx(1 - theirs.rsquared_adj, rel=1e-9)
    assert variance_left(joint, ["one"]) is None
    assert variance_left(joint, ["x"], outcome="one") is None

    count = {"outcome": rng.poisson(5, 500) + 2 * x, "denominator": rng.poisson(9, 500) + 1.0, "x": x}
    mean = {name: values.mean() for name, values in count.items()}
    z_values = (count["outcome"] - mean["outcome"] / mean["denominator"] * count["denominator"]) / mean["denominator"]
    theirs = OLS(z_values, np.column_stack([np.ones(500), x])).fit()
    left = variance_left(JointMoments.from_arrays(count), ["x"], denominator="denominator")
    assert left == pytest.approx(1 - theirs.rsquared_adj, rel=1e-9)


@pytest.mark.parametrize(("share", "effect"), [(0.1, 0.01), (0.5, -0.02), (0.002, 0.001)])
def test_proportions_agree_with_the_normal_power_of_two_variances(share, effect):
    """statsmodels' power_proportions_2indep pools the variance under the null hypothesis, as a score test does;
    the house's test does not, so the comparison is with the function below it."""
    after = share + effect
    comparison = Comparison(direction="increase" if effect > 0 else "decrease")
    n = 200_000.0
    ours = power(Baseline.of_proportion(share), comparison, effect=effect, n_treated=n, n_control=n)
    spread = math.sqrt(share * (1 - share) + after * (1 - after))
    theirs = normal_power_het(effect, n, 0.05, std_null=spread, std_alternative=spread, alternative="two-sided")
    assert ours.power == pytest.approx(theirs, abs=1e-5)


def test_a_history_of_trials_shows_the_power_that_was_promised():
    """Counts, unequal arms: the share of significant Welch tests is the power, within its error."""
    rng = np.random.default_rng(11)
    n_treated, n_control = 400, 800
    baseline = Baseline(4.0, 4.0)
    comparison = Comparison(allocation=0.5)
    effect = minimum_detectable_effect(baseline, comparison, n_treated=n_treated, n_control=n_control).effect
    seen = 0
    treated = rng.poisson(4.0, (RUNS, n_treated)) + effect
    control = rng.poisson(4.0, (RUNS, n_control))
    for y, y_control in zip(treated, control, strict=True):
        seen += difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control)).p_value < 0.05
    assert seen / RUNS == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / RUNS))


@pytest.mark.parametrize("factor", [1.0, 0.4])
def test_conversions_reach_the_power_that_was_promised(factor):
    """Values are 0 and 1; the adjusted method is imitated by a mean whose variance is the factor's."""
    rng = np.random.default_rng(12)
    baseline, comparison = Baseline.of_proportion(0.1), Comparison(variance_factor=factor, direction="decrease")
    size = sample_size(baseline, comparison, effect=-0.02)
    treated = rng.binomial(int(size.n_treated), 0.08, 20_000) / size.n_treated
    control = rng.binomial(int(size.n_control), 0.10, 20_000) / size.n_control
    std_error = np.sqrt(treated * (1 - treated) / size.n_treated + control * (1 - control) / size.n_control)
    shrunk = -0.02 + (treated - control + 0.02) * math.sqrt(factor)
    seen = np.abs(shrunk) > 1.96 * std_error * math.sqrt(factor)
    assert seen.mean() == pytest.approx(size.power, abs=0.01)


def test_clusters_reach_the_power_that_was_promised():
    """40 clusters of 25 units, intraclass correlation 0.1: Welch's t on cluster means is what is analysed."""
    rng = np.random.default_rng(13)
    clusters = Clusters(mean_size=25, correlation=0.1)
    comparison = Comparison(clusters=clusters)
    arms = {"n_treated": 500.0, "n_control": 500.0}
    effect = minimum_detectable_effect(Baseline(0.0, 1.0), comparison, **arms).effect
    means = rng.normal(0, math.sqrt(0.1 + 0.9 / 25), (RUNS, 2, 20))
    seen = sum(
        difference_in_means(Moments.from_arrays(a + effect), Moments.from_arrays(b)).p_value < 0.05 for a, b in means
    )
    assert seen / RUNS == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / RUNS))


def test_the_design_effect_is_kishs_and_grows_with_unequal_clusters():
    assert Clusters(25, 0.1).design_effect == pytest.approx(1 + 24 * 0.1)
    assert Clusters(25, 0.1, size_cv=0.5).design_effect == pytest.approx(1 + (1.25 * 25 - 1) * 0.1)
    assert Clusters(1, 0.7).design_effect == 1.0


def test_non_inferiority_by_hand():
    """sigma 1, margin 0.1, no true difference: n = 2 (1.96 + 0.8416)**2 / 0.01 = 1569.8 in the normal limit."""
    comparison = Comparison(alpha=0.025, sides=1, margin=0.1)
    size = sample_size(Baseline(5.0, 1.0), comparison, effect=0.0)
    assert size.settings["exact_n_control"] == pytest.approx(1569.8, abs=1.5)
    at_this_size = minimum_detectable_effect(Baseline(5.0, 1.0), comparison, n_treated=1571, n_control=1571)
    assert at_this_size.effect == pytest.approx(0.0, abs=1e-4)
    harmed = sample_size(Baseline(5.0, 1.0), comparison, effect=-0.1)
    assert (harmed.status, harmed.n_treated, harmed.power) == ("not_reachable", None, None)
    mirrored = Comparison(alpha=0.025, sides=1, margin=0.1, direction="decrease")
    assert sample_size(Baseline(5.0, 1.0), mirrored, effect=0.02).n_control == (
        sample_size(Baseline(5.0, 1.0), comparison, effect=-0.02).n_control
    )


@settings(max_examples=60, deadline=None)
@given(effects, allocations, st.sampled_from([1, 2]), st.booleans())
def test_the_three_questions_have_one_answer(effect, allocation, sides, proportion):
    baseline = Baseline.of_proportion(0.3) if proportion else PLAIN
    effect = effect / 5 if proportion else effect
    comparison = Comparison(sides=sides, allocation=allocation)
    size = sample_size(baseline, comparison, effect=effect)
    assert size.status == "ok"
    exact = size.settings["exact_n_control"]
    back = minimum_detectable_effect(baseline, comparison, n_treated=allocation * exact, n_control=exact)
    if exact > comparison.smallest_control():
        assert back.effect == pytest.approx(effect, rel=1e-6)
    assert size.power >= 0.8 - 1e-9
    if size.n_control > 3 and allocation * (size.n_control - 1) > 2:
        fewer = power(
            baseline, comparison, effect=effect, n_treated=allocation * (exact - 1), n_control=exact - 1
        )  # fmt: skip
        assert fewer.status != "ok" or fewer.power < 0.8


@settings(max_examples=40, deadline=None)
@given(effects, st.floats(1e-3, 1e3), st.floats(5, 1e6))
def test_power_does_not_depend_on_the_units_of_measurement(effect, scale, n):
    plain = power(PLAIN, Comparison(), effect=effect, n_treated=n, n_control=n)
    scaled = power(
        Baseline(10 * scale, 4 * scale**2), Comparison(), effect=effect * scale, n_treated=n, n_control=n
    )  # fmt: skip
    assert scaled.power == pytest.approx(plain.power, rel=1e-9)


@given(st.floats(0.05, 0.99))
def test_a_variance_factor_is_a_share_of_the_sample(factor):
    """In large samples the twin's covariate saves exactly 1 - factor of the units."""
    plain = sample_size(PLAIN, Comparison(), effect=0.01).settings["exact_n_control"]
    adjusted = sample_size(PLAIN, Comparison(variance_factor=factor), effect=0.01).settings["exact_n_control"]
    assert adjusted / plain == pytest.approx(factor, rel=1e-4)


def test_statuses_instead_of_numbers():
    arms = {"n_treated": 50.0, "n_control": 50.0}
    assert minimum_detectable_effect(Baseline(1.0, 0.0), Comparison(), **arms).status == "zero_variance"
    assert minimum_detectable_effect(Baseline.of_moments(Moments.from_arrays([3.0])), Comparison(), **arms).status == (
        "too_few_units"
    )
    assert power(PLAIN, Comparison(), effect=1.0, n_treated=1, n_control=50).status == "too_few_units"
    assert power(PLAIN, Comparison(clusters=Clusters(30, 0.1)), effect=1.0, **arms).status == "too_few_units"
    beyond = power(Baseline.of_proportion(0.9), Comparison(), effect=0.2, **arms)
    assert (beyond.status, beyond.power) == ("not_reachable", None)
    assert sample_size(Baseline.of_proportion(0.9), Comparison(), effect=0.2).status == "not_reachable"
    assert sample_size(PLAIN, Comparison(), effect=-1.0).status == "not_reachable"
    assert sample_size(PLAIN, Comparison(), effect=1e-9).status == "not_reachable"
    scarce = minimum_detectable_effect(Baseline.of_proportion(0.98), Comparison(), n_treated=20.0, n_control=20.0)
    assert (scarce.status, scarce.effect, scarce.power) == ("not_reachable", None, None)
    assert minimum_detectable_effect(Baseline(0.0, 1.0), Comparison(), **arms).relative_effect is None


def test_a_family_shares_its_error_rate():
    assert split_alpha(0.05, 4) == 0.0125
    assert split_alpha(0.05, 2, share=0.8) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: split_alpha(0.05, 0),
        lambda: Comparison(alpha=0.0),
        lambda: Comparison(margin=0.1),
        lambda: Comparison(margin=-0.1, sides=1),
        lambda: Comparison(allocation=0.0),
        lambda: Comparison(variance_factor=0.0),
        lambda: Clusters(0.5, 0.1),
        lambda: Clusters(5, 1.1),
        lambda: Baseline(math.nan, 1.0),
        lambda: Baseline(1.0, -1.0),
        lambda: Baseline.of_proportion(1.2),
        lambda: Baseline.of_ratio(JointMoments.from_arrays({"outcome": [1.0, 2.0], "denominator": [-1.0, 1.0]})),
        lambda: sample_size(PLAIN, Comparison(), effect=1.0, power=0.05),
    ],
)  # fmt: skip
def test_numbers_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
