from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.statistics import JointMoments, Moments, adjusted_effect, cuped, difference_in_means
from causeway.statistics.cluster_influence import (
    INFLUENCES,
    ClusterInfluence,
    effect_across_clusters_adjusted,
    with_clusters,
)
from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters

RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def units(seed: int, clusters: int = 15, share: float = 0.4) -> dict[str, np.ndarray]:
    """Clusters that span the arms, with a covariate that follows them and one that does not."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rng.integers(2, 30, size=clusters))
    treated = rng.random(len(cluster)) < share
    shared = rng.normal(size=clusters)[cluster]
    x1, x2 = 3 + shared + 0.3 * rng.normal(size=len(cluster)), rng.normal(size=len(cluster))
    y = 5 + treated * (1 + x1 / 2) + x1 - x2 + rng.normal(size=clusters)[cluster] + rng.normal(size=len(cluster))
    d = 1 + rng.poisson(2, size=len(cluster)) + 0.0
    return {"cluster": cluster, "treated": treated, "outcome": y, "x1": x1, "x2": x2, "denominator": d}


def fitted(world: dict[str, np.ndarray], names: tuple[str, ...], ratio: bool = False, **how: Any) -> tuple[Any, Any]:
    """The effect of independent units, and that of clusters."""
    t = world["treated"]
    columns = {name: world[name] for name in ("outcome", "denominator", *names)}
    arms = [JointMoments.from_arrays({name: column[arm] for name, column in columns.items()}) for arm in (t, ~t)]
    plain = cuped(*arms, names, denominator="denominator" if ratio else None)
    slopes = plain.settings["slopes"], plain.settings["slopes_control"]
    denominator = "denominator" if ratio else None
    found = effect_across_clusters_adjusted(plain, world["cluster"], t, columns, slopes, denominator=denominator, **how)
    return plain, found


def interacted(world: dict[str, np.ndarray], names: tuple[str, ...], y: np.ndarray) -> tuple[Any, np.ndarray]:
    """statsmodels' fit of y ~ t * (x - X), and what X contributes to the coefficient of t, by unit."""
    x = np.column_stack([world[name] for name in names])
    x = x - x.mean(axis=0)
    t = world["treated"].astype(float)[:, None]
    fit = sm.OLS(y, np.column_stack([np.ones(len(y)), t, x, t * x])).fit()
    return fit, x @ fit.params[2 + len(names) :] / len(y)


@pytest.mark.parametrize("names", [("x1",), ("x1", "x2")])
@pytest.mark.parametrize("seed", range(3))
def test_the_sandwich_is_that_of_statsmodels_and_the_mean_of_the_covariates_is_uncertain_too(seed, names):
    """Scores of the interacted regression summed by cluster, to which the contribution of X is added.

    Without it they are statsmodels' own cluster-robust standard error; cr1 multiplies by G/(G-1) (N-1)/(N-2-2k).
    """
    world = units(seed)
    fit, of_mean = interacted(world, names, world["outcome"])
    scores = np.linalg.pinv(fit.model.exog)[1] * fit.resid
    clusters = np.unique(world["cluster"])
    n, g, k = len(of_mean), len(clusters), len(fit.params)

    def of_clusters(values: np.ndarray) -> float:
        return float(sum(values[world["cluster"] == each].sum() ** 2 for each in clusters))

    theirs = fit.get_robustcov_results("cluster", groups=world["cluster"], use_correction=False).bse[1]
    assert of_clusters(scores) == pytest.approx(theirs**2, rel=1e-9)
    plain, ours = fitted(world, names, small_sample="none")
    assert ours.effect == plain.effect == pytest.approx(fit.params[1], rel=1e-9)
    assert ours.std_error**2 == pytest.approx(of_clusters(scores + of_mean), rel=1e-9)
    _, corrected = fitted(world, names, small_sample="cr1")
    factor = g / (g - 1) * (n - 1) / (n - k)
    assert corrected.std_error**2 == pytest.approx(factor * of_clusters(scores + of_mean), rel=1e-9)
    theirs = fit.get_robustcov_results("cluster", groups=world["cluster"], use_correction=True).bse[1]
    assert factor * of_clusters(scores) == pytest.approx(theirs**2, rel=1e-9)


def test_equal_slopes_leave_nothing_but_statsmodels():
    """An outcome whose slopes are the same in both arms: X drops out of the effect."""
    world = units(5)
    fit, _ = interacted(world, ("x1",), world["outcome"])
    x, t = world["x1"] - world["x1"].mean(), world["treated"]
    world["outcome"] = world["outcome"] - t * x * fit.params[3]
    fit, of_mean = interacted(world, ("x1",), world["outcome"])
    assert np.abs(of_mean).max() < 1e-12
    theirs = fit.get_robustcov_results("cluster", groups=world["cluster"], use_correction=True)
    _, ours = fitted(world, ("x1",), small_sample="cr1")
    assert ours.std_error == pytest.approx(theirs.bse[1], rel=1e-9)
    assert ours.settings["df"] == len(np.unique(world["cluster"])) - 1
    assert ours.p_value == pytest.approx(theirs.pvalues[1], rel=1e-9)


def test_one_unit_a_cluster_is_the_answer_of_independent_units():
    """Of a large sample with the same noise everywhere: the sandwich is the model's variance."""
    rng = np.random.default_rng(8)
    n = 40_000
    x, t = rng.normal(size=n), rng.random(n) < 0.3
    world = {"cluster": np.arange(n), "treated": t, "outcome": x + t + rng.normal(size=n), "x1": x}
    world["denominator"] = np.ones(n)
    plain, ours = fitted(world, ("x1",))
    assert ours.effect == plain.effect
    assert ours.std_error == pytest.approx(plain.std_error, rel=0.01)
    assert ours.settings["design_effect"] == pytest.approx(1, abs=0.02)


def test_hc_of_single_units_is_statsmodels_hc1():
    """The factor cr1 with one unit a cluster is N / (N - k): HC1 exactly."""
    world = units(2)
    world["cluster"] = np.arange(len(world["outcome"]))
    x, t = world["x1"] - world["x1"].mean(), world["treated"]
    fit, _ = interacted(world, ("x1",), world["outcome"])
    world["outcome"] = world["outcome"] - t * x * fit.params[3]
    fit, _ = interacted(world, ("x1",), world["outcome"])
    _, ours = fitted(world, ("x1",), small_sample="cr1")
    assert ours.std_error == pytest.approx(fit.get_robustcov_results("HC1").bse[1], rel=1e-9)


def test_without_covariates_it_is_the_plain_method():
    world = units(3)
    t, y, cluster = world["treated"], world["outcome"], world["cluster"]
    plain = difference_in_means(Moments.from_arrays(y[t]), Moments.from_arrays(y[~t]))
    influence = [np.where(arm, (y - y[arm].mean()) / arm.sum(), 0.0) for arm in (t, ~t)]
    ours = with_clusters(plain, ClusterInfluence.from_arrays(cluster, t, *influence))
    theirs = effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, t, y))
    for name in ("effect", "std_error", "ci_low", "p_value", "relative_ci_high"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
    assert ours.settings["df"] == pytest.approx(theirs.settings["df"], rel=1e-9)
    assert ours.settings["effective_clusters"] == theirs.settings["effective_clusters"]


def test_the_twins_score_is_one_covariate():
    world = units(4)
    t = world["treated"]
    arms = [Moments.from_arrays(world["outcome"][arm], world["x1"][arm]) for arm in (t, ~t)]
    plain = adjusted_effect(*arms)
    slopes = {"x1": plain.settings["slope"]}, {"x1": plain.settings["slope_control"]}
    columns = {name: world[name] for name in ("outcome", "x1")}
    ours = effect_across_clusters_adjusted(plain, world["cluster"], t, columns, slopes)
    _, theirs = fitted(world, ("x1",))
    assert ours.effect == plain.effect
    assert ours.std_error == pytest.approx(theirs.std_error, rel=1e-9)


def test_a_ratio_is_adjusted_as_its_linearised_outcome():
    world = units(6, clusters=60)
    plain, ours = fitted(world, ("x1", "x2"), ratio=True)
    t, y, d = world["treated"], world["outcome"], world["denominator"]
    z = np.empty(len(y))
    for arm in (t, ~t):
        ratio = y[arm].sum() / d[arm].sum()
        z[arm] = ratio + (y[arm] - ratio * d[arm]) / d[arm].mean()
    assert plain.status == ours.status == "ok"
    _, theirs = fitted({**world, "outcome": z}, ("x1", "x2"))
    assert ours.effect == pytest.approx(theirs.effect, rel=1e-9)
    assert ours.std_error == pytest.approx(theirs.std_error, rel=1e-9)


@pytest.mark.parametrize("small_sample", ["effective_clusters", "cr1"])
def test_the_unit_of_measurement_does_not_matter(small_sample):
    world = units(7)
    _, plain = fitted(world, ("x1", "x2"), small_sample=small_sample)
    scaled = world | {"outcome": 1e6 * world["outcome"], "x1": 1e-5 * world["x1"] + 9}
    _, moved = fitted(scaled, ("x1", "x2"), small_sample=small_sample)
    assert moved.std_error == pytest.approx(1e6 * plain.std_error, rel=1e-6)
    assert moved.settings["df"] == pytest.approx(plain.settings["df"], rel=1e-6)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("spans", [True, False])
def test_few_clusters_keep_the_error_rate_with_covariates(spans, own):
    """Twelve unequal clusters; the covariate is the same within a cluster, or every unit's own.

    The effect differs between clusters. Where a cluster is all of one arm, slopes cost degrees of freedom.
    """
    rng = np.random.default_rng(92)
    clusters, clustered, independent, cr1 = 12, [], [], []
    while len(clustered) < RUNS:
        size = np.maximum(4, np.round(30 * np.exp(rng.normal(-0.125, 0.5, size=clusters)))).astype(int)
        cluster = np.repeat(np.arange(clusters), size)
        n = len(cluster)
        treated = rng.random(n) < 0.5 if spans else rng.permutation(clusters)[cluster] % 2 == 0
        x = rng.normal(size=n) if own else rng.normal(size=clusters)[cluster]
        y = rng.normal(size=clusters)[cluster] + x + treated * rng.normal(size=clusters)[cluster] + rng.normal(size=n)
        world = {"cluster": cluster, "treated": treated, "outcome": y, "x1": x, "denominator": np.ones(n)}
        plain, found = fitted(world, ("x1",))
        clustered.append(found.p_value < 0.05)
        independent.append(plain.p_value < 0.05)
        cr1.append(fitted(world, ("x1",), small_sample="cr1")[1].p_value < 0.05)
    assert np.mean(clustered) - 0.05 < THREE_ERRORS
    assert np.mean(clustered) > 0.02
    assert np.mean(independent) > 0.15


@pytest.mark.parametrize(
    ("cluster", "status"), [([0] * 8, "too_few_units"), ([0, 0, 0, 0, 1, 1, 1, 1], "not_estimable")]
)
def test_what_cannot_be_estimated_has_a_status(cluster, status):
    rng = np.random.default_rng(1)
    world = {"cluster": np.array(cluster), "treated": np.array([True, False] * 4), "outcome": rng.normal(size=8)}
    world |= {"x1": np.array(cluster) + 0.1 * rng.normal(size=8), "denominator": np.ones(8)}
    _, found = fitted(world, ("x1",))
    assert found.status == status
    assert found.effect is None
    assert found.settings["clusters"] == len(set(cluster))
    assert json.loads(json.dumps(found.settings)) == found.settings


def test_an_effect_that_there_is_none_of_keeps_its_status():
    found = ClusterInfluence(0, 0, JointMoments.empty(INFLUENCES))
    empty = difference_in_means(Moments.empty(), Moments.empty())
    assert with_clusters(empty, found).status == "no_units"


def test_moments_that_are_not_of_clusters_are_refused():
    with pytest.raises(ValueError, match="denominator_control"):
        ClusterInfluence(1, 1, JointMoments.empty(INFLUENCES[:3]))
