"""The published OpenFeature provider for OFREP, unchanged, against the API over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

VALUES: dict[str, tuple[str, Any, Any]] = {
    "yes": ("boolean", True, False),
    "no": ("boolean", False, True),
    "text": ("string", "hello", "other"),
    "empty_text": ("string", "", "other"),
    "whole": ("integer", 42, 7),
    "zero": ("integer", 0, 7),
    "ten": ("float", 10.0, 7.5),
    "nothing_at_all": ("float", 0.0, 7.5),
    "thing": ("object", {"colour": "blue", "sizes": [1, 2]}, {"other": True}),
    "empty_thing": ("object", {}, {"other": True}),
    "list": ("object", [1, "two"], ["other"]),
    "empty_list": ("object", [], ["other"]),
}
NUMBERS = {"integer": "number", "float": "number"}


def flag(key: str, kind: str, default: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "flag", "key": key, "tenant": "acme", "type": kind, "default": default, **more}


@pytest.fixture(scope="module", autouse=True)
def flags(world):
    for key, (kind, value, _) in VALUES.items():
        world.put(flag(key, NUMBERS.get(kind, kind), value))
    canada = {"id": "canada", "if": {"country": "CA"}, "value": "maple"}
    world.put(flag("targeted", "string", "plain", rules=[canada]))
    world.put(flag("disabled", "string", "safe", enabled=False, rules=[canada]))
    world.put(flag("price", "number", 10, rules=[{"id": "canada", "if": {"country": "CA"}, "value": 10.5}]))
    world.declare("acme", "checkout", variants={"off": 1, "on": 1})
    world.declare("acme", "killed", variants={"off": 0, "on": 1}, enabled=False)
    arms = {"off": False, "on": True}
    world.put(flag("new_checkout", "boolean", False, rules=[{"id": "try", "experiment": "checkout", "values": arms}]))


@pytest.fixture(scope="module")
def client(served):
    """An OpenFeature client of the tenant acme."""
    headers = {"Authorization": f"Bearer {served.keys['acme']}"}
    api.set_provider(OFREPProvider(served.url, headers_factory=lambda: headers, timeout=10), "acme")
    yield api.get_client("acme")
    api.shutdown()


@pytest.fixture
def details(client):
    """``details(kind, key, default, **context)``: what the client says of a flag."""

    def ask(kind: str, key: str, default: Any, targeting_key: str | None = "customer-17", **attributes: Any) -> Any:
        context = EvaluationContext(targeting_key=targeting_key, attributes=attributes)
        return getattr(client, f"get_{kind}_details")(key, default, context)

    return ask


@pytest.mark.parametrize("key", VALUES)
def test_a_value_of_every_type_arrives_as_itself_also_where_it_is_falsy(details, key):
    kind, value, default = VALUES[key]
    found = details(kind, key, default)
    assert (found.error_code, found.value, type(found.value)) == (None, value, type(value))
    assert (found.reason, found.variant) == (Reason.STATIC, "default")


def test_a_context_is_not_needed_where_no_unit_is(client):
    assert client.get_string_value("text", "other") == "hello"


def test_a_rule_decides_for_whom_it_matches_and_no_other(details):
    matched, other = details("string", "targeted", "mine", country="CA"), details("string", "targeted", "mine")
    assert (matched.value, matched.reason, matched.variant) == ("maple", Reason.TARGETING_MATCH, "canada")
    assert (other.value, other.reason, other.variant) == ("plain", Reason.UNKNOWN, "default")


def test_a_flag_that_is_switched_off_gives_its_declared_default_and_says_so(details):
    found = details("string", "disabled", "mine", country="CA")
    assert (found.error_code, found.value, found.reason) == (None, "safe", Reason.DISABLED)
    assert isinstance(found.variant, str)


def test_an_experiment_that_is_switched_off_gives_control_and_says_so(details):
    found = details("string", "killed", "mine")
    assert (found.value, found.reason) == ("off", Reason.DISABLED)


def test_numbers_of_a_flag_that_knows_halves_are_floats_also_where_they_are_whole(details):
    for context, value in (({}, 10.0), ({"country": "CA"}, 10.5)):
        found = details("float", "price", 1.5, **context)
        assert (found.error_code, found.value) == (None, value)


def test_units_are_split_and_each_stays_where_it_is(details):
    seen = {}
    for number in range(200):
        found = details("boolean", "new_checkout", False, targeting_key=f"customer-{number}")
        assert found.reason is Reason.SPLIT
        assert found.variant == ("on" if found.value else "off")
        assert found.flag_metadata["experimentKey"] == "checkout"
        assert found.flag_metadata["inExperiment"] is True
        seen[number] = found.value
    assert 60 < sum(seen.values()) < 140
    for number, value in list(seen.items())[:20]:
        assert details("boolean", "new_checkout", False, targeting_key=f"customer-{number}").value is value


def test_a_flag_and_its_experiment_give_one_unit_one_variant(details):
    for number in range(20):
        unit = f"customer-{number}"
        by_flag = details("boolean", "new_checkout", False, targeting_key=unit)
        assert details("string", "checkout", "mine", targeting_key=unit).variant == by_flag.variant


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (("boolean", "not_there", True, "customer-17"), ErrorCode.FLAG_NOT_FOUND, "not_there"),
        (("boolean", "text", True, "customer-17"), ErrorCode.TYPE_MISMATCH, ""),
        (("float", "whole", 1.5, "customer-17"), ErrorCode.TYPE_MISMATCH, ""),
        (("boolean", "new_checkout", True, None), ErrorCode.TARGETING_KEY_MISSING, "targetingKey"),
        (("string", "text", "mine", "a\x00b"), ErrorCode.INVALID_CONTEXT, "targetingKey"),
        (("string", "text", "mine", "half of a pair: \ud800"), ErrorCode.PARSE_ERROR, "JSON"),
    ],
)
def test_an_error_is_told_by_its_code_and_the_callers_default_holds(details, asked, code, words):
    kind, key, default, unit = asked
    found = details(kind, key, default, targeting_key=unit)
    assert (found.value, found.reason, found.error_code) == (default, Reason.ERROR, code)
    assert words in (found.error_message or "")


def test_a_key_that_is_not_known_is_an_error_with_the_callers_default(served):
    wrong = OFREPProvider(served.url, headers_factory=lambda: {"X-API-Key": "cw_acme_nobody_nothing"})
    api.set_provider(wrong, "stranger")
    found = api.get_client("stranger").get_string_details("text", "mine")
    assert (found.value, found.error_code, found.error_message) == ("mine", ErrorCode.GENERAL, "unauthorized")


def test_another_tenants_flags_are_not_there(served):
    headers = {"X-API-Key": served.keys["globex"]}
    api.set_provider(OFREPProvider(served.url, headers_factory=lambda: headers), "globex")
    found = api.get_client("globex").get_string_details("text", "mine")
    assert (found.value, found.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)


def test_all_flags_at_once_say_what_each_says_alone(client, details, acme):
    """The Python provider asks for one flag at a time; others fetch the whole set and keep it."""
    context = {"targetingKey": "customer-17", "country": "CA"}
    answer = acme.post("/ofrep/v1/evaluate/flags", json={"context": context})
    together = {found["key"]: found for found in answer.json()["flags"]}
    assert set(together) == {*VALUES, "targeted", "disabled", "price", "checkout", "killed", "new_checkout"}
    kinds = {key: kind for key, (kind, _, _) in VALUES.items()}
    kinds |= {"targeted": "string", "disabled": "string", "price": "float", "checkout": "string"}
    kinds |= {"killed": "string", "new_checkout": "boolean"}
    for key, kind in kinds.items():
        default: Any = {"boolean": True, "string": "mine", "integer": 1, "float": 1.5, "object": {}}[kind]
        alone = details(kind, key, default, country="CA")
        assert alone.error_code is None, key
        assert (alone.value, alone.variant) == (together[key]["value"], together[key]["variant"])
        assert alone.reason == together[key]["reason"]
    unchanged = acme.post(
        "/ofrep/v1/evaluate/flags", json={"context": context}, headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")
