"""A two-arm randomised trial in one frame, for asking how often an interval covers the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from causeway.simulate.randomness import Streams, pick
from causeway.simulate.records import identifiers
from causeway.simulate.truth import ExperimentTruth, average_effects

SEGMENTS = {"north": 0.5, "south": 0.3, "west": 0.2}
SKEW = 1.0
"""Sigma of the lognormal noise of a skewed outcome: skewness about 6."""


@dataclass(frozen=True)
class SimulatedTrial:
    """frame: unit, arm ("control" or "treatment"), x1, x2, segment, outcome, converted; one row per unit."""

    frame: pl.DataFrame
    truth: ExperimentTruth


def two_arm_trial(
    seed: int = 1,
    units: int = 1000,
    *,
    effect: float = 0.2,
    effect_by_segment: Mapping[str, float] | None = None,
    conversion_effect: float = 0.05,
    rho: float = 0.6,
    skewed: bool = False,
    treated_share: float = 0.5,
) -> SimulatedTrial:
    """Simulate one trial whose covariates are linearly prognostic.

    x1, x2 ~ N(0, 1) independent; z = (x1 + x2) / sqrt(2). outcome = 10 + rho * z + sqrt(1 - rho^2) * noise +
    effect of the segment, if treated. The noise has mean 0 and variance 1: normal, or a standardised
    lognormal where `skewed`. So the correlation of the outcome with its best linear predictor under control
    is rho, and regression on (x1, x2) removes the share rho^2 of its variance. converted ~ Bernoulli(0.3 +
    0.2 * rho * tanh(z) + conversion_effect, if treated).

    effect: shift of the outcome; `effect_by_segment` (north, south, west) replaces it for the segments that
    it names. Assignment is an independent coin per unit with probability `treated_share`. `truth` holds
    sample average effects of expectations for the metrics outcome and converted (see
    causeway.simulate.truth).

    ValueError if rho is outside [-1, 1], treated_share outside (0, 1), units < 2, a segment is unknown, or
    the conversion effect would push a probability outside [0, 1].

    >>> two_arm_trial(effect=0.5).truth.find("outcome", "treatment").effect
    0.5
    """
    _check(units, effect_by_segment or {}, conversion_effect, rho, treated_share)
    streams = Streams(seed)
    covariates = streams["covariates"]
    x1, x2 = covariates.standard_normal(units), covariates.standard_normal(units)
    z = (x1 + x2) / np.sqrt(2)
    segment = pick(streams["segment"], SEGMENTS, units)
    shift = np.array([(effect_by_segment or {}).get(name, effect) for name in SEGMENTS])[segment]
    treated = streams["assignment"].random(units) < treated_share

    noise = streams["noise"].standard_normal(units)
    if skewed:
        mean, variance = np.exp(SKEW**2 / 2), (np.exp(SKEW**2) - 1) * np.exp(SKEW**2)
        noise = (np.exp(SKEW * noise) - mean) / np.sqrt(variance)
    expected = 10 + rho * z
    outcome = expected + np.sqrt(1 - rho**2) * noise + shift * treated

    chance = 0.3 + 0.2 * rho * np.tanh(z)
    converted = streams["conversion"].random(units) < chance + conversion_effect * treated

    segment_names = pl.Series(list(SEGMENTS)).gather(segment)
    frame = pl.DataFrame(
        {
            "unit": identifiers("unit", units, 7),
            "arm": pl.Series(["control", "treatment"]).gather(treated.astype(np.intp)),
            "x1": x1,
            "x2": x2,
            "segment": segment_names,
            "outcome": outcome,
            "converted": converted.astype(np.int64),
        }
    )
    by_segment = {"segment": segment_names}
    truth = ExperimentTruth(
        average_effects("outcome", ("control", expected), {"treatment": expected + shift}, by_segment)
        + average_effects("converted", ("control", chance), {"treatment": chance + conversion_effect}, by_segment)
    )
    return SimulatedTrial(frame, truth)


def _check(
    units: int,
    effect_by_segment: Mapping[str, float],
    conversion_effect: float,
    rho: float,
    treated_share: float,
) -> None:
    if units < 2:
        raise ValueError(f"a trial needs at least 2 units, got {units}")
    if not -1 <= rho <= 1:
        raise ValueError(f"rho must lie in [-1, 1], got {rho}")
    if not 0 < treated_share < 1:
        raise ValueError(f"treated_share must lie strictly between 0 and 1, got {treated_share}")
    if unknown := sorted(set(effect_by_segment) - set(SEGMENTS)):
        raise ValueError(f"unknown segments {unknown}; the trial has {sorted(SEGMENTS)}")
    reach = 0.2 * abs(rho)
    if not reach - 0.3 <= conversion_effect <= 0.7 - reach:
        raise ValueError(
            f"conversion_effect must lie in [{reach - 0.3:.2f}, {0.7 - reach:.2f}], got {conversion_effect}"
        )
