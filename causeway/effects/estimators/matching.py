"""Matching with replacement to the nearest units of the other group, and the standard error that covers.

The bootstrap does not (Abadie & Imbens 2008, Econometrica 76, 1537-1557): how often a unit is used is not a smooth
function of the data. Abadie & Imbens 2006 (Econometrica 74, 235-267) give a variance that does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from causeway.effects.estimators.nearest import Points, canonical_order, neighbours, same_arm, whitened
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.effects.learners import Squares
from causeway.statistics.effect import Status

Metric = Literal["mahalanobis", "propensity", "both"]
MatchingTarget = Literal["ATE", "ATT", "ATC"]
# Propensities nearer to 0 or 1 than this are as good as certain; their logits would be all that distance sees.
CERTAIN = 1e-6
UNITS_PER_COEFFICIENT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """What matching found; `found` is None unless `status` is "ok".

    weights: (n,), what each unit counts for in its group's mean, as itself and as a match: zero for a unit that was
    not used. With it `overlap.balance` shows what matching achieved. n_dropped_treated, n_dropped_control: units of
    the target without a match within the caliper; the estimate is of the others only. settings: what was really
    done; JSON values only.
    """

    target: MatchingTarget
    status: Status
    found: Linearised | None
    weights: Array
    n_dropped_treated: int
    n_dropped_control: int
    settings: dict[str, Any] = field(default_factory=dict)


def match(
    *,
    treated: Flags,
    outcome: Array,
    x: Array,
    target: MatchingTarget = "ATT",
    propensity: Array | None = None,
    metric: Metric = "mahalanobis",
    n_matches: int = 1,
    caliper: float | None = None,
    bias_correction: bool = True,
    curved: bool = False,
    variance_neighbours: int = 2,
    weights: Array | None = None,
    clusters: Labels | None = None,
    workers: int = 1,
) -> Matching:
    """Match every unit of the target to the `n_matches` nearest of the other group, ties included, with replacement.

    treated, outcome, weights, clusters: (n,); x: (n, p), finite; propensity: (n,), needed for the metrics that use
    it. metric: "mahalanobis" on x; "propensity" on its logit, in standard deviations of the logit; "both" adds the
    squares of the two. caliper: the largest distance, in those units. weights: sampling weights, of which a match set
    takes the weighted mean. workers: threads of the search, without influence on any number.

    effect = sum w_i (Y_i - mean of its matches), with signs, over the target's units (Abadie & Imbens 2006, sec. 2).
    With `bias_correction`, each match is moved by the difference of the regression's predictions for the unit and for
    the match, fitted linearly on x in each group with the units' weights as matches (Abadie & Imbens 2011, JBES 29,
    1-11, sec. 2): without it the bias of matching on more than one covariate does not vanish faster than the standard
    error. `curved` gives the regressions the squares of columns with more than two values as well, where each group has
    ten units a coefficient: their theorem asks for regressions that grow with the data, and what is curved is not
    corrected by a line.

    Variance (Abadie & Imbens 2006, theorems 6 and 7, for the population's effect), with k_i how often unit i was used
    (in shares of match sets) and k'_i the same with squared shares:

        sum w_i^2 (tau_i - tau)^2 + sum s2_i ((w_i + k_i)^2 - w_i^2 - k'_i),   over (sum w_i)^2

    s2_i comes of the `variance_neighbours` nearest units of the same group (their sec. 4), of the regression's
    residuals when the bias is corrected, so that a slope between neighbours does not count as noise.

    Contributions are m_i = [w_i (g1_i - g0_i - tau) +- (w_i + k_i)(Y_i - g_i)] / sum w, with g the regressions: the
    martingale representation (Abadie & Imbens 2012, JASA 107, 833-843), which for the corrected estimator is exact
    (Lin, Ding & Han 2023, Econometrica 91, 2187-2217), all scaled by one factor, `settings["scale"]`, so that the sum
    of squares is the variance above. With `clusters` they are left as they are: neighbours of one cluster share what
    the variance above takes for noise, so it would be too small. A propensity is taken as known: when it was
    estimated that is conservative for the ATE, and may be either way for the others (Abadie & Imbens 2016,
    Econometrica 84, 781-807).

    The order of rows changes nothing, to the last bit.

    Statuses: no_units (a group that is empty or weighs nothing), too_few_units (a group smaller than
    variance_neighbours + 1), not_estimable (nobody has a match within the caliper), zero_variance.
    Raises ValueError for an unknown target or metric, a metric without its propensity, n_matches below one, a caliper
    that is not positive, and negative weights.
    """
    _check(
        target,
        metric,
        n_matches=n_matches,
        variance_neighbours=variance_neighbours,
        caliper=caliper,
        propensity=propensity,
    )
    n = len(treated)
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    arms = (int(np.sum(~treated & (weight > 0))), int(np.sum(treated & (weight > 0))))
    if min(arms) <= variance_neighbours:
        status: Status = "no_units" if min(arms) == 0 else "too_few_units"
        return Matching(target, status, None, np.zeros(n), 0, 0)
    covariates = covariates_of(x, propensity, metric)
    order = canonical_order((*covariates.T, treated, outcome, weight))
    order = order[weight[order] > 0]
    basis = _curved(covariates, treated) if curved else covariates
    units = _Units(treated[order], outcome[order], basis[order], weight[order] / weight[order].mean())
    places = places_of(covariates[order], metric)
    matched = _match(units, places, target, n_matches=n_matches, caliper=caliper, workers=workers)
    counts = np.zeros(n)
    dropped = [int(np.sum(matched.dropped & (units.treated == arm))) for arm in (True, False)]
    settings: dict[str, Any] = {
        "metric": metric,
        "n_matches": n_matches,
        "caliper": caliper,
        "dropped": {"treated": dropped[0], "control": dropped[1]},
    }
    if not matched.own.sum() > 0:
        return Matching(target, "not_estimable", None, counts, dropped[0], dropped[1], settings)
    counts[order] = matched.own + matched.used
    sign = np.where(units.treated, 1.0, -1.0)
    lines, corrected = _regressions(units, matched, bias_correction)
    residual = units.outcome - np.where(units.treated, lines[1].at(units.x), lines[0].at(units.x))
    tau_each = sign * (units.outcome - matched.mean)
    if corrected:
        other = [np.where(units.treated, lines[0].at(x), lines[1].at(x)) for x in (units.x, matched.mean_x)]
        tau_each -= sign * (other[0] - other[1])
    total = float(matched.own.sum())
    tau = float(matched.own @ tau_each) / total
    # Zero for a match that was used once and alone: what it adds is in the first sum already.
    excess = np.maximum((matched.own + matched.used) ** 2 - matched.own**2 - matched.used_squared, 0.0)
    noise = _conditional_variance(
        units,
        places,
        residual if corrected else units.outcome,
        wanted=excess > 0,
        n_neighbours=variance_neighbours,
        workers=workers,
    )
    variance = (float(matched.own**2 @ (tau_each - tau) ** 2) + float(excess @ noise)) / total**2
    martingale = matched.own * (lines[1].at(units.x) - lines[0].at(units.x)) + sign * (matched.own + matched.used) * (
        residual
    )
    martingale = (martingale - matched.own * (martingale.sum() / total)) / total
    size = float(martingale @ martingale)
    scale = math.sqrt(variance / size) if clusters is None and size > 0 else 1.0
    contributions = np.zeros(n)
    contributions[order] = scale * martingale
    # Of sizes that rounding makes: outcomes that do not vary at all.
    spread = float(np.max(np.abs(units.outcome - units.outcome.mean())))
    settings |= {
        "bias_correction": corrected,
        "curved": corrected and basis is not covariates,
        "variance": "abadie_imbens" if clusters is None else "martingale",
        "variance_neighbours": variance_neighbours,
        "scale": scale,
        "largest_share": float(counts.max() / counts.sum()),
        "matches_used": int(np.sum(matched.used > 0)),
    }
    is_flat = size <= (1e-10 * spread) ** 2
    return Matching(
        target,
        "zero_variance" if is_flat else "ok",
        None if is_flat else Linearised(tau, contributions),
        counts,
        dropped[0],
        dropped[1],
        settings,
    )


def _check(
    target: str,
    metric: str,
    *,
    n_matches: int,
    variance_neighbours: int,
    caliper: float | None,
    propensity: Array | None,
) -> None:
    if target not in get_args(MatchingTarget):
        raise ValueError(f"matching estimates one of {', '.join(get_args(MatchingTarget))}, not {target!r}")
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, not {metric!r}")
    if metric != "mahalanobis" and propensity is None:
        raise ValueError(f"the metric {metric!r} needs a propensity")
    if n_matches < 1 or variance_neighbours < 1:
        raise ValueError("n_matches and variance_neighbours must be at least one")
    if caliper is not None and not caliper > 0:
        raise ValueError(f"a caliper is a positive distance, not {caliper}")


def _curved(covariates: Array, treated: Flags) -> Array:
    """Columns with their squares, where there are units enough for both."""
    if covariates.shape[1] == 0:
        return covariates
    both = Squares.of(covariates)(covariates)
    enough = min(int(treated.sum()), int((~treated).sum())) >= UNITS_PER_COEFFICIENT * (both.shape[1] + 1)
    return both if enough else covariates


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """x: (n, k), what the regressions of the bias correction are of."""

    treated: Flags
    outcome: Array
    x: Array
    weight: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Per unit, (n,): its weight in the target (`own`), as a match (`used`) and with squared shares (`used_squared`),
    the mean outcome of its matches and their mean covariates (n, p); `dropped`: of the target, but without a match.
    """

    own: Array
    used: Array
    used_squared: Array
    mean: Array
    mean_x: Array
    dropped: Flags


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    intercept: float
    slopes: Array

    def at(self, x: Array) -> Array:
        return self.intercept + x @ self.slopes


def covariates_of(x: Array, propensity: Array | None, metric: Metric) -> Array:
    """x, with the propensity's logit as its last column where the metric uses it."""
    if propensity is None or metric == "mahalanobis":
        return x
    inside = np.clip(propensity, CERTAIN, 1 - CERTAIN)
    return np.column_stack([x, np.log(inside / (1 - inside))])


def places_of(covariates: Array, metric: Metric) -> Array:
    """Coordinates (n, k) whose Euclidean distance is the metric's."""
    if metric == "mahalanobis":
        return whitened(covariates)
    logit = whitened(covariates[:, -1:])
    return logit if metric == "propensity" else np.column_stack([whitened(covariates[:, :-1]), logit])


def _match(
    units: _Units, places: Array, target: MatchingTarget, *, n_matches: int, caliper: float | None, workers: int
) -> _Matched:
    n, p = units.x.shape
    own, used, used_squared = np.zeros(n), np.zeros(n), np.zeros(n)
    mean, mean_x, dropped = units.outcome.copy(), units.x.copy(), np.zeros(n, dtype=np.bool_)
    for arm in (True, False):
        if target != "ATE" and (target == "ATT") != arm:
            continue
        asking, asked = np.flatnonzero(units.treated == arm), np.flatnonzero(units.treated != arm)
        queries, pool = Points.of(places[asking]), Points.of(places[asked])
        weight = units.weight[asked]
        mass, y_mass = (np.bincount(pool.point, values) for values in (weight, weight * units.outcome[asked]))
        x_mass = np.column_stack([np.bincount(pool.point, weight * units.x[asked, j]) for j in range(p)] or [mass])
        of_target = np.bincount(queries.point, units.weight[asking])
        of_target_squared = np.bincount(queries.point, units.weight[asking] ** 2)
        total, total_y = np.zeros(len(of_target)), np.zeros(len(of_target))
        total_x = np.zeros((len(of_target), x_mass.shape[1]))
        share, share_squared = np.zeros(len(mass)), np.zeros(len(mass))
        for found in neighbours(queries.places, pool, needed=n_matches, caliper=caliper, workers=workers):
            size = np.bincount(found.query, mass[found.near], minlength=len(total))
            total += size
            total_y += np.bincount(found.query, y_mass[found.near], minlength=len(total))
            for j in range(x_mass.shape[1]):
                total_x[:, j] += np.bincount(found.query, x_mass[found.near, j], minlength=len(total))
            share += np.bincount(found.near, of_target[found.query] / size[found.query], minlength=len(share))
            share_squared += np.bincount(
                found.near, of_target_squared[found.query] / size[found.query] ** 2, minlength=len(share)
            )
        has_match = (total > 0)[queries.point]
        kept, point = asking[has_match], queries.point[has_match]
        dropped[asking[~has_match]] = True
        own[kept] = units.weight[kept]
        mean[kept] = total_y[point] / total[point]
        if p:
            mean_x[kept] = total_x[point] / total[point, None]
        used[asked] = weight * share[pool.point]
        used_squared[asked] = weight**2 * share_squared[pool.point]
    return _Matched(own, used, used_squared, mean, mean_x, dropped)


def _regressions(units: _Units, matched: _Matched, wanted: bool) -> tuple[tuple[_Line, _Line], bool]:
    """Of controls and of treated, weighted as matches; the second is whether both groups that were used as matches
    have units for it (twice as many as coefficients, else a group's line is its mean).
    """
    lines, feasible = [], wanted and units.x.shape[1] > 0
    for arm in (False, True):
        users = np.flatnonzero((units.treated == arm) & (matched.used > 0))
        flat = np.zeros(units.x.shape[1])
        if len(users) == 0:
            lines.append(_Line(0.0, flat))
            continue
        weight, y, x = matched.used[users], units.outcome[users], units.x[users]
        y_mean, x_mean = np.average(y, weights=weight), np.average(x, axis=0, weights=weight)
        if len(users) < 2 * (x.shape[1] + 1):
            lines.append(_Line(float(y_mean), flat))
            feasible = False
            continue
        spread = np.sqrt(np.average((x - x_mean) ** 2, axis=0, weights=weight))
        scaled = np.divide(x - x_mean, spread, out=np.zeros_like(x), where=spread > 1e-12 * (1 + np.abs(x_mean)))
        root = np.sqrt(weight)
        coefficients = np.linalg.lstsq(scaled * root[:, None], (y - y_mean) * root, rcond=1e-8)[0]
        slopes = np.divide(coefficients, spread, out=flat, where=spread > 1e-12 * (1 + np.abs(x_mean)))
        lines.append(_Line(float(y_mean - x_mean @ slopes), slopes))
    return (lines[0], lines[1]), feasible


def _conditional_variance(
    units: _Units, places: Array, values: Array, *, wanted: Flags, n_neighbours: int, workers: int
) -> Array:
    """Abadie & Imbens 2006, sec. 4: J / (J + 1) times the squared difference from the mean of the J nearest of the
    same group, (n,); zero for units that are not `wanted`.
    """
    result = np.zeros(len(values))
    for arm in (True, False):
        members = np.flatnonzero(units.treated == arm)
        points = Points.of(places[members])
        counts, sums = np.zeros(len(points.places)), np.zeros(len(points.places))
        by_point = np.bincount(points.point, values[members])
        for found in same_arm(points, n_neighbours, wanted[members], workers):
            counts += np.bincount(found.query, points.counts[found.near], minlength=len(counts))
            sums += np.bincount(found.query, by_point[found.near], minlength=len(counts))
        asked = wanted[members]
        own, point = values[members[asked]], points.point[asked]
        others = counts[point] - 1
        result[members[asked]] = others / (others + 1) * (own - (sums[point] - own) / others) ** 2
    return result
