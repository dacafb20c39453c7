"""All that is said of how an effect differs between units, in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from causeway.effects.heterogeneity.best_linear_projection import BestLinearProjection, best_linear_projection
from causeway.effects.heterogeneity.cate import LEARNERS, Cate, fit_cate
from causeway.effects.heterogeneity.drivers import Drivers, drivers
from causeway.effects.heterogeneity.final_stage import Learner
from causeway.effects.heterogeneity.groups import GroupEffects, by_predicted_effect, group_effects
from causeway.effects.heterogeneity.means_of_scores import Estimate, estimate, mean_of
from causeway.effects.heterogeneity.policy import Budget, Policy, policy
from causeway.effects.heterogeneity.scores import mean_score, scores_of
from causeway.effects.heterogeneity.support import Support, without_counterpart
from causeway.effects.heterogeneity.uplift import Uplift, uplift
from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.nuisances import Nuisances
from causeway.statistics.effect import Status

GROUPS = 5
# Units of similar predicted effect share an interval: enough of them for a mean, few enough to be similar.
UNITS_A_GROUP = 400
MOST_GROUPS = 20
HISTOGRAM_BINS = 40
# More of the units than this outside the support is worth a sentence.
MANY_EXTRAPOLATED = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Heterogeneity:
    """status: that of the effects; too_few_units and the like leave a constant. share_extrapolated: of the units, by
    weight. clipped: largest share of propensities that were moved away from zero or one. reasons: what a reader has
    to know.

    extrapolated: (n,), units without a counterpart in the other arm. similar: groups of units by predicted effect whose
    interval is each member's; its labels are `group_of_unit` (n,), -1 for extrapolated units.
    """

    status: Status
    cate: Cate
    average_effect: Estimate
    sd_effect: float
    best_linear_projection: BestLinearProjection
    groups: GroupEffects | None
    segments: Mapping[str, GroupEffects]
    uplift: Uplift
    drivers: Drivers
    policy: Policy
    extrapolated: Flags
    share_extrapolated: float
    similar: GroupEffects | None
    group_of_unit: Labels
    clipped: float
    reasons: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def unit_columns(self) -> dict[str, list[Any]]:
        """What is said of each unit, by column: effect, ci_low, ci_high, extrapolated and treat.

        The interval covers the average effect among units of similar predicted effect, or the average effect where
        that is all there is; never the effect of one unit, which no data can show. None for an extrapolated unit.
        """
        if self.similar is None:
            bounds = [(self.average_effect.ci_low, self.average_effect.ci_high)]
        else:
            bounds = [(group.effect.ci_low, group.effect.ci_high) for group in self.similar.groups]
        place = np.where(self.extrapolated, -1, 0) if self.similar is None else self.group_of_unit
        # Position -1 is the last: nothing.
        bounds.append((None, None))
        return {
            "effect": self.cate.effect.tolist(),
            "ci_low": [bounds[at][0] for at in place],
            "ci_high": [bounds[at][1] for at in place],
            "extrapolated": self.extrapolated.tolist(),
            "treat": self.policy.treat.tolist(),
        }

    def as_document(self) -> dict[str, Any]:
        """Everything but what is said of single units; JSON values only."""
        cate, found = self.cate, self.policy
        return {
            "status": self.status,
            "learner": cate.learner,
            "beats_constant": cate.beats_constant,
            "reason": cate.reason,
            "p_value": cate.p_value,
            "losses": cate.losses,
            "gain": cate.gain,
            "gain_std_error": cate.gain_std_error,
            "fitted": list(cate.fitted),
            "average_effect": asdict(self.average_effect),
            "sd_effect": self.sd_effect,
            "histogram": _histogram(cate.effect) if cate.beats_constant else None,
            "best_linear_projection": _listed(asdict(self.best_linear_projection)),
            "groups": None if self.groups is None else _listed(asdict(self.groups)),
            "segments": {name: _listed(asdict(each)) for name, each in self.segments.items()},
            "uplift": _listed(asdict(self.uplift)),
            "drivers": {
                "status": self.drivers.status,
                "reason": self.drivers.reason,
                "largest_gap": self.drivers.largest_gap,
                "drivers": [asdict(each) for each in self.drivers.drivers],
            },
            "policy": {
                "status": found.status,
                "share": found.share,
                "n": int(found.treat.sum()),
                "value": asdict(found.value),
                "treat_all": asdict(found.treat_all),
                "over_all": asdict(found.over_all),
                "over_random": asdict(found.over_random),
                "curve": [asdict(point) for point in found.curve],
                "tree": None if found.tree is None else asdict(found.tree),
            },
            "share_extrapolated": self.share_extrapolated,
            "clipped": self.clipped,
            "reasons": list(self.reasons),
            "settings": self.settings,
        }


def heterogeneity(
    outcome: Array,
    treated: Flags,
    x: Array,
    columns: Sequence[str],
    nuisances: Nuisances | Sequence[Nuisances],
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    segments: Mapping[str, npt.ArrayLike] | None = None,
    budget: Budget | None = None,
    learners: Sequence[Learner] = LEARNERS,
    seed: int = 0,
    n_jobs: int = 1,
    backend: str = "threading",
    alpha: float = 0.05,
) -> Heterogeneity:
    """Effects of units by their modifiers x (n, p), finite numbers, and all that follows from them.

    outcome: (n,). nuisances: of one split or of several, whose scores and effects are averaged; clusters must not be
    spread over folds. segments: a label for each unit, by name of the segment. The same bits for any `n_jobs` and
    `backend`.
    Raises ValueError for shapes that do not fit, numbers that are not finite, and an arm without units.
    """
    splits = [nuisances] if isinstance(nuisances, Nuisances) else list(nuisances)
    _check(outcome, treated, x, columns, splits=splits, weights=weights)
    scored = [scores_of(outcome, treated, split, weights=weights) for split in splits]
    psi, folds, w = mean_score(scored), scored[0].folds, scored[0].weights
    scale = float(outcome.std())
    average = mean_of(psi, w)
    cate = fit_cate(
        x, treated, scored, constant=average.effect, learners=learners, clusters=clusters, seed=seed, n_jobs=n_jobs,
        backend=backend, alpha=alpha,
    )  # fmt: skip
    propensity = np.mean([split.propensity for split in splits], axis=0)
    extrapolated = Support.of(x, treated).outside(x) | without_counterpart(propensity, treated)
    inference: dict[str, Any] = {"weights": weights, "clusters": clusters, "alpha": alpha}
    groups, similar, group_of_unit = None, None, np.where(extrapolated, -1, 0)
    if cate.beats_constant:
        labels = by_predicted_effect(cate.effect, folds, GROUPS, w)
        groups = group_effects(psi, labels, _quantiles(GROUPS), treated, predicted=cate.effect, **inference)
        parts = int(np.clip(len(x) // UNITS_A_GROUP, GROUPS, MOST_GROUPS))
        group_of_unit = np.where(extrapolated, -1, by_predicted_effect(cate.effect, folds, parts, w))
        similar = group_effects(psi, group_of_unit, _quantiles(parts), treated, **inference)
    found_policy = policy(
        psi, cate.effect, treated, folds=folds, x=x, columns=columns, budget=budget, seed=seed, **inference
    )
    share_extrapolated = float(np.average(extrapolated, weights=w))
    clipped = max(split.clipped for split in scored)
    return Heterogeneity(
        status=cate.status,
        cate=cate,
        average_effect=estimate(average, treated, clusters=clusters, scale=scale, alpha=alpha),
        sd_effect=float(np.sqrt(np.average((cate.effect - np.average(cate.effect, weights=w)) ** 2, weights=w)))
        if cate.beats_constant
        else 0.0,
        best_linear_projection=best_linear_projection(psi, x, columns, treated, **inference),
        groups=groups,
        segments={
            name: _of_segment(psi, labels, treated, cate.effect, inference)
            for name, labels in (segments or {}).items()
        },
        uplift=uplift(psi, cate.effect, treated, seed=seed, tested=cate.ahead, folds=folds, **inference)
        if cate.beats_constant
        else Uplift("not_estimable"),
        drivers=drivers(cate, x, columns, scored, seed=seed),
        policy=found_policy,
        extrapolated=extrapolated,
        share_extrapolated=share_extrapolated,
        similar=similar,
        group_of_unit=group_of_unit,
        clipped=clipped,
        reasons=_reasons(cate, share_extrapolated, clipped),
        settings={
            "learners": list(learners), "splits": len(splits), "folds": int(folds.max()) + 1, "seed": seed,
            "alpha": alpha, "interval_of": "average effect among units of similar predicted effect"
            if cate.beats_constant else "average effect",
        },
    )  # fmt: skip


def _check(
    outcome: Array,
    treated: Flags,
    x: Array,
    columns: Sequence[str],
    *,
    splits: Sequence[Nuisances],
    weights: Array | None,
) -> None:
    n = len(outcome)
    if not splits:
        raise ValueError("nuisances of one split at least")
    if x.shape != (n, len(columns)) or treated.shape != (n,) or (weights is not None and weights.shape != (n,)):
        raise ValueError("outcome, treatment, modifiers, their names and weights do not fit together")
    if treated.dtype != np.bool_:
        raise ValueError(f"treated must be true or false for each unit, not {treated.dtype}")
    if not treated.any() or treated.all():
        raise ValueError("both arms need units")
    if not np.isfinite(x).all():
        raise ValueError("effect modifiers must be finite")
    if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError("weights must be finite and not negative, and not all zero")


def _quantiles(groups: int) -> list[str]:
    """Names of the parts, from the lowest predicted effects to the highest."""
    return [f"{100 * part // groups}-{100 * (part + 1) // groups} %" for part in range(groups)]


def _of_segment(
    psi: Array, labels: npt.ArrayLike, treated: Flags, effect: Array, inference: Mapping[str, Any]
) -> GroupEffects:
    names, place = np.unique(np.asarray(labels).astype(str), return_inverse=True)
    return group_effects(psi, place, [str(name) for name in names], treated, predicted=effect, **inference)


def _reasons(cate: Cate, share_extrapolated: float, clipped: float) -> tuple[str, ...]:
    reasons = [cate.reason]
    if share_extrapolated > MANY_EXTRAPOLATED:
        reasons.append(f"{share_extrapolated:.0%} of the units have no counterpart: their effects are extrapolated")
    if clipped > 0:
        reasons.append(f"{clipped:.1%} of the propensities were moved away from zero or one")
    return tuple(reasons)


def _histogram(effect: Array) -> dict[str, list[float]]:
    """Units by effect in equal bins; a few far effects are counted in the outermost ones."""
    low, high = np.quantile(effect, (0.001, 0.999))
    counts, edges = np.histogram(np.clip(effect, low, high), bins=HISTOGRAM_BINS)
    return {"edges": edges.tolist(), "counts": counts.astype(np.float64).tolist()}


def _listed(document: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON reads them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
