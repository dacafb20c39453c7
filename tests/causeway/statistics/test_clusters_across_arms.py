from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causeway.statistics import Moments, difference_in_means, relative_effect
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.clusters_across_arms import COLUMNS, ClustersAcrossArms, effect_across_clusters
from causeway.statistics.joint_moments import JointMoments

RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def units(seed: int, clusters: int = 15, share: float = 0.4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.integers(2, 30, size=clusters))
    treated = rng.random(len(cluster)) < share
    y = 5 + treated * (1 + rng.normal(size=clusters)[cluster]) + rng.normal(size=clusters)[cluster]
    return cluster, treated, y + rng.normal(size=len(cluster))


@pytest.mark.parametrize("seed", range(5))
def test_standard_errors_agree_with_statsmodels(seed):
    cluster, treated, y = units(seed)
    for kind, corrected in (("cr1", True), ("none", False)):
        theirs = sm.OLS(y, sm.add_constant(treated.astype(float))).fit(
            cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": corrected}, use_t=True
        )
        ours = effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, y), small_sample=kind)
        assert ours.effect == pytest.approx(theirs.params[1], rel=1e-9)
        assert ours.std_error == pytest.approx(theirs.bse[1], rel=1e-9)
        assert ours.p_value == pytest.approx(theirs.pvalues[1], rel=1e-9)
        assert (ours.ci_low, ours.ci_high) == pytest.approx(theirs.conf_int()[1], rel=1e-9)


def test_clusters_of_one_arm_each_are_the_other_method():
    cluster = np.repeat(np.arange(12), 5)
    treated, y = cluster % 2 == 0, np.random.default_rng(1).normal(size=60) + cluster
    across = effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, y))
    apart = cluster_effect(*(ClusteredArm.from_arrays(cluster[arm], y[arm]) for arm in (treated, ~treated)))
    assert (across.effect, across.std_error) == pytest.approx((apart.effect, apart.std_error), rel=1e-9)
    # The degrees of freedom are the design's, not Welch's.
    assert across.settings["df"] == pytest.approx(10)
    assert across.settings["clusters_in_both"] == 0


def test_pairs_are_the_paired_test():
    treated, control = np.random.default_rng(2).normal(size=(2, 9))
    found = ClustersAcrossArms.from_arrays(
        np.tile(np.arange(9), 2), np.repeat([True, False], 9), np.concatenate([treated, control])
    )
    ours, theirs = effect_across_clusters(found), stats.ttest_rel(treated, control)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.ci_low, ours.ci_high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)
    assert ours.settings["df"] == pytest.approx(8)
    assert ours.settings["clusters_in_both"] == 9


def test_the_relative_interval_knows_that_the_means_move_together():
    rng = np.random.default_rng(4)
    control = 10 + rng.normal(size=12)
    treated = 1.1 * control + 0.2 * rng.normal(size=12)
    found = ClustersAcrossArms.from_arrays(
        np.tile(np.arange(12), 2), np.repeat([True, False], 12), np.concatenate([treated, control])
    )
    v = np.cov(treated, control) / 12
    fieller = relative_effect(
        float(treated.mean()),
        float(control.mean()),
        variance=v[0, 0],
        variance_control=v[1, 1],
        covariance=v[0, 1],
        critical_value=float(stats.t.isf(0.025, 11)),
    )
    ours = effect_across_clusters(found)
    assert (ours.relative_ci_low, ours.relative_ci_high) == pytest.approx((fieller.ci_low, fieller.ci_high), rel=1e-9)


def test_what_a_cluster_shares_cancels():
    cluster, treated, y = (
        np.repeat(np.arange(10), 8),
        np.tile([True, False], 40),
        np.random.default_rng(3).normal(size=80),
    )
    plain, moved = (
        effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, each))
        for each in (y, y + 50.0 * cluster)
    )
    assert moved.effect == pytest.approx(plain.effect, rel=1e-9)
    assert moved.std_error == pytest.approx(plain.std_error, rel=1e-6)


@pytest.mark.parametrize(("clusters", "share", "spread"), [(10, 0.5, 0.5), (20, 0.5, 1.0), (12, 0.25, 0.5)])
def test_few_clusters_keep_the_error_rate_where_units_alone_do_not(clusters, share, spread):
    """Effects differ between clusters, so units of a cluster are alike in what the treatment does to them."""
    rng = np.random.default_rng(91)
    sigma = np.sqrt(np.log(1 + spread**2))
    clustered, independent = [], []
    for _ in range(RUNS):
        size = np.maximum(2, np.round(30 * np.exp(rng.normal(-sigma * sigma / 2, sigma, size=clusters)))).astype(int)
        cluster = np.repeat(np.arange(clusters), size)
        treated = rng.random(len(cluster)) < share
        effects = rng.normal(size=clusters)[cluster]
        y = rng.normal(size=clusters)[cluster] + treated * effects + rng.normal(size=len(cluster))
        clustered.append(effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, y)).p_value < 0.05)
        plain = difference_in_means(Moments.from_arrays(y[treated]), Moments.from_arrays(y[~treated]))
        independent.append(plain.p_value < 0.05)
    assert abs(np.mean(clustered) - 0.05) < THREE_ERRORS
    assert np.mean(independent) > 0.15


@pytest.mark.parametrize(
    ("cluster", "treated", "y", "status"),
    [
        ([], [], [], "no_units"),
        ([1, 2], [True, True], [1.0, 2.0], "no_units"),
        ([1, 1, 2], [True, True, False], [1.0, 2.0, 3.0], "too_few_units"),
        ([1, 1, 2, 2], [True, False] * 2, [1.0, 0.5, 2.0, 1.5], "zero_variance"),
        ([1, 1, 2, 2], [True, False] * 2, [1.0, 0.5, 2.0, 1.0], "ok"),
        ([1] * 98 + [2, 2], [True, False] * 50, [float(i * i) for i in range(100)], "not_estimable"),
    ],
)
def test_what_cannot_be_estimated_has_a_status(cluster, treated, y, status):
    found = effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, y))
    assert found.status == status
    assert (found.effect is None) == (status != "ok")
    assert json.loads(json.dumps(found.settings)) == found.settings


def test_one_pair_of_clusters_has_no_degree_of_freedom_too_many():
    found = ClustersAcrossArms.from_arrays([1, 1, 2, 2], [True, False] * 2, [1.0, 0.5, 2.0, 1.0])
    assert effect_across_clusters(found).settings["df"] == pytest.approx(1)


def test_moments_that_are_not_of_clusters_are_refused():
    with pytest.raises(ValueError, match="denominator_control"):
        ClustersAcrossArms(1, 1, 1, 1, JointMoments.empty(COLUMNS[:3]))
