"""Post-stratified effects and contrasts of units that come in clusters, from sums of clusters alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from causeway.statistics.cluster_influence import (
    INFLUENCES,
    LEVERAGES,
    ClusterInfluence,
    effect_across_clusters_adjusted,
    with_clusters,
)
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters
from causeway.statistics.contrasts import arm_contributions, contrast_with_clusters, estimated_mean, linear_contrast
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.post_stratification import post_stratified_difference, stratum_influences

NAMES = (*INFLUENCES, *LEVERAGES)


def added_up(cluster: np.ndarray, columns: list[np.ndarray]) -> JointMoments:
    _, index = np.unique(cluster, return_inverse=True)
    return JointMoments.from_arrays(
        {name: np.bincount(index, weights=column) for name, column in zip(NAMES, columns, strict=True)}
    )


def reached(cluster: np.ndarray, rows: np.ndarray) -> int:
    return len(np.unique(cluster[rows]))


def post_stratified(y: np.ndarray, treated: np.ndarray, stratum: np.ndarray, cluster: np.ndarray) -> Effect:
    """What SQL does, over arrays."""
    arms: list[Mapping[str, Moments]] = [
        {str(k): Moments.from_arrays(y[rows & (stratum == k)]) for k in np.unique(stratum[rows])}
        for rows in (treated, ~treated)
    ]
    plain = post_stratified_difference(*arms)
    forms = stratum_influences(*arms)
    of_unit = [forms[str(k)] for k in stratum]
    groups = np.array([form.stratum for form in of_unit])

    def column(name: str) -> np.ndarray:
        return np.array([getattr(form, name) for form in of_unit])

    leverages = []
    for rows, name in ((treated, "leverage"), (~treated, "leverage_control")):
        found = np.zeros(len(y))
        for g in np.unique(cluster):
            for k in np.unique(groups):
                inside = rows & (cluster == g) & (groups == k)
                if inside.any():
                    found[np.flatnonzero(inside)[0]] = inside.sum() ** 2 * getattr(of_unit[inside.argmax()], name)
        leverages.append(found)
    sums = added_up(
        cluster,
        [
            np.where(treated, column("own") * (y - column("mean")), 0.0) + column("shift"),
            np.where(treated, 0.0, column("own_control") * (y - column("mean_control"))) + column("shift_control"),
            treated.astype(float),
            (~treated).astype(float),
            *leverages,
        ],
    )
    slopes = 2 * (len(set(groups)) - 1)
    found = ClusterInfluence.of_sums(reached(cluster, treated), reached(cluster, ~treated), sums, slopes=slopes)
    return with_clusters(plain, found)


def world(seed: int, clusters: int, *, across: bool, strata_follow_clusters: bool) -> tuple[np.ndarray, ...]:
    dice = np.random.default_rng(seed)
    sizes = dice.integers(4, 16, clusters)
    cluster = np.repeat(np.arange(clusters), sizes)
    n = len(cluster)
    treated = dice.random(n) < 0.5 if across else (dice.permutation(clusters) < clusters / 2)[cluster]
    stratum = dice.integers(0, 2, clusters)[cluster] if strata_follow_clusters else dice.integers(0, 3, n)
    y = 0.7 * stratum + dice.normal(0, 0.7, clusters)[cluster] + dice.normal(0, 1, n)
    return y, treated, stratum, cluster


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("follow", [True, False])
def test_post_stratification_is_the_regression_on_dummies_by_arm(across: bool, follow: bool) -> None:
    y, treated, stratum, cluster = world(5, 60, across=across, strata_follow_clusters=follow)
    found = post_stratified(y, treated, stratum, cluster)
    levels = np.unique(stratum)[1:]
    variables = {"outcome": y, **{f"is_{k}": (stratum == k).astype(float) for k in levels}}
    slopes = [
        {f"is_{k}": y[rows & (stratum == k)].mean() - y[rows & (stratum == 0)].mean() for k in levels}
        for rows in (treated, ~treated)
    ]
    arms = [
        {str(k): Moments.from_arrays(y[rows & (stratum == k)]) for k in np.unique(stratum)}
        for rows in (treated, ~treated)
    ]
    plain = post_stratified_difference(*arms)
    expected = effect_across_clusters_adjusted(plain, cluster, treated, variables, (slopes[0], slopes[1]))
    assert found.effect == expected.effect
    assert found.std_error == pytest.approx(expected.std_error, rel=1e-9)
    assert found.settings["df"] == pytest.approx(expected.settings["df"], rel=1e-9)
    assert found.ci_low == pytest.approx(expected.ci_low, rel=1e-9)


def test_merged_strata_count_as_one() -> None:
    y, treated, stratum, cluster = world(9, 40, across=True, strata_follow_clusters=False)
    rare = stratum.copy()
    rare[:3] = 7
    rare[3:5] = 8
    found = post_stratified(y, treated, rare, cluster)
    assert set(found.settings["merged"]) >= {"7", "8"}
    joined = np.where(np.isin(rare.astype(str), found.settings["merged"]), 7, rare)
    again = post_stratified(y, treated, joined, cluster)
    assert found.std_error == pytest.approx(again.std_error, rel=1e-9)
    assert found.settings["df"] == pytest.approx(again.settings["df"], rel=1e-9)


@pytest.mark.parametrize(("across", "follow", "clusters"), [(False, True, 24), (False, False, 16), (True, False, 16)])
def test_post_stratified_intervals_keep_their_error_rate(across: bool, follow: bool, clusters: int) -> None:
    runs = 400
    wrong = sum(
        (found.p_value or 1.0) < 0.05
        for found in (
            post_stratified(*world(seed, clusters, across=across, strata_follow_clusters=follow))
            for seed in range(runs)
        )
    )
    assert wrong / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def contrast(
    y: np.ndarray,
    arm: np.ndarray,
    cluster: np.ndarray,
    coefficients: Mapping[str, float],
    denominator: np.ndarray | None = None,
) -> Effect:
    """What SQL does, over arrays."""
    d = np.ones(len(y)) if denominator is None else denominator
    moments = {
        name: JointMoments.from_arrays({"outcome": y[arm == name], "denominator": d[arm == name]})
        for name in np.unique(arm)
    }
    by_arm = arm_contributions(moments, coefficients, denominator=None if denominator is None else "denominator")
    plain = linear_contrast(
        {name: estimated_mean(each.moments("outcome")) for name, each in moments.items()}, coefficients
    )
    columns = [np.zeros(len(y)) for _ in NAMES]
    for name, each in by_arm.items():
        side = 0 if each.is_positive else 1
        rows = arm == name
        columns[side] += np.where(rows, each.own * (y - each.ratio * d), 0.0)
        columns[2 + side] += np.where(rows, each.share, 0.0)
        for g in np.unique(cluster[rows]):
            inside = np.flatnonzero(rows & (cluster == g))
            columns[4 + side][inside[0]] += len(inside) ** 2 * each.leverage
    used = np.isin(arm, list(by_arm))
    sides = [
        np.isin(arm, [name for name, each in by_arm.items() if each.is_positive is side]) for side in (True, False)
    ]
    sums = added_up(cluster[used], [column[used] for column in columns])
    return contrast_with_clusters(plain, ClusterInfluence.of_sums(*(reached(cluster, rows) for rows in sides), sums))


def test_one_arm_against_another_is_their_difference() -> None:
    y, treated, _, cluster = world(3, 30, across=True, strata_follow_clusters=False)
    found = contrast(y, np.where(treated, "on", "off"), cluster, {"on": 1, "off": -1})
    expected = effect_across_clusters(ClustersAcrossArms.from_arrays(cluster, treated, y))
    assert found.effect == pytest.approx(expected.effect, rel=1e-12)
    assert found.std_error == pytest.approx(expected.std_error, rel=1e-9)
    assert found.settings["df"] == pytest.approx(expected.settings["df"], rel=1e-9)


def test_arms_of_equal_clusters_are_added_up_as_independent_ones() -> None:
    dice = np.random.default_rng(1)
    cluster = np.repeat(np.arange(24), 10)
    arm = np.array(["a", "b", "off", "off"])[np.arange(24) % 4][cluster]
    y = dice.normal(0, 1, 24)[cluster] + dice.normal(0, 1, 240)
    found = contrast(y, arm, cluster, {"a": 0.5, "b": 0.5, "off": -1})

    def variance(name: str) -> float:
        sums = np.array([y[cluster == g].mean() for g in np.unique(cluster[arm == name])])
        return float(sums.var(ddof=1) / len(sums))

    # By independent arms: 5 degrees of freedom in each of the two, 11 in the other.
    parts = [0.25 * variance("a"), 0.25 * variance("b"), variance("off")]
    assert found.std_error == pytest.approx(sum(parts) ** 0.5, rel=0.02)
    assert 10 < found.settings["df"] < 22
    alone = cluster_effect(*(ClusteredArm.from_arrays(cluster[arm == name], y[arm == name]) for name in ("a", "off")))
    assert contrast(y, arm, cluster, {"a": 1, "off": -1}).effect == pytest.approx(alone.effect)


def test_the_weight_scales_effect_and_interval_and_not_the_test() -> None:
    y, treated, _, cluster = world(3, 30, across=False, strata_follow_clusters=False)
    arm = np.where(treated, "on", "off")
    one, three = (contrast(y, arm, cluster, {"on": k, "off": -k}) for k in (1, 3))
    assert three.p_value == pytest.approx(one.p_value)
    for name in ("effect", "std_error", "ci_low", "ci_high"):
        assert getattr(three, name) == pytest.approx(3 * getattr(one, name))


@pytest.mark.parametrize("across", [True, False])
def test_contrasts_keep_their_error_rate_with_few_clusters(across: bool) -> None:
    runs, wrong = 400, 0
    for seed in range(runs):
        dice = np.random.default_rng(seed)
        sizes = dice.integers(4, 16, 18)
        cluster = np.repeat(np.arange(18), sizes)
        dealt = dice.integers(0, 3, len(cluster)) if across else (dice.permutation(18) % 3)[cluster]
        arm = np.array(["a", "b", "off"])[dealt]
        y = dice.normal(0, 0.7, 18)[cluster] + dice.normal(0, 1, len(cluster))
        found = contrast(y, arm, cluster, {"a": 0.5, "b": 0.5, "off": -1})
        wrong += (found.p_value or 1.0) < 0.05
    assert wrong / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
