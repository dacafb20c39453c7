"""The effect of each unit by a model that has not seen it, or one number for everybody where no model is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causeway.effects.heterogeneity.cross_fit import Scale, check_folds, cross_fit
from causeway.effects.heterogeneity.evidence import evidence
from causeway.effects.heterogeneity.final_stage import Learner, Stage
from causeway.effects.heterogeneity.scores import Scores
from causeway.effects.influence import Array, Flags, Labels
from causeway.statistics.comparison import check_alpha
from causeway.statistics.effect import Status

LEARNERS: tuple[Learner, ...] = ("r_linear", "r_boosted", "dr_boosted")
# Of either arm, in each fold: what a straight line through noise can still be told from.
FEWEST_IN_FOLD = 10


@dataclass(frozen=True, slots=True, eq=False)
class EffectModel:
    """The models of all folds and splits; their mean is the effect of a unit that none of them has seen.

    A constant has no stages.
    """

    scale: Scale
    constant: float
    stages: tuple[tuple[Stage, ...], ...] = ()

    def predict(self, x: Array) -> Array:
        """Effects (m,) of new units with modifiers x (m, p)."""
        if not self.stages:
            return np.full(len(x), self.constant)
        z = self.scale.apply(x)
        flat = [stage for split in self.stages for stage in split]
        return np.asarray(np.mean([stage.predict(z) for stage in flat], axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Cate:
    """Effects (n,) of units, each out of fold, in units of the outcome.

    status: "ok"; too_few_units, zero_variance or no_covariates where nothing but a constant was tried. learner: the
    one chosen, "constant" unless it beats one. p_value: one-sided, of "no model orders the units better than chance";
    None where nothing was tried. losses: mean held-out R-loss by learner. reason: why it is the constant, or why not.
    ahead: (n,), predictions by folds before a unit's own (nan in the first), for tests. fitted: what the models are.
    """

    status: Status
    learner: str
    beats_constant: bool
    reason: str
    effect: Array
    model: EffectModel
    p_value: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    gain: float | None = None
    gain_std_error: float | None = None
    ahead: Array | None = None
    fitted: tuple[dict[str, Any], ...] = ()


def fit_cate(
    x: Array,
    treated: Flags,
    splits: Sequence[Scores],
    *,
    constant: float,
    learners: Sequence[Learner] = LEARNERS,
    clusters: Labels | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    backend: str = "threading",
    alpha: float = 0.05,
) -> Cate:
    """Fit the learners over the folds of each split, choose by held-out R-loss, and keep the choice only if it beats a
    constant: p_value at most `alpha`, and a lower R-loss out of fold.

    constant: the average effect, served where nothing beats it. Over several splits, losses and effects are averaged,
    and the p-value is twice the median (Chernozhukov et al. 2018, NBER 24678, sec. 4.2).
    Raises ValueError for folds with gaps, clusters spread over folds, or no learner.
    """
    check_alpha(alpha)
    if not learners or len(set(learners)) != len(learners):
        raise ValueError(f"at least one learner, each once: {list(learners)}")
    for split in splits:
        check_folds(split.folds, treated, clusters)
    scale = Scale.of(x)
    nothing = _nothing_to_fit(x, treated, splits)
    if nothing:
        return Cate(nothing[0], "constant", False, nothing[1], np.full(len(x), constant), EffectModel(scale, constant))
    z = scale.apply(x)
    fits = [
        cross_fit(z, split, learners, clusters=clusters, seed=seed + place, n_jobs=n_jobs, backend=backend)
        for place, split in enumerate(splits)
    ]
    found = [evidence(split, fit, clusters=clusters) for split, fit in zip(splits, fits, strict=True)]
    losses = {name: float(np.mean([each.losses[name] for each in found])) for name in found[0].losses}
    chosen = min(learners, key=lambda name: losses[name])
    p_value = found[0].p_value
    if len(found) > 1:
        p_value = min(1.0, 2 * float(np.median([each.p_value for each in found])))
    gain = losses["constant"] - losses[chosen]
    gain_std_error = float(np.mean([each.gain_std_errors[chosen] for each in found]))
    numbers: dict[str, Any] = {
        "p_value": p_value, "losses": losses, "gain": gain, "gain_std_error": gain_std_error, "ahead": found[0].ahead,
    }  # fmt: skip
    reason = _why_constant(p_value, gain, chosen, alpha)
    if reason:
        model = EffectModel(scale, constant)
        return Cate("ok", "constant", False, reason, np.full(len(x), constant), model, **numbers)
    place = list(learners).index(chosen)
    stages = tuple(fit[place].stages for fit in fits)
    return Cate(
        "ok", chosen, True, f"held-out units are ordered better than by chance (p = {p_value:.2g})",
        np.asarray(np.mean([fit[place].effect for fit in fits], axis=0), dtype=np.float64),
        EffectModel(scale, constant, stages), fitted=tuple(stage.describe() for split in stages for stage in split),
        **numbers,
    )  # fmt: skip


def _nothing_to_fit(x: Array, treated: Flags, splits: Sequence[Scores]) -> tuple[Status, str] | None:
    if x.shape[1] == 0 or not (np.ptp(x, axis=0) > 0).any():
        return "no_covariates", "no effect modifier varies"
    for split in splits:
        in_arms = [np.bincount(split.folds[arm], minlength=int(split.folds.max()) + 1) for arm in (treated, ~treated)]
        if min(int(counts.min()) for counts in in_arms) < FEWEST_IN_FOLD:
            return "too_few_units", f"a fold has fewer than {FEWEST_IN_FOLD} units of an arm"
        if float(np.ptp(split.outcome_residual)) == 0:
            return "zero_variance", "the outcome is fully explained, so nothing is left to be held out"
    return None


def _why_constant(p_value: float, gain: float, chosen: str, alpha: float) -> str | None:
    if p_value > alpha:
        return f"no model orders held-out units better than chance (p = {p_value:.2g})"
    if gain <= 0:
        return f"the best model ({chosen}) has a larger held-out loss than one effect for everybody"
    return None
