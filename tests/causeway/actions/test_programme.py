"""Allocations against everything that could be done, and shadow prices against what one more unit brings."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

from causeway.actions.gaps import Terms
from causeway.actions.programme import Option, Plan, Problem, allocate, value_curve


def brute_force(problem: Problem) -> float | None:
    """The largest net value of all allocations; None if none is allowed."""
    best = None
    for counts in product(*(range(option.units + 1) for option in problem.options)):
        total = {segment: 0 for segment in problem.segments}
        for option, count in zip(problem.options, counts, strict=True):
            total[option.segment] += count
            if count and not option.is_known:
                break
        else:
            cost = sum(option.cost * count for option, count in zip(problem.options, counts, strict=True))
            cost += sum(problem.terms[segment].fixed_cost for segment, count in total.items() if count)
            if problem.budget is not None and cost > problem.budget + 1e-9:
                continue
            if problem.headcount is not None and sum(counts) > problem.headcount:
                continue
            units = {segment: problem.units_of(segment) for segment in total}
            if any(
                not problem.terms[segment].fewest(units[segment])
                <= count
                <= problem.terms[segment].most(units[segment])
                for segment, count in total.items()
            ):
                continue
            worth = sum(option.worth * count for option, count in zip(problem.options, counts, strict=True))
            best = worth - cost if best is None else max(best, worth - cost)
    return best


def drawn(seed: int) -> Problem:
    """Two or three segments, sometimes with two interventions, with some of every kind of constraint."""
    rng = np.random.default_rng(seed)
    names = ["north", "south", "west"][: int(rng.integers(2, 4))]
    options = [
        Option(name, study, int(rng.integers(1, 6)), float(rng.normal(3, 2)), float(rng.uniform(0.5, 3)))
        for name in names
        for study in (("mail", "call") if rng.random() < 0.4 else ("mail",))
    ]
    terms = {
        name: Terms(
            capacity=int(rng.integers(1, 6)) if rng.random() < 0.5 else None,
            fixed_cost=float(rng.choice([0.0, 2.0])),
            minimum_share=float(rng.choice([0.0, 0.0, 0.4])),
            maximum_share=float(rng.choice([0.7, 1.0])),
        )
        for name in names
    }
    return Problem(
        tuple(options),
        terms,
        budget=float(rng.uniform(2, 20)) if rng.random() < 0.8 else None,
        headcount=int(rng.integers(1, 10)) if rng.random() < 0.5 else None,
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_allocation_is_better(seed: int) -> None:
    problem = drawn(seed)
    plan, best = allocate(problem), brute_force(problem)
    if best is None:
        assert plan.status == "infeasible" and plan.conflict and plan.units is None
    else:
        assert plan.status == "ok"
        assert plan.net_value == pytest.approx(best, abs=1e-6)
        assert plan.cost is not None and plan.cost <= (problem.budget or np.inf) + 1e-6


def test_both_kinds_of_problems_were_drawn() -> None:
    found = {brute_force(drawn(seed)) is None for seed in range(60)}
    assert found == {True, False}


WIDE = Problem(
    (
        Option("north", "mail", 1_000, 5.0, 1.0),
        Option("south", "mail", 2_000, 3.0, 1.0),
        Option("west", "mail", 9, 0.5, 1.0),
    ),
    {name: Terms() for name in ("north", "south", "west")},
    budget=1_500.0,
)


def test_the_best_is_treated_first_and_money_that_earns_less_than_itself_is_kept() -> None:
    assert allocate(WIDE).units == (1_000, 500, 0)
    rich = allocate(replace(WIDE, budget=1e6))
    assert (rich.units, rich.cost, rich.shadow_price, rich.binding) == ((1_000, 2_000, 0), 3_000.0, 0.0, ())


def test_the_shadow_price_is_what_one_more_unit_of_budget_brings() -> None:
    plan, more = allocate(WIDE), allocate(replace(WIDE, budget=1_501.0))
    assert plan.net_value is not None and more.net_value is not None
    assert plan.shadow_price == pytest.approx(2.0) == pytest.approx(more.net_value - plan.net_value)
    assert plan.binding == ("budget",)
    relaxed = linprog([-4.0, -2.0, 0.5], A_ub=[[1, 1, 1]], b_ub=[1_500], bounds=[(0, 1_000), (0, 2_000), (0, 9)])
    assert plan.shadow_price == pytest.approx(-relaxed.ineqlin.marginals[0])
    assert plan.net_value == pytest.approx(-relaxed.fun)


def test_a_segment_is_opened_only_if_it_pays_for_its_fixed_cost() -> None:
    terms = {name: Terms(fixed_cost=each) for name, each in (("north", 3_000.0), ("south", 100.0), ("west", 0.0))}
    plan = allocate(replace(WIDE, terms=terms, budget=None))
    assert plan.units == (1_000, 2_000, 0) and plan.opened == ("north", "south")
    plan = allocate(replace(WIDE, terms=terms | {"north": Terms(fixed_cost=4_001.0)}, budget=None))
    assert plan.units == (0, 2_000, 0) and plan.cost == 2_100.0


def test_a_unit_is_treated_once_whatever_with() -> None:
    both = Problem(
        (Option("north", "mail", 10, 5.0, 1.0), Option("north", "call", 8, 9.0, 2.0)),
        {"north": Terms()},
        headcount=None,
    )
    assert allocate(both).units == (2, 8)


@pytest.mark.parametrize(
    ("changes", "conflict"),
    [
        ({"budget": 10.0, "minimum": 0.5}, ("budget", "minimum share of north")),
        ({"headcount": 5, "minimum": 0.5}, ("headcount", "minimum share of north")),
        ({"capacity": 5, "minimum": 0.5}, ("capacity of north", "minimum share of north")),
        ({"known": False, "minimum": 0.5}, ("minimum share of north", "unknown effect of mail in north")),
    ],
)
def test_what_cannot_be_met_is_named_and_nothing_else(changes: dict[str, float], conflict: tuple[str, ...]) -> None:
    options = (replace(WIDE.options[0], is_known=bool(changes.get("known", True))), *WIDE.options[1:])
    terms = WIDE.terms | {"north": Terms(capacity=changes.get("capacity"), minimum_share=changes["minimum"])}  # type: ignore[arg-type]
    terms |= {"south": Terms(maximum_share=0.9, capacity=1_900)}
    headcount = changes.get("headcount", 5_000)
    problem = Problem(options, terms, changes.get("budget", 1e5), int(headcount))
    assert allocate(problem) == Plan("infeasible", conflict=conflict)


def test_the_value_curve_rises_and_flattens() -> None:
    curve = value_curve(WIDE, [0.0, 500.0, 1_000.0, 2_000.0, 3_000.0, 9_000.0])
    assert [plan.net_value for _, plan in curve] == pytest.approx([0, 2_000, 4_000, 6_000, 8_000, 8_000])
    minimum = replace(WIDE, terms=WIDE.terms | {"west": Terms(minimum_share=1.0)})
    assert [plan.status for _, plan in value_curve(minimum, [0.0, 9.0])] == ["infeasible", "ok"]


def test_nothing_to_choose_from() -> None:
    assert allocate(Problem((), {})) == Plan("no_units")
