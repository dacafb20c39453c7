"""The effect of a treatment through a mediator, where treatment and outcome share a hidden cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causeway.effects.estimators.partialling_out import CONSTANT, finite
from causeway.effects.influence import Array, Flags, Inference, Labels, Linearised, infer
from causeway.statistics.effect import Status


@dataclass(frozen=True, slots=True, eq=False)
class FrontDoorNuisances:
    """Out-of-fold predictions, each (n,): what a front-door estimate has to know.

    propensity: P(T = 1 | x). propensity_given_mediators: P(T = 1 | m, x). outcome_control, outcome_treated:
    E[Y | T, m, x] at the unit's own mediators m, without and with treatment. carried: (n, 2, 2), [:, a, b] =
    E[E[Y | T = a, M, x] | T = b, x], the outcome of arm a at the mediators that arm b would have.
    """

    propensity: Array
    propensity_given_mediators: Array
    outcome_control: Array
    outcome_treated: Array
    carried: Array


@dataclass(frozen=True, slots=True, eq=False)
class FrontDoorEffect:
    """`effect`: ATE in units of the outcome, None unless `status` is "ok"; `reason` says why there is none.

    largest_weight: of any unit's residual, 1 being the average; large ones mean that the mediators give the treatment
    away.
    """

    status: Status
    reason: str | None
    units: int
    effect: Linearised | None = None
    inference: Inference | None = None
    largest_weight: float | None = None


def front_door_effect(
    outcome: Array,
    treated: Flags,
    nuisances: FrontDoorNuisances,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> FrontDoorEffect:
    """Mean effect by the front door (Pearl 1995, Biometrika 82, 669-688, theorem 2), given covariates.

    Identified where the mediators carry all of the effect, nothing unmeasured is a cause of treatment and mediators,
    nor, given treatment, of mediators and outcome. With e the propensity of arm a and r the same given mediators, the
    efficient score of E[Y(a)] is (Fulcher, Shpitser, Marealle & Tchetgen Tchetgen 2020, J. R. Stat. Soc. B 82, 199-214,
    theorem 1, with the ratio of mediator densities f(m | a, x) / f(m | T, x) = r_a / r_T e_T / e_a by Bayes' theorem):

        (Y - E[Y | T, m, x]) r_a / r_T e_T / e_a + 1(T = a) / e_a (eta(m, x) - E[eta(M, x) | a, x]) + carried[T, a]

    where eta(m, x) averages E[Y | t, m, x] over t given x. Consistent if the mediators' part or the outcome's part of
    the nuisances is right. Contributions are those of the difference of both scores; sampling weights weigh their mean.

    Statuses: too_few_units (fewer than two units, or clusters, in an arm), not_estimable (a propensity of zero or one;
    clusters without a degree of freedom), zero_variance. Raises ValueError for shapes that differ and numbers that are
    not finite.
    """
    n = len(outcome)
    y, t = finite("outcome", outcome, n), np.asarray(treated, dtype=bool)
    w = np.ones(n) if weights is None else finite("weights", weights, n)
    if len(t) != n or w.min(initial=0.0) < 0 or not w.sum() > 0:
        raise ValueError("treated and weights have one row per unit; weights are not negative, nor all zero")
    units, w = int(np.count_nonzero(w)), w / w.sum()
    counted = w > 0
    if min(int(np.sum(t & counted)), int(np.sum(~t & counted))) < 2:
        return FrontDoorEffect("too_few_units", "an arm has fewer than two units", units)
    e, r = nuisances.propensity, nuisances.propensity_given_mediators
    if min(e.min(), r.min()) <= 0 or max(e.max(), r.max()) >= 1:
        why = "for some units the treatment is certain, given covariates or given mediators"
        return FrontDoorEffect("not_estimable", why, units)
    spread = float(np.sqrt(w @ (y - w @ y) ** 2))
    if spread <= CONSTANT * float(np.abs(y).max()):
        return FrontDoorEffect("zero_variance", "the outcome is constant", units)
    scores, ratios = zip(*(_score(y, t, arm, nuisances) for arm in (0, 1)), strict=True)
    difference = scores[1] - scores[0]
    effect = float(w @ difference)
    found = Linearised(effect, w * (difference - effect))
    inference = infer(found, t, clusters=clusters, scale=spread, alpha=alpha)
    if inference.status != "ok":
        return FrontDoorEffect(inference.status, _WHY[inference.status], units)
    return FrontDoorEffect("ok", None, units, found, inference, float(np.max(ratios)))


_WHY = {
    "too_few_units": "an arm has fewer than two clusters",
    "not_estimable": "the clusters leave less than one degree of freedom",
    "zero_variance": "the outcome is fitted exactly: there is no spread to judge the effect by",
}


def _score(y: Array, t: Flags, arm: int, nuisances: FrontDoorNuisances) -> tuple[Array, Array]:
    """Scores of E[Y(arm)], (n,), and the weights of the outcome's residuals."""
    e, r = nuisances.propensity, nuisances.propensity_given_mediators
    low, high, carried = nuisances.outcome_control, nuisances.outcome_treated, nuisances.carried
    e_arm, r_arm = (e, r) if arm else (1 - e, 1 - r)
    ratio = r_arm / np.where(t, r, 1 - r) * np.where(t, e, 1 - e) / e_arm
    eta = low + e * (high - low)
    expected = carried[:, 0, arm] + e * (carried[:, 1, arm] - carried[:, 0, arm])
    own = np.where(t, carried[:, 1, arm], carried[:, 0, arm])
    residual = y - np.where(t, high, low)
    return np.asarray(residual * ratio + (t == bool(arm)) / e_arm * (eta - expected) + own), np.asarray(ratio)


def fit_front_door_nuisances(
    outcome: Array, treated: Flags, mediators: Array, x: Array, *, folds: Labels, weights: Array | None = None
) -> FrontDoorNuisances:
    """Linear and logistic nuisances, fitted on the other folds: the simplest that can be right.

    mediators: (n, m). x: (n, p). folds: (n,) whole numbers; each arm of the other folds needs more units than
    coefficients. Outcomes are linear in mediators and x in each arm; what mediators of an arm make of them is linear in
    x; propensities are logistic, with a penalty too small to matter unless an arm is told apart exactly.
    """
    n = len(outcome)
    y, t = finite("outcome", outcome, n), np.asarray(treated, dtype=bool)
    x, m = finite("x", x, n), finite("mediators", mediators, n)
    w = np.ones(n) if weights is None else finite("weights", weights, n)
    both = np.column_stack([m, x])
    e, r, low, high = (np.zeros(n) for _ in range(4))
    carried = np.zeros((n, 2, 2))
    for fold in np.unique(folds):
        out, fit = folds == fold, folds != fold
        e[out], r[out] = (_logistic(columns[fit], t[fit], w[fit], columns[out]) for columns in (x, both))
        arms = (fit & ~t, fit & t)
        for a, arm in enumerate(arms):
            predicted = _linear(both[arm], y[arm], w[arm], both)
            (high if a else low)[out] = predicted[out]
            for b, other in enumerate(arms):
                carried[out, a, b] = _linear(x[other], predicted[other], w[other], x[out])
    return FrontDoorNuisances(e, r, low, high, carried)


def _linear(columns: Array, values: Array, weights: Array, at: Array) -> Array:
    roots = np.sqrt(weights)
    exog = np.column_stack([np.ones(len(columns)), columns])
    coefficients = np.linalg.lstsq(exog * roots[:, None], values * roots, rcond=None)[0]
    return np.asarray(coefficients[0] + at @ coefficients[1:])


def _logistic(columns: Array, labels: Flags, weights: Array, at: Array) -> Array:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if columns.shape[1] == 0:
        return np.full(len(at), float(weights @ labels / weights.sum()))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e4, max_iter=1_000))
    model.fit(columns, labels, logisticregression__sample_weight=weights)
    return np.asarray(model.predict_proba(at)[:, 1])
