"""The effect on compliers: two-stage least squares agrees, the truth is recovered, and who they are is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from causeway.effects.instruments import (
    complier_means,
    local_average_effect,
    two_stage_least_squares,
    wald_effect,
)
from causeway.effects.nuisances import Nuisances

TRUTH = 2.0


@dataclass(frozen=True)
class World:
    """Compliance, effect and the instrument's propensity all depend on x; a hidden cause drives the rest."""

    outcome: np.ndarray
    treated: np.ndarray
    instrument: np.ndarray
    x: np.ndarray
    on_outcome: Nuisances
    on_treatment: Nuisances


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _world(seed: int, n: int = 1_500, *, share: float = 0.5, clusters: np.ndarray | None = None) -> World:
    """Compliers are a share of 2 share logistic(x), always-takers 0.2; effects are 2 + (x - mean of compliers) for
    compliers and 10 for others, so that only the compliers' mean is 2.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    propensity = np.clip(_logistic(0.7 * x), 0.1, 0.9)
    by_unit = generator.uniform(size=n)
    shared = np.zeros(n)
    if clusters is not None:
        groups = clusters.max() + 1
        by_unit = generator.uniform(size=groups)[clusters]
        shared = generator.normal(size=groups)[clusters]
        propensity = np.full(n, 0.5)
    z = by_unit < propensity
    kind = generator.uniform(size=n)
    complies = share * 2 * _logistic(x) * 0.8
    complier, always = kind < complies, kind > 0.8 + 0.2 * complies
    share_always = 0.2 * (1 - complies)
    t = (complier & z) | always
    # E[x logistic(x)] / E[logistic(x)] for a standard normal x.
    of_compliers = 0.41324
    effect = np.where(complier, TRUTH + x - of_compliers, 10.0)
    base = x + 3 * always
    y = base + effect * t + shared + generator.normal(size=n)
    without = x + 13 * share_always
    difference = complies * (TRUTH + x - of_compliers)
    zeros = np.zeros(n, np.int64)
    return World(
        y,
        t,
        z,
        x,
        Nuisances(zeros, propensity, without, without + difference),
        Nuisances(zeros, propensity, share_always, share_always + complies),
    )


def _found(world: World, **more: object) -> object:
    return local_average_effect(
        world.outcome,
        world.treated,
        world.instrument,
        on_outcome=world.on_outcome,
        on_treatment=world.on_treatment,
        **more,  # type: ignore[arg-type]
    )


def _biased(nuisances: Nuisances) -> Nuisances:
    return replace(
        nuisances, outcome_control=0 * nuisances.outcome_control, outcome_treated=0 * nuisances.outcome_treated
    )


def test_effect_among_compliers_is_recovered_and_covered_and_two_stage_least_squares_is_another_effect() -> None:
    """500 studies with x in everything: only the doubly robust answer is the mean over compliers."""
    covered = robust = 0
    estimates, others = [], []
    for seed in range(500):
        world = _world(seed)
        found = _found(world)
        assert found.status == "ok" and found.prefer == "inference"
        covered += found.inference.ci_low <= TRUTH <= found.inference.ci_high
        robust += found.robust_set.contains(TRUTH)
        estimates.append(found.effect.effect)
        others.append(wald_effect(world.outcome, world.treated, world.instrument).effect.effect)
    print("covered", covered / 500, "robust", robust / 500, "mean", np.mean(estimates), "Wald", np.mean(others))
    assert abs(np.mean(estimates) - TRUTH) <= 4 * np.std(estimates) / math.sqrt(500)
    assert abs(covered / 500 - 0.95) <= 0.03
    assert abs(robust / 500 - 0.95) <= 0.03
    assert abs(np.mean(others) - TRUTH) > 0.3


@pytest.mark.parametrize("wrong", ["outcomes", "propensity"])
def test_one_wrong_nuisance_does_not_move_it(wrong: str) -> None:
    estimates = []
    for seed in range(100):
        world = _world(seed, 3_000)
        y, t = world.on_outcome, world.on_treatment
        if wrong == "outcomes":
            y, t = _biased(y), _biased(t)
        else:
            y, t = (replace(each, propensity=np.full(3_000, 0.5)) for each in (y, t))
        estimates.append(_found(replace(world, on_outcome=y, on_treatment=t)).effect.effect)
    spread = np.std(estimates)
    print(wrong, np.mean(estimates), spread)
    assert abs(np.mean(estimates) - TRUTH) <= 4 * spread / 10


def test_robust_set_covers_where_hardly_anybody_complies() -> None:
    usual = robust = 0
    kinds = set()
    for seed in range(400):
        found = _found(_world(seed, 600, share=0.03))
        if found.status != "ok":
            continue
        kinds.add(found.robust_set.kind)
        usual += found.inference.ci_low <= TRUTH <= found.inference.ci_high
        robust += found.robust_set.contains(TRUTH)
        assert found.prefer == "robust_set"
    print("usual", usual / 400, "robust", robust / 400, kinds)
    assert abs(robust / 400 - 0.95) <= 0.033
    assert {"two_rays", "unbounded"} <= kinds


def test_clustered_encouragement_is_covered_only_with_clusters() -> None:
    clusters = np.repeat(np.arange(40), 20)
    covered = naive = 0
    for seed in range(400):
        world = _world(seed, 800, clusters=clusters)
        found, ignored = _found(world, clusters=clusters), _found(world)
        covered += found.inference.ci_low <= TRUTH <= found.inference.ci_high
        naive += ignored.inference.ci_low <= TRUTH <= ignored.inference.ci_high
        assert found.inference.clusters == 40
    print("clustered", covered / 400, "ignored", naive / 400)
    assert abs(covered / 400 - 0.95) <= 0.033
    assert naive / 400 < 0.8


@pytest.mark.parametrize("weighted", [False, True])
def test_wald_is_two_stage_least_squares_without_covariates(weighted: bool) -> None:
    world = _world(0, 400)
    weights = np.random.default_rng(1).uniform(0.2, 3.0, 400) if weighted else None
    found = wald_effect(world.outcome, world.treated, world.instrument, weights=weights)
    z = world.instrument.astype(float)[:, None]
    reference = two_stage_least_squares(world.outcome, world.treated, z, np.zeros((400, 0)), weights=weights)
    assert found.effect and reference.effect and found.robust_set and reference.robust_set
    assert found.effect.effect == pytest.approx(reference.effect.effect, rel=1e-9)
    assert reference.std_error_hc1 is not None
    assert found.effect.std_error == pytest.approx(reference.std_error_hc1 * math.sqrt(398 / 400), rel=1e-9)
    assert found.robust_set.pieces[0] == pytest.approx(reference.robust_set.pieces[0], rel=0.05)
    assert found.first_stage_f == pytest.approx(reference.first_stage.f_robust * 400 / 398, rel=1e-9)  # type: ignore[union-attr]


def test_weights_carry_the_answer_to_the_population() -> None:
    """Units with large x sampled three times as often, weighed back."""
    estimates, unweighted = [], []
    for seed in range(200):
        world = _world(seed, 3_000)
        often = world.x > 0
        keep = np.random.default_rng(seed).uniform(size=3_000) < np.where(often, 0.9, 0.3)
        weights = np.where(often, 1 / 0.9, 1 / 0.3)[keep]
        short = World(
            world.outcome[keep],
            world.treated[keep],
            world.instrument[keep],
            world.x[keep],
            *(
                Nuisances(n.folds[keep], n.propensity[keep], n.outcome_control[keep], n.outcome_treated[keep])
                for n in (world.on_outcome, world.on_treatment)
            ),
        )
        estimates.append(_found(short, weights=weights).effect.effect)
        unweighted.append(_found(short).effect.effect)
    assert abs(np.mean(estimates) - TRUTH) <= 4 * np.std(estimates) / math.sqrt(200)
    assert np.mean(unweighted) - TRUTH > 0.15


def test_noncompliance_is_told_and_says_whom_the_effect_is_of() -> None:
    generator = np.random.default_rng(0)
    z, kind = generator.uniform(size=400) < 0.5, generator.uniform(size=400)
    y = generator.normal(size=400) + z
    cases = {
        "nobody_without_encouragement": (z & (kind < 0.6), "ATT"),
        "nobody_against_it": (z | (kind < 0.3), "ATC"),
        "full_compliance": (z, "everybody"),
        "two_sided": ((z & (kind < 0.6)) | (kind > 0.9), "always or never"),
    }
    for name, (treated, words) in cases.items():
        found = wald_effect(y, treated, z)
        assert found.status == "ok" and found.noncompliance == name
        assert found.in_words is not None and words in found.in_words
    backwards = wald_effect(y, ~z & (kind < 0.8), z)
    assert backwards.share_of_compliers is not None and backwards.share_of_compliers < 0
    assert backwards.in_words is not None and "other way" in backwards.in_words
    full = wald_effect(y, z, z)
    assert full.effect and full.share_of_compliers == pytest.approx(1.0) and full.first_stage_f is None
    assert full.effect.effect == pytest.approx(y[z].mean() - y[~z].mean())


def test_share_of_compliers_has_an_interval_that_covers() -> None:
    covered = 0
    for seed in range(300):
        found = _found(_world(seed, 800))
        covered += found.compliers.ci_low <= 0.4 <= found.compliers.ci_high
    assert abs(covered / 300 - 0.95) <= 0.038


def test_compliers_are_described() -> None:
    """E[x | complier] = E[x logistic(x)] / E[logistic(x)] = 0.413; also for a reversed instrument."""
    covered = {"as it is": 0, "reversed": 0}
    for seed in range(300):
        world = _world(seed)
        for name in covered:
            z, e = world.instrument, world.on_outcome.propensity
            if name == "reversed":
                z, e = ~z, 1 - e
            means = complier_means(
                np.column_stack([world.x, np.ones(1_500)]),
                ["x", "one"],
                treated=world.treated,
                instrument=z,
                propensity=e,
            )
            assert means is not None
            found, constant = means
            assert constant.smd is None and constant.std_error is None and constant.compliers == pytest.approx(1.0)
            assert found.std_error is not None
            gap = found.compliers - found.all_units - 0.41324
            covered[name] += abs(gap) <= 1.96 * found.std_error
    print(covered)
    assert all(abs(count / 300 - 0.95) <= 0.04 for count in covered.values())


def test_bad_input_is_a_status_with_a_reason() -> None:
    world = _world(0, 20)
    certain = replace(world.on_outcome, propensity=np.where(np.arange(20) == 3, 1.0, 0.5))
    y, t, z = world.outcome, world.treated, world.instrument
    cases = {
        "constant instrument": (wald_effect(y, t, np.ones(20, bool)), "too_few_units"),
        "constant treatment": (wald_effect(y, np.ones(20, bool), z), "not_estimable"),
        "constant outcome": (wald_effect(np.full(20, 0.1), t, z), "zero_variance"),
        "certain": (_found(replace(world, on_outcome=certain)), "not_estimable"),
        "one cluster": (wald_effect(y, t, z, clusters=np.zeros(20, np.int64)), "too_few_units"),
        "balanced": (wald_effect(y, np.arange(20) % 2 == 0, np.arange(20) < 10), "not_estimable"),
    }
    for name, (found, status) in cases.items():
        assert found.status == status, (name, found)
        assert found.reason and found.effect is None and found.inference is None, name
    with pytest.raises(ValueError, match="finite"):
        wald_effect(np.full(20, np.nan), t, z)
    assert complier_means(world.x[:, None], ["x"], treated=t, instrument=z, propensity=certain.propensity) is None
