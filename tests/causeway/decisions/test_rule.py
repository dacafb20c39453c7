from __future__ import annotations

import json

import pytest

from causeway.decisions import DecisionRule, decide
from causeway.statistics import Effect, Gate, Moments, difference_in_means
from causeway.statistics.gates import crossover_gate

OPEN = Gate("srm", True, True, 0.5, {}, {}, "The units agree with the declared weights.")
CLOSED = Gate("srm", False, True, 1e-9, {}, {}, "The units contradict the declared weights.")
WARNING = Gate("constant_metric:visit", False, False, None, {}, {}, "visit does not vary in control.")
RULE = DecisionRule("visit")
GUARDED = DecisionRule("visit", guardrails={"latency": "decrease"})


def effect(size: float, p_value: float, relative: float | None = 0.1) -> Effect:
    half = abs(size) * (0.9 if p_value < 0.05 else 1.1)
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
    assert decide({"treated": BETTER.withheld("leakage")}, {}, [OPEN], RULE).decision == "withheld"
    guardrails = {"latency": {"treated": BETTER.withheld("leakage")}}
    assert decide({"treated": BETTER}, guardrails, [OPEN], GUARDED).decision == "withheld"


@pytest.mark.parametrize(
    ("guardrail", "decision"),
    [
        (effect(-1, 0.001), "ship"),  # latency fell
        (effect(1, 0.3), "ship"),
        (effect(1, 0.04), "stop"),
        (Effect("zero_variance", 9, 9, mean=0.0, mean_control=0.0), "ship"),
        (Effect("zero_variance", 9, 9, mean=1.0, mean_control=0.0), "continue"),
        (Effect("too_few_units", 1, 9), "continue"),
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
    assert decide({"treated": Effect("zero_variance", 9, 9)}, harm, [OPEN], GUARDED).decision == "stop"


@pytest.mark.parametrize(
    ("relative", "decision"), [(0.05, "ship"), (0.049, "continue"), (-0.06, "ship"), (None, "continue")]
)
def test_an_improvement_below_the_declared_minimum_is_not_shipped(relative, decision):
    """A negative relative effect beside a positive effect means a negative control mean, as with profits."""
    rule = DecisionRule("visit", min_relative_effect=0.05)
    assert decide({"treated": effect(1, 0.001, relative)}, {}, [OPEN], rule).decision == decision


def test_holm_asks_more_of_each_of_several_variants():
    alone = decide({"a": effect(1, 0.03)}, {}, [OPEN], RULE)
    together = decide({"a": effect(1, 0.03), "b": effect(0.5, 0.2)}, {}, [OPEN], RULE)
    assert (alone.decision, together.decision) == ("ship", "continue")
    assert together.inputs["primary"]["a"]["holm_p_value"] == pytest.approx(0.06)


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
    result = decide({"a": effect(1, 0.03), "b": Effect("no_units", 0, 9)}, {}, [OPEN], RULE)
    assert (result.decision, result.variant) == ("ship", "a")
    assert "b: the effect on visit could not be estimated (no_units)." in result.reasons


def test_with_one_variant_significance_is_the_interval_excluding_zero():
    arms = Moments.from_arrays([3.0, 4.0, 5.0, 6.0]), Moments.from_arrays([1.0, 2.0, 3.0, 4.0])
    for alpha in (0.01, 0.05, 0.08, 0.2):
        found = difference_in_means(*arms, alpha=alpha)
        shipped = decide({"treated": found}, {}, [OPEN], DecisionRule("visit", alpha=alpha)).decision == "ship"
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
