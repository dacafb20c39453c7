"""Adjustment for several covariates known before the treatment, of means and of ratios, from sums alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.covariate_choice import imbalance, usable_covariates
from causeway.statistics.effect import Effect, Status
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.ratio import WEAK, denominator_cv, linearised, why_no_ratio
from causeway.statistics.regression_adjustment import PERFECT_FIT

Slopes = Literal["by_arm", "pooled"]


def cuped(
    treated: JointMoments,
    control: JointMoments,
    covariates: Sequence[str],
    *,
    outcome: str = "outcome",
    denominator: str | None = None,
    slopes: Slopes = "by_arm",
    alpha: float = 0.05,
) -> Effect:
    """Effect adjusted for covariates x, shape (k,), by regression, from the co-moments of each arm.

    slopes "by_arm": the interacted regression of Lin (2013). Each arm has slopes of its own, b = Sxx**-1 Sxy, and
    its plane is read at the mean X of both arms: m = mean_y + b' (X - mean_x), with variance s**2 (1 / n +
    (X - mean_x)' Sxx**-1 (X - mean_x)), s**2 = RSS / (n - k - 1). X is an estimate too, which adds
    (b_t - b_c)' V (b_t - b_c), V = var(x) / N, to the variance of the effect (Negi & Wooldridge 2021). With one
    covariate this is `adjusted_effect`.
    slopes "pooled": CUPED as Deng, Xu, Kohavi & Walker (2013, section 3) have it, as GrowthBook and tea-tasting do.
    One theta from both arms taken together, m = mean_y - theta' (mean_x - X), variance var(y - theta' x) / n, theta
    taken as known. Less precise where arms differ in size and slope, and too sure of itself with few units.

    denominator: of a ratio metric; then y is the linearised outcome of `linearised`, so the pre-period ratio is
    adjusted for by naming its numerator and its denominator as covariates.
    Covariates that are constant or collinear, or too many for the units, are dropped, and settings say so.

    treated, control: moments that hold at least the variables named; covariates are what was known before treatment.
    Raises ValueError for an alpha outside (0, 1), an unknown variable, or one that is named twice.
    Statuses: no_units, too_few_units (an arm of one unit), no_covariates (none could be kept), not_estimable (a
    denominator too weak for the delta method: `difference_in_ratios` knows more), zero_variance (no residual is
    left). settings.reason explains.
    settings: variance, covariates (those used), dropped (name: reason), slopes and slopes_control (name: slope),
    r_squared (share of the variance within arms that is explained), variance_ratio (squared standard error over that
    of the plain difference), effect_unadjusted, mean_unadjusted, mean_control_unadjusted, imbalance (name: mean of
    the treated minus control, in standard deviations, for every covariate).

    >>> x = [1.0, 2.0, 3.0, 4.0]
    >>> treated = JointMoments.from_arrays({"outcome": [3.1, 4.0, 5.2, 5.9], "before": x, "again": x})
    >>> control = JointMoments.from_arrays({"outcome": [1.0, 2.1, 2.9, 4.1], "before": x, "again": x})
    >>> result = cuped(treated, control, ["before", "again"])
    >>> round(result.effect, 3), round(result.std_error, 3), result.settings["dropped"]
    (2.025, 0.095, {'again': 'collinear'})
    """
    check_alpha(alpha)
    if len(set(covariates)) < len(covariates) or outcome in covariates:
        raise ValueError(f"covariates must be different from each other and from {outcome!r}: {list(covariates)}")
    names = (outcome, *(() if denominator is None else (denominator,)), *covariates)
    treated, control = treated.select(names), control.select(names)
    settings: dict[str, Any] = {}
    problem = _why_not(treated, control, denominator)
    if problem is None:
        samples = (treated, control) if slopes == "by_arm" else (treated + control,)
        used, dropped = usable_covariates(samples, covariates)
        settings = {
            "covariates": list(used),
            "dropped": dict(dropped),
            "imbalance": imbalance(treated, control, covariates),
        }
        if not used:
            problem = "no_covariates", "no covariate is left that could be adjusted for"
    if problem is not None:
        status, reason = problem
        return Effect(status, treated.n, control.n, settings={**settings, "alpha": alpha, "reason": reason})

    arms = [_variables(each, outcome, denominator, used) for each in (treated, control)]
    both = _variables(treated + control, outcome, denominator, used)
    # In standard deviations, so that covariates in very small or large units neither under- nor overflow.
    scale = np.sqrt([both.comoment(name, name) / (both.n - 1) for name in used])
    if slopes == "by_arm":
        planes = [_Plane.through(arm, scale, _slopes(arm, scale)) for arm in arms]
        lost = len(used) + 1
    else:
        planes = [_Plane.through(arm, scale, _slopes(both, scale)) for arm in arms]
        lost = 1
    if planes[0].rss == planes[1].rss == 0:
        reason = "no residual variance is left in either arm"
        return Effect("zero_variance", treated.n, control.n, settings={**settings, "alpha": alpha, "reason": reason})

    at = np.array([both.mean(name) for name in used])
    v, v_control = (
        plane.rss / (plane.arm.n - lost) * (1 / plane.arm.n + (plane.leverage(at) if slopes == "by_arm" else 0.0))
        for plane in planes
    )
    share = both.comoment_matrix(used, used) / scale / scale[:, None] / (both.n - 1) / both.n
    slope, slope_control = (plane.slopes for plane in planes)
    v_interaction = float((slope - slope_control) @ share @ (slope - slope_control))
    v_effect = v + v_control + v_interaction
    unadjusted = [arm.comoment(outcome, outcome) for arm in arms]
    v_unadjusted = sum(m2 / (arm.n - 1) / arm.n for m2, arm in zip(unadjusted, arms, strict=True))
    means = [arm.mean(outcome) for arm in arms]
    return compare_means(
        EstimatedMean(treated.n, planes[0].at(at), v + float(slope @ share @ slope)),
        EstimatedMean(control.n, planes[1].at(at), v_control + float(slope_control @ share @ slope_control)),
        std_error=math.sqrt(v_effect),
        covariance=float(slope @ share @ slope_control),
        df=satterthwaite_df((v, treated.n - lost), (v_control, control.n - lost), (v_interaction, both.n - 1)),
        alpha=alpha,
        settings={
            "variance": "interacted_regression_superpopulation" if slopes == "by_arm" else "pooled_theta",
            **settings,
            "slopes": dict(zip(used, (slope / scale).tolist(), strict=True)),
            "slopes_control": dict(zip(used, (slope_control / scale).tolist(), strict=True)),
            "r_squared": 1 - sum(plane.rss for plane in planes) / sum(unadjusted),
            "variance_ratio": v_effect / v_unadjusted,
            "effect_unadjusted": means[0] - means[1],
            "mean_unadjusted": means[0],
            "mean_control_unadjusted": means[1],
        },
    )


@dataclass(frozen=True, slots=True)
class _Plane:
    """y = mean_y + slopes' (x - mean_x) / scale in one arm. The first name of the arm is y, the others are x.

    gram: comoments of x / scale, shape (k, k). rss: sum of squared residuals; 0.0 where what is left of the outcome's
    is rounding.
    """

    arm: JointMoments
    scale: NDArray[np.float64]
    slopes: NDArray[np.float64]
    gram: NDArray[np.float64]
    rss: float

    @classmethod
    def through(cls, arm: JointMoments, scale: NDArray[np.float64], slopes: NDArray[np.float64]) -> _Plane:
        with_y, gram = _comoments(arm, scale)
        m2 = arm.comoments[0]
        rss = float(m2 - 2 * slopes @ with_y + slopes @ gram @ slopes)
        return cls(arm, scale, slopes, gram, rss if arm.variance(arm.names[0]) and rss > PERFECT_FIT * m2 else 0.0)

    def at(self, x: NDArray[np.float64]) -> float:
        return float(self.arm.means[0] + self.slopes @ self._distance(x))

    def leverage(self, x: NDArray[np.float64]) -> float:
        """(x - mean_x)' Sxx**-1 (x - mean_x)."""
        distance = self._distance(x)
        return float(distance @ np.linalg.solve(self.gram, distance))

    def _distance(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return (x - self.arm.means[1:]) / self.scale


def _slopes(sample: JointMoments, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares slopes in a sample, per standard deviation; zero where the outcome is constant."""
    if not sample.variance(sample.names[0]):
        return np.zeros(len(scale))
    with_y, gram = _comoments(sample, scale)
    return np.asarray(np.linalg.solve(gram, with_y), dtype=np.float64)


def _comoments(sample: JointMoments, scale: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sxy, shape (k,), and Sxx, shape (k, k), of x / scale."""
    y, *x = sample.names
    with_y = sample.comoment_matrix(x, [y])[:, 0] / scale
    return with_y, sample.comoment_matrix(x, x) / scale / scale[:, None]


def _variables(sample: JointMoments, outcome: str, denominator: str | None, covariates: Sequence[str]) -> JointMoments:
    """The outcome, linearised where it is a ratio's, and after it the covariates."""
    if denominator is None:
        return sample.select((outcome, *covariates))
    return linearised(sample, outcome, denominator, covariates)


def _why_not(treated: JointMoments, control: JointMoments, denominator: str | None) -> tuple[Status, str] | None:
    if denominator is not None:
        problem = why_no_ratio(treated, control, denominator)
        if problem is None and max(denominator_cv(each, denominator) for each in (treated, control)) > WEAK:
            return "not_estimable", "the mean denominator of an arm is too uncertain for the delta method"
        return problem
    smallest = min(treated.n, control.n)
    if smallest < 2:
        return ("too_few_units", "an arm has one unit") if smallest else ("no_units", "an arm is empty")
    return None
