"""Every type of metric that can be declared, drawn for many runs at once from one trait of the units, with the truth.

The trait (activity, standard normal) is what the past, a twin's score and strata know of a unit, and what units of one
cluster have in common. The marginal distributions, and so the true effects, do not depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from causeway.simulate.latencies import LatencyModel
from causeway.simulate.metric_worlds import Runs

Numbers = NDArray[np.float64]
SHARES = (0.5, 0.3, 0.15, 0.05)
"""Of the strata in the population."""
KNOWN = 0.6
"""Correlation of what lies behind an outcome with the activity."""
REST = math.sqrt(1 - KNOWN**2)
QUANTILE = 0.9

SESSIONS, SPREAD = 3.0, 0.7
LIKING = (2.0, 8.0)
PAYING, TAIL = 0.3, 0.8
LATENCIES = LatencyModel(median=300.0, between=0.6, within=0.8, more_events=3.0, activity=0.3)


@dataclass(frozen=True)
class MetricOfUnits:
    """A type of metric with one value (or a numerator and a denominator) a unit.

    draw: from a generator, the activity of shape (runs, units) and the lift of the arm, "outcome" and "before", of a
    ratio "denominator" and "denominator_before" too. effect: the true one at a lift. lift: one worth looking for.
    """

    draw: Callable[[np.random.Generator, Numbers, float], Runs]
    effect: Callable[[float], float]
    lift: float = 0.1


def _binary(rate: float) -> MetricOfUnits:
    """1 for a share of the units, those below a threshold; the lift is relative."""

    def draw(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
        now, before = (KNOWN * activity + REST * rng.standard_normal(activity.shape) for _ in range(2))
        return {
            "outcome": (now < ndtri(rate * (1 + lift))).astype(np.float64),
            "before": (before < ndtri(rate)).astype(np.float64),
        }

    return MetricOfUnits(draw, lambda lift: rate * lift)


def _count(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
    """Events a unit: Poisson around a lognormal mean of expectation SESSIONS."""
    mean = SESSIONS * np.exp(SPREAD * activity - SPREAD**2 / 2)
    return {
        "outcome": rng.poisson((1 + lift) * mean).astype(np.float64),
        "before": rng.poisson(mean).astype(np.float64),
    }


def _revenue(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
    """Nothing from most units, a lognormal sum of sigma 1 from the others: skewness of about 10."""

    def sums() -> Numbers:
        pays = KNOWN * activity + REST * rng.standard_normal(activity.shape) > -ndtri(PAYING)
        return np.where(pays, np.exp(TAIL * activity + KNOWN * rng.standard_normal(activity.shape)), 0.0)

    return {"outcome": (1 + lift) * sums(), "before": sums()}


def _revenue_effect(lift: float) -> float:
    """exp(TAIL a) tilts the activity a by TAIL, so that more units pay: E = exp(var / 2) P(KNOWN TAIL + N > k)."""
    return lift * math.exp((TAIL**2 + KNOWN**2) / 2) * float(ndtr(ndtri(PAYING) + KNOWN * TAIL))


def _mean(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
    """Around 10 with standard deviation 1 and a tail to the right."""
    now, before = (10 + KNOWN * activity + REST * (rng.standard_exponential(activity.shape) - 1) for _ in range(2))
    return {"outcome": now + 10 * lift, "before": before}


def _ratio(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
    """Clicks by sessions: units differ in both, and those more active than the median click half as often."""
    sessions = SESSIONS * np.exp(SPREAD * activity - SPREAD**2 / 2)
    liking = np.where(activity > 0, 0.5, 1.0) * rng.beta(*LIKING, activity.shape)
    now, before = rng.poisson(sessions), rng.poisson(sessions)
    # Of one unit in ten million the probability would exceed 1: the mean below is exact to that.
    return {
        "outcome": rng.binomial(now, np.minimum(liking * (1 + lift), 1.0)).astype(np.float64),
        "denominator": now.astype(np.float64),
        "before": rng.binomial(before, liking).astype(np.float64),
        "denominator_before": before.astype(np.float64),
    }


def _ratio_effect(lift: float) -> float:
    """The active half has the share Phi(SPREAD) of all sessions."""
    return lift * LIKING[0] / sum(LIKING) * (1 - 0.5 * float(ndtr(SPREAD)))


def _latency(rng: np.random.Generator, activity: Numbers, lift: float) -> Runs:
    """Lognormal of sigma 1 around 300: its quantile is compared."""
    now, before = (300 * np.exp(KNOWN * activity + REST * rng.standard_normal(activity.shape)) for _ in range(2))
    return {"outcome": (1 + lift) * now, "before": before}


METRICS_OF_UNITS: Mapping[str, MetricOfUnits] = {
    "conversion": _binary(0.1),
    "count": MetricOfUnits(_count, lambda lift: SESSIONS * lift),
    "sum": MetricOfUnits(_revenue, _revenue_effect, 0.3),
    "mean": MetricOfUnits(_mean, lambda lift: 10 * lift, 0.01),
    "ratio": MetricOfUnits(_ratio, _ratio_effect),
    "retention": _binary(0.35),
    "funnel": _binary(0.05),
    "quantile (unit)": MetricOfUnits(_latency, lambda lift: lift * 300 * math.exp(float(ndtri(QUANTILE)))),
}


def strata(rng: np.random.Generator, activity: Numbers) -> NDArray[np.int64]:
    """The stratum of each unit, 0 to 3, with the shares of SHARES: known before, and related to the activity."""
    known = KNOWN * activity + REST * rng.standard_normal(activity.shape)
    return np.searchsorted(ndtri(np.cumsum(SHARES)[:-1]), known).astype(np.int64)


def scores(rng: np.random.Generator, activity: Numbers) -> Numbers:
    """What a twin predicted of each unit: right about the order, wrong about the scale."""
    return np.exp(0.3 * (activity + 0.5 * rng.standard_normal(activity.shape)))


def event_latencies(
    rng: np.random.Generator, activity: Numbers, lift: float
) -> list[tuple[Numbers, NDArray[np.int64]]]:
    """Per run the latencies of all events and the unit of each, units in order; see `LatencyModel`."""
    runs, units = activity.shape
    values, unit = LATENCIES.draw(rng, runs * units, activity.ravel())
    values = (1 + lift) * values
    edges = np.searchsorted(unit, np.arange(1, runs) * units)
    parts = zip(np.split(values, edges), np.split(unit, edges), strict=True)
    return [(latencies, ids - run * units) for run, (latencies, ids) in enumerate(parts)]


def event_latency_effect(lift: float) -> float:
    """True effect on the quantile over all events."""
    return lift * LATENCIES.quantile(QUANTILE)
