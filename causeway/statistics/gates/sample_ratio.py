"""Did the units arrive in the declared proportions: over the whole run, on each day, within each segment?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causeway.statistics.gates.gate import THRESHOLD, Gate, spent
from causeway.statistics.multiple_testing import holm
from causeway.statistics.sample_ratio import sample_ratio_test
from causeway.statistics.sequential_sample_ratio import log_bayes_factor

METHOD = "sequential_multinomial"
_WHAT_TO_DO = (
    " Do not read the results. Compare assignments with exposures by day, platform and variant;"
    " look for redirects, bots, late logging or a changed weight."
)
_MOST_NAMED = 20

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Enrolment:
    """Units by the day on which they were first exposed, and the weights in force when they were dealt a variant.

    days: one for each row, ascending; a day on which the weights changed has a row for each. units: new units, shape
    (rows, variants), or (levels, rows, variants) within the levels of segments. shares: declared shares, shape (rows,
    variants), each row adding up to 1; zero for a variant that nobody was dealt.

    Raises ValueError where shapes do not fit or a count is negative.
    """

    variants: tuple[str, ...]
    days: tuple[date, ...]
    units: Counts
    shares: Shares

    def __post_init__(self) -> None:
        rows = (len(self.days), len(self.variants))
        if self.units.shape[-2:] != rows or self.shares.shape != rows:
            raise ValueError(f"units {self.units.shape} and shares {self.shares.shape} do not fit {rows}")
        if (self.units < 0).any() or (self.shares < 0).any():
            raise ValueError("a count or a share is negative")

    @property
    def total(self) -> Counts:
        """Units by variant."""
        return np.asarray(self.units.sum(axis=-2))

    @property
    def expected(self) -> Shares:
        """Units by variant, had each row been dealt exactly by its shares."""
        return np.asarray((self.units.sum(axis=-1, keepdims=True) * self.shares).sum(axis=-2))

    @property
    def weights_in_force(self) -> list[dict[str, Any]]:
        """Each set of shares with the first day on which it was in force."""
        found: list[dict[str, Any]] = []
        for day, shares in zip(self.days, self.shares, strict=True):
            by_variant = dict(zip(self.variants, map(float, shares.round(6)), strict=True))
            if not found or found[-1]["shares"] != by_variant:
                found.append({"from": day.isoformat(), "shares": by_variant})
        return found


def evidence(enrolment: Enrolment) -> NDArray[np.float64]:
    """Logarithm of the Bayes factor against the declared shares at the end of each row: shape (..., rows).

    While the same weights are in force it is the martingale of `log_bayes_factor`; when they change a new one begins
    with the units that come then, and the evidence is the product. A product of martingales that start at 1 one after
    the other is one too, so it ever exceeds 1 / p with probability p at most. A unit where nobody was dealt a variant
    is proof: infinity.
    """
    units, shares = enrolment.units, enrolment.shares
    total = np.zeros(units.shape[:-1])
    if not len(enrolment.days):
        return total
    for in_force in np.unique(shares, axis=0):
        rows = (shares == in_force).all(axis=1)
        weighted = in_force > 0
        so_far = np.cumsum(np.where(rows[:, None], units, 0), axis=-2)
        if weighted.sum() > 1:
            total = total + log_bayes_factor(so_far[..., weighted], in_force[weighted])
        total = np.where(so_far[..., ~weighted].any(axis=-1), np.inf, total)
    return total


def p_values(enrolment: Enrolment) -> NDArray[np.float64]:
    """p-values that hold at the end of every row: never rising, shape (..., rows)."""
    return np.asarray(np.exp(-np.maximum.accumulate(np.maximum(evidence(enrolment), 0.0), axis=-1)))


def srm_gate(units: Mapping[str, int], weights: Mapping[str, float], *, threshold: float = THRESHOLD) -> Gate:
    """Sample ratio mismatch of what is looked at once: blocking, for what skewed the arms may have skewed outcomes."""
    result = sample_ratio_test(units, weights, threshold=threshold)
    expected = {"units": result.expected, "threshold": threshold, "df": result.df, "method": result.method}
    observed = {"units": result.observed, "statistic": result.statistic}
    advice = "" if result.passed else _WHAT_TO_DO
    return Gate("srm", result.passed, True, result.p_value, observed, expected, result.detail + advice)


def sequential_srm_gate(enrolment: Enrolment, *, threshold: float = THRESHOLD) -> Gate:
    """Sample ratio mismatch of units that arrive one after another: blocking, at whichever look it is found.

    The test may be looked at every day: with the declared shares it ever fails with probability `threshold` at most,
    over all days together. What failed once stays failed.
    """
    variants = enrolment.variants
    units = dict(zip(variants, map(int, enrolment.total), strict=True))
    expected = dict(zip(variants, map(float, enrolment.expected), strict=True))
    df = max(int((enrolment.shares > 0).any(axis=0).sum()) - 1, 0)
    told: dict[str, Any] = {"units": expected, "threshold": threshold, "df": df, "method": METHOD}
    seen: dict[str, Any] = {"units": units, "statistic": None, "looks": len(set(enrolment.days))}
    if len(enrolment.weights_in_force) > 1:
        told["weights_in_force"] = enrolment.weights_in_force
    if not sum(units.values()):
        detail = "No unit has been assigned yet: there is nothing to test and nothing to estimate."
        return Gate("srm", False, True, None, seen, {**told, "method": None}, detail)
    p_by_row = p_values(enrolment)
    p_value = float(p_by_row[-1])
    failed = np.flatnonzero(p_by_row < threshold)
    since = enrolment.days[failed[0]].isoformat() if len(failed) else None
    last = float(evidence(enrolment)[-1])
    seen |= {"failed_since": since, "log_bayes_factor": last if np.isfinite(last) else None}
    listed = ", ".join(f"{variant} {units[variant]:,} (expected {expected[variant]:,.1f})" for variant in variants)
    detail = (
        f"The units {'agree with' if since is None else 'contradict'} the declared weights: {listed};"
        f" p = {p_value:.3g} at any look, threshold {threshold:g}."
    )
    if since is not None:
        detail += f" It was seen first in the units up to {since}.{_WHAT_TO_DO}"
    return Gate("srm", since is None, True, p_value, seen, told, detail)


def srm_cluster_gate(
    column: str,
    clusters: Enrolment,
    mixed: int,
    units: Enrolment,
    *,
    at_once: bool,
    threshold: float = THRESHOLD,
) -> Gate:
    """Sample ratio mismatch where units belong to clusters: of what was dealt a variant, and blocking.

    Where most clusters have units of one variant only, clusters were dealt: their units share one draw, so their
    numbers would contradict any weights. Where most are mixed, or no unit has a cluster, units were dealt one by one.

    clusters: those with units of one variant; mixed: how many have several. at_once: looked at once, as a table is.
    """
    whole = int(clusters.total.sum())
    dealt, what = (clusters, "clusters") if whole > mixed else (units, "units")
    if at_once:
        arms, expected = (
            dict(zip(dealt.variants, numbers.tolist(), strict=True)) for numbers in (dealt.total, dealt.expected)
        )
        gate = srm_gate(arms, expected, threshold=threshold)
    else:
        gate = sequential_srm_gate(dealt, threshold=threshold)
    said = f"{whole:,} of {whole + mixed:,} clusters have units of one variant only, so {what} are counted."
    return replace(
        gate,
        check_name=f"srm:{column}",
        observed={**gate.observed, "counted": what},
        detail=f"{said} {gate.detail.replace('units', what)}",
    )


def srm_by_day_gate(enrolment: Enrolment, *, threshold: float = THRESHOLD) -> Gate:
    """Days whose own units contradict the weights: a warning that says when something happened.

    Each day is tested by itself, with the Bayes factor of its units, which is exact however few they are. The k-th day
    is allowed `threshold` / (k (k + 1)), so all days to come are wrong with probability `threshold` at most. A day
    that went wrong and left no trace in the whole is a warning; `srm` decides whether numbers are shown.
    """
    of_rows = _evidence_of_rows(enrolment)
    by_date: dict[date, float] = {}
    units: dict[date, Counts] = {}
    for day, of_row, new in zip(enrolment.days, of_rows, enrolment.units, strict=True):
        by_date[day] = by_date.get(day, 0.0) + float(of_row)
        units[day] = units.get(day, np.zeros(len(enrolment.variants), dtype=np.int64)) + new
    days = sorted(by_date)
    found = {day: spent(float(np.exp(-max(by_date[day], 0.0))), k) for k, day in enumerate(days, start=1)}
    odd = [day for day in days if found[day] < threshold]
    by_day = {
        day.isoformat(): {
            "units": dict(zip(enrolment.variants, map(int, units[day]), strict=True)),
            "p_value": found[day],
        }
        for day in odd[:_MOST_NAMED]
    }
    if odd:
        named = "; ".join(
            f"{day}: "
            + ", ".join(f"{variant} {n:,}" for variant, n in zip(enrolment.variants, units[day], strict=True))
            for day in odd[:3]
        )
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        detail = (
            f"On {len(odd)} of {len(days)} days the new units contradict the weights ({named}{more})."
            " Ask what was released, switched or lost on those days."
        )
    else:
        detail = f"The new units agree with the weights on each of {len(days)} days."
    return Gate(
        "srm_by_day",
        not odd,
        False,
        min(found.values()) if found else None,
        {"days": by_day, "days_tested": len(days), "days_failed": len(odd)},
        {"days_failed": 0, "threshold": threshold, "correction": "alpha_spending"},
        detail,
    )


def _evidence_of_rows(enrolment: Enrolment) -> NDArray[np.float64]:
    """Logarithm of the Bayes factor of each row by itself."""
    found = np.zeros(len(enrolment.days))
    for in_force in np.unique(enrolment.shares, axis=0):
        rows = (enrolment.shares == in_force).all(axis=1)
        weighted = in_force > 0
        if weighted.sum() > 1:
            found[rows] = log_bayes_factor(enrolment.units[rows][:, weighted], in_force[weighted])
        found[rows & enrolment.units[:, ~weighted].any(axis=1)] = np.inf
    return found


def srm_segment_gates(
    levels: Sequence[tuple[str, str]], enrolment: Enrolment, *, at_once: bool = False, threshold: float = THRESHOLD
) -> tuple[Gate, ...]:
    """Sample ratio mismatch within the levels of each declared segment: one blocking gate a segment.

    Each level has its own sequential test, as the whole has, so it may be looked at every day; the p-values are
    corrected by Holm over all levels of all segments. Where a level is off its effect is not that of a randomised
    trial, and what turned its units away is at work in the others as well.

    levels: (segment, level) of each row of `enrolment.units`, which has shape (levels, rows, variants). at_once: a
    table that is looked at once has the fixed test of `srm_gate` instead.
    """
    p_by_level = _fixed_p_values(enrolment) if at_once else p_values(enrolment)[:, -1]
    adjusted = holm({f"{place}": float(p) for place, p in enumerate(p_by_level)})
    totals, expected = enrolment.total, enrolment.expected
    gates = []
    for segment in dict.fromkeys(segment for segment, _ in levels):
        places = [place for place, (of, _) in enumerate(levels) if of == segment]
        odd = [place for place in places if adjusted[f"{place}"] < threshold]
        told = {
            levels[place][1]: {
                "units": dict(zip(enrolment.variants, map(int, totals[place]), strict=True)),
                "expected": dict(zip(enrolment.variants, map(float, expected[place].round(1)), strict=True)),
                "p_value": adjusted[f"{place}"],
            }
            for place in (odd or places)[:_MOST_NAMED]
        }
        if odd:
            named = "; ".join(
                f"{levels[place][1]}: "
                + ", ".join(
                    f"{variant} {n:,} (expected {of:,.1f})"
                    for variant, n, of in zip(enrolment.variants, totals[place], expected[place], strict=True)
                )
                for place in odd[:3]
            )
            detail = (
                f"In {len(odd)} of {len(places)} levels of {segment} the units contradict the declared weights:"
                f" {named}. Something there keeps units from a variant: look for a filter, a redirect or lost logs."
            )
        else:
            detail = f"The units agree with the declared weights in each of {len(places)} levels of {segment}."
        gates.append(
            Gate(
                f"srm:{segment}",
                not odd,
                True,
                min(adjusted[f"{place}"] for place in places),
                {"levels": told, "levels_tested": len(places), "levels_failed": len(odd)},
                {
                    "levels_failed": 0,
                    "threshold": threshold,
                    "method": "fixed" if at_once else METHOD,
                    "correction": "holm",
                },
                detail,
            )
        )
    return tuple(gates)


def _fixed_p_values(enrolment: Enrolment) -> NDArray[np.float64]:
    """Of each level; 1 where it has nobody."""
    weights = dict(zip(enrolment.variants, map(float, enrolment.shares[-1]), strict=True))
    found = [
        sample_ratio_test(dict(zip(enrolment.variants, map(int, units), strict=True)), weights).p_value
        for units in enrolment.total
    ]
    return np.array([1.0 if p is None else p for p in found])
