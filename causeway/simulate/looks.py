"""Arms seen again and again: many trials at once, as the moments of each arm at each look.

Only what a look needs is kept, so a thousand trials of sixty looks are a few arrays. Units arrive once; a look sees
all units up to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Outcome = Literal["normal", "revenue", "conversion", "ratio"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Numbers = NDArray[np.float64]

CONVERSION = 0.02
PAYING, AMOUNT_SIGMA = 0.05, 1.0
CLICKS = (2.0, 8.0)
MORE_VIEWS = 3.0


@dataclass(frozen=True)
class ArmLooks:
    """One arm in `runs` trials at K looks.

    n: units so far, shape (K,). mean: estimated mean (of a ratio: sum by sum), shape (runs, K). variance: of
    that estimate, by the usual formula (of a ratio: the delta method), shape (runs, K).
    truth: what the mean estimates.
    """

    n: NDArray[np.int64]
    mean: Numbers
    variance: Numbers
    truth: float

    def minus(self, control: ArmLooks) -> tuple[Numbers, Numbers]:
        """Effect and standard error at each look, each of shape (runs, K); 0 where nothing has varied yet."""
        return self.mean - control.mean, np.sqrt(self.variance + control.variance)


def arm_looks(
    outcome: Outcome, rng: np.random.Generator, *, runs: int, units: Sequence[int], lift: float = 0.0
) -> ArmLooks:
    """Simulate one arm.

    outcome:
      normal: N(1, 1) times (1 + lift).
      revenue: 0 for 95 in 100 units, a lognormal amount with sigma 1 for the others (skewness about 20).
      conversion: 1 for 2 in 100 units.
      ratio: clicks by views; 1 + Poisson(3) views a unit, each clicked with the unit's own probability from
      Beta(2, 8), so views of one unit are alike and a formula that counts views would be wrong.
    units: new units at each look, shape (K,), each above 0. lift: relative effect on the mean.

    >>> arm = arm_looks("conversion", np.random.default_rng(1), runs=3, units=[100, 100], lift=0.5)
    >>> arm.n.tolist(), arm.mean.shape, arm.truth
    ([100, 200], (3, 2), 0.03)
    """
    fresh = np.asarray(units, dtype=np.int64)
    n = np.cumsum(fresh)
    if outcome == "ratio":
        return _ratio(rng, runs, fresh, n, lift)
    if outcome == "normal":
        mean, m2 = _normal(rng, runs, fresh, lift)
        truth = 1 + lift
    elif outcome == "conversion":
        truth = CONVERSION * (1 + lift)
        converted = np.cumsum(rng.binomial(fresh, truth, size=(runs, len(fresh))), axis=1)
        mean = converted / n
        m2 = n * mean * (1 - mean)
    else:
        truth = PAYING * float(np.exp(AMOUNT_SIGMA**2 / 2)) * (1 + lift)
        mean, m2 = _revenue(rng, runs, fresh, lift)
    return ArmLooks(n, mean, m2 / (n - 1) / n, truth)


def _normal(rng: np.random.Generator, runs: int, fresh: NDArray[np.int64], lift: float) -> tuple[Numbers, Numbers]:
    """The day's mean and sum of squares are independent, so they are drawn without drawing units."""
    shape = (runs, len(fresh))
    day_mean = 1 + rng.standard_normal(shape) / np.sqrt(fresh)
    day_m2 = np.where(fresh > 1, rng.chisquare(np.maximum(fresh - 1, 1), size=shape), 0.0)
    n = np.cumsum(fresh)
    mean = np.cumsum(fresh * day_mean, axis=1) / n
    before = np.concatenate([np.zeros((runs, 1)), mean[:, :-1]], axis=1)
    between = fresh * (n - fresh) / n * (day_mean - before) ** 2
    return (1 + lift) * mean, (1 + lift) ** 2 * np.cumsum(day_m2 + between, axis=1)


def _revenue(rng: np.random.Generator, runs: int, fresh: NDArray[np.int64], lift: float) -> tuple[Numbers, Numbers]:
    paying = rng.binomial(fresh, PAYING, size=(runs, len(fresh)))
    amounts = (1 + lift) * rng.lognormal(0.0, AMOUNT_SIGMA, size=int(paying.sum()))
    cell = np.repeat(np.arange(paying.size), paying.ravel())
    sums, squares = (
        np.cumsum(np.bincount(cell, weights, minlength=paying.size).reshape(paying.shape), axis=1)
        for weights in (amounts, amounts * amounts)
    )
    n = np.cumsum(fresh)
    return sums / n, squares - sums * sums / n


def _ratio(
    rng: np.random.Generator, runs: int, fresh: NDArray[np.int64], n: NDArray[np.int64], lift: float
) -> ArmLooks:
    sums = np.zeros((5, runs, len(fresh)))
    for look, size in enumerate(fresh):
        views = 1 + rng.poisson(MORE_VIEWS, size=(runs, size))
        clicks = rng.binomial(views, np.minimum(rng.beta(*CLICKS, size=(runs, size)) * (1 + lift), 1.0))
        products = (clicks, views, clicks * clicks, clicks * views, views * views)
        sums[:, :, look] = [each.sum(axis=1) for each in products]
    y, d, yy, yd, dd = np.cumsum(sums, axis=2)
    ratio = y / d
    # The residual y - ratio * d sums to 0, so its sum of squares is already centred.
    residual_m2 = yy - 2 * ratio * yd + ratio * ratio * dd
    variance = residual_m2 / (n - 1) / n / (d / n) ** 2
    return ArmLooks(n, ratio, variance, CLICKS[0] / sum(CLICKS) * (1 + lift))
