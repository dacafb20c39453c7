from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from causeway.decisions import DecisionRule, Guardrail, Headline, RunTime, decide
from causeway.decisions.headline import Interval
from causeway.statistics import Effect, Gate, Moments, difference_in_means
from causeway.statistics.gates import crossover_gate

OPEN = Gate("srm", True, True, 0.5, {}, {}, "The units agree with the declared weights.")
CLOSED = Gate("srm", False, True, 1e-9, {}, {}, "The units contradict the declared weights.")
WARNING = Gate("constant_metric:visit", False, False, None, {}, {}, "visit does not vary in control.")
RULE = DecisionRule("visit")
GUARDED = DecisionRule("visit", guardrails={"latency": Guardrail("decrease")})
START = datetime(2024, 3, 1, 12, tzinfo=UTC)


def headline(found: Effect, interval: Interval = "always_valid", adjusted: float | None = None) -> Headline:
    p_value = found.p_value if adjusted is None else adjusted
    return Headline(found, interval, adjusted_p_value=p_value, is_significant=p_value is not None and p_value < 0.05)


def effect(size: float, p_value: float, relative: float | None = 0.1, interval: Interval = "always_valid") -> Headline:
    half = abs(size) * (0.9 if p_value < 0.05 else 1.1)
    return headline(_effect(size, p_value, relative, half), interval)


def undefined(*arguments: object, **more: object) -> Headline:
    return headline(Effect(*arguments, **more))


def after(days: float) -> RunTime:
    return RunTime(START, START + timedelta(days=days))


def _effect(size: float, p_value: float, relative: float | None, half: float) -> Effect:
    return Effect(
        status="ok",
        n=1000,
        n_control=1000,
        mean=10 + size,
        mean_control=10,
        effect=size,
        std_error=half / 1.96,
        ci_low=size - half,
        ci_high=size + half,
        p_value=p_value,
        relative_effect=relative,
        relative_ci_low=None if relative is None else relative - abs(relative) * half / abs(size),
        relative_ci_high=None if relative is None else relative + abs(relative) * half / abs(size),
    )


BETTER, WORSE, UNCLEAR = effect(1, 0.001), effect(-1, 0.001, -0.1), effect(1, 0.3)


@pytest.mark.parametrize(
    ("primary", "decision"),
    [(BETTER, "ship"), (WORSE, "stop"), (UNCLEAR, "continue"), (effect(-1, 0.3), "continue")],
)
def test_the_primary_metric_decides(primary, decision):
    result = decide({"treated": primary}, {}, [OPEN], RULE)
    assert result.decision == decision
    assert result.variant == ("treated" if decision == "ship" else None)
    assert "visit" in result.reasons[0]


def test_where_less_is_better_a_decrease_ships_and_an_increase_stops():
    rule = DecisionRule("latency", direction="decrease")
    assert decide({"treated": WORSE}, {}, [OPEN], rule).decision == "ship"
    assert decide({"treated": BETTER}, {}, [OPEN], rule).decision == "stop"


def test_a_closed_gate_withholds_and_passes_no_number_on():
    result = decide({"treated": BETTER}, {"latency": {"treated": WORSE}}, [OPEN, CLOSED, WARNING], GUARDED)
    assert (result.decision, result.variant) == ("withheld", None)
    assert result.reasons == ("srm: The units contradict the declared weights.",)
    assert set(result.inputs) == {"rule", "gates"}


def test_a_warning_withholds_nothing():
    result = decide({"treated": BETTER}, {}, [OPEN, WARNING], RULE)
    assert result.decision == "ship"
    assert result.inputs["gates"]["constant_metric:visit"] == {"passed": False, "blocking": False}


@pytest.mark.parametrize(("crossovers", "decision"), [(0, "ship"), (1, "ship"), (20, "ship"), (21, "withheld")])
def test_crossovers_withhold_a_decision_only_beyond_what_is_tolerated(crossovers, decision):
    gates = [crossover_gate(crossovers, 2000)]
    result = decide({"treated": BETTER}, {}, gates, RULE)
    assert result.decision == decision
    assert result.inputs["gates"]["crossover"]["passed"] == (crossovers == 0)


def test_without_a_single_gate_nothing_is_known_and_nothing_decided():
    assert decide({"treated": BETTER}, {}, [], RULE).decision == "withheld"


def test_a_withheld_result_stays_withheld():
    assert decide({"treated": headline(BETTER.effect.withheld("leakage"))}, {}, [OPEN], RULE).decision == "withheld"
    guardrails = {"latency": {"treated": headline(BETTER.effect.withheld("leakage"))}}
    assert decide({"treated": BETTER}, guardrails, [OPEN], GUARDED).decision == "withheld"


@pytest.mark.parametrize(
    ("guardrail", "decision"),
    [
        (effect(-1, 0.001), "ship"),  # latency fell
        (effect(1, 0.3), "ship"),
        (effect(1, 0.04), "stop"),
        (undefined("zero_variance", 9, 9, mean=0.0, mean_control=0.0), "ship"),
        (undefined("zero_variance", 9, 9, mean=1.0, mean_control=0.0), "continue"),
        (undefined("too_few_units", 1, 9), "continue"),
    ],
)
def test_a_better_primary_ships_only_past_every_guardrail(guardrail, decision):
    result = decide({"treated": BETTER}, {"latency": {"treated": guardrail}}, [OPEN], GUARDED)
    assert result.decision == decision
    assert any("latency" in reason for reason in result.reasons) == (decision != "ship")


def test_a_guardrail_without_any_result_keeps_the_variant_from_shipping():
    result = decide({"treated": BETTER}, {}, [OPEN], GUARDED)
    assert result.decision == "continue"
    assert "treated: the guardrail latency could not be measured." in result.reasons


def test_harm_in_a_guardrail_stops_even_where_the_primary_is_unclear_or_unknown():
    harm = {"latency": {"treated": effect(1, 0.001)}}
    assert decide({"treated": UNCLEAR}, harm, [OPEN], GUARDED).decision == "stop"
    assert decide({"treated": undefined("zero_variance", 9, 9)}, harm, [OPEN], GUARDED).decision == "stop"


@pytest.mark.parametrize(
    ("relative", "decision"), [(0.05, "ship"), (0.049, "continue"), (-0.06, "ship"), (None, "continue")]
)
def test_an_improvement_below_the_declared_minimum_is_not_shipped(relative, decision):
    """A negative relative effect beside a positive effect means a negative control mean, as with profits."""
    rule = DecisionRule("visit", min_relative_effect=0.05)
    assert decide({"treated": effect(1, 0.001, relative)}, {}, [OPEN], rule).decision == decision


def test_significance_is_that_of_the_declared_family():
    alone = effect(1, 0.03)
    together = headline(alone.effect, adjusted=0.06)
    assert decide({"a": alone}, {}, [OPEN], RULE).decision == "ship"
    assert decide({"a": together}, {}, [OPEN], RULE).decision == "continue"
    harmful = effect(-1, 0.03, -0.1)
    assert decide({"a": harmful}, {}, [OPEN], RULE).decision == "stop"
    assert decide({"a": headline(harmful.effect, adjusted=0.06)}, {}, [OPEN], RULE).decision == "continue"


def test_an_interval_with_zero_in_it_is_not_significant_whatever_is_said_of_the_family():
    torn = Headline(UNCLEAR.effect, adjusted_p_value=0.01, is_significant=True)
    assert decide({"a": torn}, {}, [OPEN], RULE).decision == "continue"


def test_without_a_verdict_over_the_family_nothing_is_shipped():
    unjudged = Headline(BETTER.effect)
    assert decide({"a": unjudged}, {}, [OPEN], RULE).decision == "continue"


@pytest.mark.parametrize(("days", "decision"), [(13.9, "continue"), (14, "ship"), (20, "ship"), (None, "continue")])
def test_nothing_is_shipped_before_the_minimum_run_time(days, decision):
    rule = DecisionRule("visit", min_days=14)
    result = decide({"treated": BETTER}, {}, [OPEN], rule, None if days is None else after(days))
    assert result.decision == decision
    assert result.variant == ("treated" if decision == "ship" else None)
    assert result.conditions[0].check == "minimum_run_time"
    assert result.conditions[0].passed == (decision == "ship")
    assert (result.conditions[0].detail in result.reasons) == (decision == "continue")


def test_harm_stops_at_any_time():
    rule = DecisionRule("visit", min_days=14, guardrails={"latency": Guardrail("decrease")})
    assert decide({"treated": WORSE}, {"latency": {"treated": UNCLEAR}}, [OPEN], rule, after(1)).decision == "stop"
    harm = {"latency": {"treated": effect(1, 0.001)}}
    assert decide({"treated": BETTER}, harm, [OPEN], rule, after(1)).decision == "stop"


@pytest.mark.parametrize(
    "primary", [effect(1, 0.001, interval="fixed_horizon"), effect(-1, 0.001, -0.1, "fixed_horizon")]
)
@pytest.mark.parametrize(("now", "is_read"), [((2024, 3, 31, 23), False), ((2024, 4, 1, 0), True), (None, False)])
def test_a_fixed_horizon_interval_is_not_read_before_the_end(primary, now, is_read):
    """Neither to ship nor to stop. The last day has to be over."""
    known_at = None if now is None else datetime(*now, tzinfo=UTC)
    result = decide({"treated": primary}, {}, [OPEN], RULE, RunTime(START, known_at, date(2024, 3, 31)))
    assert (result.decision == "continue") == (not is_read)
    assert ("end_reached" in {each.check for each in result.conditions}) == (not is_read)


def test_with_no_end_declared_a_fixed_horizon_interval_is_read():
    primary = effect(1, 0.001, interval="fixed_horizon")
    assert decide({"treated": primary}, {}, [OPEN], RULE, after(1)).decision == "ship"


def test_an_always_valid_interval_does_not_wait_for_the_end():
    time = RunTime(START, START + timedelta(days=1), date(2024, 3, 31))
    assert decide({"treated": BETTER}, {}, [OPEN], RULE, time).decision == "ship"


def test_a_group_sequential_trial_is_read_at_its_planned_looks():
    before = Headline(Effect("not_estimable", 5, 5), "group_sequential")
    result = decide({"treated": before}, {}, [OPEN], RULE)
    assert (result.decision, [each.check for each in result.conditions][1:]) == ("continue", ["planned_look"])
    assert decide({"treated": effect(1, 0.001, interval="group_sequential")}, {}, [OPEN], RULE).decision == "ship"


def relative(low: float, high: float, mean_control: float = 10.0) -> Headline:
    middle = (low + high) / 2
    size, half = middle * mean_control, (high - low) / 2 * abs(mean_control)
    return headline(
        Effect(
            "ok", 9, 9, mean_control + size, mean_control, size, half / 2, size - half, size + half, 0.5,
            middle, low, high,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "found", "state", "decision"),
    [
        ("increase", relative(-0.019, 0.05), "cleared", "ship"),
        ("increase", relative(-0.02, 0.05), "undecided", "continue"),
        ("increase", relative(-0.019, -0.001), "cleared", "ship"),  # worse, by less than is tolerated
        ("increase", relative(-0.05, -0.01), "undecided", "continue"),
        ("increase", relative(-0.05, -0.021), "harmed", "stop"),
        ("decrease", relative(-0.05, 0.019), "cleared", "ship"),
        ("decrease", relative(-0.01, 0.021), "undecided", "continue"),
        ("decrease", relative(0.021, 0.05), "harmed", "stop"),
        ("increase", relative(-0.05, 0.019, mean_control=-10.0), "cleared", "ship"),
        ("increase", relative(0.021, 0.05, mean_control=-10.0), "harmed", "stop"),
        ("increase", effect(1, 0.3, None), "unmeasured", "continue"),
    ],
)
def test_a_guardrail_with_a_margin_has_to_exclude_the_loss_beyond_it(direction, found, state, decision):
    rule = DecisionRule("visit", guardrails={"latency": Guardrail(direction, 0.02)})
    result = decide({"treated": BETTER}, {"latency": {"treated": found}}, [OPEN], rule)
    assert result.inputs["guardrails"]["latency"]["treated"]["state"] == state
    assert result.decision == decision
    condition = next(each for each in result.conditions if each.check == "guardrail:latency")
    assert condition.passed == (state == "cleared")
    assert [harm.metric for harm in result.harms] == (["latency"] if state == "harmed" else [])


def test_every_condition_says_of_which_variant_it_is_and_whether_it_is_met():
    rule = DecisionRule("visit", min_relative_effect=0.2, min_days=3, guardrails={"latency": Guardrail("decrease")})
    result = decide({"a": BETTER, "b": UNCLEAR}, {"latency": {"a": effect(-1, 0.01)}}, [OPEN], rule, after(5))
    assert [(each.check, each.variant, each.passed) for each in result.conditions] == [
        ("minimum_run_time", None, True),
        ("primary_significant", "a", True),
        ("minimum_effect", "a", False),
        ("guardrail:latency", "a", True),
        ("primary_significant", "b", False),
        ("minimum_effect", "b", False),
        ("guardrail:latency", "b", False),
    ]


def test_the_record_has_the_day_and_not_the_hour_so_that_it_is_the_same_all_day():
    rule = DecisionRule("visit", min_days=3)
    morning = decide({"a": BETTER}, {}, [OPEN], rule, after(5))
    noon = decide({"a": BETTER}, {}, [OPEN], rule, after(5.1))
    assert morning == noon
    assert morning.inputs["run_time"]["days"] == 5
    assert morning.inputs["run_time"]["known_on"] == "2024-03-06"


def test_the_best_of_several_shippable_variants_is_named():
    primary = {"a": effect(1, 0.001), "b": effect(2, 0.01), "c": effect(9, 0.5), "d": WORSE}
    result = decide(primary, {}, [OPEN], RULE)
    assert (result.decision, result.variant) == ("ship", "b")
    assert result.reasons[0].startswith("b has the largest effect of 2 variants")
    assert result.inputs["verdicts"] == {"a": "ship", "b": "ship", "c": "continue", "d": "stop"}


def test_where_less_is_better_the_best_variant_is_the_one_with_the_largest_decrease():
    primary = {"a": effect(-1, 0.001), "b": effect(-2, 0.001)}
    assert decide(primary, {}, [OPEN], DecisionRule("latency", direction="decrease")).variant == "b"


def test_a_trial_stops_only_when_every_variant_is_worse():
    assert decide({"a": WORSE, "b": UNCLEAR}, {}, [OPEN], RULE).decision == "continue"
    assert decide({"a": WORSE, "b": WORSE}, {}, [OPEN], RULE).decision == "stop"


def test_a_variant_that_cannot_be_estimated_says_so_and_costs_the_others_nothing():
    result = decide({"a": effect(1, 0.03), "b": undefined("no_units", 0, 9)}, {}, [OPEN], RULE)
    assert (result.decision, result.variant) == ("ship", "a")
    assert "b: the effect on visit could not be estimated (no_units)." in result.reasons


def test_with_one_variant_significance_is_the_interval_excluding_zero():
    arms = Moments.from_arrays([3.0, 4.0, 5.0, 6.0]), Moments.from_arrays([1.0, 2.0, 3.0, 4.0])
    for alpha in (0.01, 0.05, 0.08, 0.2):
        found = difference_in_means(*arms, alpha=alpha)
        judged = Headline(found, adjusted_p_value=found.p_value, is_significant=found.p_value < alpha)
        shipped = decide({"treated": judged}, {}, [OPEN], DecisionRule("visit", alpha=alpha)).decision == "ship"
        assert shipped == (found.ci_low > 0)


def test_inputs_are_json():
    guardrails = {"latency": {"treated": UNCLEAR}}
    for gates in ([OPEN], [CLOSED]):
        inputs = decide({"treated": BETTER}, guardrails, gates, GUARDED).inputs
        assert json.loads(json.dumps(inputs)) == inputs


def test_mistaken_inputs_are_refused():
    with pytest.raises(ValueError, match="at least one variant"):
        decide({}, {}, [OPEN], RULE)
    with pytest.raises(ValueError, match="latency"):
        decide({"treated": BETTER}, {"latency": {"treated": UNCLEAR}}, [OPEN], RULE)
    with pytest.raises(ValueError, match="alpha"):
        DecisionRule("visit", alpha=0)
    with pytest.raises(ValueError, match="min_relative_effect"):
        DecisionRule("visit", min_relative_effect=-0.1)
    with pytest.raises(ValueError, match="min_days"):
        DecisionRule("visit", min_days=-1)
    with pytest.raises(ValueError, match="margin"):
        Guardrail("increase", 0.0)
