"""KPIs as they are declared, and what does not fit together."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration
from causeway.declarations.references import faults_of
from causeway.declarations.standing import Standing

LEAST: dict[str, Any] = {
    "kind": "kpi",
    "key": "worth",
    "study": "offers",
    "value": 10,
    "cost": 4,
    "segments": ["region"],
}


def declared(**more: Any) -> KpiDeclaration:
    found = read_declaration(yaml.safe_dump(LEAST | more), "worth.yaml")
    assert isinstance(found, KpiDeclaration)
    return found


def study(key: str, outcome: str = "spend") -> Any:
    text = yaml.safe_dump(
        {
            "kind": "study",
            "key": key,
            "unit": "person",
            "treatment": {"column": "treated", "values": {"control": 0, "treated": 1}},
            "outcome": {"column": outcome},
            "confounders": ["region", "price"],
            "source": {"event": "visit"},
        }
    )
    return read_declaration(text, f"{key}.yaml")


def test_what_is_left_out_has_its_default() -> None:
    found = declared()
    assert (found.cost, found.budget, found.objective, found.maximum_share) == (4.0, None, "expected", 1.0)
    assert (found.interventions, found.columns) == (("offers",), ("region",))


def test_a_cost_is_a_number_or_a_column() -> None:
    assert declared(cost=35).cost == 35.0
    assert declared(cost="price").columns == ("region", "price")


def test_terms_hold_for_all_segments_or_by_segment() -> None:
    found = declared(capacity={"north": 100}, fixed_cost=5, minimum_share={"north": 0.1, "south": 0.2})
    assert list(found.named_segments) == ["north", "south"]
    again = declared(minimum_share={"south": 0.2, "north": 0.1}, fixed_cost=5.0, capacity={"north": 100})
    assert found.declaration_hash == again.declaration_hash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study": None}, "exactly one of study and studies"),
        ({"studies": ["a", "b"]}, "exactly one of study and studies"),
        ({"value": 0}, "worth nothing"),
        ({"cost": -1}, "expected a column of the study, or one cost"),
        ({"cost": True}, "expected a column of the study, or one cost"),
        ({"segments": []}, "segments"),
        ({"segments": ["a", "b", "c"]}, "segments"),
        ({"segments": ["a", "a"]}, "'a' is named twice"),
        ({"minimum_share": 0.5, "maximum_share": {"north": 0.2}}, "0.5 is above maximum_share, 0.2"),
        ({"maximum_share": 1.5}, "maximum_share"),
        ({"capacity": {"north": -1}}, "capacity"),
        ({"capacity": 1.5}, "capacity"),
        ({"budget": -1}, "budget"),
        ({"budget": float("nan")}, "budget"),
        ({"objective": "greedy"}, "objective"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declared(**change)


def test_what_it_names_must_be_there_and_fit() -> None:
    standing = Standing.of([study("offers"), study("calls"), study("visits", "visits"), declared(cost="price")])
    assert faults_of(standing) == []

    def said(**more: Any) -> list[str]:
        return [str(fault.refusal) for fault in faults_of(standing.after([declared(**more)]))]

    assert said(study="offer") == ["study: there is no study 'offer' (did you mean 'offers'?)"]
    assert said(study=None, studies=["offers", "calls"]) == []
    (sentence,) = said(study=None, studies=["offers", "visits"])
    assert sentence.startswith("studies[1]: study 'visits' has the outcome 'visits', and 'offers' 'spend'")
    assert said(segments=["regio"]) == [
        "segments[0]: study 'offers' declares no column 'regio' (did you mean 'region'?)"
    ]
    assert said(cost="fee") == ["cost: study 'offers' declares no column 'fee'"]
