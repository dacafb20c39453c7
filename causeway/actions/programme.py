"""Who is to be treated with a given budget: a linear programme with whole units and fixed costs, by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from causeway.actions.gaps import Terms

Array = npt.NDArray[np.float64]
PlanStatus = Literal["ok", "infeasible", "unbounded", "time_limit", "no_units", "withheld"]

SECONDS = 20.0
SAME = 1e-7


@dataclass(frozen=True, slots=True)
class Option:
    """One intervention in one segment.

    units: those not treated with it today; worth: expected value of treating one of them; cost: of treating one;
    is_known: whether there is an effect to count with, without which nobody is treated.
    """

    segment: str
    intervention: str
    units: int
    worth: float
    cost: float
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that is decided at once.

    options: at most one of each segment and intervention. terms: by segment; shares are of the largest number of units
    of its options. budget: most that may be spent; headcount: most units in all.
    """

    options: tuple[Option, ...]
    terms: dict[str, Terms]
    budget: float | None = None
    headcount: int | None = None

    @property
    def segments(self) -> tuple[str, ...]:
        """In the order of their first option."""
        return tuple(dict.fromkeys(option.segment for option in self.options))

    def units_of(self, segment: str) -> int:
        """Units of a segment: a unit is treated once, whatever with."""
        return max(option.units for option in self.options if option.segment == segment)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; `units` of each option, and all numbers, are None unless `status` is ok or time_limit.

    net_value: worth less cost, fixed costs included, which is what was maximised; cost; opened: segments in which
    anybody is treated. conflict: of an infeasible problem the constraints that cannot be met together, of which none
    can be left out. binding: constraints that are worth money to loosen; shadow_price: what one more unit of budget
    would add to net_value, both in the relaxation without whole numbers. optimality_gap: relative, 0 when solved.
    """

    status: PlanStatus
    units: tuple[int, ...] | None = None
    net_value: float | None = None
    cost: float | None = None
    opened: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    binding: tuple[str, ...] = ()
    shadow_price: float | None = None
    optimality_gap: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """coefficients @ variables <= limits, by the names of rows; structural rows have no name and are never loosened."""

    names: list[str] = field(default_factory=list)
    coefficients: list[Array] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def add(self, name: str, coefficients: Array, limit: float) -> None:
        self.names.append(name)
        self.coefficients.append(coefficients)
        self.limits.append(limit)


def allocate(problem: Problem, *, seconds: float = SECONDS) -> Plan:
    """The plan of the largest net value.

    Whole units x of each option, and an open or closed z of each segment with a fixed cost (the fixed-charge problem,
    Hirsch & Dantzig 1968): maximise sum (worth - cost) x - sum fixed z. Money that earns less than itself is not spent.
    A segment's minimum_share must be treated whatever it earns. Status "no_units": there are no options.
    """
    if not problem.options:
        return Plan("no_units")
    gains, rows, bounds = _built(problem)
    solved = _solve(gains, rows, bounds, seconds=seconds)
    if solved.status == 2:
        return Plan("infeasible", conflict=_irreducible(gains, rows, bounds))
    if solved.x is None:
        return Plan("unbounded" if solved.status == 3 else "time_limit")
    units = tuple(round(value) for value in solved.x[: len(problem.options)])
    treated = {each: 0 for each in problem.segments}
    for option, count in zip(problem.options, units, strict=True):
        treated[option.segment] += count
    opened = tuple(segment for segment, count in treated.items() if count)
    cost = sum(option.cost * count for option, count in zip(problem.options, units, strict=True))
    cost += sum(problem.terms[segment].fixed_cost for segment in opened)
    worth = sum(option.worth * count for option, count in zip(problem.options, units, strict=True))
    prices = _prices(gains, rows, bounds)
    return Plan(
        "time_limit" if solved.status == 1 else "ok",
        units=units,
        net_value=worth - cost,
        cost=cost,
        opened=opened,
        binding=tuple(name for name, price in prices.items() if price > SAME),
        shadow_price=prices.get("budget"),
        optimality_gap=max(0.0, float(solved.mip_gap or 0.0)),
    )


def value_curve(
    problem: Problem, budgets: Sequence[float], *, seconds: float = SECONDS
) -> tuple[tuple[float, Plan], ...]:
    """The best plan at each of ``budgets``."""
    return tuple(
        (budget, allocate(Problem(problem.options, problem.terms, budget, problem.headcount), seconds=seconds))
        for budget in budgets
    )


def _built(problem: Problem) -> tuple[Array, _Rows, Bounds]:
    """Gains of all variables, rows, and bounds; the variables are the options and then the fixed costs."""
    options, segments = problem.options, problem.segments
    charged = [segment for segment in segments if problem.terms[segment].fixed_cost > 0]
    size = len(options) + len(charged)
    gains = np.array(
        [option.worth - option.cost for option in options] + [-problem.terms[each].fixed_cost for each in charged]
    )
    costs = np.array([option.cost for option in options] + [problem.terms[each].fixed_cost for each in charged])
    rows = _Rows()
    if problem.budget is not None:
        rows.add("budget", costs, problem.budget)
    if problem.headcount is not None:
        rows.add("headcount", np.r_[np.ones(len(options)), np.zeros(len(charged))], problem.headcount)
    for segment in segments:
        own, terms, units = np.zeros(size), problem.terms[segment], problem.units_of(segment)
        own[[index for index, option in enumerate(options) if option.segment == segment]] = 1.0
        if terms.capacity is not None:
            rows.add(f"capacity of {segment}", own, terms.capacity)
        if terms.maximum_share < 1:
            rows.add(f"maximum share of {segment}", own, Terms(maximum_share=terms.maximum_share).most(units))
        if terms.minimum_share > 0:
            rows.add(f"minimum share of {segment}", -own, -terms.fewest(units))
        if own.sum() > 1:
            rows.add("", own, units)
        if segment in charged:
            link = own.copy()
            link[len(options) + charged.index(segment)] = -units
            rows.add("", link, 0.0)
    for index, option in enumerate(options):
        if not option.is_known:
            name = f"unknown effect of {option.intervention} in {option.segment}"
            rows.add(name, np.eye(size)[index], 0.0)
    return gains, rows, Bounds(np.zeros(size), np.array([*(option.units for option in options), *(1 for _ in charged)]))


def _solve(
    gains: Array, rows: _Rows, bounds: Bounds, *, seconds: float = SECONDS, without: frozenset[int] = frozenset()
) -> Any:
    kept = [index for index in range(len(rows.names)) if index not in without]
    constraints = None
    if kept:
        matrix = np.array([rows.coefficients[index] for index in kept])
        constraints = LinearConstraint(matrix, ub=np.array([rows.limits[index] for index in kept]))
    return milp(
        -gains,
        integrality=np.ones(len(gains)),
        bounds=bounds,
        constraints=constraints,
        options={"time_limit": seconds, "mip_rel_gap": 1e-7},
    )


def _irreducible(gains: Array, rows: _Rows, bounds: Bounds) -> tuple[str, ...]:
    """Constraints that cannot be met together, and could if any of them were left out.

    The deletion filter of Chinneck & Dravnieks (1991, ORSA Journal on Computing 3): leave out one at a time, for good
    if the rest still cannot be met.
    """
    left_out: frozenset[int] = frozenset()
    nothing = np.zeros_like(gains)
    named = [index for index, name in enumerate(rows.names) if name]
    for index in named:
        tried = left_out | {index}
        if _solve(nothing, rows, bounds, without=tried).status == 2:
            left_out = tried
    return tuple(rows.names[index] for index in named if index not in left_out)


def _prices(gains: Array, rows: _Rows, bounds: Bounds) -> dict[str, float]:
    """What loosening each named constraint by one is worth: the duals of the linear relaxation."""
    if not rows.names:
        return {}
    solved = linprog(
        -gains,
        A_ub=np.array(rows.coefficients),
        b_ub=np.array(rows.limits),
        bounds=np.column_stack([bounds.lb, bounds.ub]),
        method="highs",
    )
    if solved.status != 0:
        return {}
    marginals = -solved.ineqlin.marginals
    return {name: max(0.0, float(price)) for name, price in zip(rows.names, marginals, strict=True) if name}
