"""From gaps to a plan: what is promised is what the shrunk effects say, and no number is made of nothing."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.actions.gaps import Estimate, SegmentGap, Terms
from causeway.actions.kpi import Intervention, believed, decide_allocation
from causeway.plots.segment_gaps import segment_gaps_plot
from causeway.plots.value_curve import value_curve_plot


def gap(
    segment: str, effect: float | None, std_error: float = 0.02, *, status: str = "ok", units: int = 100
) -> SegmentGap:
    if effect is None:
        return SegmentGap(segment, 2 * units, units, units, 0.0, "withheld", status, ("why",))  # type: ignore[arg-type]
    known = Estimate(effect, std_error, effect - 2 * std_error, effect + 2 * std_error)
    return SegmentGap(
        segment, 2 * units, units, units, 0.0, "credible", "ok", effect=known, units_reachable=units,
        cost_per_unit=2.0, cost=2.0 * units,
    )  # fmt: skip


def study(*gaps: SegmentGap, value: float = 100.0, name: str = "mail") -> Intervention:
    return believed(name, gaps, value=value, seed=1)


def free(*segments: str) -> dict[str, Terms]:
    return {segment: Terms() for segment in segments}


def test_the_plan_promises_what_the_shrunk_effects_say() -> None:
    one = study(gap("a", 0.2), gap("b", 0.1), gap("c", 0.0))
    decided = decide_allocation([one], free("a", "b", "c"), value=100.0, budget=300.0)
    assert [each.units for each in decided.allotted] == [100, 50, 0]
    expected = 100.0 * (100 * one.belief("a")[0] + 50 * one.belief("b")[0])  # type: ignore[index]
    assert decided.expected == pytest.approx(expected)
    assert decided.lower is not None and 0 < decided.lower < expected
    # Errors of the two cancel in part: together they promise more than the sum of their lower ends.
    assert decided.lower > sum(each.lower for each in decided.allotted)
    assert decided.cost == 300.0


def test_a_cautious_plan_leaves_out_what_may_not_pay() -> None:
    one = study(gap("sure", 0.05, 0.005), gap("unsure", 0.06, 0.05), gap("other", 0.2, 0.01), gap("more", -0.1, 0.01))
    terms = free("sure", "unsure", "other", "more")
    bold, careful = (
        decide_allocation([one], terms, value=100.0, objective=objective) for objective in ("expected", "conservative")
    )
    assert [each.units for each in bold.allotted] == [100, 100, 100, 0]
    assert [each.units for each in careful.allotted] == [100, 0, 100, 0]


def test_less_is_better_where_the_value_is_negative() -> None:
    one = study(gap("a", -0.2), gap("b", 0.1), value=-100.0)
    decided = decide_allocation([one], free("a", "b"), value=-100.0)
    assert [each.units for each in decided.allotted] == [100, 0]
    assert one.ranks["effect"]["a"].rank == one.ranks["net_value"]["a"].rank == 1
    assert decided.expected is not None and decided.lower is not None and decided.expected > decided.lower > 0


def test_interventions_compete_for_the_same_units() -> None:
    mail = study(gap("a", 0.1), gap("b", 0.1), name="mail")
    call = study(gap("a", 0.3), gap("b", 0.0), name="call")
    decided = decide_allocation([mail, call], free("a", "b"), value=100.0)
    assert {(each.study, each.segment): each.units for each in decided.allotted} == {
        ("mail", "a"): 0, ("mail", "b"): 100, ("call", "a"): 100, ("call", "b"): 0,
    }  # fmt: skip


def test_nothing_is_allotted_to_a_segment_without_numbers() -> None:
    one = study(gap("a", 0.2), gap("few", None, status="too_few_units"))
    assert [each.units for each in decide_allocation([one], free("a", "few"), value=100.0).allotted] == [100, 0]
    forced = decide_allocation([one], free("a") | {"few": Terms(minimum_share=0.1)}, value=100.0, fallback_cost=2.0)
    assert forced.plan.conflict == ("minimum share of few", "unknown effect of mail in few")
    assert (forced.expected, forced.units, forced.allotted) == (None, None, ())


def test_a_withheld_study_gives_no_plan() -> None:
    one = study(gap("a", None, status="withheld"), gap("b", None, status="withheld"))
    decided = decide_allocation([one], free("a", "b"), value=100.0, budget=10.0)
    assert (decided.plan.status, decided.units, decided.curve, one.ranks) == ("withheld", None, (), {})


def test_ranks_by_three_measures_differ_where_costs_do() -> None:
    cheap = SegmentGap(
        "cheap", 200, 100, 100, 0.0, "credible", "ok", effect=Estimate(0.1, 0.001, 0.098, 0.102), units_reachable=10,
        cost_per_unit=0.1, cost=1.0,
    )  # fmt: skip
    one = study(gap("large", 0.2, 0.001), cheap)
    assert one.ranks["effect"]["large"].rank == one.ranks["net_value"]["large"].rank == 1
    assert one.ranks["roi"]["cheap"].rank == 1
    assert sum(rank.probability_best or 0 for rank in one.ranks["roi"].values()) == pytest.approx(1.0)


def test_the_curve_holds_the_declared_budget_and_rises() -> None:
    decided = decide_allocation([study(gap("a", 0.2), gap("b", 0.1))], free("a", "b"), value=100.0, budget=123.0)
    values = [net for _, _, net in decided.curve if net is not None]
    assert 123.0 in [budget for budget, _, _ in decided.curve]
    assert values == sorted(values) and values[0] == 0.0
    assert np.diff(values)[-1] < np.diff(values)[0]


def test_pictures_are_drawn_also_of_nothing() -> None:
    one = study(gap("a", 0.2), gap("few", None, status="too_few_units"))
    assert segment_gaps_plot(one, title="t").startswith(b"\x89PNG")
    assert segment_gaps_plot(study(), title="t").startswith(b"\x89PNG")
    assert value_curve_plot([(0.0, None, None), (5.0, 5.0, 7.0)], budget=5.0, title="t").startswith(b"\x89PNG")
    assert value_curve_plot([], budget=None, title="t").startswith(b"\x89PNG")
