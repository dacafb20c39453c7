"""No context and no flag set that can be made breaks an evaluation, and it answers the same every time."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.assignment.evaluate import evaluate
from causeway.assignment.explain import explain
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Holdout,
    Leaf,
    Prerequisite,
    RampStep,
    Switchback,
    Variant,
)
from causeway.assignment.growthbook.reading import flag_set_from_payload
from causeway.assignment.hashers import HASHERS
from causeway.assignment.json_values import Json
from causeway.assignment.sticky import StickyRecord, record_key
from tests.causeway.assignment.test_conditions import CONDITIONS, JSON

KEYS = ("a", "b", "c")
MAY = datetime(2026, 5, 1, tzinfo=UTC)
ATTRIBUTES = st.sampled_from(["id", "a", "cookie"])
CONTEXTS = st.dictionaries(st.sampled_from(["id", "a", "b", "cookie"]), JSON | st.text(min_size=1))
RANGES = st.lists(st.tuples(st.floats(-1, 2), st.floats(-1, 2)), max_size=3).map(tuple)
FILTERS = st.builds(
    Filter, seed=st.sampled_from("xy"), ranges=RANGES, attribute=ATTRIBUTES, hasher=st.sampled_from(list(HASHERS))
)
PREREQUISITES = st.builds(
    Prerequisite, flag=st.sampled_from([*KEYS, "missing"]), condition=CONDITIONS, gate=st.booleans()
)
VARIANTS = st.lists(
    st.builds(Variant, key=st.sampled_from("xyz"), value=JSON, passthrough=st.booleans()),
    max_size=3,
    unique_by=lambda variant: variant.key,
).map(tuple)
WINDOWS = st.builds(Switchback, length=st.just(timedelta(hours=3)), origin=st.just(MAY))
STEPS = st.lists(
    st.builds(RampStep, at=st.datetimes(timezones=st.just(UTC)), coverage=st.floats(allow_nan=True)), max_size=3
).map(tuple)
LEAVES = st.lists(st.builds(Leaf, id=st.integers(), condition=CONDITIONS, weights=st.just((0.5, 0.5))), max_size=2).map(
    tuple
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    contextual = draw(st.booleans())
    hasher = draw(st.sampled_from(["growthbook_v1", "growthbook_v2"] if contextual else list(HASHERS)))
    return Experiment(
        key=draw(st.sampled_from(KEYS)),
        variants=draw(VARIANTS),
        coverage=draw(st.floats(allow_nan=True)),
        hasher=hasher,
        ranges=draw(st.none() | RANGES) if hasher.startswith("growthbook") else None,
        attribute=draw(ATTRIBUTES),
        fallback_attribute=draw(st.none() | ATTRIBUTES),
        condition=draw(st.none() | CONDITIONS),
        prerequisites=tuple(draw(st.lists(PREREQUISITES, max_size=2))),
        filters=tuple(draw(st.lists(FILTERS, max_size=2))),
        holdouts=tuple(
            draw(st.lists(st.builds(Holdout, flag=st.sampled_from(KEYS), variant=st.just("x")), max_size=1))
        ),
        forced=draw(st.dictionaries(st.text(max_size=1), st.sampled_from("xyz"), max_size=2)),
        force=draw(st.none() | st.integers(-2, 3)),
        sticky=draw(st.booleans()),
        bucket_version=draw(st.integers(0, 3)),
        min_bucket_version=draw(st.integers(0, 10**9)),
        window=draw(st.none() | WINDOWS),
        ramp=() if contextual else draw(STEPS),
        leaves=draw(LEAVES) if contextual else None,
        accepts_new_units=draw(st.booleans()),
    )


RULES = st.one_of(
    st.builds(
        ForceRule,
        value=JSON,
        condition=st.none() | CONDITIONS,
        prerequisites=st.lists(PREREQUISITES, max_size=2).map(tuple),
        filters=st.lists(FILTERS, max_size=1).map(tuple),
        coverage=st.none() | st.floats(allow_nan=True),
        range=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
        hasher=st.sampled_from(list(HASHERS)),
    ),
    st.builds(ExperimentRule, experiment=experiments(), prerequisites=st.lists(PREREQUISITES, max_size=2).map(tuple)),
)
FLAG_SETS = st.fixed_dictionaries({key: st.lists(RULES, max_size=3).map(tuple) for key in KEYS}).map(
    lambda rules: FlagSet({key: Flag(key, None, each) for key, each in rules.items()})
)
STICKY = st.none() | st.dictionaries(
    st.sampled_from([f"{key}__{version}" for key in KEYS for version in range(3)]), st.sampled_from("xyz")
).map(lambda stored: {record_key("id", "u"): StickyRecord("id", "u", stored)})


@settings(max_examples=120)
@given(FLAG_SETS, CONTEXTS, st.none() | st.datetimes(timezones=st.none() | st.just(UTC)), STICKY)
def test_every_evaluation_ends_and_is_repeatable(
    flag_set: FlagSet, context: dict[str, Json], at: datetime | None, sticky: dict[str, StickyRecord] | None
) -> None:
    for key in (*KEYS, "missing"):
        found = evaluate(flag_set, key, context, at=at, sticky=sticky)
        # By their text, because NaN in a value is not equal to itself.
        assert repr(evaluate(flag_set, key, context, at=at, sticky=sticky)) == repr(found)
        assert repr(explain(flag_set, key, context, at=at, sticky=sticky).evaluation) == repr(found)
        assert found.hash_value is None or 0 <= found.hash_value <= 1
        assert found.in_experiment == (found.status in ("assigned", "sticky", "forced"))
        assert len({entry.experiment for entry in found.entered}) <= len(KEYS)


HALVES = Experiment("h", (Variant("off", 0), Variant("on", 1)), condition={"deep": {"$ne": 1}})
NEST: Any = []
for _ in range(100_000):
    NEST = [NEST]


@pytest.mark.parametrize(
    "context",
    [
        {"id": "x" * 1_000_000},
        {"id": "\ud800", "deep": "\udfff"},
        {"id": "u", "deep": NEST},
        {"id": NEST},
        {"id": "u", "deep": float("nan")},
        {"id": 10**5_000},
        {"id": "\x00"},
        [],
        None,
        "text",
    ],
    ids=["1 MB", "surrogates", "deep", "deep id", "NaN", "huge number", "null byte", "list", "nothing", "text"],
)
def test_odd_contexts_are_answered(context: Any) -> None:
    flag_set = FlagSet({"h": Flag("h", None, (ExperimentRule(HALVES), ForceRule(1, condition={"deep": [[1]]})))})
    assert evaluate(flag_set, "h", context).status in ("assigned", "no_unit")


def test_ranges_beyond_the_last_variant_deal_out_nothing() -> None:
    experiment = Experiment("r", (Variant("a", 1), Variant("b", 2)), ranges=((0, 0.1), (0.1, 0.2), (0.2, 1)))
    flag_set = FlagSet({"r": Flag("r", 0, (ExperimentRule(experiment),))})
    found = Counter(
        (each.variant, each.status) for each in (evaluate(flag_set, "r", {"id": f"u{n}"}) for n in range(99))
    )
    assert set(found) == {("a", "assigned"), ("b", "assigned"), (None, "coverage")}


@given(JSON)
def test_odd_payloads_are_read_or_refused_as_values(value: Any) -> None:
    payload = {"features": {"f": {"defaultValue": value, "rules": [{"force": value, "condition": {"a": value}}]}}}
    flag_set = flag_set_from_payload(payload)
    evaluate(flag_set, "f", {"a": value, "id": value})


def test_weights_and_coverage_are_respected_by_the_evaluator_itself() -> None:
    experiment = Experiment("w", (Variant("a", 1), Variant("b", 2)), (0.2, 0.8), coverage=0.5)
    flag_set = FlagSet({"w": Flag("w", None, (ExperimentRule(experiment),))})
    number = 50_000
    counts = Counter(evaluate(flag_set, "w", {"id": f"{unit:016x}"}).variant for unit in range(number))
    for variant, share in ((None, 0.5), ("a", 0.1), ("b", 0.4)):
        assert abs(counts[variant] - number * share) < 5 * math.sqrt(number * share * (1 - share))


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.floats(0, 1), min_size=2))
def test_a_ramp_that_rises_never_lets_go_of_a_unit(unit: str, shares: list[float]) -> None:
    steps = tuple(RampStep(MAY + timedelta(days=day), share) for day, share in enumerate(sorted(shares)))
    experiment = Experiment("r", (Variant("a", 1), Variant("b", 2)), ramp=steps)
    flag_set = FlagSet({"r": Flag("r", None, (ExperimentRule(experiment),))})
    variants = [evaluate(flag_set, "r", {"id": unit}, at=step.at).variant for step in steps]
    inside = [variant for variant in variants if variant is not None]
    assert variants == [None] * (len(variants) - len(inside)) + inside
    assert len(set(inside)) <= 1
