"""Who are they whom the instrument moves? One by one nobody knows; on average it can be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.estimators.partialling_out import finite
from causeway.effects.estimators.slope_clusters import cluster_sums
from causeway.effects.influence import Array, Flags, Labels


@dataclass(frozen=True, slots=True)
class ComplierMean:
    """Mean of one covariate among compliers and among all, in its own units.

    std_error: of the difference; None where it is rounding. smd: the difference by the covariate's standard deviation;
    None where it does not vary.
    """

    covariate: str
    compliers: float
    all_units: float
    std_error: float | None
    smd: float | None


def complier_means(
    x: Array,
    columns: Sequence[str],
    *,
    treated: Flags,
    instrument: Flags,
    propensity: Array,
    weights: Array | None = None,
    clusters: Labels | None = None,
) -> tuple[ComplierMean, ...] | None:
    """Mean of each column of x, (n, p), among compliers; None where kappa sums to nothing: the instrument moves nobody.

    Weighs with kappa = 1 - T (1 - Z) / (1 - e) - (1 - T) Z / e, e = P(Z = 1 | x) (Abadie 2003, J. Econometrics 113,
    231-263, theorem 3.1). Single weights may be negative: only their means mean something. Where the instrument works
    the other way round, Z and 1 - Z swap. Standard errors by the delta method with e as known, which leaves out a part
    that is usually negative (Abadie 2003, sec. 4).
    """
    n = len(x)
    x, e = finite("x", x, n), finite("propensity", propensity, n)
    w = np.ones(n) if weights is None else finite("weights", weights, n)
    w = w / w.sum()
    t, z = np.asarray(treated, dtype=np.float64), np.asarray(instrument, dtype=np.float64)
    if not (e.min() > 0 and e.max() < 1):
        return None
    kappa = 1 - t * (1 - z) / (1 - e) - (1 - t) * z / e
    if w @ kappa <= 0:
        # Moved the other way: those who take the treatment just when the instrument does not say so.
        kappa = 1 - t * z / e - (1 - t) * (1 - z) / (1 - e)
    total = float(w @ kappa)
    if total <= np.finfo(float).eps * n:
        return None
    found = []
    for position, column in enumerate(columns):
        values = x[:, position]
        overall = float(w @ values)
        compliers = float(w @ (kappa * values)) / total
        contributions = w * (kappa * (values - compliers) / total - (values - overall))
        sums = cluster_sums(contributions[:, None], clusters)[:, 0]
        error, spread = math.sqrt(float(sums @ sums)), math.sqrt(float(w @ (values - overall) ** 2))
        known = spread > 1e-12 * max(1.0, abs(overall))
        found.append(
            ComplierMean(
                column,
                compliers,
                overall,
                error if known and error > 1e-10 * spread else None,
                (compliers - overall) / spread if known else None,
            )
        )
    return tuple(found)
