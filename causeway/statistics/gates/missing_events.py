"""Days on which the events of a metric are gone: for everybody, or in one arm alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from causeway.statistics.gates.gate import THRESHOLD, Gate

FEW = 0.1
_NEIGHBOURS = 3


@dataclass(frozen=True)
class MetricDays:
    """Consecutive days of one metric. active: units whose value an event of that day made or changed, shape (days,
    variants). at_risk: units whose window was open on that day, shape (days, variants)."""

    metric: str
    variants: tuple[str, ...]
    days: tuple[date, ...]
    active: NDArray[np.int64]
    at_risk: NDArray[np.float64]


def missing_events_gate(of: MetricDays, *, threshold: float = THRESHOLD) -> Gate:
    """Days without events, or with hardly any: blocking when one arm has none while the others do, else a warning.

    One arm: given how many units were active on a day, each of them was one of this arm's with the arm's share of the
    active units on all other days, or its share of the units at risk if it never had one. The number that was seen is
    missing if it is below a tenth of what that share gives and has a probability below `threshold` / (k (k + 1) arms)
    on the k-th day: hypergeometric (Fisher's exact test of this day against the others), or binomial if the arm never
    had one. None at all blocks; some, but hardly any, warns.

    Everybody: the rate of the day is compared with the lowest of three rates: that of the three days before, of the
    three after (if there are any), and of the same weekday in other weeks; a weekend or the end of all windows is no
    fault. The number seen must be below a tenth of it and have a Poisson probability below the same bound.
    """
    p_all, few_all = _for_all(of)
    p_arm, few_arm = _in_one_arm(of)
    # Of a day on which all is lost no arm is to blame.
    corrected = 1.0 / (np.arange(1, len(of.days) + 1) * np.arange(2, len(of.days) + 2))
    gone = few_all & (p_all < threshold * corrected)
    odd = few_arm & (p_arm < threshold * corrected[:, None] / max(len(of.variants), 1)) & ~gone[:, None]
    vanished = odd & (of.active == 0)
    tested = np.concatenate([(p_all / corrected)[:, None], p_arm * len(of.variants) / corrected[:, None]], axis=1)
    p_value = float(min(1.0, tested.min())) if tested.size and (of.active.any()) else None
    in_arms = {
        variant: [day.isoformat() for day, hit in zip(of.days, odd[:, place], strict=True) if hit][:20]
        for place, variant in enumerate(of.variants)
        if odd[:, place].any()
    }
    for_all = [day.isoformat() for day, hit in zip(of.days, gone, strict=True) if hit]
    blocking = bool(vanished.any())
    passed = not (odd.any() or gone.any())
    return Gate(
        f"missing_events:{of.metric}",
        passed,
        blocking,
        p_value,
        {"days": len(of.days), "for_all": for_all[:20], "in_one_arm": in_arms},
        {"for_all": [], "in_one_arm": {}, "threshold": threshold, "correction": "alpha_spending"},
        _detail(of, in_arms, for_all, blocking),
    )


def _for_all(of: MetricDays) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    active, at_risk = of.active.sum(axis=1).astype(np.float64), of.at_risk.sum(axis=1)
    n = len(active)
    if n == 0:
        return np.ones(0), np.zeros(0, dtype=bool)
    day = np.arange(n)
    before = _rates(active, at_risk, np.maximum(day - _NEIGHBOURS, 0), day)
    after = _rates(active, at_risk, day + 1, np.minimum(day + 1 + _NEIGHBOURS, n))
    weekday = day % 7
    of_weekday = [np.bincount(weekday, each, minlength=7)[weekday] - each for each in (active, at_risk)]
    same = _quotient(of_weekday[0], of_weekday[1])
    # A rate that is not known is no comparison; without days before there is none at all.
    lowest = np.fmin(np.fmin(before, after), same)
    usual = np.where(np.isnan(before), 0.0, lowest) * at_risk
    few = (at_risk > 0) & (active < FEW * usual)
    return np.where(few, special.pdtr(active, usual), 1.0), few


def _rates(
    active: NDArray[np.float64], at_risk: NDArray[np.float64], first: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of the days from first up to end, for each day; nan where nobody was at risk."""
    sums = [np.concatenate([[0.0], each.cumsum()]) for each in (active, at_risk)]
    return _quotient(*(each[np.maximum(end, first)] - each[first] for each in sums))


def _quotient(dividend: NDArray[np.float64], divisor: NDArray[np.float64]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.divide(dividend, divisor, out=np.full(len(divisor), np.nan), where=divisor > 0)
    return quotient


def _in_one_arm(of: MetricDays) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    active = of.active.astype(np.float64)
    on_day = active.sum(axis=1, keepdims=True)
    others = active.sum(axis=0, keepdims=True) - active
    at_risk = of.at_risk.sum(axis=1, keepdims=True)
    dealt = np.divide(of.at_risk, at_risk, out=np.zeros_like(of.at_risk), where=at_risk > 0)
    elsewhere = others.sum(axis=1, keepdims=True)
    own = np.divide(others, elsewhere, out=np.zeros_like(active), where=elsewhere > 0)
    share = np.where(others > 0, own, dealt)
    share = np.where(of.at_risk > 0, share, 0.0)
    few = active < FEW * on_day * share
    p: NDArray[np.float64] = np.where(few, special.bdtr(active, on_day.astype(np.int64), share), 1.0)
    # A share of other days is an estimate, and of few of them a bad one: given the sums of the days and of the arms,
    # the number is hypergeometric, whatever the share.
    estimated = few & (others > 0)
    if estimated.any():
        days, arms = np.nonzero(estimated)
        of_arms = active.sum(axis=0)[arms]
        p[estimated] = stats.hypergeom.cdf(active[estimated], active.sum(), of_arms, on_day[days, 0])
    return p, few


def _detail(of: MetricDays, in_arms: dict[str, list[str]], for_all: list[str], blocking: bool) -> str:
    if not of.active.any():
        return f"No event of {of.metric} was seen yet."
    parts = []
    for variant, days in in_arms.items():
        parts.append(
            f"{variant} has {'no' if blocking else 'hardly any'} events of {of.metric} on {', '.join(days[:5])}"
        )
    if for_all:
        parts.append(f"hardly any events of {of.metric} on {', '.join(for_all[:5])} in any variant")
    if not parts:
        return f"Events of {of.metric} came in on each of {len(of.days)} days, in every variant."
    advice = (
        " The other variants had theirs: find out what lost them before reading any effect."
        if blocking
        else " Look for an outage of the logging, and send again what was lost."
    )
    return "; ".join(parts) + "." + advice
