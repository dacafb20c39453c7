"""Declarations: what is right is read once and for all, what is wrong is named with its line."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import declaration_from_document, json_schema, read_declaration

CAMPAIGN = """\
kind: experiment
key: email_campaign
tenant: demo                # optional
unit: customer
control: none
variants: {none: 1, mens: 1, womens: 1}     # weights
metrics:
  - {key: visit, type: conversion, column: visit, role: primary}
  - {key: spend, type: mean, column: spend, role: secondary}
covariates: [recency, history]               # pre-treatment columns
segments: [channel]
source: {file: campaign.csv, unit_id: customer_id, variant: arm}
"""

STUDY = """\
kind: study
key: smoking_weight
unit: person
treatment: {column: qsmk, values: {control: 0, treated: 1}}
outcome: {column: wt82_71}
confounders: [sex, age]
instruments: []
effect_modifiers: []
negative_controls: {outcomes: [], exposures: []}
clusters: null
graph: null
known_propensity: null
target: ATE
source: {file: nhefs.csv}
"""

FEATURE = """\
kind: feature
key: calls_90d
tenant: pharma
unit: hcp
event: call
aggregation: sum
column: minutes
lookback_days: 90
"""

METRIC = """\
kind: metric
key: revenue_per_visit
unit: customer
type: ratio
event: purchase
column: amount
where: {currency: {$in: [EUR, USD]}}
denominator: {event: visit}
window_days: 14
cap: {upper_quantile: 0.99}
"""

SOURCE = """\
kind: source
key: world
tenant: pharma
simulate: {world: pharma, seed: 7, scale: 0.1}
"""

FLAG = """\
kind: flag
key: banner
type: boolean
default: false
rules: [{id: germans, if: {country: DE}, coverage: 0.5, value: true}]
"""

LAYER = """\
kind: layer
key: home
unit: customer
allocations: [{experiment: email_campaign, from: 0, to: 5000}]
"""

SAVED_GROUP = """\
kind: saved_group
key: testers
values: [a, 7]
"""

EVENT_TYPE = """\
kind: event_type
key: purchase
schema: {type: object, properties: {amount: {type: number}}}
"""

ALL = (CAMPAIGN, STUDY, METRIC, FEATURE, SOURCE, FLAG, LAYER, SAVED_GROUP, EVENT_TYPE)


def experiment(text: str = CAMPAIGN) -> ExperimentDeclaration:
    declaration = read_declaration(text, "campaign.yaml")
    assert isinstance(declaration, ExperimentDeclaration)
    return declaration


def error_of(text: str) -> DeclarationError:
    with pytest.raises(DeclarationError) as raised:
        read_declaration(text, "campaign.yaml")
    return raised.value


def edited(old: str, new: str, text: str = CAMPAIGN) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_a_declaration_holds_what_was_written() -> None:
    campaign = experiment()
    assert campaign.partition_key == "demo|email_campaign"
    assert campaign.variants == {"none": 1.0, "mens": 1.0, "womens": 1.0}
    assert campaign.primary_metric.key == "visit"
    assert [(metric.type, metric.column) for metric in campaign.metrics] == [
        ("conversion", "visit"),
        ("mean", "spend"),
    ]
    assert campaign.profile_columns == ("recency", "history", "channel")
    assert campaign.source is not None
    assert campaign.source.variant == "arm"
    assert campaign.bucketing_salt == "email_campaign"
    assert campaign.declared_at.line(("metrics", 1, "column")) == 9


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "type: mean",
            "type: averge",
            "campaign.yaml:9: metrics[1].type: 'averge' is not a metric type;"
            " expected one of conversion, count, sum, mean, ratio, retention, funnel, quantile,"
            " time_to_event (did you mean 'mean'?)",
        ),
        ("segments:", "segmnts:", "campaign.yaml:11: unknown key 'segmnts'; expected one of "),
        (
            "column: spend",
            "colum: spend",
            "campaign.yaml:9: metrics[1]: unknown key 'colum'; expected one of key, metric, type, role",
        ),
        ("unit: customer\n", "", "campaign.yaml:1: missing key 'unit'"),
        ("key: spend, ", "", "campaign.yaml:9: metrics[1]: missing key 'key'"),
        ("variant: arm", "", "campaign.yaml:12: source: missing key 'variant'"),
        ("tenant: demo", "key: twice", "campaign.yaml:3: key: this key already stands in line 2"),
        ("tenant: demo", "\ttenant: demo", "campaign.yaml:3: a tab stands where YAML wants spaces"),
        (
            "tenant: demo",
            "tenant: [demo",
            "campaign.yaml:4: is not valid YAML: while parsing a flow sequence",
        ),
        ("tenant: demo", "tenant: Demo", "campaign.yaml:3: tenant: 'Demo' does not fit"),
        ("key: email_campaign", "key: a b", "campaign.yaml:2: key: 'a b' does not fit"),
        ("key: email_campaign", "key: '..'", "campaign.yaml:2: key: needs a letter or a digit"),
        (
            "{none: 1, mens",
            "{no: 1, mens",
            'variants.no: YAML reads the key no as false; write "no" in quotes',
        ),
        ("tenant: demo", "on: demo", "campaign.yaml:3: on: YAML reads the key on as true"),
        (
            "control: none",
            "control: no",
            'campaign.yaml:5: control: YAML reads no as false; write "no" in quotes',
        ),
        ("{none: 1", "{1.5: 1, none: 1", 'YAML reads the key 1.5 as the number 1.5; write "1.5" in quotes'),
        ("{none: 1", "{null: 1, none: 1", "YAML reads the key null as null"),
        ("{none: 1", "{2024-01-01: 1, none: 1", "YAML reads the key 2024-01-01 as a date"),
        ("{none: 1", "{[a]: 1, none: 1", "a key must be one word or a quoted text"),
        ("{none: 1", "{<<: {a: 1}, none: 1", "the merge key << is not supported"),
        (
            " mens: 1",
            " mens: .nan",
            "campaign.yaml:6: variants.mens: expected a finite number, got the number nan",
        ),
        (
            " mens: 1",
            " mens: .inf",
            "campaign.yaml:6: variants.mens: expected a finite number, got the number inf",
        ),
        (" mens: 1", " mens: -1", "campaign.yaml:6: variants.mens: must be at least 0, got -1"),
        (" mens: 1", " mens: '1'", "campaign.yaml:6: variants.mens: expected a number, got the text '1'"),
        (" mens: 1", " mens: true", "campaign.yaml:6: variants.mens: expected a number, got true"),
        (
            "{none: 1, mens: 1, womens: 1}",
            "{none: 0, mens: 0.0, womens: 0}",
            "campaign.yaml:6: variants: all weights are zero",
        ),
        (
            "{none: 1, mens: 1, womens: 1}",
            "{none: 1}",
            "campaign.yaml:6: variants: an experiment needs at least two",
        ),
        ("{none: 1, mens: 1, womens: 1}", "[none, mens]", "campaign.yaml:6: variants: expected a mapping"),
        (
            "control: none",
            "control: nome",
            "campaign.yaml:5: control: 'nome' is not one of the variants 'none', 'mens', 'womens'"
            " (did you mean 'none'?)",
        ),
        ("key: spend", "key: visit", "campaign.yaml:9: metrics[1].key: there is already a metric 'visit'"),
        (
            "role: secondary",
            "role: primary",
            "campaign.yaml:9: metrics[1].role: there is already a primary metric, 'visit'",
        ),
        (", column: spend", "", "campaign.yaml:9: metrics[1]: a mean metric needs a column"),
        (", column: visit", "", "campaign.yaml:8: metrics[0]: a metric of a table needs a column"),
        (
            "column: visit,",
            "column: visit, event: x,",
            "campaign.yaml:8: metrics[0].event: a table's metrics are columns of the unit's record",
        ),
        (
            "column: visit",
            "column: arm",
            "campaign.yaml:8: metrics[0].column: 'arm' is the column of the variant",
        ),
        (
            "recency",
            "spend",
            "campaign.yaml:10: covariates[0]: 'spend' is what metric 'spend' measures;"
            " an outcome cannot be a covariate",
        ),
        ("recency", "history", "campaign.yaml:10: covariates[1]: 'history' is listed twice"),
        ("recency", "arm", "campaign.yaml:10: covariates[0]: 'arm' is the column of the variant"),
        ("channel", "visit", "campaign.yaml:11: segments[0]: 'visit' is what metric 'visit' measures"),
        (
            "[recency, history]",
            "recency",
            "campaign.yaml:10: covariates: expected a list such as [a, b], got the text",
        ),
        ("[recency, history]", "", "campaign.yaml:10: covariates: is empty; expected a list"),
        (
            "{file: campaign.csv, ",
            "{",
            "campaign.yaml:12: source: a source needs exactly one of file and dataset",
        ),
        (
            "unit_id: customer_id",
            "dataset: x",
            "campaign.yaml:12: source: a source needs exactly one of file and dataset",
        ),
        ("tenant: demo", "start: 2024", "campaign.yaml:3: start: 2024 is not a date such as 2024-01-31"),
        (
            "tenant: demo",
            "start: 2024-02-30",
            "campaign.yaml:3: start: 2024-02-30 is not a day of the calendar",
        ),
        (
            "tenant: demo",
            "start: 2024-02-01\nend: 2024-01-01",
            "campaign.yaml:4: end: 2024-01-01 is before the start",
        ),
        ("tenant: demo", "decision: {alpha: 1}", "campaign.yaml:3: decision.alpha: must be below 1, got 1"),
        (
            "kind: experiment",
            "kind: experimnt",
            "campaign.yaml:1: kind: 'experimnt' is not a kind of declaration; expected one of",
        ),
        (
            "kind: experiment\n",
            "",
            "campaign.yaml:1: missing key 'kind'; expected one of experiment, study, kpi, metric, feature",
        ),
        ("tenant: demo", "tenant: !!python/name:os.system x", "campaign.yaml:3: tenant: the tag "),
        (
            "segments: [channel]",
            "segments: [channel]\n---\na: b",
            "campaign.yaml:13: a second document starts here",
        ),
        ("tenant: demo", 'name: "\\ud800"', "campaign.yaml:3: name: is not valid Unicode text"),
        ("tenant: demo", "salt: ''", "campaign.yaml:3: salt: is empty; expected text"),
        ("tenant: demo", 'salt: "a\\0b"', "campaign.yaml:3: salt: has a control character in it"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, message: str) -> None:
    assert message in str(error_of(edited(old, new)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "campaign.yaml:1: the document is empty"),
        ("# nothing\n", "campaign.yaml:1: the document is empty"),
        ("---\n...\n", "campaign.yaml:1: the document is empty"),
        ("- a\n", "campaign.yaml:1: expected a mapping that starts with kind:"),
        ("kind: study\0", "campaign.yaml:1: the character U+0000 is not allowed in YAML"),
        ("kind: study\na: " + "[" * 5000, "campaign.yaml:2: is nested more than 20 levels deep"),
        ("kind: study\nkey: &a [*a]", "aliases make this declaration too large, or contain themselves"),
        ('a: "\\UFFFFFFFF"', "campaign.yaml:1: is not valid YAML"),
        ("a: b\n" * 60_000, "a declaration has at most 262,144"),
    ],
)
def test_text_that_is_no_declaration_at_all_is_refused(text: str, message: str) -> None:
    assert message in str(error_of(text))


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["kind: experiment", "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "aliases make this declaration too large" in str(error_of("\n".join(lines)))


def test_every_problem_is_reported_in_the_order_of_the_text() -> None:
    text = edited("type: mean", "type: averge", edited("control: none", "control: nome", edited("unit:", "unt:")))
    text = edited("[recency, history]", "[recency, visit]", text)
    error = error_of(text)
    assert [problem.line for problem in error.problems] == [1, 4, 5, 9]
    assert len(str(error).splitlines()) == 4
    assert (error.line, error.column) == (1, 1)
    assert error.message.startswith("missing key 'unit'")


def test_whole_numbers_are_names_and_only_their_plain_digits() -> None:
    text = edited("{none: 1, mens: 1, womens: 1}", "{0: 1, 1: 1, 007: 2}", edited("control: none", "control: 0"))
    assert experiment(text).variants == {"0": 1.0, "1": 1.0, "007": 2.0}


def test_numbers_are_read_as_yaml_1_2_writes_them() -> None:
    declared = experiment(edited("tenant: demo", "decision: {min_relative_effect: 1e-3, alpha: .1}"))
    assert declared.decision.min_relative_effect == 0.001
    assert declared.decision.alpha == 0.1


def test_the_first_metric_is_primary_when_none_says_so() -> None:
    declared = experiment(edited(", role: primary", ""))
    assert [metric.role for metric in declared.metrics] == ["primary", "secondary"]
    assert declared.declaration_hash == experiment().declaration_hash


def test_comments_formatting_and_key_order_do_not_change_the_hash() -> None:
    lines = CAMPAIGN.replace("# optional", "# another remark").splitlines()
    reordered = [*lines[:6][::-1], *lines[6:]]
    text = "\n\n".join(reordered).replace("{none: 1, mens: 1, womens: 1}", "{womens: 1.0, 'none': 1, mens: 1}")
    assert experiment(text).declaration_hash == experiment().declaration_hash
    assert experiment(text).ordered_variants == experiment().ordered_variants
    assert experiment(text) == experiment()


def test_spelling_out_a_default_does_not_change_the_hash() -> None:
    text = edited("tenant: demo", "tenant: demo\ndecision: {alpha: 0.05}\nowner: null")
    # An empty owner is what leaving it out means.
    assert experiment(text).declaration_hash == experiment().declaration_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[recency, history]", "[history, recency]"),
        ("womens: 1", "womens: 2"),
        ("tenant: demo", "tenant: other"),
    ],
)
def test_meaning_changes_the_hash(old: str, new: str) -> None:
    assert experiment(edited(old, new)).declaration_hash != experiment().declaration_hash


def test_control_comes_first_among_the_ordered_variants() -> None:
    assert experiment().ordered_variants == (("none", 1.0), ("mens", 1.0), ("womens", 1.0))


@pytest.mark.parametrize("text", ALL)
def test_a_declaration_survives_the_way_through_json(text: str) -> None:
    declaration = read_declaration(text, "any.yaml")
    for document in (declaration.document(), json.loads(declaration.canonical_json())):
        again = declaration_from_document(json.loads(json.dumps(document)))
        assert again == declaration
        assert again.declaration_hash == declaration.declaration_hash


@pytest.mark.parametrize("text", ALL)
def test_the_schema_for_editors_accepts_declarations_and_refuses_unknown_keys(text: str) -> None:
    schema = json_schema()
    document = read_declaration(text, "any.yaml").document()
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "unheard_of": 1}, schema)


@settings(max_examples=150)
@given(st.text() | st.text(alphabet="{}[]:,-&*!|>'\"%@`#?<~ \n\tab01.e"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_declaration(text, "any.yaml")
    except DeclarationError as error:
        assert error.line >= 1


@settings(max_examples=300)
@given(
    st.sampled_from(ALL),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 12),
            st.sampled_from(["", "\n", "- ", "{", "]", "*a", "&a ", "no", ".nan", "'", ": "]),
        ),
        max_size=4,
    ),
)
def test_a_damaged_declaration_is_read_or_refused(text: str, damages: list[tuple[float, int, str]]) -> None:
    for where, length, replacement in damages:
        at = int(where * len(text))
        text = text[:at] + replacement + text[at + length :]
    try:
        declaration = read_declaration(text, "any.yaml")
    except DeclarationError as error:
        assert all(problem.sentence for problem in error.problems)
    else:
        assert declaration_from_document(declaration.document()) == declaration
