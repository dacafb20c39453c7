"""Studies: every column has one role, and what cannot be estimated is refused where it is declared."""

from __future__ import annotations

import pytest

from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration
from causeway.declarations.study import StudyDeclaration

STUDY = """\
kind: study
key: schooling
unit: person
treatment: {column: degree, values: {control: none, treated: college}}
outcome: {column: wage}
confounders: [age, region]
instruments: [near_college]
effect_modifiers: [age]
negative_controls: {outcomes: [height], exposures: [tea]}
clusters: school
graph: [[age, degree], [degree, wage]]
known_propensity: 0.4
target: LATE
source: {file: card.csv, unit_id: id}
"""


def study(text: str = STUDY) -> StudyDeclaration:
    declaration = read_declaration(text.replace("none", '"none"'), "study.yaml")
    assert isinstance(declaration, StudyDeclaration)
    return declaration


def test_columns_are_listed_once_with_their_first_mention() -> None:
    assert study().columns == {
        "degree": ("treatment", "column"),
        "wage": ("outcome", "column"),
        "age": ("confounders", 0),
        "region": ("confounders", 1),
        "near_college": ("instruments", 0),
        "height": ("negative_controls", "outcomes", 0),
        "tea": ("negative_controls", "exposures", 0),
        "school": ("clusters",),
    }
    assert study().graph == (("age", "degree"), ("degree", "wage"))


def test_a_treatment_on_a_scale_needs_no_values_and_an_event_no_file() -> None:
    text = STUDY.replace(", values: {control: none, treated: college}", "").replace(
        "{file: card.csv, unit_id: id}", "{event: patient_journey}"
    )
    assert study(text).treatment.values is None
    assert study(text).source.event == "patient_journey"


def test_a_column_may_be_the_known_propensity() -> None:
    assert "p" in study(STUDY.replace("0.4", "p")).columns


DESIGNED = (
    STUDY.replace("known_propensity: 0.4", "known_propensity: p").replace("target: LATE", "target: ATE")
    + """\
blocks: site
weights: w
outcomes: [hours, health]
segments: [sex, region]
policy: {cost: price, value: -2, budget: 0.25}
"""
)


def test_the_columns_of_every_role_are_listed() -> None:
    found = study(DESIGNED)
    assert list(found.columns) == [
        "degree", "wage", "hours", "health", "age", "region", "near_college", "height", "tea", "school", "p", "site",
        "w", "price", "sex",
    ]  # fmt: skip
    assert found.columns["price"] == ("policy", "cost")
    assert found.columns["health"] == ("outcomes", 1)
    assert found.number_columns == {"wage", "hours", "health", "p", "w", "price"}
    assert found.label_columns == {"school", "site", "sex"}, "a region that is a confounder too is a value"


def test_a_policy_has_neither_cost_nor_budget_unless_it_says_so() -> None:
    assert study(STUDY).policy is None
    policy = study(STUDY + "policy: {value: 3}\n").policy
    assert policy is not None
    assert (policy.cost, policy.value, policy.budget) == (0.0, 3.0, None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weights: w", "weights: wage", "weights: 'wage' is a declared outcome and cannot be a column of weights"),
        ("weights: w", "weights: school", "weights: 'school' is a declared column of clusters"),
        ("blocks: site", "blocks: degree", "blocks: 'degree' is a declared treatment and cannot be a column of blocks"),
        ("clusters: school", "clusters: wage", "clusters: 'wage' is a declared outcome"),
        ("known_propensity: p", "known_propensity: hours", "known_propensity: 'hours' is a declared further outcome"),
        ("[hours, health]", "[hours, hours]", "outcomes[1]: 'hours' is listed twice"),
        ("[hours, health]", "[hours, wage]", "outcomes[1]: 'wage' is a declared outcome"),
        ("[hours, health]", "[hours, degree]", "outcomes[1]: 'degree' is a declared treatment"),
        ("[hours, health]", "[hours, age]", "confounders[0]: 'age' is a declared further outcome"),
        ("outcomes: [height]", "outcomes: [age]", "negative_controls.outcomes[0]: 'age' is a declared confounder"),
        ("outcomes: [height]", "outcomes: [wage]", "negative_controls.outcomes[0]: 'wage' is a declared outcome"),
        ("exposures: [tea]", "exposures: [height]", "exposures[0]: 'height' is a declared negative control outcome"),
        ("exposures: [tea]", "exposures: [degree]", "exposures[0]: 'degree' is a declared treatment"),
        ("[sex, region]", "[sex, degree]", "segments[1]: 'degree' is a declared treatment and cannot be a segment"),
        ("[sex, region]", "[sex, hours]", "segments[1]: 'hours' is a declared further outcome"),
        ("[sex, region]", "[sex, sex]", "segments[1]: 'sex' is listed twice"),
        ("unit_id: id", "unit_id: w", "source.unit_id: 'w' is a declared column of weights as well"),
        ("unit_id: id", "unit_id: sex", "source.unit_id: 'sex' is a declared segment as well"),
        ("cost: price", "cost: wage", "policy.cost: 'wage' is a declared outcome"),
        ("cost: price", "cost: -1", "policy.cost: expected a column, or one number that is not negative"),
        ("value: -2", "value: 0", "policy.value: is 0"),
        ("budget: 0.25", "budget: 25", "policy.budget: expected a share of the units above 0 and up to 1"),
        ("budget: 0.25", "budgets: 0.25", "budget"),
    ],
)
def test_roles_that_contradict_are_named_with_both(old: str, new: str, message: str) -> None:
    assert old in DESIGNED
    with pytest.raises(DeclarationError) as raised:
        study(DESIGNED.replace(old, new, 1))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "treated: college",
            "treated: none",
            "study.yaml:4: treatment.values.treated: 'none' is the value of control",
        ),
        ("treated: college", "treated: [1]", "study.yaml:4: treatment.values.treated: expected one value"),
        (
            "{column: wage}",
            "{column: degree}",
            "study.yaml:5: outcome.column: 'degree' is the treatment as well",
        ),
        ("[age, region]", "[age, wage]", "study.yaml:6: confounders[1]: 'wage' is a declared outcome"),
        ("[age, region]", "[age, degree]", "study.yaml:6: confounders[1]: 'degree' is a declared treatment"),
        ("[age, region]", "[age, age]", "study.yaml:6: confounders[1]: 'age' is listed twice"),
        ("[near_college]", "[age]", "study.yaml:7: instruments[0]: 'age' is a declared confounder"),
        (
            "[near_college]",
            "[]",
            "study.yaml:13: target: LATE is the effect on those whom an instrument moves",
        ),
        (
            "target: LATE",
            "target: ATX",
            "study.yaml:13: target: 'ATX' is not a target; expected one of ATE, ATT, ATC, LATE",
        ),
        ("0.4", "1.5", "study.yaml:12: known_propensity: expected a column, or one probability"),
        ("[degree, wage]]", "[degree]]", "study.yaml:11: graph: expected a DOT text, or a list of edges"),
        (
            "{file: card.csv, unit_id: id}",
            "{}",
            "study.yaml:14: source: a source needs exactly one of file and event",
        ),
        ("{file: card.csv, ", "{event: e, ", "study.yaml:14: source.unit_id: an event names its unit itself"),
        ("unit_id: id", "unit_id: wage", "study.yaml:14: source.unit_id: 'wage' is the outcome as well"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, message: str) -> None:
    assert old in STUDY
    with pytest.raises(DeclarationError) as raised:
        study(STUDY.replace(old, new, 1))
    assert message in str(raised.value)
