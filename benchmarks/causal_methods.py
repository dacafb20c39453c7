"""What is asked of each world in `causal_validity`: methods with their own truths, beside what an oracle would say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.causal_worlds import (
    RANDOMISED,
    ROUGH,
    SMOOTH,
    WEAK_OVERLAP,
    World,
    cluster_randomised,
    clustered_and_confounded,
    draw,
    in_blocks,
    known,
    on_a_scale,
    unevenly_sampled,
    with_compliers,
)
from causeway.effects.common_support import common_support
from causeway.effects.estimators.aipw import aipw
from causeway.effects.estimators.average import METHODS, Estimated, aipw_among
from causeway.effects.estimators.matching import match
from causeway.effects.estimators.partially_linear import partially_linear
from causeway.effects.influence import Array, Flags, Inference, Linearised, infer
from causeway.effects.instruments.learnt import learnt_local_average_effect
from causeway.effects.instruments.local_average import local_average_effect
from causeway.effects.instruments.two_stage_least_squares import two_stage_least_squares
from causeway.effects.learners import Mean
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem

STRONG, WEAK = 0.5, 0.08
"""What a strong and a weak instrument move the treatment by: first-stage F near 250 and near 3."""
WEAK_UNITS = 500
# Of potential outcomes in the randomised world, whose every covariate has mean zero.
MEAN_CONTROL, MEAN_TREATED = 0.4, 1.4


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run showed of one row. error: estimate less truth, in standard deviations of the outcome. width and
    oracle_width in the same; None for what has no such thing.
    """

    row: str
    error: float
    covered: bool | None = None
    width: float | None = None
    oracle_covered: bool | None = None
    oracle_width: float | None = None


def observe(world: str, seed: int, rng: np.random.Generator) -> list[Seen]:
    """One run of one of `WORLDS`."""
    return list(WORLDS[world](rng, seed))


def _randomised(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = known(draw(rng, RANDOMISED, seed=seed))
    n = world.problem.n
    means = Nuisances(world.true.folds, world.true.propensity, np.full(n, MEAN_CONTROL), np.full(n, MEAN_TREATED))
    of_means = aipw(world.problem.outcome, world.problem.treated, means, normalised=False)
    yield _seen(
        "randomised: difference_in_means", world, METHODS["difference_in_means"](world.problem, ()), 1.0, of_means
    )
    yield _seen("randomised: aipw", world, METHODS["aipw"](world.problem, world.problem.nuisances()), world.ate)


def _blocked(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = in_blocks(rng, seed=seed)
    problem, e = world.problem, world.true.propensity
    assert problem.blocks is not None
    # All that a block knows of its units: where they lie in x0.
    place = (np.bincount(problem.blocks, weights=problem.x[:, 0]) / np.bincount(problem.blocks))[problem.blocks]
    control = MEAN_CONTROL + place
    treated = control + 1 + 0.5 * place
    residual = np.where(problem.treated, (problem.outcome - treated) / e, -(problem.outcome - control) / (1 - e))
    # The truth is the mean effect of the units in the blocks: it is they who were randomised.
    effect = float(world.effect.mean())
    oracle = Linearised(float((treated - control + residual).mean()), residual / problem.n)
    yield _seen(
        "randomised in blocks: difference_in_means", world, METHODS["difference_in_means"](problem, ()), effect, oracle
    )


def _confounded(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = draw(rng, SMOOTH, seed=seed)
    problem = world.problem
    nuisances = problem.nuisances()
    on_treated = replace(problem, target="ATT")
    for asked, truth in ((problem, world.ate), (on_treated, world.att)):
        about = replace(world, problem=asked)
        yield _seen(f"confounded: aipw, {asked.target}", about, METHODS["aipw"](asked, nuisances), truth)
    for name in ("g_formula", "ipw"):
        yield _seen(f"confounded: {name}", world, METHODS[name](problem, ()), world.ate)
    propensity = np.mean([each.propensity for each in nuisances], axis=0)
    for asked, truth in ((problem, world.ate), (on_treated, world.att)):
        yield _seen(
            f"confounded: matching, {asked.target}",
            replace(world, problem=asked),
            Estimated(_matched(asked, propensity), np.ones(problem.n, dtype=bool), asked.target),
            truth,
        )
    treatment = problem.treated.astype(np.float64)
    oracle = partially_linear(problem.outcome, treatment, world.true.outcome, world.true.propensity)
    coefficient = METHODS["partially_linear"](problem, nuisances)
    yield _seen("confounded: partially_linear, ATO", world, coefficient, world.ato, oracle)
    yield _seen("confounded: partially_linear, as if it were the ATE", world, coefficient, world.ate, oracle)
    yield from _one_wrong(world, nuisances)


def _matched(problem: Problem, propensity: Array) -> Linearised:
    found = match(
        treated=problem.treated,
        outcome=problem.outcome,
        x=problem.x,
        target=problem.target,
        propensity=propensity,
        curved=True,
    ).found
    if found is None:
        raise RuntimeError("nobody was matched")
    return found


def _one_wrong(world: World, nuisances: tuple[Nuisances, ...]) -> Iterator[Seen]:
    """With the mean in the place of what should have been learnt: one nuisance after the other, then both."""
    problem = world.problem
    constant = knowing_nothing(problem)
    wrong_propensity = tuple(
        replace(each, propensity=none.propensity) for each, none in zip(nuisances, constant, strict=True)
    )
    wrong_outcomes = tuple(
        replace(none, propensity=each.propensity) for each, none in zip(nuisances, constant, strict=True)
    )
    for row, used in (
        ("the propensity is wrong", wrong_propensity),
        ("the outcomes are wrong", wrong_outcomes),
        ("both are wrong", constant),
    ):
        for asked, truth in ((problem, world.ate), (replace(problem, target="ATT"), world.att)):
            found = METHODS["aipw"](asked, used)
            yield Seen(f"{row}: {asked.target}", (found.estimate.effect - truth) / problem.scale)


def knowing_nothing(problem: Problem) -> tuple[Nuisances, ...]:
    """Nuisances that are means, whatever x is; of the same folds as those that are learnt."""
    means = {name: (Mean(),) for name in ("propensity", "outcome_control", "outcome_treated")}
    return replace(problem, given=means).nuisances()


def _rough(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = draw(rng, ROUGH, seed=seed)
    nuisances = world.problem.nuisances()
    yield _seen("confounded by steps and waves: aipw", world, METHODS["aipw"](world.problem, nuisances), world.ate)


def _clusters(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = cluster_randomised(rng, seed=seed)
    problem = world.problem
    means = Nuisances(
        world.true.folds, world.true.propensity, np.full(problem.n, MEAN_CONTROL), np.full(problem.n, MEAN_TREATED)
    )
    plain, oracle = (
        METHODS["difference_in_means"](problem, ()),
        aipw(problem.outcome, problem.treated, means),
    )
    yield _seen("clusters randomised: difference_in_means", world, plain, world.ate, oracle)
    ignored = replace(world, problem=replace(problem, clusters=None))
    yield _seen("clusters randomised, and ignored: difference_in_means", ignored, plain, world.ate, oracle)
    yield _seen("clusters randomised: aipw", world, METHODS["aipw"](problem, problem.nuisances()), world.ate)


def _clustered(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = clustered_and_confounded(rng, seed=seed)
    problem = world.problem
    nuisances = problem.nuisances()
    for target, truth in (("ATE", world.ate), ("ATT", world.att)):
        asked = replace(problem, target=target)  # type: ignore[arg-type]
        found = METHODS["aipw"](asked, nuisances)
        yield _seen(f"clustered and confounded: aipw, {target}", replace(world, problem=asked), found, truth)


def _trimmed(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = draw(rng, WEAK_OVERLAP, seed=seed)
    problem = world.problem
    nuisances = problem.nuisances()
    propensity = np.mean([each.propensity for each in nuisances], axis=0)
    kept = common_support(propensity, problem.treated, "ATE").kept
    among = replace(world, problem=problem.among(kept), true=_of(world.true, kept))
    truth = float(world.effect[kept].mean())
    yield _seen("weak overlap: aipw after trimming", among, aipw_among(problem, nuisances, kept), truth)
    yield _seen("weak overlap: aipw, not trimmed", world, METHODS["aipw"](problem, nuisances), world.ate)


def _of(true: Nuisances, rows: Flags) -> Nuisances:
    return Nuisances(true.folds[rows], true.propensity[rows], true.outcome_control[rows], true.outcome_treated[rows])


def _weighted(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    world = unevenly_sampled(rng, seed=seed)
    nuisances = world.problem.nuisances()
    yield _seen("sampling weights: aipw", world, METHODS["aipw"](world.problem, nuisances), world.ate)
    without = replace(world, problem=replace(world.problem, weights=None))
    found = METHODS["aipw"](without.problem, nuisances)
    yield _seen("sampling weights, and ignored: aipw", without, found, world.ate)


def _instrument(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    del seed
    drawn = on_a_scale(rng, slope=STRONG)
    found = two_stage_least_squares(drawn.outcome, drawn.treatment, drawn.instrument[:, np.newaxis], drawn.x)
    assert found.inference is not None and found.effect is not None and drawn.noise is not None
    # What the covariates leave of the instrument.
    z = drawn.instrument - 0.5 * drawn.x[:, 0]
    contributions = z * drawn.noise / (drawn.slope * len(z))
    oracle = Linearised(drawn.truth + float(contributions.sum()), contributions)
    yield _compared(
        "instrument: 2sls on a scale",
        (found.effect.effect, found.inference),
        infer(oracle, None),
        truth=drawn.truth,
        scale=float(drawn.outcome.std()),
    )


def _compliers(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    drawn = with_compliers(rng, seed=seed)
    treated, instrument = drawn.treatment > 0, drawn.instrument > 0
    found = learnt_local_average_effect(drawn.outcome, treated, instrument, drawn.x, seed=seed)
    assert drawn.on_outcome is not None and drawn.on_treatment is not None
    oracle = local_average_effect(
        drawn.outcome, treated, instrument, on_outcome=drawn.on_outcome, on_treatment=drawn.on_treatment
    )
    assert found.effect is not None and found.inference is not None
    assert oracle.effect is not None and oracle.inference is not None
    yield _compared(
        "instrument: late with covariates",
        (found.effect.effect, found.inference),
        oracle.inference,
        truth=drawn.truth,
        scale=float(drawn.outcome.std()),
    )


def _weak_instrument(rng: np.random.Generator, seed: int) -> Iterator[Seen]:
    del seed
    drawn = on_a_scale(rng, slope=WEAK, n=WEAK_UNITS)
    found = two_stage_least_squares(drawn.outcome, drawn.treatment, drawn.instrument[:, np.newaxis], drawn.x)
    assert found.effect is not None and found.inference is not None and found.robust_set is not None
    error = (found.effect.effect - drawn.truth) / float(drawn.outcome.std())
    yield Seen("weak instrument: set of Anderson and Rubin", error, found.robust_set.contains(drawn.truth))
    yield Seen("weak instrument: the usual interval of 2sls", error, _holds(found.inference, drawn.truth))


WORLDS: Mapping[str, Callable[[np.random.Generator, int], Iterator[Seen]]] = {
    "randomised": _randomised,
    "blocks": _blocked,
    "confounded": _confounded,
    "rough": _rough,
    "clusters randomised": _clusters,
    "clustered": _clustered,
    "weak overlap": _trimmed,
    "weights": _weighted,
    "instrument": _instrument,
    "compliers": _compliers,
    "weak instrument": _weak_instrument,
}


def _seen(row: str, world: World, found: Estimated, truth: float, oracle: Linearised | None = None) -> Seen:
    """oracle: that of aipw with the true nuisances, if it is not given."""
    problem = world.problem
    if oracle is None:
        oracle = aipw(problem.outcome, problem.treated, world.true, target=problem.target, weights=problem.weights)
    mine, its = (
        infer(each, problem.treated, clusters=problem.clusters, scale=problem.scale)
        for each in (found.estimate, oracle)
    )
    return _compared(row, (found.estimate.effect, mine), its, truth=truth, scale=problem.scale)


def _compared(row: str, found: tuple[float, Inference], oracle: Inference, *, truth: float, scale: float) -> Seen:
    effect, mine = found
    return Seen(
        row,
        (effect - truth) / scale,
        _holds(mine, truth),
        _width(mine) / scale,
        _holds(oracle, truth),
        _width(oracle) / scale,
    )


def _holds(found: Inference, truth: float) -> bool:
    """RuntimeError for an estimate without an interval: the worlds are large enough for all of them."""
    if found.ci_low is None or found.ci_high is None:
        raise RuntimeError(f"no interval: {found.status}")
    return found.ci_low <= truth <= found.ci_high


def _width(found: Inference) -> float:
    return math.nan if found.ci_low is None or found.ci_high is None else found.ci_high - found.ci_low
