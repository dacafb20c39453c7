"""A plan answers for every metric, without and with its covariate, in numbers, in JSON and in words."""

from __future__ import annotations

import json
import math
from datetime import date

import numpy as np
import pytest

from causeway.design.baseline import Baseline
from causeway.design.comparison import Clusters, Comparison
from causeway.design.duration import ActivityHistory, enrolment_curve
from causeway.design.metric_plan import MetricQuestion, SimulatedEffect
from causeway.design.plan import plan_experiment
from causeway.design.power import minimum_detectable_effect, sample_size
from causeway.design.replay import replay_difference_in_means
from causeway.design.sequential_power import SequentialDesign

MONDAY = date(2024, 1, 1)
CURVE = enrolment_curve(
    ActivityHistory.of_new_units(MONDAY, np.random.default_rng(1).poisson([300] * 5 + [100] * 2, (12, 7)).ravel()),
    first_day=MONDAY,
    horizon=60,
)
EVEN = {"weights": {"off": 1.0, "on": 1.0}, "control": "off"}
SIGNUP = MetricQuestion(
    "signup", Baseline.of_proportion(0.2), role="primary", variance_factor=0.64, relevant_effect=0.1
)
REVENUE = MetricQuestion("revenue", Baseline(40.0, 6_400.0), relevant_effect=0.05, watch_days=7)
TICKETS = MetricQuestion("tickets", Baseline(2.0, 3.0), role="guardrail", direction="decrease", margin=0.04)
WAIT = MetricQuestion(
    "wait_p90",
    simulated=SimulatedEffect(4.0, 3.8, 4.2, "absolute", 1_000.0),
    simulated_adjusted=SimulatedEffect(3.0, 2.8, 3.2, "absolute", 1_000.0),
    relevant_effect=2.0,
)


def test_a_plan_is_the_formula_at_the_units_of_each_day():
    plan = plan_experiment("form", [SIGNUP], **EVEN, curve=CURVE, days=28)
    signup = plan.metrics[0]
    wanted = sample_size(SIGNUP.baseline, Comparison(), effect=0.02)
    assert signup.plain.units == wanted.n_control + wanted.n_treated
    assert signup.adjusted.units == pytest.approx(0.64 * signup.plain.units, rel=1e-3)
    half = CURVE.units(28)[0] / 2
    smallest = minimum_detectable_effect(SIGNUP.baseline, Comparison(), n_treated=half, n_control=half)
    assert signup.plain.smallest == pytest.approx(smallest.relative_effect)
    assert signup.plain.by_day[27].effect == signup.plain.smallest
    assert signup.plain.duration.days == int(np.argmax(np.median(CURVE.paths, axis=0) >= signup.plain.units)) + 1
    assert signup.adjusted.duration.days < signup.plain.duration.days
    assert signup.adjusted.chance > signup.plain.chance


def test_units_that_are_still_watched_do_not_count():
    revenue = plan_experiment("form", [REVENUE], **EVEN, curve=CURVE, days=28).metrics[0].plain
    half = CURVE.units(21)[0] / 2
    smallest = minimum_detectable_effect(REVENUE.baseline, Comparison(), n_treated=half, n_control=half)
    assert revenue.smallest == revenue.by_day[27].effect == pytest.approx(smallest.relative_effect)


def test_the_sentence_says_it_in_words():
    plan = plan_experiment("form", [SIGNUP, REVENUE, TICKETS, WAIT], **EVEN, curve=CURVE, days=28)
    signup, revenue, tickets, wait = (metric.sentence for metric in plan.metrics)
    units = f"{plan.metrics[0].plain.units:,.0f}"
    assert signup.startswith(f"signup: to see a change of 10.0 % with a chance of 80 %, {units} units are needed, ")
    assert "; with the covariate " in signup
    assert " After 28 days a change of " in signup
    assert "more than the 60 days looked ahead" in revenue
    assert "covariate" not in revenue
    assert tickets.startswith("tickets: to show that there is no loss of 4.0 % or more")
    assert "can be ruled out" in tickets
    assert wait.startswith("wait_p90: to see a change of 2 with")


def test_several_variants_share_alpha_and_the_smallest_is_planned_for():
    weights = {"off": 2.0, "a": 1.0, "b": 0.5, "retired": 0.0}
    metrics = [SIGNUP, REVENUE, MetricQuestion("visits", Baseline(3.0, 9.0), relevant_effect=0.05), TICKETS]
    plan = plan_experiment("form", metrics, weights=weights, control="off")
    assert plan.variant == "b"
    assert [metric.alpha for metric in plan.metrics] == pytest.approx([0.05 / 6, 0.05 / 6, 0.05 / 6, 0.05])
    preferred = plan_experiment(
        "form", metrics, weights=weights, control="off", correction="preferential_bonferroni", primary_share=0.8
    )  # fmt: skip
    assert [metric.alpha for metric in preferred.metrics] == pytest.approx([0.02, 0.0025, 0.0025, 0.05])
    alone = plan_experiment(
        "form", [SIGNUP, TICKETS], weights=weights, control="off", correction="preferential_bonferroni"
    )  # fmt: skip
    assert [metric.alpha for metric in alone.metrics] == pytest.approx([0.025, 0.05])
    wanted = sample_size(SIGNUP.baseline, Comparison(alpha=0.05 / 6, allocation=0.25), effect=0.02)
    assert plan.metrics[0].plain.units == pytest.approx(wanted.n_control * 3.5 / 2, abs=7)
    none = plan_experiment("form", metrics, weights=weights, control="off", correction="none")
    assert {metric.alpha for metric in none.metrics} == {0.05}


def test_a_guardrail_is_planned_for_its_margin():
    plan = plan_experiment("form", [TICKETS], **EVEN, curve=CURVE, days=28)
    tickets = plan.metrics[0].plain
    by_hand = 2 * 3.0 * (1.959964 + 0.841621) ** 2 / (0.04 * 2.0) ** 2
    assert tickets.units == pytest.approx(2 * by_hand, rel=1e-3)
    assert tickets.wanted.settings["sides"] == 1
    units = CURVE.units(28)[0]
    assert tickets.smallest == pytest.approx(0.04 * math.sqrt(tickets.units / units), rel=1e-3)
    assert 0 < tickets.chance < 1


def test_clusters_and_repeated_looks_need_more_units():
    plain, clustered, watched = (
        plan_experiment("form", [SIGNUP], **EVEN, **more).metrics[0].plain
        for more in (
            {},
            {"clusters": Clusters(20, 0.05)},
            {"looks": lambda alpha, sides: SequentialDesign(lambda look: 2.413, [0.2, 0.4, 0.6, 0.8, 1.0])},
        )
    )
    assert clustered.units / plain.units == pytest.approx(1.95, rel=0.05)
    assert watched.units / plain.units == pytest.approx(1.228, abs=0.02)
    assert watched.wanted.settings["method"] == "simulated paths"


def test_a_simulated_metric_follows_the_square_root_rule():
    plan = plan_experiment("form", [WAIT], **EVEN, curve=CURVE, days=28)
    wait = plan.metrics[0]
    assert wait.plain.units == 4_000
    assert wait.adjusted.units == pytest.approx(2_250, abs=2)
    assert wait.adjusted.variance_factor == pytest.approx(9 / 16)
    assert wait.plain.smallest == pytest.approx(4.0 * math.sqrt(1_000 / CURVE.units(28)[0]))
    assert (wait.plain.unit, wait.plain.wanted.effect, wait.plain.wanted.relative_effect) == ("absolute", 2.0, None)


def test_a_metric_whose_method_is_not_valid_says_so():
    whales = np.random.default_rng(2).lognormal(0, 2.5, 20_000)
    answer = replay_difference_in_means(whales, units=300, treated_share=0.1, runs=500)
    revenue = MetricQuestion("revenue", Baseline(40.0, 6_400.0), relevant_effect=0.05, replay=answer)
    assert plan_experiment("form", [revenue], **EVEN).metrics[0].sentence.endswith(answer.sentence)


def test_what_has_no_answer_is_said_with_its_reason():
    questions = [
        MetricQuestion("constant", Baseline(1.0, 0.0), relevant_effect=0.1),
        MetricQuestion("new", Baseline(1.0, None), relevant_effect=0.1, variance_factor=0.75),
        MetricQuestion("nearly_all", Baseline.of_proportion(0.99), relevant_effect=0.1),
        MetricQuestion("open", Baseline(1.0, 1.0)),
        MetricQuestion("centred", Baseline(0.0, 4.0), relevant_effect=0.1),
    ]
    constant, new, nearly_all, open_, centred = plan_experiment("form", questions, **EVEN, curve=CURVE).metrics
    assert "the history does not vary" in constant.sentence
    assert "the history has too few units" in new.sentence
    assert new.adjusted.wanted.status == "too_few_units"
    assert "it cannot be reached" in nearly_all.sentence
    assert open_.sentence == "open: no effect or margin is declared, and no days are planned."
    assert open_.plain.wanted is None
    assert centred.plain.unit == "absolute"


def test_the_document_is_json_without_nan():
    metrics = [SIGNUP, REVENUE, TICKETS, WAIT, MetricQuestion("new", Baseline(1.0, None), relevant_effect=0.1)]
    plan = plan_experiment("form", metrics, **EVEN, curve=CURVE, days=28, correction="none")
    document = json.loads(json.dumps(plan.as_document(), allow_nan=False))
    assert [metric["key"] for metric in document["metrics"]] == ["signup", "revenue", "tickets", "wait_p90", "new"]
    assert document["metrics"][0]["adjusted"]["variance_factor"] == pytest.approx(0.64)
    assert document["metrics"][0]["plain"]["duration"]["last_day"].startswith("2024-")
    assert document["metrics"][1]["plain"]["by_day"][0] == {
        "day": 1, "units": None, "effect": None, "low": None, "high": None
    }  # fmt: skip
    assert document["metrics"][1]["adjusted"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plan_experiment("form", [SIGNUP], weights={"off": 1.0}, control="off"),
        lambda: plan_experiment("form", [SIGNUP], weights={"off": 0.0, "on": 1.0}, control="off"),
        lambda: plan_experiment("form", [SIGNUP, SIGNUP], **EVEN),
        lambda: MetricQuestion("m"),
        lambda: MetricQuestion("m", Baseline(1.0, 1.0), simulated=WAIT.simulated),
        lambda: MetricQuestion("m", Baseline(1.0, 1.0), relevant_effect=-0.1),
        lambda: MetricQuestion("m", Baseline(1.0, 1.0), margin=0.0),
        lambda: MetricQuestion("m", Baseline(1.0, 1.0), variance_factor=0.0),
        lambda: SimulatedEffect(0.0, 0.0, 0.0, "absolute", 10.0),
    ],
)
def test_questions_without_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
