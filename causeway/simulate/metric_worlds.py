"""Many runs of a two-arm trial at once, for every kind of metric, with the truth: to ask what intervals cover."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments

Runs = Mapping[str, NDArray[np.float64]]
"""Variables by name, each of shape (runs, units)."""


@dataclass(frozen=True)
class MetricWorld:
    """treated, control: what every run observed. effect: the true one in the population (of ratios for ratios)."""

    treated: Runs
    control: Runs
    effect: float

    def arms(self) -> Iterator[tuple[JointMoments, JointMoments]]:
        """Moments of the treated and of the control of every run."""
        yield from zip(moments_of_runs(self.treated), moments_of_runs(self.control), strict=True)


def moments_of_runs(variables: Runs) -> list[JointMoments]:
    """JointMoments of every run, from variables of shape (runs, units)."""
    values = np.stack(list(variables.values()), axis=1)
    means = values.mean(axis=2)
    centred = values - means[:, :, None]
    products = centred @ centred.transpose(0, 2, 1)
    lower = np.tril_indices(values.shape[1])
    names, n = tuple(variables), values.shape[2]
    return [
        JointMoments(names, n, tuple(mean), tuple(comoments))
        for mean, comoments in zip(means.tolist(), products[:, lower[0], lower[1]].tolist(), strict=True)
    ]


def moments_by_stratum(
    stratum: NDArray[np.int64], outcome: NDArray[np.float64], strata: int
) -> list[dict[str, Moments]]:
    """Of every run the moments of the outcome within strata 0 to strata - 1; both of shape (runs, units)."""
    found: list[dict[str, Moments]] = [{} for _ in range(len(outcome))]
    for k in range(strata):
        inside = stratum == k
        count = inside.sum(axis=1)
        mean = np.where(inside, outcome, 0.0).sum(axis=1) / np.maximum(count, 1)
        m2 = np.where(inside, (outcome - mean[:, None]) ** 2, 0.0).sum(axis=1)
        for run, numbers in zip(found, zip(count.tolist(), mean.tolist(), m2.tolist(), strict=True), strict=True):
            run[f"stratum {k + 1}"] = Moments(*numbers)
    return found


def conversions(
    rng: np.random.Generator, runs: int, units: tuple[int, int], *, rate: float = 0.1, effect: float = 0.0
) -> MetricWorld:
    """outcome ~ Bernoulli(rate), of the treated Bernoulli(rate + effect). units: of the treated and the control."""
    treated, control = (rng.random((runs, n)) < p for n, p in zip(units, (rate + effect, rate), strict=True))
    return MetricWorld({"outcome": treated.astype(float)}, {"outcome": control.astype(float)}, effect)


def skewed_revenue(
    rng: np.random.Generator,
    runs: int,
    units: tuple[int, int],
    *,
    paying: float = 0.3,
    sigma: float = 1.0,
    lift: float = 0.0,
) -> MetricWorld:
    """A share of the units pays a lognormal sum with log-mean 0, the others nothing; the treated pay 1 + lift of it."""

    def arm(n: int, factor: float) -> Runs:
        sums = factor * np.exp(sigma * rng.standard_normal((runs, n)))
        return {"outcome": np.where(rng.random((runs, n)) < paying, sums, 0.0)}

    return MetricWorld(arm(units[0], 1 + lift), arm(units[1], 1.0), lift * paying * float(np.exp(sigma**2 / 2)))


def clicks_per_session(
    rng: np.random.Generator,
    runs: int,
    units: tuple[int, int],
    *,
    sessions: float = 2.0,
    spread: float = 1.0,
    rate: float = 0.2,
    effect: float = 0.0,
    more_sessions: float = 0.0,
) -> MetricWorld:
    """A ratio metric whose sessions are not independent: units differ in how many they have and in how they click.

    Sessions are Poisson with a lognormal mean of expectation `sessions` (sigma = spread); many have none. A unit's
    rate is Beta(5 rate, 5 (1 - rate)), and half of that for units more active than the median, so that the ratio is
    not the mean of the units' ratios. The treated click on a share effect / (1 - rate) of what they would have left.
    Before the trial the same units had sessions and clicks too, the covariates "sessions_before" and
    "clicks_before". more_sessions: relative change of the treated's sessions, which leaves their ratio.
    """

    def arm(n: int, share: float, factor: float) -> Runs:
        z = rng.standard_normal((runs, n))
        activity = sessions * np.exp(spread * z - spread**2 / 2)
        liking = rng.beta(5 * rate, 5 * (1 - rate), (runs, n))
        slower = np.where(z > 0, 0.5, 1.0)
        now, before = rng.poisson(factor * activity), rng.poisson(activity)
        return {
            "outcome": rng.binomial(now, slower * (liking + share * (1 - liking))).astype(float),
            "denominator": now.astype(float),
            "clicks_before": rng.binomial(before, slower * liking).astype(float),
            "sessions_before": before.astype(float),
        }

    # E[activity; z > 0] = sessions * Phi(spread): the active half has this share of all sessions.
    active = 0.5 * (1 + math.erf(spread / math.sqrt(2)))
    treated, control = arm(units[0], effect / (1 - rate), 1 + more_sessions), arm(units[1], 0.0, 1.0)
    return MetricWorld(treated, control, effect * (1 - 0.5 * active))


def with_covariates(
    rng: np.random.Generator,
    runs: int,
    units: tuple[int, int],
    *,
    rho: float = 0.7,
    covariates: int = 2,
    effect: float = 0.0,
    interaction: float = 0.0,
    skewed: bool = False,
) -> MetricWorld:
    """An outcome of variance 1 around 10 that its covariates x1, x2, ... together predict with correlation rho.

    z is the standardised sum of the covariates, which are standard normal and correlated by 0.5; outcome = 10 + rho z
    + sqrt(1 - rho**2) noise + (effect + interaction z) of the treated. skewed: the noise is a standardised lognormal
    of skewness 6 instead of normal.
    """
    total_sd = np.sqrt(covariates + 0.5 * covariates * (covariates - 1))

    def noise(shape: tuple[int, int]) -> NDArray[np.float64]:
        drawn = rng.standard_normal(shape)
        return (np.exp(drawn) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e) if skewed else drawn

    def arm(n: int, treated: float) -> Runs:
        common = rng.standard_normal((runs, n))
        x = {f"x{i + 1}": np.sqrt(0.5) * (common + rng.standard_normal((runs, n))) for i in range(covariates)}
        z = sum(x.values()) / total_sd
        outcome = 10 + rho * z + np.sqrt(1 - rho**2) * noise((runs, n)) + treated * (effect + interaction * z)
        return {"outcome": outcome, **x}

    return MetricWorld(arm(units[0], 1.0), arm(units[1], 0.0), effect)


def stratified(
    rng: np.random.Generator,
    runs: int,
    units: tuple[int, int],
    *,
    shares: Sequence[float] = (0.5, 0.3, 0.15, 0.05),
    means: Sequence[float] = (0.0, 2.0, 5.0, 9.0),
    effects: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
) -> tuple[list[tuple[dict[str, Moments], dict[str, Moments]]], float]:
    """Runs as (treated, control), moments of the outcome by stratum, and the true effect sum of shares * effects.

    Units are drawn from a population with these shares of strata; in stratum k the outcome has this mean, plus this
    effect for the treated, and a standard exponential noise minus its mean.
    """

    def arm(n: int, centres: NDArray[np.float64]) -> list[dict[str, Moments]]:
        stratum = rng.choice(len(shares), p=shares, size=(runs, n))
        return moments_by_stratum(stratum, centres[stratum] + rng.standard_exponential((runs, n)) - 1, len(shares))

    centres, shift = np.array(means), np.array(effects)
    runs_of_both = zip(arm(units[0], centres + shift), arm(units[1], centres), strict=True)
    return list(runs_of_both), float(np.dot(shares, shift))
