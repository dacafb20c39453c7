"""What an estimate has to know besides the effect: who is treated, and what happens without and with treatment.

Learnt by cross-fitting (Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey & Robins 2018, Econometrics J. 21,
C1-C68): a unit's predictions come from models that have not seen its fold. Learners are weighed against each other by
their out-of-fold loss, once a nuisance, in the first split (stacking; van der Laan, Polley & Hubbard 2007, Stat. Appl.
Genet. Mol. Biol. 6); a pick of the best one would flip with the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.learners import Kind, Learner, Mean, Predictor, Quadratic, learners_for
from causeway.effects.side_by_side import side_by_side

# A learner that the others hardly need is left out, and need not be fitted again.
LEAST_WEIGHT = 0.05
# Of the loss, which the products of columns have to take away to have any weight.
LEAST_GAIN = 0.01
# A propensity is held away from zero and one by this much: what is beyond says nothing of where the design lies.
CLIP = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Nuisances:
    """Out-of-fold predictions of one split of the units, each (n,): of a unit's own fold no model has seen anything.

    folds: whole numbers from zero. propensity: P(T = 1 | x), as predicted or as the design has it. outcome_control,
    outcome_treated: E[Y | T = 0, x] and E[Y | T = 1, x]. chosen: by nuisance the out-of-fold loss and the weight of
    each learner; JSON values only.
    """

    folds: Labels
    propensity: Array
    outcome_control: Array
    outcome_treated: Array
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Array:
        """E[Y | x], (n,)."""
        return self.outcome_control + self.propensity * (self.outcome_treated - self.outcome_control)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One thing to predict: `y` (n,) of the units `among` (n,), learnt from them and predicted for everybody.

    What has two values, whichever, is learnt as a probability, so that no prediction lies beyond them.
    """

    name: str
    y: Array
    among: Flags | None = None
    low: float = field(init=False)
    high: float = field(init=False)
    kind: Kind = field(init=False)

    def __post_init__(self) -> None:
        low, high = float(self.y.min()), float(self.y.max())
        two = low < high and bool(((self.y == low) | (self.y == high)).all())
        object.__setattr__(self, "kind", "probability" if two else "regression")
        object.__setattr__(self, "low", low if two else 0.0)
        object.__setattr__(self, "high", high if two else 1.0)

    def learnt(self, learner: Learner, x: Array, rows: Flags, weights: Array | None, seed: int) -> Predictor:
        """A learner fitted to the units `rows`, (n,), on the scale of y."""
        y = self.y[rows] if self.kind == "regression" else (self.y[rows] == self.high).astype(np.float64)
        fitted = learner.fit(x[rows], y, None if weights is None else weights[rows], self.kind, seed)
        if (self.low, self.high) == (0.0, 1.0):
            return fitted
        return lambda at: self.low + (self.high - self.low) * fitted(at)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Learners with their weights, which add up to one, and what is told of how they were found."""

    learners: tuple[Learner, ...]
    weights: Array
    told: dict[str, Any]

    @classmethod
    def of(cls, learners: Sequence[Learner]) -> Stack:
        """Named beforehand, with equal weights."""
        variants = [name for learner in learners for name in learner.variants]
        weights = np.full(len(variants), 1 / len(variants))
        return cls(tuple(learners), weights, {"learners": dict.fromkeys(variants, 1 / len(variants)), "given": True})


class TooFewToSplit(ValueError):
    """Some fold leaves nobody to learn from."""


def fit_nuisances(
    *,
    outcome: Array,
    treated: Flags,
    x: Array,
    seeds: Sequence[int],
    n_folds: int | None = None,
    weights: Array | None = None,
    clusters: Labels | None = None,
    known_propensity: Array | None = None,
    given: Mapping[str, Sequence[Learner]] | None = None,
    n_jobs: int = 1,
    backend: str = "threading",
) -> tuple[Nuisances, ...]:
    """One `Nuisances` a seed, each from a split of its own.

    outcome, treated: (n,); x: (n, p), finite. weights: (n,), of sampling. clusters: (n,), kept whole within folds.
    known_propensity: (n,), of a designed experiment; then it is not learnt. given: learners by nuisance
    ("propensity", "outcome_control", "outcome_treated"), with equal weights, instead of those that are weighed.
    n_jobs, backend: of joblib; the numbers are the same to the last bit under any.

    Raises TooFewToSplit where an arm has fewer than two units, or of clusters.
    """
    targets = [
        Target("outcome_control", outcome, ~treated),
        Target("outcome_treated", outcome, treated),
    ]
    if known_propensity is None:
        targets.append(Target("propensity", treated.astype(np.float64)))
    all_folds = folds_of(treated, seeds, n_folds or usual_folds(len(treated)), clusters)
    predicted, told = cross_fit(
        targets, x, all_folds, seeds, weights=weights, given=given, n_jobs=n_jobs, backend=backend
    )
    return tuple(
        Nuisances(
            folds,
            np.clip(of_targets["propensity"], CLIP, 1 - CLIP) if known_propensity is None else known_propensity,
            of_targets["outcome_control"],
            of_targets["outcome_treated"],
            dict(told),
        )
        for folds, of_targets in zip(all_folds, predicted, strict=True)
    )


def cross_fit(
    targets: Sequence[Target],
    x: Array,
    all_folds: Sequence[Labels],
    seeds: Sequence[int],
    *,
    weights: Array | None = None,
    given: Mapping[str, Sequence[Learner]] | None = None,
    n_jobs: int = 1,
    backend: str = "threading",
) -> tuple[list[dict[str, Array]], dict[str, Any]]:
    """Out-of-fold predictions (n,) by split and target name; by target name what was weighed, for reading.

    The first split weighs the learners; the others fit only what has weight. Of weights only the ratios matter:
    penalties are meant for weights of one on average.
    """
    weights = None if weights is None else weights / weights.mean()
    stacks = {target.name: Stack.of(given[target.name]) for target in targets if given and target.name in given}
    weighed = [target for target in targets if target.name not in stacks]
    usual = {target.name: learners_for(len(x), x.shape[1], target.kind) for target in weighed}
    units = _Units(x, weights, n_jobs, backend)
    asked = [
        (target, stacks[target.name].learners if target.name in stacks else usual[target.name]) for target in targets
    ]
    first = _out_of_fold(units, asked, all_folds[:1], seeds[:1])[0]
    for target in weighed:
        stacks[target.name], first[target.name] = _weigh(target, usual[target.name], first[target.name], weights)
    predicted = [{target.name: first[target.name] @ stacks[target.name].weights for target in targets}]
    kept = [(target, stacks[target.name].learners) for target in targets]
    rest = _out_of_fold(units, kept, all_folds[1:], seeds[1:])
    predicted += [{name: columns @ stacks[name].weights for name, columns in split.items()} for split in rest]
    return predicted, {name: stack.told for name, stack in stacks.items()}


def usual_folds(n: int) -> int:
    """Five, while a fit is cheap and units are few; fewer where a half already tells nearly everything."""
    return 5 if n < 50_000 else 3 if n < 300_000 else 2


def folds_of(treated: Flags, seeds: Sequence[int], n_folds: int, clusters: Labels | None) -> list[Labels]:
    """A split for each seed, with as many folds as there can be up to `n_folds`."""
    possible = _possible_folds(n_folds, treated, clusters)
    return [deal_folds(treated, possible, seed, clusters=clusters) for seed in seeds]


def _possible_folds(wanted: int, treated: Flags, clusters: Labels | None) -> int:
    if clusters is None:
        possible = int(min(treated.sum(), (~treated).sum()))
    else:
        possible = min(len(np.unique(clusters[arm])) for arm in (treated, ~treated))
    if possible < 2:
        raise TooFewToSplit("cross-fitting needs two units, or clusters, in each arm")
    return min(wanted, possible)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """One learner, of one target, without one fold of one split."""

    split: int
    fold: int
    target: Target
    learner: Learner
    at: int
    """Its first column among the predictions of the target."""


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """What all fits have in common."""

    x: Array
    weights: Array | None
    n_jobs: int
    backend: str


def _out_of_fold(
    units: _Units,
    wanted: Sequence[tuple[Target, Sequence[Learner]]],
    all_folds: Sequence[Labels],
    seeds: Sequence[int],
) -> list[dict[str, Array]]:
    """By split and target the predictions of all variants, (n, variants)."""
    fits = list(_fits(wanted, all_folds))
    # The longest first, so that the last core is not left with a boosted fit when the others are done.
    fits.sort(key=lambda fit: -len(fit.learner.variants))
    pieces = side_by_side(
        _fit_fold,
        ((fit, units, all_folds[fit.split] == fit.fold, seeds[fit.split] + fit.fold) for fit in fits),
        n_jobs=units.n_jobs,
        backend=units.backend,
    )
    n = len(units.x)
    widths = {target.name: sum(len(learner.variants) for learner in learners) for target, learners in wanted}
    results = [{name: np.empty((n, width)) for name, width in widths.items()} for _ in all_folds]
    for fit, piece in zip(fits, pieces, strict=True):
        rows = all_folds[fit.split] == fit.fold
        results[fit.split][fit.target.name][rows, fit.at : fit.at + piece.shape[1]] = piece
    return results


def _fits(wanted: Sequence[tuple[Target, Sequence[Learner]]], all_folds: Sequence[Labels]) -> Iterator[_Fit]:
    for split, folds in enumerate(all_folds):
        for target, learners in wanted:
            at = 0
            for learner in learners:
                for fold in range(int(folds.max()) + 1):
                    yield _Fit(split, fold, target, learner, at)
                at += len(learner.variants)


def _fit_fold(fit: _Fit, units: _Units, held_out: Flags, seed: int) -> Array:
    target = fit.target
    rows = ~held_out if target.among is None else ~held_out & target.among
    if not rows.any():
        raise TooFewToSplit("too few units, or clusters, in an arm to learn from some what the others would have done")
    return target.learnt(fit.learner, units.x, rows, units.weights, seed)(units.x[held_out])


def _shares(beyond: Array, wanted: Array, mean: int) -> Array:
    """By least squares, none below zero; the mean has the rest."""
    from scipy.optimize import nnls

    found = nnls(beyond, wanted)[0]
    found[mean] = max(0.0, 1.0 - float(found.sum()))
    found = np.where(found >= LEAST_WEIGHT * found.sum(), found, 0.0)
    return np.asarray(found / found.sum())


def _weigh(target: Target, learners: Sequence[Learner], columns: Array, weights: Array | None) -> tuple[Stack, Array]:
    """Weights of the variants, none below zero and one together, by least squares out of fold; of those below 5 % none.

    Products have weight only where they take 1 % off the loss: elsewhere they would move the answer and not better it.
    Gives back the columns that are kept.
    """
    rows = slice(None) if target.among is None else target.among
    root = np.ones(len(target.y)) if weights is None else np.sqrt(weights)
    y, root = target.y[rows], root[rows]
    predictions = columns[rows]
    losses = np.average((y[:, np.newaxis] - predictions) ** 2, axis=0, weights=root**2)
    names = [name for learner in learners for name in learner.variants]
    # What the mean does not know. The mean itself takes what is missing to one: its own column is next to nothing.
    centre, mean = float(np.average(y, weights=root**2)), names.index(Mean().variants[0])
    beyond = (predictions - centre) * root[:, np.newaxis]
    beyond[:, mean] = 0.0
    wanted = (y - centre) * root
    found = _shares(beyond, wanted, mean)
    products = [at for at, name in enumerate(names) if name in Quadratic(products=True).variants]
    if found[products].any():
        simpler = beyond.copy()
        simpler[:, products] = 0.0
        without = _shares(simpler, wanted, mean)
        gain = 1 - float(((wanted - beyond @ found) ** 2).sum() / ((wanted - beyond @ without) ** 2).sum())
        found = found if gain >= LEAST_GAIN else without
    kept_learners, kept_columns = [], []
    start = 0
    for learner in learners:
        own = tuple(range(len(learner.variants)))
        kept = tuple(position for position in own if found[start + position] > 0)
        if kept:
            kept_learners.append(learner.only(kept))
            kept_columns += [start + position for position in kept]
        start += len(own)
    told = {
        "loss": "mean squared error out of fold",
        "losses": dict(zip(names, (float(loss) for loss in losses), strict=True)),
        "learners": {names[column]: float(found[column]) for column in kept_columns},
        "r_squared": float(1 - np.average((y - predictions @ found) ** 2, weights=root**2) / losses[0])
        if losses[0] > 0
        else None,
    }
    return Stack(tuple(kept_learners), found[kept_columns], told), columns[:, kept_columns]
