"""Metrics: what fits together, in an experiment and on their own."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from causeway.declarations.admission import admit, admit_all
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import MetricDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import declaration_from_document, read_declaration
from causeway.declarations.standing import Standing

REVENUE = {
    "kind": "metric",
    "key": "revenue",
    "unit": "customer",
    "type": "sum",
    "event": "purchase",
    "column": "amount",
}
TABLE = {"file": "t.csv", "variant": "arm"}


def metric(**more: Any) -> MetricDeclaration:
    found = declaration_from_document(REVENUE | more)
    assert isinstance(found, MetricDeclaration)
    return found


def document(*metrics: Any, **more: Any) -> dict[str, Any]:
    plain = {"kind": "experiment", "key": "e", "unit": "customer", "control": "off", "variants": {"off": 1, "on": 1}}
    return plain | {"metrics": list(metrics)} | more


def experiment(*metrics: Any, **more: Any) -> ExperimentDeclaration:
    found = declaration_from_document(document(*metrics, **more))
    assert isinstance(found, ExperimentDeclaration)
    return found


def complaint(body: dict[str, Any]) -> str:
    with pytest.raises(DeclarationError) as raised:
        read_declaration(yaml.safe_dump(body, sort_keys=False), "m.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"column": None}, "a sum metric needs a column to take its values from"),
        ({"type": "ratio"}, "a ratio needs a denominator, such as {event: visit}"),
        ({"denominator": {"event": "visit"}}, "denominator: is for metrics of type ratio, not sum"),
        ({"type": "quantile"}, "a quantile metric needs its quantile, such as 0.95"),
        ({"quantile": 0.5}, "quantile: is for metrics of type quantile, not sum"),
        (
            {"type": "quantile", "quantile": 0.5, "level": "event", "cap": {"upper": 9}},
            "cap: bounds the value of a unit, and level: event compares those of events",
        ),
        ({"type": "funnel", "steps": [{"event": "a"}]}, "steps: a funnel needs at least two steps"),
        ({"type": "funnel", "steps": [{"event": "a"}] * 2}, "event: belongs to the steps of a funnel"),
        ({"type": "retention", "from_day": 7}, "retention needs from_day and to_day, such as 7 and 14"),
        ({"type": "retention", "from_day": 7, "to_day": 7}, "from_day: must be below to_day, 7"),
        ({"type": "retention", "from_day": 1, "to_day": 7, "window_days": 3}, "leave window_days and delay_days out"),
        ({"type": "time_to_event"}, "a time_to_event metric needs window_days"),
        ({"delay_days": 7, "window_days": 7}, "delay_days: must be below window_days, 7"),
        ({"cap": {}}, "cap: a cap needs a bound"),
        ({"cap": {"upper": 1, "upper_quantile": 0.9}}, "cap.upper_quantile: upper is given as a value as well"),
        ({"cap": {"lower": 2, "upper": 1}}, "cap.lower: must be below upper, 1"),
        ({"exclude": {}}, "exclude: an exclusion needs a bound: below or above"),
        ({"type": "conversion", "cap": {"upper": 1}}, "cap: is for metrics of type count or sum or mean or ratio"),
        ({"non_inferiority_margin": 0}, "non_inferiority_margin: must be above 0"),
        ({"where": {"a": {"$near": 1}}}, "where: '$near' is no operator for 'a'; expected one of $eq"),
    ],
)
def test_what_does_not_fit_together_is_named(changes: dict[str, Any], said: str) -> None:
    body = {name: value for name, value in (REVENUE | changes).items() if value is not None}
    assert said in complaint(body)


def test_a_metric_is_used_by_its_name() -> None:
    assert experiment("revenue").metrics == experiment({"metric": "revenue"}).metrics
    used, other = experiment({"metric": "revenue", "key": "money", "role": "guardrail"}, "other").metrics
    assert (used.key, used.metric, used.role) == ("money", "revenue", "guardrail")
    assert (other.key, other.role) == ("other", "primary")


def test_guardrails_alone_decide_nothing() -> None:
    said = complaint(document({"metric": "revenue", "role": "guardrail"}))
    assert "metrics: all metrics are guardrails; one needs role: primary" in said


def test_a_use_has_the_definition_of_what_it_names() -> None:
    declared = metric(window_days=7, direction="decrease")
    (used,) = experiment("revenue").with_metrics({"revenue": declared}).metrics
    assert (used.type, used.event, used.column, used.window_days) == ("sum", "purchase", "amount", 7)
    assert (used.key, used.role, used.direction, used.columns) == ("revenue", "primary", "decrease", ("amount",))


def test_a_use_defines_nothing_itself() -> None:
    said = complaint(document({"metric": "revenue", "column": "amount", "window_days": 3}))
    assert "metrics[0].column: is part of what metric 'revenue' declares; leave it out, or leave metric out" in said
    assert "metrics[0].window_days" in said


def test_a_metric_needs_a_key_and_a_type() -> None:
    said = complaint(document({"column": "a"}))
    assert "missing key 'key': name of the metric" in said
    assert "missing key 'type': how a unit's value is made" in said


@pytest.mark.parametrize(
    ("used", "more", "said"),
    [
        ("revenu", {}, "metrics[0].metric: there is no metric 'revenu' (did you mean 'revenue'?)"),
        ("revenue", {"unit": "visit"}, "metric 'revenue' is of units 'customer', the experiment of 'visit'"),
        (
            "revenue",
            {"source": TABLE},
            "metric 'revenue' does not fit: a table's metrics are columns of the unit's record",
        ),
        ("revenue", {"covariates": ["amount"]}, "'amount' is among the covariates or segments"),
    ],
)
def test_what_an_experiment_uses_must_be_there_and_fit(used: str, more: dict[str, Any], said: str) -> None:
    refused = admit(experiment(used, **more), Standing.of([metric()]))
    assert any(said in str(refusal) for refusal in refused)


def test_an_experiment_and_its_metrics_may_come_together() -> None:
    assert admit_all([experiment("revenue"), metric()], Standing()) == []


def test_a_metric_that_no_longer_fits_who_uses_it_is_refused() -> None:
    standing = Standing.of([metric(), experiment("revenue")])
    (refusal,) = admit(metric(unit="visit"), standing)
    assert refusal.sentence.startswith(
        "then experiment 'e' no longer holds, at metrics[0].metric: metric 'revenue' is of"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"type": "retention", "from_day": 1, "to_day": 2}, "a retention metric is made of events"),
        ({"type": "quantile", "column": "ms", "quantile": 0.5, "level": "event"}, "is made of events"),
        (
            {"type": "ratio", "column": "a", "denominator": {}},
            "metrics[0].denominator: a metric of a table needs a column",
        ),
        ({"type": "ratio", "column": "a", "denominator": {"column": "arm"}}, "'arm' is the column of the variant"),
        ({"type": "sum", "column": "a", "event": "buy"}, "metrics[0].event: a table's metrics are columns"),
        ({"type": "sum", "column": "a", "lookback_days": 7}, "lookback_days: a table has no rows from before"),
    ],
)
def test_a_table_has_one_row_per_unit(body: dict[str, Any], said: str) -> None:
    assert said in complaint(document({"key": "m", **body}, source=TABLE))
