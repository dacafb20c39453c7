"""Flags: every value is of the flag's type, and every rule decides in one way."""

from __future__ import annotations

import jsonschema
import pytest

from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import json_schema, read_declaration

FLAG = """\
kind: flag
key: banner
type: {type}
default: {default}
rules:
"""


def flag(rule: str, type: str = "boolean", default: str = "false") -> FlagDeclaration:
    declared = read_declaration(FLAG.format(type=type, default=default) + f"  - {rule}\n", "banner.yaml")
    assert isinstance(declared, FlagDeclaration)
    return declared


@pytest.mark.parametrize(
    ("type", "default", "value"),
    [
        ("boolean", "false", "true"),
        ("string", "''", "'0'"),
        ("number", "0", "0.5"),
        ("object", "{}", "{a: [1]}"),
        ("object", "[]", "[a]"),
    ],
)
def test_a_flag_has_values_of_its_type_and_false_or_empty_ones_are_values(type: str, default: str, value: str) -> None:
    declared = flag(f"{{id: a, value: {value}}}", type, default)
    assert declared.default is not None
    assert declared.document()["rules"][0]["value"] == declared.rules[0].value
    false = flag(f"{{id: a, value: {default}}}", type, default)
    assert false.rules[0].value == false.default


def test_a_rule_is_written_with_if_and_stored_with_it() -> None:
    document = flag("{id: a, if: {country: DE}, value: true}").document()
    assert document["rules"][0]["if"] == {"country": "DE"}
    jsonschema.validate(document, json_schema())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{id: a, value: 1}", "banner.yaml:6: rules[0].value: is of type number, the flag is of type boolean"),
        ("{id: a, value: null}", "banner.yaml:6: rules[0]: a rule needs exactly one of value and experiment"),
        ("{id: a, value: true, experiment: e}", "banner.yaml:6: rules[0]: a rule needs exactly one of value and exp"),
        ("{id: a, experiment: e}", "banner.yaml:6: rules[0]: a rule with an experiment needs values"),
        ("{id: a, value: true, values: {on_: true}}", "banner.yaml:6: rules[0].values: are for the variants of an"),
        ("{id: a, experiment: e, values: {b: 1}}", "rules[0].values.b: is of type number, the flag is of type"),
        ("{id: a, experiment: e, values: {b: true}, salt: s}", "banner.yaml:6: rules[0].salt: is for rules with a"),
        ("{id: a, iff: {}, value: true}", "rules[0]: unknown key 'iff'; expected one of id, if, prerequisites"),
        ("{value: true}", "banner.yaml:6: rules[0]: missing key 'id'"),
        ("{id: a, value: true}\n  - {id: a, value: true}", "banner.yaml:7: rules[1].id: there is already a rule 'a'"),
        ("{id: a, if: x, value: true}", "banner.yaml:6: rules[0].if: expected a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(rule: str, message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        flag(rule)
    assert message in str(raised.value)


def test_the_default_has_the_type_too() -> None:
    with pytest.raises(
        DeclarationError, match=r"banner.yaml:4: default: is of type string, the flag is of type number"
    ):
        flag("{id: a, value: 1}", "number", "'1'")


def test_true_and_one_are_different_values() -> None:
    """Python takes them for equal; a hash that did so would let an edit go unseen."""
    one, true = (flag(f"{{id: a, value: {{x: {value}}}}}", "object", "{}") for value in ("1", "true"))
    assert one.declaration_hash != true.declaration_hash
