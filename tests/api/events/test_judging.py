"""An event is judged as its description says, at the speed of a loop; and told apart from another by what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.events import models
from api.events.event_types import Catalogue, EventType
from api.events.judging import Event, Refusal, judge
from api.events.reading import Batch, read_batch
from causeway.declarations.event_type import properties_validator

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "source": "shop", "id": "o1", "type": "order", "unit_id": "u1", "occurred_at": "2026-01-31T11:00:00Z",
    "properties": {"spend": 1},
}  # fmt: skip
NOTHING = Catalogue()
HASH_OF_EVENT = "7c9c30317d9b370687fce3f6e55e64d3"
SPEND = properties_validator({"type": "object", "required": ["spend"], "properties": {"spend": {"type": "number"}}})
NOTE = properties_validator({"type": "object", "required": ["note"]})
ORDERS = Catalogue({"order": EventType({1: SPEND, 3: NOTE}, 3, 30)}, frozenset({"trial", "web_log"}))

NAMES = st.one_of(
    st.text(max_size=6), st.none(), st.integers(),
    st.sampled_from(["a" * 200, "a" * 201, " ", " a", "é", "\x7f", "\x00", "\ud800", "\U00020000" * 200]),
)  # fmt: skip
TIMES = st.one_of(
    st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.isoformat() + "Z"),
    st.sampled_from(
        [
            "2026-01-31T12:00:00",
            "2026-01-31",
            "2026-01-31T12:00:00+02:00",
            "2026-01-31t12:00:00z",
            "x",
            "",
            "1738324800",
        ]
    ),
    st.integers(),
)
CANDIDATES = st.fixed_dictionaries(
    {},
    optional={
        "source": NAMES, "id": NAMES, "type": NAMES, "unit_id": NAMES | st.sampled_from(["u" * 512, "u" * 513]),
        "occurred_at": TIMES, "sent_at": TIMES | st.none(),
        "schema_version": st.none() | st.integers(-1, 3) | st.text(),
        "properties": st.dictionaries(st.text(max_size=3), st.floats() | st.text(max_size=3) | st.none(), max_size=3)
        | st.none() | st.lists(st.integers(), max_size=2),
        "more": st.just(1),
    },
)  # fmt: skip


def judged(value: object, catalogue: Catalogue = NOTHING) -> Event | Refusal:
    found = judge(Batch([value], is_suspicious=True), catalogue, NOW)
    (one,) = [*found.events, *found.refusals]
    return one


def code(value: object, catalogue: Catalogue = NOTHING) -> str | None:
    one = judged(value, catalogue)
    return one.code if isinstance(one, Refusal) else None


@given(st.fixed_dictionaries({name: st.just(value) for name, value in EVENT.items()}) | CANDIDATES, CANDIDATES)
def test_what_is_taken_is_what_the_description_says(whole: dict[str, Any], changes: dict[str, Any]) -> None:
    """The description's model and the judge know nothing of each other."""
    candidate = whole | changes if len(changes) <= 2 else changes
    try:
        models.Event.model_validate(candidate)
    except ValidationError:
        assert isinstance(judged(candidate), Refusal), candidate
    else:
        # The model goes by the clock of the machine, and takes a day or a time without seconds.
        assert code(candidate) in (None, "bad_time", "future_time", "reserved_source"), candidate


class TestTimes:
    @pytest.mark.parametrize(
        "written",
        [
            "2026-01-31T11:00:00Z", "2026-01-31T12:00:00+01:00", "2026-01-31t11:00:00z", "2026-01-31 11:00:00Z",
            "2026-01-31T11:00:00.000000Z", "2026-01-30T21:00:00-14:00",
        ],
    )  # fmt: skip
    def test_one_moment_is_one_however_it_is_written(self, written: str) -> None:
        this, that = judged(EVENT), judged({**EVENT, "occurred_at": written})
        assert isinstance(this, Event)
        assert isinstance(that, Event)
        assert (this.occurred_at, this.body_hash) == (that.occurred_at, that.body_hash)

    @given(st.datetimes(datetime(1900, 1, 1), datetime(2026, 1, 31)))
    def test_it_is_exact_to_the_microsecond(self, at: datetime) -> None:
        event = judged({**EVENT, "occurred_at": at.isoformat() + "Z"})
        assert isinstance(event, Event)
        assert round(event.occurred_at * 1e6) == (at - datetime(1970, 1, 1)) // timedelta(microseconds=1)

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("2026-01-31T11:00:00", "bad_time"), ("2026-W05-6T11:00:00Z", "bad_time"),
            ("20260131T110000.000Z", "bad_time"),
            ("2026-01-31T11:00:60Z", "bad_time"), ("1899-12-31T23:59:59Z", "bad_time"), ("x" * 1_000_000, "bad_time"),
            ("2026-02-01T12:00:00Z", None), ("2026-02-01T12:00:01Z", "future_time"),
        ],
    )  # fmt: skip
    def test_others_are_none(self, written: str, expected: str | None) -> None:
        assert code({**EVENT, "occurred_at": written}) == expected
        assert code({**EVENT, "sent_at": written}) == expected


class TestTheHash:
    @pytest.mark.parametrize(
        "change",
        [{"type": "orders"}, {"unit_id": "u2"}, {"occurred_at": "2026-01-31T11:00:00.000001Z"}, {"properties": {}},
         {"properties": {"spend": 2}}, {"properties": {"spend": 1, "more": None}}],
    )  # fmt: skip
    def test_tells_apart_what_says_something_else(self, change: dict[str, Any]) -> None:
        assert judged(EVENT).body_hash != judged({**EVENT, **change}).body_hash  # type: ignore[union-attr]

    def test_does_not_mind_the_order_of_members_or_when_it_was_sent(self) -> None:
        this = {**EVENT, "properties": {"a": 1, "b": {"c": 2, "d": 3}}, "sent_at": "2026-01-31T11:00:01Z"}
        that = {**EVENT, "properties": {"b": {"d": 3, "c": 2}, "a": 1}, "sent_at": "2026-01-31T11:59:01Z"}
        assert judged(this).body_hash == judged(that).body_hash  # type: ignore[union-attr]

    def test_does_not_change_from_one_version_of_the_code_to_the_next(self) -> None:
        """Events that were stored under it would become conflicts when they are sent again."""
        assert judged(EVENT).body_hash.hex() == HASH_OF_EVENT  # type: ignore[union-attr]


class TestSchemas:
    def test_the_newest_version_holds_if_none_is_named(self) -> None:
        assert code({**EVENT, "properties": {"note": "a"}}, ORDERS) is None
        refused = judged(EVENT, ORDERS)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.schema_version, refused.retention_days) == ("schema", 3, 30)
        assert refused.reason.startswith("properties: ")

    def test_an_older_one_stays_accepted(self) -> None:
        event = judged({**EVENT, "schema_version": 1}, ORDERS)
        assert isinstance(event, Event)
        assert (event.schema_version, event.retention_days) == (1, 30)

    @pytest.mark.parametrize(
        ("version", "expected"),
        [(2, "unknown_schema_version"), (0, "bad_schema_version"), ("1", "bad_schema_version"),
         (True, "bad_schema_version"), (1.0, "bad_schema_version")],
    )  # fmt: skip
    def test_one_that_is_not_declared_is_refused(self, version: object, expected: str) -> None:
        assert code({**EVENT, "schema_version": version}, ORDERS) == expected

    def test_a_type_that_is_not_declared_is_taken_as_it_is(self) -> None:
        event = judged({**EVENT, "type": "visit", "schema_version": 7}, ORDERS)
        assert isinstance(event, Event)
        assert (event.schema_version, event.retention_days) == (None, 2557)

    def test_the_reason_names_the_place_and_stays_short(self) -> None:
        refused = judged({**EVENT, "properties": {"spend": "x" * 100_000}, "schema_version": 1}, ORDERS)
        assert isinstance(refused, Refusal)
        assert refused.reason.startswith("properties.spend: ")
        assert len(refused.reason) <= 1000


class TestSources:
    @pytest.mark.parametrize(
        "source", ["trial", "web_log", "trial@0123456789ab", "trial@", "any@0123456789ab.2", "api"]
    )
    def test_one_that_is_landed_from_a_file_is_no_senders(self, source: str) -> None:
        """Its events would be counted among those of the file."""
        assert code({**EVENT, "source": source, "properties": {"note": 1}}, ORDERS) == "reserved_source"

    @pytest.mark.parametrize("source", ["shop", "mailto:a@b.example", "trials", "https://u@trial/x", "web_log/eu"])
    def test_any_other_is(self, source: str) -> None:
        assert code({**EVENT, "source": source, "properties": {"note": 1}}, ORDERS) is None


def test_each_of_a_batch_keeps_its_place() -> None:
    values = [EVENT, {**EVENT, "unit_id": ""}, {**EVENT, "id": "o2"}, 7]
    found = judge(read_batch(json.dumps(values).encode()), Catalogue(), NOW)
    assert [event.position for event in found.events] == [0, 2]
    assert [(refused.position, refused.code) for refused in found.refusals] == [
        (1, "missing_unit"),
        (3, "not_an_object"),
    ]
