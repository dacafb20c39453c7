"""One KPI from end to end: gaps of every intervention, their shrunk effects and ranks, and the plan for the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.actions.gaps import SegmentGap, Terms
from causeway.actions.programme import Option, Plan, Problem, allocate, value_curve
from causeway.actions.ranks import Rank, rank_segments
from causeway.actions.shrinkage import Array, Shrunk, shrink

Objective = Literal["expected", "conservative"]
Measure = Literal["effect", "net_value", "roi"]

CURVE_POINTS = 21
CURVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Intervention:
    """The gaps of one study with what is believed of its segments after all of them were seen.

    shrunk: over the segments that are ok, in their order; None if none is. ranks: by measure, one of each such segment.
    """

    study: str
    gaps: tuple[SegmentGap, ...]
    shrunk: Shrunk | None
    ranks: Mapping[Measure, Mapping[str, Rank]]

    @property
    def estimated(self) -> tuple[SegmentGap, ...]:
        """Segments with numbers."""
        return tuple(gap for gap in self.gaps if gap.status == "ok")

    def belief(self, segment: str) -> tuple[float, float, float] | None:
        """Shrunk effect of a segment with its limits; None without numbers."""
        names = [gap.segment for gap in self.estimated]
        if self.shrunk is None or segment not in names:
            return None
        at = names.index(segment)
        return float(self.shrunk.mean[at]), float(self.shrunk.low[at]), float(self.shrunk.high[at])

    def draws(self, segment: str) -> Array:
        """Posterior draws of the effect in a segment with numbers."""
        assert self.shrunk is not None
        return self.shrunk.draws[:, [gap.segment for gap in self.estimated].index(segment)]


def believed(study: str, gaps: Sequence[SegmentGap], *, value: float, seed: int) -> Intervention:
    """Shrink the effects of a study's segments, and rank them by effect, by net value and by ROI.

    Places are those of the shrunk numbers, in which a segment with few units does not come first by luck; what places
    the data leave open is told from the unshrunk ones. Effects are ranked by what they are worth: with a negative value
    the most negative comes first. Segments that can be treated at no cost have no ROI and no place by it.
    """
    estimated = [gap for gap in gaps if gap.status == "ok"]
    effects = [gap.effect for gap in estimated if gap.effect is not None]
    if not effects:
        return Intervention(study, tuple(gaps), None, {})
    found, errors = np.array([each.value for each in effects]), np.array([each.std_error for each in effects])
    shrunk = shrink(found, errors, seed=seed)
    names = [gap.segment for gap in estimated]
    reachable = np.array([gap.units_reachable or 0 for gap in estimated], dtype=np.float64)
    costs = np.array([gap.cost or 0.0 for gap in estimated])
    scales: dict[Measure, tuple[Array, Array]] = {
        "effect": (np.full(len(names), float(np.sign(value)) or 1.0), np.zeros(len(names))),
        "net_value": (value * reachable, -costs),
        "roi": (np.divide(value * reachable, costs, out=np.zeros(len(names)), where=costs > 0), -np.ones(len(names))),
    }
    ranks: dict[Measure, Mapping[str, Rank]] = {}
    for measure, (scale, shift) in scales.items():
        kept = [index for index in range(len(names)) if scale[index] != 0]
        if not kept:
            ranks[measure] = {}
            continue
        placed = rank_segments(
            (scale * found + shift)[kept],
            (np.abs(scale) * errors)[kept],
            seed=seed,
            draws=(scale * shrunk.draws + shift)[:, kept],
            ordered_by=(scale * shrunk.mean + shift)[kept],
        )
        own = [names[index] for index in kept]
        ranks[measure] = dict(zip(own, placed, strict=True))
    return Intervention(study, tuple(gaps), shrunk, ranks)


@dataclass(frozen=True, slots=True)
class Allotted:
    """What the plan gives one segment of one intervention.

    expected: worth of treating `units` of them by the shrunk effect; lower: by the lower end of its 95 % interval.
    """

    study: str
    segment: str
    units: int
    share: float
    cost: float
    expected: float
    lower: float


@dataclass(frozen=True, slots=True)
class Decided:
    """The plan with what it promises; numbers are None unless the plan has one.

    cost, expected, lower: of the whole, fixed costs included; lower is the 2.5 % point of the worth of all together.
    curve: (budget, cost, net value or None where the constraints cannot be met).
    """

    plan: Plan
    allotted: tuple[Allotted, ...] = ()
    units: int | None = None
    cost: float | None = None
    expected: float | None = None
    lower: float | None = None
    curve: tuple[tuple[float, float | None, float | None], ...] = ()


def decide_allocation(
    interventions: Sequence[Intervention],
    terms: Mapping[str, Terms],
    *,
    value: float,
    budget: float | None = None,
    headcount: int | None = None,
    objective: Objective = "expected",
    fallback_cost: float = 0.0,
) -> Decided:
    """The allocation of the largest net value over the segments of all interventions, by their shrunk effects.

    objective "conservative" counts with the lower end of what a unit is worth in place of its mean. A segment without
    numbers is not treated, and a minimum share there is a conflict. fallback_cost: of treating a unit in such a one.
    """
    named = [(each, gap) for each in interventions for gap in each.gaps]
    if named and all(gap.status == "withheld" for _, gap in named):
        return Decided(Plan("withheld"))
    options = tuple(_option(each, gap, value, objective, fallback_cost) for each, gap in named if gap.n_to_treat)
    problem = Problem(options, dict(terms), budget, headcount)
    plan = allocate(problem)
    if plan.units is None or plan.cost is None:
        return Decided(plan, curve=_curve(problem) if options else ())
    allotted, worth = [], None
    for option, units in zip(options, plan.units, strict=True):
        each = next(one for one in interventions if one.study == option.intervention)
        belief = each.belief(option.segment)
        ends = sorted((value * belief[1], value * belief[2])) if belief else [0.0, 0.0]
        allotted.append(
            Allotted(
                study=option.intervention,
                segment=option.segment,
                units=units,
                share=units / option.units,
                cost=units * option.cost,
                expected=units * value * belief[0] if belief else 0.0,
                lower=units * ends[0],
            )
        )
        if units:
            own = units * value * each.draws(option.segment)
            worth = own if worth is None else worth + own
    return Decided(
        plan,
        tuple(allotted),
        units=sum(plan.units),
        cost=plan.cost,
        expected=sum(each.expected for each in allotted),
        lower=0.0 if worth is None else float(np.quantile(worth, 0.025)),
        curve=_curve(problem),
    )


def _option(
    intervention: Intervention, gap: SegmentGap, value: float, objective: Objective, fallback_cost: float
) -> Option:
    belief = intervention.belief(gap.segment)
    if belief is None:
        return Option(gap.segment, intervention.study, gap.n_to_treat, 0.0, fallback_cost, is_known=False)
    mean, low, high = belief
    worth = value * mean if objective == "expected" else min(value * low, value * high)
    return Option(gap.segment, intervention.study, gap.n_to_treat, worth, gap.cost_per_unit or 0.0)


def _curve(problem: Problem) -> tuple[tuple[float, float | None, float | None], ...]:
    """From no budget to what treating everybody would cost, and at least to the declared one."""
    everybody = sum(
        max(option.cost * option.units for option in problem.options if option.segment == segment)
        + problem.terms[segment].fixed_cost
        for segment in problem.segments
    )
    most = max(everybody, problem.budget or 0.0)
    if most <= 0:
        return ()
    budgets = np.linspace(0.0, most, CURVE_POINTS)
    if problem.budget is not None:
        budgets = np.unique(np.append(budgets, problem.budget))
    found = value_curve(problem, [float(each) for each in budgets], seconds=CURVE_SECONDS)
    return tuple((budget, plan.cost, plan.net_value) for budget, plan in found)
