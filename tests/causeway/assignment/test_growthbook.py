"""GrowthBook's published cases through the evaluator that serves, and the scorecard of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from causeway.assignment.conditions import compile_condition
from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import ExperimentRule, FlagSet
from causeway.assignment.growthbook.reading import (
    experiment_from_definition,
    flag_set_from_payload,
    flag_set_with_experiment,
    sticky_records,
)
from causeway.assignment.growthbook.results import feature_result
from causeway.assignment.growthbook.urls import is_on_page, query_string_override, redirect_with_query
from causeway.assignment.hashing import bucket_ranges, choose_variation, equal_weights, hash_unit
from causeway.assignment.sticky import record_key

Case = list[Any]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"
OUT_OF_SCOPE = {"decrypt"}


@pytest.fixture(scope="module")
def cases(conformance_data: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((conformance_data / "growthbook-cases.json").read_text(encoding="utf-8"))
    return parsed


def flags_of(context: Mapping[str, Any]) -> FlagSet:
    return flag_set_from_payload(
        context, enabled=context.get("enabled", True), qa_mode=bool(context.get("qaMode", False))
    )


def forced_in(context: Mapping[str, Any], flags: FlagSet) -> dict[str, int | str]:
    """Variants that the context names, and before them those that its address asks for."""
    forced = dict(context.get("forcedVariations") or {})
    for flag in flags.flags.values():
        for rule in flag.rules:
            if isinstance(rule, ExperimentRule):
                key, variants = rule.experiment.key, len(rule.experiment.variants)
                asked = query_string_override(key, context.get("url") or "", variants)
                forced |= {} if asked is None else {key: asked}
    return forced


def hashes(case: Case) -> bool:
    seed, value, version, expected = case
    return hash_unit(seed, value, version) == expected


def has_bucket_ranges(case: Case) -> bool:
    _, (variations, coverage, weights), expected = case
    found = bucket_ranges(variations, coverage, weights)
    return [list(bounds) for bounds in found] == [pytest.approx(bounds) for bounds in expected]


def chooses_variation(case: Case) -> bool:
    _, value, ranges, expected = case
    return choose_variation(value, [tuple(bounds) for bounds in ranges]) == expected


def has_equal_weights(case: Case) -> bool:
    variations, expected = case
    return equal_weights(variations) == pytest.approx(expected, abs=1e-8)


def is_in_namespace(case: Case) -> bool:
    """An experiment that everybody is in, save for its namespace."""
    _, unit, namespace, expected = case
    definition = {"key": "any", "variations": [0, 1], "namespace": namespace}
    flags, key = flag_set_with_experiment(FlagSet({}), definition)
    found = evaluate(flags, key, {"id": unit})
    return found.in_experiment is expected and found.status == ("assigned" if expected else "layer")


def meets_condition(case: Case) -> bool:
    _, condition, attributes, expected, *groups = case
    return compile_condition(condition, groups[0] if groups else None)(attributes) is expected


def is_feature(case: Case) -> bool:
    _, context, key, expected = case
    flags, attributes = flags_of(context), context.get("attributes") or {}
    found = evaluate(flags, key, attributes, forced=forced_in(context, flags))
    return feature_result(flags, context, attributes, found) == expected


def runs(case: Case) -> bool:
    _, context, definition, value, inside, hash_used = case
    flags, key = flag_set_with_experiment(flags_of(context), definition)
    found = evaluate(flags, key, context.get("attributes") or {}, forced=forced_in(context, flags))
    return [found.value, found.in_experiment, found.in_experiment and found.status != "forced"] == [
        value,
        inside,
        hash_used,
    ]


def is_sticky(case: Case) -> bool:
    """Both the answer and what is stored afterwards of the unit's own attributes."""
    _, context, documents, key, expected, stored_afterwards = case
    flags, attributes = flag_set_from_payload(context), context["attributes"]
    own = {record_key(name, str(value)) for name, value in attributes.items()}
    sticky = {name: record for name, record in sticky_records(documents).items() if name in own}
    found = evaluate(flags, key, attributes, sticky=sticky)
    if found.sticky is not None:
        sticky[found.sticky.key] = found.sticky
    stored = {
        name: {"attributeName": each.attribute, "attributeValue": each.value, "assignments": dict(each.assignments)}
        for name, each in sticky.items()
    }
    answer = feature_result(flags, context, attributes, found).get("experimentResult")
    return answer == expected and stored == stored_afterwards


def overrides_by_query(case: Case) -> bool:
    _, experiment, url, variants, expected = case
    return query_string_override(experiment, url, variants) == expected


def redirects(case: Case) -> bool:
    """The first experiment on the page that the unit is in leads it elsewhere."""
    _, context, expected = case
    found = []
    for definition in context["experiments"]:
        if found or not is_on_page(context["url"], definition["urlPatterns"]):
            continue
        flags, key = flag_set_with_experiment(FlagSet({}), definition)
        evaluation = evaluate(flags, key, context["attributes"])
        assert isinstance(evaluation.value, Mapping)
        target = str(evaluation.value["urlRedirect"])
        with_query = redirect_with_query(context["url"], target) if definition.get("persistQueryString") else target
        found.append({"inExperiment": evaluation.in_experiment, "urlRedirect": target, "urlWithParams": with_query})
    return found == expected


SECTIONS: dict[str, Callable[[Case], bool]] = {
    "hash": hashes,
    "getBucketRange": has_bucket_ranges,
    "chooseVariation": chooses_variation,
    "inNamespace": is_in_namespace,
    "getEqualWeights": has_equal_weights,
    "evalCondition": meets_condition,
    "feature": is_feature,
    "run": runs,
    "stickyBucket": is_sticky,
    "contextualBandit": is_feature,
    "getQueryStringOverride": overrides_by_query,
    "urlRedirect": redirects,
}


def test_every_section_but_decryption_is_held_against(cases: dict[str, Any]) -> None:
    assert {name for name, section in cases.items() if isinstance(section, list)} == set(SECTIONS) | OUT_OF_SCOPE


def test_every_case_passes_and_the_page_shows_the_scorecard(
    cases: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {name: [case[0] for case in cases[name] if not passes(case)] for name, passes in SECTIONS.items()}
    rows = [f"| {name} | {len(cases[name])} | {len(cases[name]) - len(failed[name])} |" for name in SECTIONS]
    scorecard = "\n".join(["| section | cases | passed |", "|---|---|---|", *rows])
    with capsys.disabled():
        print(f"\nGrowthBook's cases, version {cases['specVersion']}\n{scorecard}")
    assert not any(failed.values()), failed
    assert scorecard in PAGE.read_text(encoding="utf-8")
    assert f"version {cases['specVersion']}" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SECTIONS)
def test_the_check_of_a_section_can_fail(name: str, cases: dict[str, Any]) -> None:
    """Every check is shown a case with another case's answer."""
    passes, section = SECTIONS[name], cases[name]
    place = {"getEqualWeights": 1, "run": 3, "stickyBucket": 4, "evalCondition": 3}.get(name, -1)
    answers = {json.dumps(case[place], sort_keys=True): case[place] for case in section}
    wrong = []
    for case in section:
        other = next(value for text, value in answers.items() if text != json.dumps(case[place], sort_keys=True))
        changed = [*case]
        changed[place] = other
        wrong.append(passes(changed))
    assert not any(wrong)


def test_the_first_of_two_values_in_a_query_is_taken() -> None:
    assert query_string_override("a", "https://example.com/?a=1&a=0", 2) == 1
    assert query_string_override("a", "https://[::1/?a=1", 2) is None
    assert query_string_override("a", "https://example.com/?a=²", 9) is None


@pytest.mark.parametrize(
    ("url", "patterns", "expected"),
    [
        ("https://example.com/shop/cart?a=1", [], True),
        ("https://example.com/shop/cart", [{"type": "simple", "pattern": "/shop/*"}], True),
        ("https://example.com/shop/cart", [{"type": "simple", "pattern": "*.com/shop/cart"}], True),
        ("https://example.com/shop", [{"type": "simple", "pattern": "/shop/*"}], False),
        ("https://example.com/shop?a=1", [{"type": "simple", "pattern": "/shop?a=2"}], False),
        ("https://example.com/shop/7", [{"type": "regex", "pattern": "^/shop/[0-9]+$"}], True),
        ("https://example.com/shop/7", [{"type": "regex", "pattern": "("}], False),
        (
            "https://example.com/shop/7",
            [{"type": "simple", "pattern": "/shop/*"}, {"type": "simple", "pattern": "/shop/7", "include": False}],
            False,
        ),
        ("https://example.com/shop/7", [{"type": "simple", "pattern": "/cart", "include": False}], True),
    ],
)
def test_an_experiment_is_on_the_pages_of_its_patterns(
    url: str, patterns: list[dict[str, Any]], expected: bool
) -> None:
    assert is_on_page(url, patterns) is expected


def test_a_rule_with_an_unknown_version_of_the_hash_takes_nobody_but_whom_the_caller_forces() -> None:
    definition = {"key": "odd", "variations": [0, 1], "hashVersion": 99}
    flags, key = flag_set_with_experiment(FlagSet({}), definition)
    assert evaluate(flags, key, {"id": "1"}).status == "coverage"
    assert evaluate(flags, key, {"id": "1"}, forced={"odd": 1}).value == 1


def test_variants_whose_names_repeat_are_numbered() -> None:
    definition = {"key": "twins", "variations": ["a", "b"], "meta": [{"key": "x"}, {"key": "x"}]}
    assert [variant.key for variant in experiment_from_definition(definition).variants] == ["0", "1"]
