"""The plan of a draft: what it must say, and what is assumed where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration


def read(**more: Any) -> ExperimentDeclaration:
    body = {
        "kind": "experiment",
        "key": "e",
        "unit": "customer",
        "status": "draft",
        "control": "none",
        "variants": {"none": 1, "some": 1},
        "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
    }
    found = read_declaration(yaml.safe_dump(body | more, sort_keys=False), "e.yaml")
    assert isinstance(found, ExperimentDeclaration)
    return found


def test_an_empty_plan_has_every_default_and_no_plan_changes_no_hash() -> None:
    plan = read(plan={}).plan
    assert plan is not None
    assert (plan.history, plan.power, plan.horizon, plan.simulate.replays) == (None, 0.8, 90, 1_000)
    assert read(plan=None).declaration_hash == read().declaration_hash
    assert read(plan={}).declaration_hash != read().declaration_hash


@pytest.mark.parametrize(
    ("more", "days"),
    [
        ({}, 28),
        ({"decision": {"min_days": 9.5}}, 10),
        ({"decision": {"min_days": 9}, "start": "2024-01-01", "end": "2024-01-14"}, 14),
        ({"start": "2024-01-01", "end": "2024-01-14", "plan": {"days": 7}}, 7),
    ],
)
def test_the_planned_length(more: dict[str, Any], days: int) -> None:
    assert read(**({"plan": {}} | more)).planned_days == days


def test_the_covariate_is_the_best_that_is_declared() -> None:
    assert read(plan={}).planned_covariate == "own_past"
    assert read(plan={}, covariates=["age"]).planned_covariate == "twin"
    assert read(plan={"covariate": "none"}, covariates=["age"]).planned_covariate == "none"


def test_what_it_was_read_from_is_what_it_is_written_as() -> None:
    span = {"from": "2024-01-01", "to": "2024-01-31"}
    document = read(plan={"history": span}).document()
    assert document["plan"]["history"] == span
    again = ExperimentDeclaration.model_validate(document)
    assert again.plan is not None and again.plan.history is not None
    assert again.plan.history.end.day == 31


TABLE: dict[str, Any] = {
    "metrics": [{"key": "spend", "type": "mean", "column": "spend"}],
    "source": {"file": "last_year.csv"},
}


def test_a_table_without_a_variant_is_a_history_and_only_that() -> None:
    assert read(plan={}, **TABLE).source is not None
    for more in ({"plan": {}, "status": "running"}, {"plan": None}):
        with pytest.raises(DeclarationError, match="missing key 'variant'"):
            read(**TABLE, **more)


@pytest.mark.parametrize(
    ("plan", "more", "said"),
    [
        ({"history": {"from": "2024-02-02", "to": "2024-02-01"}}, {}, "2024-02-01 is before the first day, 2024-02-02"),
        ({"history": {"from": "2024-02-02"}}, {}, "missing key 'to'"),
        ({"covariate": "twin"}, {}, "a twin learns from covariates, and none are declared"),
        ({"covariate": "own_pasts"}, {}, "did you mean 'own_past'"),
        ({"powr": 0.9}, {}, "did you mean 'power'"),
        ({"power": 1.0}, {}, "plan.power"),
        ({"simulate": {"runs": 1}}, {}, "plan.simulate.runs"),
        ({"eligible": {"event": "visit", "where": {"page": {"$like": "x"}}}}, {}, "is no operator"),
        ({"eligible": {"event": "visit"}}, TABLE, "the whole table is the history"),
        ({"history": {"from": "2024-02-01", "to": "2024-02-02"}}, TABLE, "the whole table is the history"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(plan: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError) as error:
        read(plan=plan, **more)
    assert said in str(error.value)
