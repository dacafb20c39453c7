"""Every row of an assigned table is what the single evaluation of that unit says."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.assignment.batch.fnv import ROWS_AT_ONCE
from causeway.assignment.batch.table import COLUMNS, assign_table
from causeway.assignment.evaluate import evaluate
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
from causeway.assignment.hashers import HASHERS
from causeway.assignment.sticky import StickyRecord, assignment_key

Row = Mapping[str, Any]
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
FOUR_HOURS = Switchback(timedelta(hours=4), MONDAY)


def answers(
    flag_set: FlagSet,
    rows: Sequence[Row],
    *,
    times: Sequence[datetime | None] | None = None,
    at: datetime | None = None,
    sticky: Mapping[str, StickyRecord] | None = None,
) -> list[dict[str, Any]]:
    """What ``evaluate`` says of each row of a table whose unit column is ``unit_id``."""
    found = []
    for index, row in enumerate(rows):
        context = {name: value for name, value in row.items() if value is not None}
        if "unit_id" in context:
            context["targetingKey"] = context["unit_id"]
        moment = at if times is None or times[index] is None else times[index]
        said = evaluate(flag_set, "flag", context, at=moment, sticky=sticky)
        found.append(
            {
                "unit_id": row["unit_id"],
                "variant": said.variant,
                "value": json.dumps(said.value),
                "in_experiment": said.in_experiment,
                "status": said.status,
                "reason": said.reason,
                "bucket": said.bucket,
                "layer": said.layer,
                "holdout": said.holdout,
                "is_holdout": said.is_holdout,
                "sticky": said.sticky_used,
                "randomization_unit": said.unit_id,
                "unit_attribute": said.unit_attribute,
                "window_start": said.window_start,
                "policy_version": said.policy_version,
            }
        )
    return found


def experiment(**options: Any) -> Experiment:
    """Two halves, dealt out by the unit."""
    variants = (Variant("off", False), Variant("on", {"depth": [1, 2]}))
    return Experiment(**{"key": "trial", "variants": variants, "attribute": "targetingKey"} | options)


def flags(subject: Experiment, *others: Flag, **options: Any) -> FlagSet:
    """The experiment as the only rule of ``flag``."""
    flag = Flag("flag", None, (ExperimentRule(subject),), **options)
    return FlagSet({each.key: each for each in (flag, *others)}, {"friends": ["ana", "u-3", 7]})


def units(count: int, **columns: Any) -> pa.Table:
    return pa.table({"unit_id": pa.array([f"u-{number}" for number in range(count)], pa.string()), **columns})


def check(flag_set: FlagSet, table: pa.Table, **options: Any) -> list[dict[str, Any]]:
    """The assigned rows, after they were found equal to the single evaluations."""
    assigned = assign_table(flag_set, "flag", table, **options)
    assert tuple(assigned.column_names) == COLUMNS
    assigned.validate(full=True)
    assert assigned.to_pylist() == answers(flag_set, table.to_pylist(), **options)
    return assigned.to_pylist()  # type: ignore[no-any-return]


# --- any experiment, any units -----------------------------------------------------------------------------------

RARELY = st.integers(0, 19).map(lambda number: number == 19)
TEXTS = st.one_of(
    st.text("0123456789abcdef", min_size=16, max_size=16),
    st.sampled_from(["u-3", "ana", "", " ", "0", "7", "7.0", "ä" * 40, "👩‍🔬", "x" * 1500, "a\x00b"]),
    st.text(max_size=40),
)
SHARES = st.sampled_from([1.0, 0.5, 0.29, 0.9999, 0.0001, 0.0]) | st.floats(0, 1)
SEEDS = st.sampled_from(["trial", "", "sæd", "9"])
ATTRIBUTES = st.sampled_from([*["targetingKey"] * 6, "unit_id", "school", "school", "anonymous", "nowhere"])
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"plan": "pro"},
        {"age": {"$gte": 18}},
        {"$or": [{"plan": {"$in": ["pro", "team"]}}, {"age": {"$lt": 10}}]},
        {"$not": {"plan": {"$exists": True}}, "school": {"$ne": 3}},
        {"address.city": "Bonn"},
        {"tags": {"$elemMatch": {"$eq": "new"}}},
        {"targetingKey": {"$inGroup": "friends"}},
        {"id": {"$nin": ["nobody"]}},
        {},
    ]
)
CONDITIONS_ON_VALUE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"value": {"$exists": True}}, {"value": 0}, {"value": {"$in": ["text", 1, "forced"]}}]
)
RANGES = st.sampled_from([((0.0, 0.8),), ((0.1, 0.3), (0.3, 1.0)), ((0.25, 0.75), (0.7, 0.2)), ()])
MOMENTS = st.integers(-10, 10).map(lambda hours: MONDAY + timedelta(hours=hours))
# Flags and those that they need; a circle is rare.
NEEDED = {"flag": ["other", "third", "lost"], "other": ["third"], "third": ["flag"]}


def filters(kind: str) -> st.SearchStrategy[Filter]:
    hashers = st.sampled_from(["growthbook_v2", *HASHERS])
    return st.builds(Filter, SEEDS, RANGES, ATTRIBUTES, hashers, st.just(kind), st.just("a layer"))


def few(strategy: st.SearchStrategy[Any], most: int = 1) -> st.SearchStrategy[tuple[Any, ...]]:
    """Mostly none."""
    return st.one_of(st.just(()), st.just(()), st.lists(strategy, max_size=most).map(tuple))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), strategy)


@st.composite
def experiments(draw: st.DrawFn, key: str) -> Experiment:
    hasher = draw(st.sampled_from(["growthbook_v2", *HASHERS]))
    count = 1 if draw(RARELY) else draw(st.integers(2, 4))
    variants = tuple(
        Variant(f"{key}-{number}", draw(st.sampled_from([number, "text", None])), passthrough=draw(RARELY))
        for number in range(count)
    )
    whole = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    plain = hasher.startswith("growthbook")
    bandit = plain and draw(RARELY)
    held_out = st.builds(Holdout, st.sampled_from(NEEDED[key]), st.sampled_from(["other-0", "third-1"]))
    return Experiment(
        key,
        variants,
        draw(st.sampled_from([None, tuple(weight / sum(whole) for weight in whole)])),
        draw(SHARES),
        hasher,
        draw(maybe(SEEDS)),
        draw(ATTRIBUTES),
        draw(maybe(ATTRIBUTES)),
        ranges=draw(RANGES)[:count] if plain and draw(RARELY) else None,
        condition=draw(maybe(CONDITIONS)),
        prerequisites=() if key == "third" and not draw(RARELY) else draw(few(prerequisites(key, st.just(False)))),
        filters=draw(few(filters("layer"), 2)),
        holdouts=() if key == "third" else draw(few(held_out)),
        held_out=draw(st.sampled_from([None, None, variants[0].key])),
        forced=dict(draw(few(st.tuples(TEXTS, st.sampled_from([*(each.key for each in variants), "lost"])), 3))),
        force=0 if draw(RARELY) else None,
        sticky=not draw(RARELY),
        bucket_version=draw(st.integers(0, 2)),
        min_bucket_version=draw(st.sampled_from([0, 0, 1])),
        window=draw(st.sampled_from([None, None, None, FOUR_HOURS])),
        ramp=() if bandit else draw(few(st.builds(RampStep, MOMENTS, SHARES), 3)),
        leaves=draw(few(st.builds(Leaf, st.integers(0, 3), CONDITIONS, st.just((1 / count,) * count)), 2))
        if bandit
        else None,
        enabled=not draw(RARELY),
        active=not draw(RARELY),
        accepts_new_units=not draw(RARELY),
        policy_version=draw(st.sampled_from(["", "0a1b2c"])),
    )


def prerequisites(key: str, gate: st.SearchStrategy[bool]) -> st.SearchStrategy[Prerequisite]:
    return st.builds(Prerequisite, st.sampled_from(NEEDED[key]), CONDITIONS_ON_VALUE, gate)


@st.composite
def rules(draw: st.DrawFn, key: str) -> ForceRule | ExperimentRule:
    needs = () if key == "third" else draw(few(prerequisites(key, st.booleans())))
    condition = draw(maybe(CONDITIONS))
    if draw(st.integers(0, 3)) < 3:
        return ExperimentRule(draw(experiments(key)), "r", condition, needs, draw(few(filters("filter"))))
    return ForceRule(
        "forced",
        "f",
        draw(st.none() | st.just("named")),
        condition,
        needs,
        draw(few(filters("filter"))),
        draw(st.none() | SHARES),
        draw(st.none() | st.tuples(SHARES, SHARES)),
        draw(st.none() | SEEDS),
        draw(st.sampled_from(list(HASHERS))),
        draw(ATTRIBUTES),
        draw(maybe(ATTRIBUTES)),
    )


@st.composite
def flag_sets(draw: st.DrawFn) -> FlagSet:
    found = {}
    for key, most in (("flag", 3), ("other", 2), ("third", 1)):
        ruled = tuple(draw(st.lists(rules(key), min_size=not draw(RARELY), max_size=most)))
        found[key] = Flag(key, "default", ruled, not draw(RARELY), None, draw(st.none() | st.just("base")))
    return FlagSet(
        found,
        {"friends": ["ana", "u-3", 7]},
        experiments_enabled=not draw(RARELY),
        qa_mode=draw(RARELY),
    )


AN_ODD_ROW = st.fixed_dictionaries(
    {
        "unit_id": TEXTS | maybe(TEXTS),
        "anonymous": maybe(TEXTS),
        "school": st.none() | st.integers(-(2**63), 2**63 - 1),
        "plan": st.none() | st.text(max_size=3),
        "age": st.none() | st.floats(),
        "address": st.sampled_from([None, {"city": "Bonn"}, {"city": None}]),
        "tags": st.sampled_from([None, [], ["old", "new"]]),
    }
)


def plain_rows(seed: int, count: int) -> list[dict[str, Any]]:
    """Rows such as tables have: most of them with a unit."""
    dice = random.Random(seed)
    return [
        {
            "unit_id": dice.choice([f"u-{number}", f"{dice.getrandbits(64):016x}", "ana", f"{dice.getrandbits(20)}"]),
            "anonymous": dice.choice([None, f"a-{number}", "u-3"]),
            "school": dice.choice([None, 0, 1, 2, 3, 2**53 + 1]),
            "plan": dice.choice([None, "pro", "team", "free"]),
            "age": dice.choice([None, 0.0, -0.0, 9.5, 18.0, 1e21, dice.uniform(0, 90)]),
            "address": dice.choice([None, {"city": "Bonn"}, {"city": None}]),
            "tags": dice.choice([None, [], ["old", "new"]]),
        }
        for number in range(count)
    ]


@st.composite
def row_lists(draw: st.DrawFn) -> list[Row]:
    plain = plain_rows(draw(st.integers(0, 2**32)), draw(st.sampled_from([60, 7, 1, 0])))
    return [*draw(st.lists(AN_ODD_ROW, max_size=3)), *plain]


TYPES = {
    "unit_id": pa.string(),
    "anonymous": pa.string(),
    "school": pa.int64(),
    "plan": pa.string(),
    "age": pa.float64(),
    "address": pa.struct({"city": pa.string()}),
    "tags": pa.list_(pa.string()),
}


@st.composite
def tables(draw: st.DrawFn, rows: Sequence[Row]) -> pa.Table:
    """The same rows in one of the many forms that a column may have."""
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    for name in ("unit_id", "anonymous", "plan"):
        form = draw(st.sampled_from(["string", "large", "view", "dictionary", "binary"]))
        if form == "dictionary":
            columns[name] = columns[name].dictionary_encode()
        elif form != "string":
            kinds = {"large": pa.large_string(), "view": pa.string_view(), "binary": pa.large_binary()}
            columns[name] = columns[name].cast(kinds[form])
    table = pa.table(columns)
    cut = draw(st.integers(0, len(rows)))
    chunked = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    # A slice keeps the buffers of what it was cut from.
    return pa.concat_tables([chunked, table]).slice(0, len(rows)) if draw(st.booleans()) else chunked


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    value = row["unit_id"]
    return {**row, "unit_id": value.decode() if isinstance(value, bytes) else value}


def records(seed: int, rows: Sequence[Row]) -> dict[str, StickyRecord]:
    """What may be stored of some of the units."""
    dice, found = random.Random(seed), {}
    for row in rows:
        attribute = dice.choice(["targetingKey", "targetingKey", "unit_id", "anonymous", "school"])
        value = row["unit_id" if attribute == "targetingKey" else attribute]
        if value is not None and dice.random() < 0.3:
            key = assignment_key("flag", dice.choice([0, 1, 2]), dice.choice([None, None, MONDAY]))
            record = StickyRecord(attribute, str(value), {key: dice.choice(["flag-0", "flag-1", "lost"])})
            found[record.key] = record
    return found


@settings(max_examples=250)
@given(st.data())
def test_a_table_is_assigned_as_its_units_one_by_one(data: st.DataObject) -> None:
    flag_set, rows, seed = data.draw(flag_sets()), data.draw(row_lists()), data.draw(st.none() | st.integers(0, 9))
    table, at = data.draw(tables(rows)), data.draw(st.just(MONDAY) | MOMENTS | st.none())
    sticky = None if seed is None else records(seed, rows)
    times = None
    if data.draw(st.booleans()):
        dice = random.Random(seed)
        times = [dice.choice([None, MONDAY, MONDAY + timedelta(hours=dice.uniform(-12, 12))]) for _ in rows]
    if times is not None:
        unit = data.draw(st.sampled_from(["us", "ns"]))
        table = table.append_column("at", pa.array(times, pa.timestamp(unit, "Europe/Berlin")))
    assigned = assign_table(flag_set, "flag", table, at_column=None if times is None else "at", at=at, sticky=sticky)
    assigned.validate(full=True)
    found = [as_text(row) for row in assigned.to_pylist()]
    assert found == answers(flag_set, rows, times=times, at=at, sticky=sticky)


# --- what must not be left to chance ------------------------------------------------------------------------------


@pytest.mark.parametrize("hasher", HASHERS)
def test_more_units_than_fit_into_one_piece_are_assigned_alike(hasher: str) -> None:
    count = ROWS_AT_ONCE + 100 if hasher.startswith("growthbook") else 500
    rows = check(flags(experiment(hasher=hasher, coverage=0.7)), units(count))
    shares = [sum(row["variant"] == name for row in rows) / count for name in ("off", "on", None)]
    assert shares == pytest.approx([0.35, 0.35, 0.3], abs=0.08)


def test_a_named_unit_is_no_example_for_the_others() -> None:
    """The first unit of a table is named; nobody else gets what it gets."""
    named = {f"u-{number}": "on" for number in (0, 1, ROWS_AT_ONCE + 1)}
    rows = check(flags(experiment(forced=named)), units(ROWS_AT_ONCE + 10))
    assert [index for index, row in enumerate(rows) if row["status"] == "forced"] == [0, 1, ROWS_AT_ONCE + 1]


def test_a_stored_assignment_holds_against_the_hash_and_for_its_unit_alone() -> None:
    subject = experiment(weights=(1.0, 0.0))
    stored = {"targetingKey||u-0": StickyRecord("targetingKey", "u-0", {"trial__0": "on"})}
    rows = check(flags(subject), units(50), sticky=stored)
    assert [row["variant"] for row in rows] == ["on"] + ["off"] * 49
    assert [row["sticky"] for row in rows] == [True] + [False] * 49


def test_what_is_stored_tells_units_apart_that_are_alike_otherwise() -> None:
    """Three things stored of 600 units, under their own id or under the one from before they were known."""
    stored = {}
    for number in range(600):
        attribute, unit = ("targetingKey", f"u-{number}") if number % 2 else ("anonymous", f"a-{number}")
        assignments = ({}, {"trial__0": "on"}, {"trial__0": "off", "trial__1": "on"})[number % 3]
        stored[f"{attribute}||{unit}"] = StickyRecord(attribute, unit, assignments)
    table = units(700, anonymous=[f"a-{number}" for number in range(700)])
    rows = check(flags(experiment(fallback_attribute="anonymous", forced={"u-5": "on"})), table, sticky=stored)
    assert [row["sticky"] for row in rows] == [number % 3 > 0 and number < 600 and number != 5 for number in range(700)]


def test_a_fallback_is_hashed_where_stored_assignments_are_looked_up() -> None:
    subject = flags(experiment(attribute="anonymous", fallback_attribute="targetingKey"))
    table = units(400, anonymous=["", None, *(f"a-{number}" for number in range(398))])
    without, with_stored = check(subject, table), check(subject, table, sticky={})
    assert [row["unit_attribute"] for row in with_stored[:3]] == ["targetingKey", "targetingKey", "anonymous"]
    assert [row["status"] for row in without[:3]] == ["no_unit", "no_unit", "assigned"]


def test_units_that_a_holdout_holds_and_units_outside_of_a_layer_are_out() -> None:
    away = experiment(key="away", variants=(Variant("held", 0), Variant("measured", 1)), coverage=0.4, held_out="held")
    layer = Filter("page", ((0.2, 0.9),), "targetingKey", kind="layer", name="page")
    subject = experiment(holdouts=(Holdout("away", "held"),), filters=(layer,))
    rows = check(flags(subject, Flag("away", 0, (ExperimentRule(away),))), units(2_000))
    found = {
        status: sum(row["status"] == status for row in rows) / 2_000 for status in ("layer", "holdout", "assigned")
    }
    assert found == pytest.approx({"layer": 0.3, "holdout": 0.14, "assigned": 0.56}, abs=0.05)


def test_a_bandit_deals_by_the_weights_of_the_units_context() -> None:
    leaves = (Leaf(1, {"plan": "pro"}, (0.9, 0.1)), Leaf(2, {"plan": "team"}, (0.2, 0.8)))
    plans = [("pro", "team", None)[number % 3] for number in range(3_000)]
    rows = check(flags(experiment(leaves=leaves)), units(3_000, plan=plans))
    on = {plan: sum(row["variant"] == "on" for row in rows[index::3]) / 1_000 for index, plan in enumerate(plans[:3])}
    assert on == pytest.approx({"pro": 0.1, "team": 0.8, None: 0.5}, abs=0.07)


def test_a_share_of_the_units_falls_back_to_another_attribute() -> None:
    rule = ForceRule(1, coverage=0.5, attribute="anonymous", fallback_attribute="targetingKey")
    flag_set = FlagSet({"flag": Flag("flag", 0, (rule,))})
    rows = check(flag_set, units(400, anonymous=[None if number % 2 else f"a-{number}" for number in range(400)]))
    assert 150 < sum(row["value"] == "1" for row in rows) < 250


def test_a_stored_assignment_of_a_text_that_is_no_unicode_is_nobodys() -> None:
    stored = {"targetingKey||\ud800": StickyRecord("targetingKey", "\ud800", {"trial__0": "on"})}
    check(flags(experiment(forced={"\ud800": "on"})), units(5), sticky=stored)


def test_a_cluster_shares_its_variant_and_units_without_one_are_out() -> None:
    schools = [None if number % 10 == 0 else number % 7 for number in range(200)]
    rows = check(flags(experiment(attribute="school")), units(200, school=schools))
    variants: dict[int, set[str]] = {school: set() for school in range(1, 7)}
    for row, school in zip(rows, schools, strict=True):
        if school:
            variants[school].add(row["variant"])
    assert [len(found) for found in variants.values()] == [1] * 6
    assert {row["status"] for row, school in zip(rows, schools, strict=True) if not school} == {"no_unit"}
    assert rows[1]["randomization_unit"] == "1"


def test_a_switchback_deals_anew_in_every_window_and_says_when_it_began() -> None:
    table = pa.table({"unit_id": ["store-1"] * 200})
    times = [MONDAY + timedelta(hours=number, seconds=1) for number in range(-100, 100)]
    table = table.append_column("at", pa.array(times, pa.timestamp("us", "UTC")))
    subject = flags(experiment(window=FOUR_HOURS))
    assigned = assign_table(subject, "flag", table, at_column="at").to_pylist()
    assert assigned == answers(subject, [{"unit_id": "store-1"}] * 200, times=times)
    by_window = {row["window_start"]: set() for row in assigned}
    for row in assigned:
        by_window[row["window_start"]].add(row["variant"])
    assert [len(found) for found in by_window.values()] == [1] * 50
    assert set().union(*by_window.values()) == {"off", "on"}


def test_times_at_the_ends_of_the_calendar_and_beyond_are_answered() -> None:
    """Microseconds of the year 1, when a window would have begun before it, of the year 9999, and of later ones."""
    subject = flags(experiment(window=Switchback(timedelta(days=400), MONDAY), ramp=(RampStep(MONDAY, 0.5),)))
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999
    instants = pa.array([first, first + 1, 0, last, last + 1, 2**63 - 1, -(2**63), None], pa.timestamp("us", "UTC"))
    assigned = assign_table(subject, "flag", units(8, at=instants), at_column="at").to_pylist()
    assert [row["status"] for row in assigned[4:]] == ["no_time"] * 4
    moments = [datetime.min, datetime.min + timedelta(microseconds=1), datetime(1970, 1, 1), datetime.max]
    said = answers(subject, units(4).to_pylist(), times=[moment.replace(tzinfo=UTC) for moment in moments])
    assert assigned[:4] == said


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_a_ramps_step_begins_at_its_very_moment(unit: str, zone: str | None) -> None:
    subject = flags(experiment(ramp=(RampStep(MONDAY, 0.0), RampStep(MONDAY + timedelta(hours=1), 1.0))))
    times = [MONDAY + timedelta(seconds=seconds) for seconds in (-1, 0, 3599, 3600, 3601)]
    instants = pa.array(times, pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone))
    assigned = assign_table(subject, "flag", units(5, at=instants), at_column="at").to_pylist()
    assert [row["in_experiment"] for row in assigned] == [False, False, False, True, True]
    assert assigned == answers(subject, units(5).to_pylist(), times=times)


def test_a_row_without_a_time_has_the_time_of_the_table() -> None:
    subject = flags(experiment(ramp=(RampStep(MONDAY, 1.0),)))
    before, after = MONDAY - timedelta(hours=1), MONDAY + timedelta(hours=1)
    table = units(3, at=pa.array([before, None, after], pa.timestamp("us", "UTC")))
    inside = {
        at: assign_table(subject, "flag", table, at_column="at", at=at)["in_experiment"].to_pylist()
        for at in (None, before, after)
    }
    assert inside == {None: [False, False, True], before: [False, False, True], after: [False, True, True]}


def test_more_combinations_than_can_be_numbered_are_told_apart() -> None:
    """Twenty rules with a condition each: more than a million ways through."""
    asked = [ForceRule(number, f"r{number}", condition={f"c{number}": 1}) for number in range(20)]
    flag_set = FlagSet({"flag": Flag("flag", "none", tuple(asked))})
    dice = random.Random(3)
    columns = {f"c{number}": [dice.choice([0, 0, 0, 0, 1]) for _ in range(300)] for number in range(20)}
    rows = check(flag_set, units(300, **columns))
    assert len({row["value"] for row in rows}) > 10


def test_a_condition_on_two_columns_with_many_values_is_met_by_the_right_rows() -> None:
    subject = flags(experiment(condition={"age": {"$lt": 5000}, "height": {"$gt": 4000}}))
    count = 12_000
    table = units(count, age=list(range(count)), height=[(7 * number) % count for number in range(count)])
    assigned = assign_table(subject, "flag", table)
    met = [row["age"] < 5000 and row["height"] > 4000 for row in table.to_pylist()]
    assert [status == "assigned" for status in assigned["status"].to_pylist()] == met


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("key", ["flag", "lost", "off", "bare"])
def test_a_flag_that_looks_at_nothing_and_an_empty_table_have_all_columns(key: str, rows: int) -> None:
    off, bare = Flag("off", 1, (ForceRule(2),), False), Flag("bare", [1])
    assigned = assign_table(flags(experiment(), off, bare), key, units(rows))
    assert (assigned.num_rows, tuple(assigned.column_names)) == (rows, COLUMNS)
    assert assigned.schema.types == assign_table(flags(experiment()), "flag", units(3)).schema.types
    assigned.validate(full=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unit_column": "customer"}, ["'customer'", "unit_id, age"]),
        ({"at_column": "when"}, ["'when'", "unit_id, age"]),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(options: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        assign_table(flags(experiment()), "flag", units(2, age=[1, 2]), **options)
    assert [word for word in words if word not in str(error.value)] == []


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.table([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["unit_id", "age", "age"])
    with pytest.raises(ValueError, match="more than one column 'age'"):
        assign_table(flags(experiment()), "flag", table)
