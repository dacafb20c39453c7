"""Stored assignments: a unit keeps its variant until its bucket version says otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import Experiment, ExperimentRule, Filter, Flag, FlagSet, Switchback, Variant
from causeway.assignment.json_values import Json
from causeway.assignment.sticky import StickyRecord, assignment_key, is_blocked, record_key

MAY = datetime(2026, 5, 1, tzinfo=UTC)
TEST = Experiment("test", (Variant("a", 1), Variant("b", 2), Variant("c", 3)), fallback_attribute="anonymous")


def stored(attribute: str, unit: str, **assignments: str) -> dict[str, StickyRecord]:
    return {record_key(attribute, unit): StickyRecord(attribute, unit, assignments)}


def run(experiment: Experiment, sticky: dict[str, StickyRecord] | None, **context: Json) -> Evaluation:
    flags = FlagSet({"test": Flag("test", 0, (ExperimentRule(experiment),))})
    return evaluate(flags, "test", context, at=MAY, sticky=sticky)


@given(st.text(min_size=1, alphabet="abc"), st.sampled_from("abc"))
def test_a_stored_variant_outlasts_weights_targeting_layer_coverage_and_a_pause(unit: str, variant: str) -> None:
    changed = replace(
        TEST,
        weights=(0.0, 0.0, 1.0),
        coverage=0.0,
        condition={"never": "met"},
        filters=(Filter("salt", ()),),
        accepts_new_units=False,
    )
    found = run(changed, stored("id", unit, test__0=variant), id=unit)
    assert (found.variant, found.status, found.sticky_used) == (variant, "sticky", True)
    assert found.sticky is None
    assert [entry.variant for entry in found.entered] == [variant]
    assert run(changed, {}, id=unit).status == "closed_to_new_units"


@pytest.mark.parametrize("change", [{"active": False}, {"enabled": False}])
def test_a_stored_variant_does_not_outlast_the_experiment(change: dict[str, bool]) -> None:
    assert not run(replace(TEST, **change), stored("id", "u", test__0="a"), id="u").in_experiment


def test_a_new_assignment_is_to_be_stored_beside_what_is_known() -> None:
    known = stored("id", "u", other__0="x")
    found = run(TEST, known, id="u")
    assert found.sticky == StickyRecord("id", "u", {"other__0": "x", "test__0": found.variant})
    assert known == stored("id", "u", other__0="x")
    assert run(TEST, None, id="u").sticky is None
    assert run(replace(TEST, sticky=False), {}, id="u").sticky is None
    assert run(replace(TEST, coverage=0.0), {}, id="u").sticky is None


def test_an_experiment_that_is_not_sticky_looks_at_nothing_stored() -> None:
    fresh = run(TEST, None, id="u").variant
    other = next(variant for variant in "abc" if variant != fresh)
    assert run(replace(TEST, sticky=False), stored("id", "u", test__0=other), id="u").variant == fresh


def test_a_higher_bucket_version_deals_anew_and_a_minimum_shuts_the_old_ones_out() -> None:
    old = stored("id", "u", test__1="a")
    fresh = run(TEST, {}, id="u").variant
    assert run(replace(TEST, bucket_version=1), old, id="u").variant == "a"
    raised = run(replace(TEST, bucket_version=2), old, id="u")
    assert (raised.variant, raised.sticky_used) == (fresh, False)
    assert raised.sticky is not None
    assert raised.sticky.assignments == {"test__1": "a", "test__2": fresh}
    assert run(replace(TEST, bucket_version=2, min_bucket_version=1), old, id="u").in_experiment
    blocked = run(replace(TEST, bucket_version=2, min_bucket_version=2), old, id="u")
    assert (blocked.status, blocked.in_experiment, blocked.sticky) == ("blocked_by_version", False, None)


def test_only_versions_of_the_same_experiment_block() -> None:
    record = StickyRecord(
        "id", "u", {"test__x": "a", "test": "a", "another__0": "a", "test__": "a", "test__0__2026": "a"}
    )
    assert not is_blocked(record, "te", 5)
    assert not is_blocked(StickyRecord("id", "u", {"test__x": "a", "test": "a", "test__": "a"}), "test", 5)
    assert is_blocked(record, "test", 1)
    assert not is_blocked(StickyRecord("id", "u", {"test__7": "a"}), "test", 7)


def test_a_variant_that_is_gone_is_dealt_anew() -> None:
    found = run(TEST, stored("id", "u", test__0="gone"), id="u")
    assert (found.status, found.in_experiment) == ("assigned", True)


def test_an_anonymous_unit_keeps_its_variant_when_it_becomes_known() -> None:
    anonymous = run(TEST, {}, anonymous="cookie")
    assert anonymous.unit_attribute == "anonymous"
    assert anonymous.sticky is not None
    sticky = {anonymous.sticky.key: anonymous.sticky}
    for unit in map(str, range(20)):
        known = run(TEST, sticky, id=unit, anonymous="cookie")
        assert (known.variant, known.unit_id, known.sticky_used) == (anonymous.variant, unit, True)
        assert known.sticky == StickyRecord("id", unit, {"test__0": anonymous.variant})


def test_what_is_stored_of_the_known_unit_comes_before_its_anonymous_past() -> None:
    sticky = stored("id", "u", test__0="a") | stored("anonymous", "cookie", test__0="b")
    assert run(TEST, sticky, id="u", anonymous="cookie").variant == "a"


def test_without_stored_assignments_the_fallback_is_no_unit() -> None:
    """Else a unit would change its variant with the attribute that it is known by."""
    assert run(TEST, None, anonymous="cookie").status == "no_unit"
    assert run(replace(TEST, sticky=False), {}, anonymous="cookie").status == "no_unit"


def test_a_switchback_stores_a_variant_per_window() -> None:
    window = Switchback(timedelta(hours=4), MAY)
    found = run(replace(TEST, window=window), {}, id="u")
    assert found.sticky is not None
    assert list(found.sticky.assignments) == [assignment_key("test", 0, MAY)] == ["test__0__2026-05-01T00:00:00+00:00"]
    other = next(variant for variant in "abc" if variant != found.variant)
    sticky = stored("id", "u", **{assignment_key("test", 0, MAY): other, "test__0": "a"})
    assert run(replace(TEST, window=window), sticky, id="u").variant == other
    earlier = stored("id", "u", **{assignment_key("test", 0, MAY - timedelta(hours=4)): other})
    assert run(replace(TEST, window=window), earlier, id="u").variant == found.variant


def test_the_start_of_a_window_is_kept_in_utc() -> None:
    there = MAY.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert assignment_key("test", 3, there) == assignment_key("test", 3, MAY)
