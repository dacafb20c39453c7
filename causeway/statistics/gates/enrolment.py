"""Will the planned number of units be there at the planned end?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy import stats

from causeway.statistics.gates.gate import THRESHOLD, TOLERANCE, Gate, percent

RECENT_DAYS = 14
FEWEST_DAYS = 3


@dataclass(frozen=True)
class Plan:
    """planned_units: of all variants together. starts_on, ends_on: first and last day, None where not declared. ramp:
    from when on which share of the units enters, nobody before the first step; `coverage` without one."""

    planned_units: int | None
    starts_on: date | None = None
    ends_on: date | None = None
    coverage: float = 1.0
    ramp: Sequence[tuple[date, float]] = ()

    def coverage_on(self, day: date) -> float:
        """The share of units that enters on a day."""
        reached = [coverage for since, coverage in self.ramp if since <= day]
        return (reached[-1] if reached else 0.0) if self.ramp else self.coverage


def enrolment_gate(  # noqa: PLR0911 - one answer for each state that a plan can be in
    plan: Plan, days: Sequence[date], units: Sequence[int], *, known_on: date, threshold: float = THRESHOLD
) -> Gate:
    """Enrolment below the plan: a warning with what is to be expected, never blocking.

    The units per day and per covered share of the last 14 whole days are taken for those of the days to come. Their
    total at the planned end has the standard error of such a mean and of that many more days, from the variation
    between days (a week's rhythm makes it larger, not smaller), and Student's t. It is not passed when even the upper
    end, wrong with probability `threshold`, stays below the plan; and after the end when more than 1 % are lacking.

    days, units: new units by day, days without any left out. known_on: the day up to which records are known; it is not
    over yet.
    """
    by_day = dict(zip(days, units, strict=True))
    so_far = int(sum(by_day.values()))
    observed: dict[str, object] = {"units": so_far}
    expected: dict[str, object] = {"planned_units": plan.planned_units}
    if plan.ends_on is not None:
        expected["ends_on"] = plan.ends_on.isoformat()

    def gate(passed: bool, detail: str) -> Gate:
        return Gate("enrolment", passed, False, None, dict(observed), dict(expected), detail)

    if plan.planned_units is None:
        return gate(
            True, f"{so_far:,} units so far; no number of units is planned (analysis.sequential.planned_units)."
        )
    planned = plan.planned_units
    observed["share"] = so_far / planned
    told = f"{so_far:,} of {planned:,} planned units ({percent(so_far / planned)})"
    if so_far >= planned:
        return gate(True, f"{told}: the plan is reached.")
    if plan.ends_on is not None and known_on > plan.ends_on:
        short = so_far < planned * (1 - TOLERANCE)
        advice = " Effects are less certain than planned: let it run on, or accept wider intervals." if short else ""
        return gate(not short, f"{told} at the planned end, {plan.ends_on}.{advice}")
    first = min([day for day in (plan.starts_on, *days) if day is not None], default=None)
    whole = 0 if first is None else (known_on - first).days
    if first is None or whole < FEWEST_DAYS:
        return gate(True, f"{told}; a forecast needs {FEWEST_DAYS} whole days.")
    recent = [known_on - timedelta(days=back) for back in range(1, min(whole, RECENT_DAYS) + 1)]
    rates = np.array([by_day.get(day, 0) / plan.coverage_on(day) for day in recent if plan.coverage_on(day) > 0])
    if not len(rates):
        return gate(True, f"{told}; nobody is let in now (coverage 0).")
    rate = float(rates.mean())
    now = rate * plan.coverage_on(known_on)
    observed["units_a_day"] = round(now, 3)
    if now > 0 and (planned - so_far) / now < 36_500:
        reached_on = known_on + timedelta(days=math.ceil((planned - so_far) / now))
        observed["expected_on"] = reached_on.isoformat()
        told += f"; at {now:,.1f} a day the plan is reached about {reached_on}"
    else:
        told += "; at this pace the plan is not reached"
    if plan.ends_on is None:
        return gate(True, f"{told}.")
    ahead = [known_on + timedelta(days=k) for k in range((plan.ends_on - known_on).days + 1)]
    cover = np.array([plan.coverage_on(day) for day in ahead])
    at_the_end = so_far - by_day.get(known_on, 0) + rate * cover.sum()
    observed["expected_units"] = round(float(at_the_end), 1)
    if len(rates) < FEWEST_DAYS:
        return gate(True, f"{told}.")
    spread = max(float(rates.std(ddof=1)), math.sqrt(max(rate, 1.0)))
    error = spread * math.sqrt(cover.sum() ** 2 / len(rates) + (cover**2).sum())
    at_most = at_the_end + float(stats.t.isf(threshold, len(rates) - 1)) * error
    observed["expected_units_at_most"] = round(at_most, 1)
    short = at_most < planned
    told += f", and {at_the_end:,.0f} units ({percent(at_the_end / planned)}) are expected by the end, {plan.ends_on}"
    advice = " Raise the coverage, move the end, or plan for a larger effect." if short else ""
    return gate(not short, f"{told}.{advice}")
