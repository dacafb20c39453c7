from __future__ import annotations

import numpy as np
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from tea_tasting.experiment import ExperimentResult

from causeway.statistics import holm
from causeway.statistics.multiple_testing import (
    adjust,
    benjamini_hochberg,
    bonferroni,
    preferential_bonferroni,
    preferential_shares,
)

FAMILIES = st.lists(st.floats(0, 1), min_size=1, max_size=10)
METHODS = ["none", "bonferroni", "preferential_bonferroni", "holm", "benjamini_hochberg"]


def named(p_values: list[float]) -> dict[str, float]:
    return {str(i): p for i, p in enumerate(p_values)}


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04], [0.04, 0.01], [0.03, 0.02, 0.04, 0.9], [0.5, 0.6, 0.7], [0.2], [0.0, 0.0, 1.0]]
)
def test_agrees_with_statsmodels(p_values):
    adjusted = holm({str(i): p for i, p in enumerate(p_values)})
    assert list(adjusted.values()) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-12)


def test_no_test_no_correction():
    assert holm({}) == {}
    assert adjust({}, method="benjamini_hochberg") == {}


@settings(max_examples=15)  # statsmodels takes its time.
@given(FAMILIES)
def test_every_method_agrees_with_statsmodels_and_scipy(p_values):
    methods = {"holm": holm, "bonferroni": bonferroni, "fdr_bh": benjamini_hochberg}
    for theirs, ours in methods.items():
        expected = multipletests(p_values, method=theirs)[1]
        assert list(ours(named(p_values)).values()) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    scipy_adjusted = stats.false_discovery_control(p_values)
    assert list(benjamini_hochberg(named(p_values)).values()) == pytest.approx(scipy_adjusted, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_tea_tasting(seed):
    """Its alpha_adj is another thing for what was not found: the step's threshold there, k alpha / m. For what was
    found it is R alpha / m, ours."""
    p_values = named(np.random.default_rng(seed).uniform(0, 0.12, size=8).tolist())
    result = ExperimentResult({name: {"pvalue": p} for name, p in p_values.items()})
    fdr = next(iter(tea_tasting.adjust_fdr(result, alpha=0.05).values()))
    fwer = tea_tasting.adjust_fwer(result, alpha=0.05, arbitrary_dependence=True, method="bonferroni")
    ours = adjust(p_values, method="benjamini_hochberg")
    for name, theirs in fdr.items():
        assert ours[name].p_value == pytest.approx(theirs["pvalue_adj"], rel=1e-9)
        assert ours[name].rejected == bool(theirs["null_rejected"])
        if ours[name].rejected:
            assert ours[name].interval_alpha == pytest.approx(theirs["alpha_adj"], rel=1e-9)
    for name, theirs in next(iter(fwer.values())).items():
        assert holm(p_values)[name] == pytest.approx(theirs["pvalue_adj"], rel=1e-9)


def test_preferential_bonferroni_is_as_eppo_defines_it():
    """gamma alpha / k for the k primary comparisons, (1 - gamma) alpha / (k (m - 1)) for the others."""
    k, m, gamma, alpha = 3, 5, 0.6, 0.05
    names = [f"variant {i} metric {j}" for i in range(k) for j in range(m)]
    primary = [name for name in names if name.endswith("metric 0")]
    found = adjust(
        dict.fromkeys(names, 0.02), method="preferential_bonferroni", alpha=alpha, primary=primary, primary_share=gamma
    )
    for name in names:
        share = gamma / k if name in primary else (1 - gamma) / (k * (m - 1))
        assert found[name].interval_alpha == pytest.approx(alpha * share, rel=1e-12)
        assert found[name].p_value == pytest.approx(min(1, 0.02 / share), rel=1e-12)


def test_more_secondary_metrics_leave_the_primary_one_as_it_was():
    few = preferential_bonferroni({"primary": 0.01, "a": 0.01}, primary=["primary"])
    many = preferential_bonferroni({"primary": 0.01, **dict.fromkeys("abcdefg", 0.01)}, primary=["primary"])
    assert few["primary"] == many["primary"] == 0.02
    assert many["a"] > few["a"]


@pytest.mark.parametrize("primary", [[], ["a", "b"]])
def test_alpha_is_used_up_where_one_group_is_empty(primary):
    assert preferential_shares(["a", "b"], primary=primary, primary_share=0.5) == {"a": 0.5, "b": 0.5}


@given(FAMILIES, st.sampled_from(["bonferroni", "preferential_bonferroni", "benjamini_hochberg", "none"]))
def test_an_interval_excludes_zero_exactly_when_the_hypothesis_is_rejected(p_values, method):
    """An interval with error rate a excludes zero if p <= a."""
    for name, found in adjust(named(p_values), method=method, primary=["0"]).items():
        p = float(p_values[int(name)])
        if abs(p - found.interval_alpha) > 1e-12:
            assert found.rejected == (p <= found.interval_alpha)


def test_intervals_exist_where_nothing_was_found():
    found = adjust({"a": 0.3, "b": 0.9}, method="benjamini_hochberg")
    assert [each.interval_alpha for each in found.values()] == [0.025, 0.025]


@given(FAMILIES)
def test_simultaneous_intervals_share_out_alpha(p_values):
    for method in ("bonferroni", "preferential_bonferroni", "holm"):
        found = adjust(named(p_values), method=method, primary=["0"], alpha=0.1)
        assert sum(each.interval_alpha for each in found.values()) == pytest.approx(0.1)


@pytest.mark.parametrize("method", METHODS)
def test_what_could_not_be_tested_still_counts_in_the_family(method):
    with_gap = adjust({"a": 0.01, "b": None, "c": 0.02}, method=method, primary=["a"])
    as_one = adjust({"a": 0.01, "b": 1.0, "c": 0.02}, method=method, primary=["a"])
    assert with_gap["b"].p_value is None
    assert not with_gap["b"].rejected
    assert (with_gap["a"], with_gap["c"]) == (as_one["a"], as_one["c"])


@pytest.mark.parametrize("method", METHODS)
def test_a_p_value_that_is_none_is_refused(method):
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="p-value of 'a'"):
            adjust({"a": wrong}, method=method, primary=["a"])


def test_wrong_declarations_are_refused():
    with pytest.raises(ValueError, match="not in the family"):
        preferential_bonferroni({"a": 0.1}, primary=["b"])
    with pytest.raises(ValueError, match="share of alpha"):
        preferential_bonferroni({"a": 0.1}, primary=["a"], primary_share=1.0)
    with pytest.raises(ValueError, match="alpha must"):
        adjust({"a": 0.1}, method="holm", alpha=0)


def simulated_families(seed: int, runs: int, effects: np.ndarray) -> np.ndarray:
    """Two-sided p-values of positively correlated tests, shape (runs, tests)."""
    rng = np.random.default_rng(seed)
    z = 0.5**0.5 * (rng.normal(size=(runs, 1)) + rng.normal(size=(runs, len(effects)))) + effects
    return 2 * stats.norm.sf(np.abs(z))


def test_benjamini_hochberg_keeps_the_false_discovery_rate():
    effects = np.array([0.0] * 8 + [3.0] * 4)
    shares = []
    for p_values in simulated_families(21, 2_000, effects):
        found = adjust(named(p_values.tolist()), method="benjamini_hochberg", alpha=0.1)
        rejected = np.array([each.rejected for each in found.values()])
        shares.append(rejected[:8].sum() / max(rejected.sum(), 1))
    assert np.mean(shares) < 0.1 * 8 / 12 + 3 * np.std(shares) / 2_000**0.5
    assert np.mean(shares) > 0.03


@pytest.mark.parametrize("method", ["bonferroni", "holm", "preferential_bonferroni"])
def test_the_family_wise_error_rate_is_kept(method):
    effects = np.array([0.0] * 5 + [3.0])
    wrong = []
    for p_values in simulated_families(22, 2_000, effects):
        found = adjust(named(p_values.tolist()), method=method, primary=["0"])
        wrong.append(any(found[str(i)].rejected for i in range(5)))
    assert np.mean(wrong) < 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_intervals_of_what_was_found_cover_on_average():
    """False coverage: of the intervals of the rejected, at most alpha miss (Benjamini & Yekutieli 2005)."""
    rng = np.random.default_rng(23)
    effects = np.array([0.0] * 10 + [2.0] * 10)
    missed = []
    for z in rng.normal(size=(2_000, 20)) + effects:
        found = adjust(named((2 * stats.norm.sf(np.abs(z))).tolist()), method="benjamini_hochberg", alpha=0.1)
        chosen = np.array([each.rejected for each in found.values()])
        half_width = stats.norm.isf(next(iter(found.values())).interval_alpha / 2)
        misses = chosen & (np.abs(z - effects) > half_width)
        missed.append(misses.sum() / max(chosen.sum(), 1))
    assert np.mean(missed) < 0.1 + 3 * np.std(missed) / 2_000**0.5
