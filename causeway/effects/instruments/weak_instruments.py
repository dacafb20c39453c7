"""Which effects agree with the data, however weak the instruments are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from causeway.effects.influence import Array
from causeway.effects.instruments.confidence_set import ConfidenceSet, ratio_set, set_of
from causeway.effects.instruments.first_stage import quadratic_form
from causeway.effects.instruments.reduced_form import ReducedForm

# Points of the grid over all effects, infinity included; crossings are then found to rounding.
GRID = 2_048


def anderson_rubin_set(
    found: ReducedForm,
    *,
    centre: float,
    scale: float,
    of_clusters: tuple[float, float] | None = None,
    alpha: float = 0.05,
) -> ConfidenceSet:
    """Effects b for which the instruments do not predict outcome - b treatment.

    The test of Anderson & Rubin 1949 (Ann. Math. Stat. 20, 46-63), with robust covariance (Chernozhukov & Hansen 2008,
    Econ. Letters 100, 68-71): d = h - b g, for coefficients h of the outcome and g of the treatment on the instruments,
    and d' S(b)**-1 d / q beside F(q, n - k), where S(b) is the robust covariance of d, HC3's. Its size does not depend
    on the first stage. With many instruments it has less power than it could have.

    of_clusters: factor and degrees of freedom of the clusters that `found` sums over (`small_sample_of_slope`); then
    the statistic is judged as Hotelling's, by F(q, df - q + 1) q df / (df - q + 1).

    With one instrument the inequality is quadratic and the set exact (`ratio_set`). With more it is a ratio of
    polynomials: b = centre + scale tan(angle) puts all effects, infinity included, on a circle; `GRID` equal steps find
    sign changes, minima and maxima between them are refined, so that a narrow piece is not missed, and each crossing is
    solved for (Brent). centre, scale: of the point estimate and its standard error, so that the grid is fine where the
    set ends.

    kind "not_estimable": no degrees of freedom, or fewer clusters than instruments.
    """
    q = found.instruments
    factor, df = (1.0, float(found.df)) if of_clusters is None else of_clusters
    if of_clusters is None:
        critical = float(stats.f.isf(alpha, q, df)) * q if df >= 1 else math.nan
    else:
        critical = float(stats.f.isf(alpha, q, df - q + 1)) * q * df / (df - q + 1) if df - q + 1 >= 1 else math.nan
    whole = factor * found.careful
    if not (math.isfinite(critical) and np.isfinite(whole).all()):
        return ConfidenceSet("not_estimable", (), alpha)
    p_value = _p_value(found, whole, None if of_clusters is None else df)
    if p_value is None:
        return ConfidenceSet("not_estimable", (), alpha)
    if q == 1:
        return ratio_set(
            float(found.on_outcome[0]),
            float(found.on_treatment[0]),
            (float(whole[0, 0]), float(whole[0, 1]), float(whole[1, 1])),
            critical_value=math.sqrt(critical),
            alpha=alpha,
            p_value=p_value,
        )
    excess = _statistic_on_circle(found, whole, centre, scale, critical)
    return set_of(_pieces(excess, centre, scale), alpha, p_value)


def _p_value(found: ReducedForm, whole: Array, df_of_clusters: float | None) -> float | None:
    """Of no effect: do the instruments predict the outcome?"""
    q = found.instruments
    statistic = quadratic_form(found.on_outcome, whole[:q, :q])
    if statistic is None:
        return None
    if df_of_clusters is None:
        return float(stats.f.sf(statistic / q, q, found.df))
    left = df_of_clusters - q + 1
    return float(stats.f.sf(statistic * left / (q * df_of_clusters), q, left))


def _statistic_on_circle(
    found: ReducedForm, whole: Array, centre: float, scale: float, critical: float
) -> Callable[[Array], Array]:
    """The statistic less its critical value as a function of angles, (m,): b = centre + scale tan(angle)."""
    q = found.instruments
    at_centre = found.on_outcome - centre * found.on_treatment
    step = scale * found.on_treatment
    # Columns: what moves with the cosine, and what moves with the sine.
    turn = np.zeros((2, 2 * q, q))
    turn[0, :q], turn[0, q:] = np.eye(q), -centre * np.eye(q)
    turn[1, q:] = -scale * np.eye(q)
    blocks = np.array([[turn[i].T @ whole @ turn[j] for j in (0, 1)] for i in (0, 1)])

    def excess(angles: Array) -> Array:
        c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
        d = c * at_centre - s * step
        c, s = c[:, :, None], s[:, :, None]
        covariance = c * c * blocks[0, 0] + c * s * (blocks[0, 1] + blocks[1, 0]) + s * s * blocks[1, 1]
        solved = np.linalg.solve(covariance, d[:, :, None])[:, :, 0]
        return np.asarray(np.einsum("ij,ij->i", d, solved) - critical)

    return excess


def _pieces(excess: Callable[[Array], Array], centre: float, scale: float) -> list[tuple[float, float]]:
    """Intervals of effects where `excess` is not positive, from low to high."""

    def alone(angle: float) -> float:
        return float(excess(np.array([angle]))[0])

    # From just above minus a right angle to just below a right angle: both ends are effects near infinity.
    width = math.pi / GRID
    angles = -math.pi / 2 + width * (np.arange(GRID, dtype=np.float64) + 0.5)
    values = excess(angles)
    before, after = np.roll(values, 1), np.roll(values, -1)
    hidden = ((values > 0) & (values <= before) & (values <= after)) | (
        (values < 0) & (values >= before) & (values >= after)
    )
    extra = []
    for angle, value in zip(angles[hidden], values[hidden], strict=True):
        sign = math.copysign(1.0, value)
        low, high = max(angle - width, -math.pi / 2), min(angle + width, math.pi / 2)
        lowest = optimize.minimize_scalar(lambda at, sign=sign: sign * alone(at), bounds=(low, high), method="bounded")
        if lowest.fun < 0:
            extra.append(float(lowest.x))
    if extra:
        angles = np.sort(np.concatenate([angles, np.array(extra, dtype=np.float64)]))
        values = excess(angles)
    inside = values <= 0
    ends = [
        centre + scale * math.tan(optimize.brentq(alone, angles[i], angles[i + 1], xtol=1e-13))
        for i in np.flatnonzero(inside[1:] != inside[:-1])
    ]
    if inside[0]:
        ends.insert(0, -math.inf)
    if inside[-1]:
        ends.append(math.inf)
    return list(zip(ends[::2], ends[1::2], strict=True))
