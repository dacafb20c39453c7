from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.mstats import mquantiles_cimj

from causeway.simulate.latencies import LatencyModel
from causeway.statistics.mid_quantile import Step, steps_near
from causeway.statistics.quantile import ArmQuantile, clustered_quantile_effect, quantile_effect, ranks_needed
from tests.oracles.environment import ask

Z = stats.norm.isf(0.025)
MANY = LatencyModel(between=0.8, within=0.6, more_events=10, activity=0.5)


def unit_arms(seed: int, n: int = 500, n_control: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return LatencyModel(median=330).draw(rng, n)[0], LatencyModel().draw(rng, n_control)[0]


def event_arms(seed: int, units: int = 150) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return dataclasses.replace(MANY, median=330).draw(rng, units), MANY.draw(rng, units + 50)


def unit_effect(y, y_control, q, **settings):
    arms = (ArmQuantile.from_arrays(each, q, **settings) for each in (y, y_control))
    return quantile_effect(*arms, **settings)


def event_effect(treated, control, q, **settings):
    arms = (ArmQuantile.from_arrays(y, q, units=unit, **settings) for y, unit in (treated, control))
    return quantile_effect(*arms, **settings)


# Agreement with second implementations


def for_gbstats(arm: ArmQuantile, values: np.ndarray, unit: np.ndarray | None) -> dict[str, float]:
    """What GrowthBook's SQL would hand over: the bounds, and sums over units to scale their width by.

    It takes the bounds as those of n_star independent events, which may not be a fraction.
    """
    low, high = arm.interval(0.05)
    found = {
        "n": arm.n,
        "n_star": arm.n if unit is None else round(arm.q * (1 - arm.q) * arm.n / arm.sigma**2),
        "nu": arm.q,
        "quantile_hat": arm.location.value,
        "quantile_lower": low.value,
        "quantile_upper": high.value,
    }
    if unit is not None:
        at_low, at_high = arm.location.weights
        weight = np.where(values < arm.location.low.value, 1.0, 0.0)
        weight += at_low * (values == arm.location.low.value) + at_high * (values == arm.location.high.value)
        below, events = np.bincount(unit, weight), np.bincount(unit)
        found |= {
            "main_sum": below.sum(),
            "main_sum_squares": (below**2).sum(),
            "denominator_sum": events.sum(),
            "denominator_sum_squares": (events**2).sum(),
            "main_denominator_sum_product": (below * events).sum(),
            "n_clusters": events.size,
        }
    return {name: float(value) for name, value in found.items()}


def gbstats_variance(arm: ArmQuantile, asked: dict[str, float]) -> float:
    """Ours times (n - 1) / n, a factor it borrows from means, and times what rounding n_star costs."""
    low, high = arm.interval(0.05)
    rounded = 1.0 if arm.unit_ss is None else asked["n_star"] / (arm.q * (1 - arm.q) * arm.n / arm.sigma**2)
    return (arm.n - 1) / arm.n * rounded * ((high.value - low.value) / (2 * Z)) ** 2


def test_agrees_with_gbstats():
    """Quantiles and variances of both levels; the effect's interval is wider there or here by its degrees of freedom.

    Those come from events there and from units here, so only the centre of the interval is compared.
    """
    arms, questions = [], []
    for seed, q in ((1, 0.5), (2, 0.9), (3, 0.95)):
        for rows in (tuple((y, None) for y in unit_arms(seed)), event_arms(seed)):
            pair = [ArmQuantile.from_arrays(y, q, units=unit) for y, unit in rows]
            asked = [for_gbstats(arm, *row) for arm, row in zip(pair, rows, strict=True)]
            arms.append(pair)
            questions.append({"treated": asked[0], "control": asked[1]})
    for theirs, pair, question in zip(ask("gbstats_quantiles", questions), arms, questions, strict=True):
        ours = quantile_effect(*pair)
        variance = sum(map(gbstats_variance, pair, question.values()))
        assert theirs["effect"] == pytest.approx(ours.effect, rel=1e-9)
        assert theirs["variance"] == pytest.approx(variance, rel=1e-9)
        assert theirs["variance"] == pytest.approx(ours.std_error**2, rel=0.01)
        assert (theirs["ci_low"] + theirs["ci_high"]) / 2 == pytest.approx(ours.effect, rel=1e-9)


@pytest.mark.parametrize("q", [0.25, 0.5, 0.95])
def test_an_arms_quantile_is_numpys_and_its_error_that_of_maritz_and_jarrett(q):
    y, y_control = unit_arms(7, n=4000, n_control=4000)
    found = unit_effect(y, y_control, q)
    assert found.mean == pytest.approx(np.quantile(y, q, method="hazen"), rel=1e-12)
    assert found.effect == pytest.approx(found.mean - found.mean_control, rel=1e-12)
    errors = [np.diff(mquantiles_cimj(each, [q]), axis=0).item() / (2 * Z) for each in (y, y_control)]
    assert found.std_error == pytest.approx(np.hypot(*errors), rel=0.15)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_the_interval_of_an_arm_is_that_of_the_exact_order_statistics(q):
    """The binomial test inverts to ranks; ours lie between the same or neighbouring ones."""
    y, _ = unit_arms(8, n=2000)
    low, high = ArmQuantile.from_arrays(y, q).interval(0.05)
    exact = stats.quantile_test(y, p=q).confidence_interval(0.95)
    ordered = np.sort(y)
    ranks = np.searchsorted(ordered, [low.value, high.value, exact.low, exact.high])
    assert abs(ranks[0] - ranks[2]) <= 2
    assert abs(ranks[1] - ranks[3]) <= 2


def test_the_effect_is_the_slope_of_quantile_regression():
    y, y_control = unit_arms(9)
    outcome = np.concatenate([y, y_control])
    design = sm.add_constant(np.repeat([1.0, 0.0], [y.size, y_control.size]))
    fit = sm.QuantReg(outcome, design).fit(q=0.5, max_iter=5000, p_tol=1e-10)
    found = unit_effect(y, y_control, 0.5)
    assert found.effect == pytest.approx(fit.params[1], abs=0.1 * found.std_error)


def test_the_clustered_error_is_that_of_resampling_units():
    (y, unit), _ = event_arms(10)
    rows = np.split(y, np.cumsum(np.bincount(unit))[:-1])
    rng = np.random.default_rng(1)
    draws = [np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))]) for _ in range(400)]
    bootstrap = np.std([np.quantile(each, 0.5) for each in draws])
    low, high = ArmQuantile.from_arrays(y, 0.5, units=unit).interval(0.05)
    assert (high.value - low.value) / (2 * Z) == pytest.approx(bootstrap, rel=0.15)


# Invariants


whole = st.lists(st.integers(0, 10_000), unique=True, min_size=60, max_size=80)


@settings(max_examples=40)
@given(whole, whole, st.sampled_from([0.3, 0.5, 0.8]))
def test_swapping_the_arms_turns_the_sign(y, y_control, q):
    there, back = unit_effect(y, y_control, q), unit_effect(y_control, y, q)
    assert there.effect == -back.effect
    assert there.std_error == pytest.approx(back.std_error, rel=1e-12)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)


@settings(max_examples=40)
@given(whole, whole, st.floats(0.1, 100), st.floats(-1000, 1000))
def test_other_units_of_measurement_change_nothing_but_the_units(y, y_control, scale, shift):
    plain = unit_effect(y, y_control, 0.5)
    other = unit_effect(scale * np.array(y) + shift, scale * np.array(y_control) + shift, 0.5)
    assert other.effect == pytest.approx(scale * plain.effect, rel=1e-9, abs=1e-7)
    assert other.std_error == pytest.approx(scale * plain.std_error, rel=1e-9, abs=1e-7)


def test_one_event_a_unit_is_the_unit_level():
    y, y_control = unit_arms(11)
    plain = unit_effect(y, y_control, 0.9)
    events = event_effect((y, np.arange(y.size)), (y_control, np.arange(y_control.size)), 0.9)
    for name in ("effect", "std_error", "ci_low", "ci_high", "p_value", "n", "n_control"):
        assert getattr(events, name) == pytest.approx(getattr(plain, name), rel=1e-9)
    assert (plain.settings["level"], events.settings["level"]) == ("unit", "event")


def test_repeating_every_event_teaches_nothing():
    """Twice the events of the same units: taken for independent, the error would shrink by sqrt(2)."""
    once = [(y, np.arange(y.size)) for y in unit_arms(12)]
    twice = [(np.tile(y, 2), np.tile(unit, 2)) for y, unit in once]
    plain, repeated = event_effect(*once, 0.8), event_effect(*twice, 0.8)
    assert repeated.effect == pytest.approx(plain.effect, rel=1e-9)
    assert repeated.std_error == pytest.approx(plain.std_error, rel=1e-9)
    assert repeated.settings["design_effect"] == pytest.approx(2 * plain.settings["design_effect"], rel=1e-9)
    assert unit_effect(twice[0][0], twice[1][0], 0.8).std_error < 0.8 * plain.std_error


def test_the_names_and_the_order_of_units_do_not_matter():
    (y, unit), control = event_arms(13)
    shuffled = np.random.default_rng(1).permutation(y.size)
    named = np.char.add("unit-", unit.astype(str))
    assert event_effect((y[shuffled], named[shuffled]), control, 0.5).std_error == pytest.approx(
        event_effect((y, unit), control, 0.5).std_error, rel=1e-9
    )


def test_counts_by_value_are_as_good_as_the_values():
    y = np.round(unit_arms(14)[0])
    distinct, counts = np.unique(y, return_counts=True)
    everywhere = np.arange(distinct.size)
    padded = np.insert(distinct, everywhere, distinct - 0.5), np.insert(counts, everywhere, 0)
    assert ArmQuantile.from_counts(*padded, 0.5) == ArmQuantile.from_arrays(y, 0.5)


@pytest.mark.parametrize("alpha", [0.001, 0.5])
def test_another_alpha_reaches_further_or_less_far(alpha):
    y, y_control = unit_arms(15)
    found, usual = unit_effect(y, y_control, 0.5, alpha=alpha), unit_effect(y, y_control, 0.5)
    assert (found.status, found.effect) == ("ok", usual.effect)
    assert (found.ci_low < usual.ci_low) == (found.ci_high > usual.ci_high) == (alpha < 0.05)


def test_the_steps_that_are_kept_are_those_near_three_ranks():
    y, _ = unit_arms(15)
    arm = ArmQuantile.from_arrays(y, 0.95)
    assert len(arm.steps) <= 9
    distinct, counts = np.unique(y, return_counts=True)
    everything = dataclasses.replace(arm, steps=steps_near(distinct, counts, range(1, y.size + 1)))
    assert arm.interval(0.05) == everything.interval(0.05)
    with pytest.raises(ValueError, match="not all here"):
        arm.interval(0.001)


# Statuses


def test_a_mass_point_has_no_quantile_effect():
    """Most revenue is zero: its median is zero in both arms whatever happens, and its p70 lies at the edge."""
    rng = np.random.default_rng(16)
    revenue = np.where(rng.random((2, 1000)) < 0.6, 0.0, rng.lognormal(3, 1, (2, 1000)))
    for q in (0.05, 0.5, 0.61):
        found = unit_effect(*revenue, q)
        assert found.status == "not_estimable"
        assert "mass point" in found.settings["reason"]
        assert "are 0" in found.settings["reason"]
    assert unit_effect(*revenue, 0.9).status == "ok"
    units = np.repeat(np.arange(250), 4)
    assert event_effect((revenue[0], units), (revenue[1], units), 0.5).status == "not_estimable"


def test_a_constant_is_a_mass_point():
    assert unit_effect(np.ones(100), np.arange(100.0), 0.5).status == "not_estimable"


@pytest.mark.parametrize(("moved", "status"), [(0, "not_estimable"), (1, "ok")])
def test_a_mass_point_counts_where_the_interval_reaches_it(moved, status):
    """A hundred equal values begin at the interval's upper rank, or end at its lower one; or they lie one rank off."""
    y = np.arange(1000.0)
    lowest, _, highest = ranks_needed(1000, 0.5, ArmQuantile.from_arrays(y, 0.5).sigma)
    first, last = highest - 1 + moved, lowest - 1 - moved
    above, below = y.copy(), y.copy()
    above[first : first + 100] = y[first]
    below[last - 99 : last + 1] = y[last]
    for arm in (above, below):
        assert unit_effect(arm, y, 0.5).status == status
        assert unit_effect(y, arm, 0.5).status == status


def test_a_value_as_frequent_as_the_tail_beyond_is_a_mass_point():
    """Two percent of all requests end at a time-out of 30 s: their p99 is 30 s, whatever the server does."""
    rng = np.random.default_rng(17)
    latencies = np.minimum(rng.lognormal(2, 0.5, (2, 5000)), 30.0)
    latencies[:, :100] = 30.0
    assert unit_effect(*latencies, 0.985).status == "not_estimable"
    assert unit_effect(*latencies, 0.5).status == "ok"


@pytest.mark.parametrize(
    ("y", "y_control", "status"),
    [
        ([], [1.0, 2.0], "no_units"),
        ([1.0], [1.0, 2.0, 3.0], "too_few_units"),
        (range(40), range(40), "too_few_units"),
        ([3.0, 3.0, 3.0, 3.0], range(400), "too_few_units"),
    ],
)
def test_too_little_data_is_a_status(y, y_control, status):
    """Forty values do not reach far enough to bound their p95."""
    found = unit_effect(list(y), list(y_control), 0.95)
    assert (found.status, found.effect) == (status, None)
    assert found.settings["reason"]


def test_many_events_of_one_unit_are_one_unit():
    y, _ = unit_arms(18)
    found = event_effect((y, np.zeros(y.size)), (y, np.arange(y.size)), 0.5)
    assert (found.status, found.n, found.n_control) == ("too_few_units", 1, y.size)


def test_units_that_do_not_differ_leave_no_error():
    """Each unit has the same values, so the share below the median is one half in every one of them."""
    y, unit = np.tile(np.arange(100.0), 8), np.repeat(np.arange(8), 100)
    assert event_effect((y + 1, unit), (y, unit), 0.5).status == "zero_variance"


def test_settings_say_what_was_done():
    found = event_effect(*event_arms(19), 0.5, alpha=0.1)
    assert json.loads(json.dumps(found.settings)) == found.settings
    assert found.settings["q"] == 0.5
    assert found.settings["alpha"] == 0.1
    assert found.settings["design_effect"] > 3
    assert (found.n, found.n_control) == (150, 200)
    assert found.settings["events"] > 1000
    assert 149 < found.settings["df"] <= 150 + 200 - 2  # those of units, not of events
    assert found.relative_ci_low < found.relative_effect < found.relative_ci_high


def test_wrong_input_is_refused():
    y, y_control = unit_arms(20)
    arm = ArmQuantile.from_arrays(y, 0.5)
    with pytest.raises(ValueError, match="alpha"):
        quantile_effect(arm, arm, alpha=1.0)
    with pytest.raises(ValueError, match="levels"):
        quantile_effect(arm, ArmQuantile.from_arrays(y_control, 0.6))
    with pytest.raises(ValueError, match="finite"):
        ArmQuantile.from_arrays([1.0, float("nan")], 0.5)
    with pytest.raises(ValueError, match="same shape"):
        ArmQuantile.from_arrays(y, 0.5, units=[1, 2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        ArmQuantile.from_arrays(y, 1.0)
    with pytest.raises(ValueError, match="cannot have"):
        ArmQuantile(0.5, n=3, units=4, steps=())
    with pytest.raises(ValueError, match="cannot have"):
        ArmQuantile(0.5, n=3, units=0, steps=())
    with pytest.raises(ValueError, match="negative"):
        ArmQuantile(0.5, n=4, units=4, steps=(), unit_ss=-1.0)
    with pytest.raises(ValueError, match="ascend"):
        ArmQuantile(0.5, n=2, units=2, steps=(Step(2.0, 1, 1), Step(1.0, 0, 1)))
    with pytest.raises(ValueError, match="unit_ss is needed"):
        dataclasses.replace(arm, units=10).interval(0.05)
    assert ranks_needed(0, 0.5) == ()


# Recovery of a known truth


RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def share_covering(results, truth):
    assert all(each.status == "ok" for each in results)
    return np.mean([each.ci_low <= truth <= each.ci_high for each in results])


@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("lift", [1.0, 1.2])
def test_intervals_of_skewed_values_cover_the_truth(q, lift):
    """With a lift of 1 the share that is not covered is the A/A rate of false positives."""
    treated, control, rng = LatencyModel(median=300 * lift), LatencyModel(), np.random.default_rng(22)
    results = [unit_effect(treated.draw(rng, 1000)[0], control.draw(rng, 1000)[0], q) for _ in range(RUNS)]
    assert share_covering(results, treated.quantile(q) - control.quantile(q)) == pytest.approx(0.95, abs=THREE_ERRORS)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_intervals_of_correlated_events_cover_the_truth_and_would_not_without_their_units(q):
    rng = np.random.default_rng(23)
    slower = dataclasses.replace(MANY, median=330)
    draws = [(slower.draw(rng, 250), MANY.draw(rng, 250)) for _ in range(RUNS)]
    truth = slower.quantile(q) - MANY.quantile(q)
    clustered = share_covering([event_effect(*arms, q) for arms in draws], truth)
    naive = share_covering([unit_effect(arms[0][0], arms[1][0], q) for arms in draws], truth)
    assert clustered == pytest.approx(0.95, abs=THREE_ERRORS)
    assert naive < 0.65


@pytest.mark.parametrize(("n", "q"), [(2_000, 0.5), (50_000, 0.5), (50_000, 0.95)])
def test_intervals_of_rounded_values_cover_the_truth_where_order_statistics_are_all_the_same(n, q):
    """Latencies rounded to 20 ms: with 50,000 of them the ranks of the whole interval hold one value."""
    slower, model, rng = LatencyModel(median=310), LatencyModel(), np.random.default_rng(24)
    (values, p), (_, p_slower) = model.rounded(20, 20_000), slower.rounded(20, 20_000)
    draws = zip(rng.multinomial(n, p_slower, size=RUNS), rng.multinomial(n, p, size=RUNS), strict=True)
    arms = [tuple(ArmQuantile.from_counts(values, counts, q) for counts in pair) for pair in draws]
    middles, middles_slower = (np.cumsum(each) - each / 2 for each in (p, p_slower))
    truth = np.interp(q, middles_slower, values) - np.interp(q, middles, values)
    assert truth == pytest.approx(slower.quantile(q) - model.quantile(q), rel=0.02)
    covered = share_covering([quantile_effect(*pair) for pair in arms], truth)
    assert covered == pytest.approx(0.95, abs=THREE_ERRORS)


# Clusters


def in_clusters(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units of clusters that hold both arms; half of the variance is the cluster's."""
    cluster = np.repeat(np.arange(clusters), rng.integers(5, 25, size=clusters))
    return cluster, rng.random(len(cluster)) < 0.5, rng.normal(size=clusters)[cluster] + rng.normal(size=len(cluster))


def test_quantiles_of_clusters_that_span_the_arms_are_right_where_independence_of_the_arms_is_too_careful():
    """What a cluster shares moves both quantiles; 40 clusters, no effect."""
    rng, runs = np.random.default_rng(17), 800
    found, apart = [], []
    for _ in range(runs):
        cluster, treated, y = in_clusters(rng, 40)
        values, labels = (y[treated], y[~treated]), (cluster[treated], cluster[~treated])
        found.append(clustered_quantile_effect(values, labels, 0.5).p_value < 0.05)
        arms = [ArmQuantile.from_arrays(v, 0.5, units=c) for v, c in zip(values, labels, strict=True)]
        apart.append(quantile_effect(*arms).p_value < 0.05)
    error = 3 * (0.05 * 0.95 / runs) ** 0.5
    assert abs(np.mean(found) - 0.05) < error
    assert np.mean(apart) < 0.02


def test_clusters_of_one_arm_each_are_units_with_several_values():
    cluster, _, y = in_clusters(np.random.default_rng(18), 40)
    treated = cluster % 2 == 0
    values, labels = (y[treated], y[~treated]), (cluster[treated], cluster[~treated])
    ours = clustered_quantile_effect(values, labels, 0.5)
    theirs = event_effect(*zip(values, labels, strict=True), 0.5)
    assert (ours.std_error, ours.p_value) == (theirs.std_error, theirs.p_value)
    assert (ours.n, ours.n_control) == (treated.sum(), (~treated).sum())
    assert ours.settings["clusters"] == ours.settings["clusters_control"] == 20
    assert ours.settings["level"] == "unit"
    assert json.loads(json.dumps(ours.settings)) == ours.settings


def test_a_correlation_that_is_none_is_refused():
    arm = ArmQuantile.from_arrays(np.arange(100.0), 0.5)
    with pytest.raises(ValueError, match="correlation"):
        quantile_effect(arm, arm, correlation=1.0)
