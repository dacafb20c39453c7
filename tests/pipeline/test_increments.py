"""Tables that are kept up to date by what changed are, to the last bit, those that are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from resources.dbt import DbtResource
from resources.postgres_client import PostgresClient
from tests.pipeline.incremental_world import (
    METRICS,
    OF_EVENTS,
    OF_EXPERIMENTS,
    PARTITION,
    START,
    World,
)

UNITS = st.sampled_from([f"u{number}" for number in range(6)])
VARIANTS = st.sampled_from(["off", "on", "on", "off", "undeclared"])
AMOUNTS = st.sampled_from([0, 1, "2.50", 10.125, 49.9, 95, "none"])
# Late by weeks, on time, or by a clock that is ahead.
AGES = st.integers(min_value=-24, max_value=30 * 24).map(lambda hours: timedelta(hours=hours))
RECORDS = st.one_of(
    st.fixed_dictionaries(
        {
            "table": st.just("assignments"),
            "unit": UNITS,
            "age": AGES,
            "experiment": st.just("trial"),
            "variant": VARIANTS,
        }
    ),
    st.fixed_dictionaries(
        {
            "table": st.just("events"),
            "unit": UNITS,
            "age": AGES,
            "type": st.sampled_from(["buy", "buy", "visit"]),
            "properties": st.fixed_dictionaries({"amount": AMOUNTS}),
        }
    ),
)


def day(number: int, hours: int = 0) -> datetime:
    return START + timedelta(days=number, hours=hours)


@pytest.fixture(scope="module")
def world(postgres: PostgresClient) -> World:
    return World(postgres)


@pytest.fixture
def begun(world: World) -> Iterator[World]:
    """Four units, two an arm, that were exposed three days ago; all but the last one bought the day after."""
    world.forget()
    world.declare()
    for number in range(4):
        world.arrive("assignments", f"u{number}", day(-3), experiment="trial", variant=("off", "on")[number % 2])
        for type_, when in (("buy", day(-9)), ("buy", day(-2)), ("visit", day(-1))):
            if number < 3:
                world.arrive("events", f"u{number}", when, type=type_, properties={"amount": 10 + number})
    world.refresh()
    yield world


def statistics(world: World, metric: str) -> list[tuple[Any, ...]]:
    return world.client.fetch_all(
        "SELECT variant, day - date '2026-03-01', units, n, sum_y, sum_yy, sum_d, sum_x, sum_xy"
        " FROM experiments.daily_statistics WHERE metric = %s ORDER BY variant, day",
        (metric,),
    )


class TestDays:
    def test_say_by_how_much_each_day_changed_the_sums(self, begun: World) -> None:
        assert statistics(begun, "revenue") == [
            ("off", -3, 2, 2, 0, 0, None, 22, 0),
            ("off", -2, 0, 0, 22, 244, None, 0, 244),
            ("on", -3, 2, 2, 0, 0, None, 11, 0),
            ("on", -2, 0, 0, 11, 121, None, 0, 121),
        ]
        assert [row[:7] for row in statistics(begun, "per_visit")] == [
            ("off", -3, 2, 2, 0, 0, 0),
            ("off", -2, 0, 0, 22, 244, 0),
            ("off", -1, 0, 0, 0, 0, 2),
            ("on", -3, 2, 2, 0, 0, 0),
            ("on", -2, 0, 0, 11, 121, 0),
            ("on", -1, 0, 0, 0, 0, 1),
        ]

    def test_end_with_the_value_of_the_unit(self, begun: World) -> None:
        """The last day of a unit and metric is what the other table says of it."""
        differing = begun.client.fetch_all(
            """
            SELECT * FROM (
                SELECT DISTINCT ON (metric, unit_id) metric, unit_id, variant, value, denominator, pre_value, status
                FROM experiments.unit_metric_days ORDER BY metric, unit_id, day DESC
            ) AS last
            FULL JOIN (SELECT * FROM experiments.unit_metric_values WHERE metric <> 'waiting') AS whole
                USING (metric, unit_id, variant, status)
            WHERE last.value IS DISTINCT FROM whole.value OR last.denominator IS DISTINCT FROM whole.denominator
                OR last.pre_value IS DISTINCT FROM whole.pre_value
            """
        )
        assert differing == []

    def test_add_up_to_what_the_units_add_up_to(self, begun: World) -> None:
        begun.arrive("events", "u0", day(-1), type="buy", properties={"amount": "79.99999999999999999999"})
        begun.arrive("events", "u2", day(-1), type="buy", properties={"amount": "0.1"})
        begun.refresh()
        of_days = begun.client.fetch_all(
            "SELECT metric, variant, n, n_missing, mean, m2 FROM experiments.sufficient_statistics ORDER BY 1, 2"
        )
        of_units = begun.client.fetch_all(
            """
            SELECT metric, variant, count(value), count(*) FILTER (WHERE status = 'missing'),
                avg(value)::float8, (SELECT sum(square) FROM unnest(array_agg((value - mean) ^ 2)) AS square)::float8
            FROM (
                SELECT *, (SELECT round(avg(value), 40) FROM experiments.unit_metric_values AS arm
                    WHERE (arm.metric, arm.variant) = (each.metric, each.variant)) AS mean
                FROM experiments.unit_metric_values AS each
            ) AS each
            GROUP BY metric, variant ORDER BY 1, 2
            """
        )
        assert of_days == of_units


def test_segments_add_up_to_everybody(begun: World) -> None:
    """The plan of u0 and u1 is known, that of the others is not: they are in no segment."""
    for unit, plan in (("u0", "free"), ("u1", "paid")):
        begun.arrive("events", unit, day(-4), type="profile", properties={"plan": plan})
    begun.declare(segments=["plan"])
    begun.refresh()
    DbtResource().build(
        ["features.unit_covariates", "features.daily_segment_statistics"],
        known_at=str(begun.now),
        partition=PARTITION,
    )
    rows = begun.client.fetch_all(
        "SELECT segment, variant, day - date '2026-03-01', units, n, sum_y FROM features.daily_segment_statistics"
        " WHERE metric = 'revenue' ORDER BY segment, day"
    )
    assert rows == [
        ("plan=free", "off", -3, 1, 1, 0),
        ("plan=free", "off", -2, 0, 0, 10),
        ("plan=paid", "on", -3, 1, 1, 0),
        ("plan=paid", "on", -2, 0, 0, 11),
    ]


def made_anew(world: World) -> set[str]:
    since = {**world.increment(OF_EVENTS, "").changed_since, **world.increment(OF_EXPERIMENTS, PARTITION).changed_since}
    return {name for name, moment in since.items() if moment == "-infinity"}


class TestAnew:
    def test_nothing_is_made_when_only_events_arrive(self, begun: World) -> None:
        begun.arrive("events", "u0", day(0), type="buy", properties={"amount": 1})
        assert made_anew(begun) == set()

    def test_the_experiment_is_made_when_its_declaration_changed(self, begun: World) -> None:
        begun.declare(METRICS[:2])
        assert made_anew(begun) == {"first_exposures", "unit_metric_values", "unit_metric_days", "daily_statistics"}

    def test_everything_is_made_when_a_partition_of_raw_records_was_dropped(self, begun: World) -> None:
        begun.client.execute(
            "INSERT INTO ops.audit (tenant_id, actor, action, subject) VALUES ('acme', 'r', 'drop_partition', 's')"
        )
        assert len(made_anew(begun)) == 8

    def test_a_table_is_made_whose_state_nobody_knows_and_what_is_made_from_it(self, begun: World) -> None:
        begun.client.execute("DELETE FROM ops.table_states WHERE relation = 'experiments.unit_metric_days'")
        assert made_anew(begun) == {"unit_metric_days", "daily_statistics"}

    def test_values_are_made_whose_bounds_are_quantiles_of_them_all(self, begun: World) -> None:
        capped = {"key": "capped", "type": "sum", "event": "buy", "column": "amount", "role": "primary"}
        begun.declare([{**capped, "cap": {"upper_quantile": 0.9}}])
        begun.refresh()
        assert made_anew(begun) == {"unit_metric_values"}

    def test_a_table_that_was_made_by_hand_has_no_state(self, begun: World) -> None:
        DbtResource().build(["events.unit_changes"], known_at=str(begun.now), tests=False)
        assert "unit_changes" in made_anew(begun)


def test_every_kind_of_change_at_once_is_as_if_everything_were_made_anew(begun: World) -> None:
    """Each of them alone would be seen: no two are of the same unit."""

    def bought(unit: str, amount: int) -> dict[str, Any]:
        return {
            "table": "events", "unit": unit, "occurred_at": day(-1), "type": "buy", "properties": {"amount": amount}
        }  # fmt: skip

    waits = "SELECT status FROM experiments.unit_metric_values WHERE metric = 'returned' AND unit_id = 'u12'"
    begun.arrive("assignments", "u12", day(0), experiment="trial", variant="on")
    for number in range(4, 12):
        begun.arrive("assignments", f"u{number}", day(-3), experiment="trial", variant=("off", "on")[number % 2])
    exposed = {"table": "assignments", "occurred_at": day(-3), "experiment": "trial", "variant": "on"}
    begun.land("crm", [bought("u4", 1), bought("u5", 2), {**exposed, "unit": "landed"}, {**exposed, "unit": "again"}])
    begun.arrive("events", "u11", day(-2), type="visit", properties={})
    begun.arrive("events", "u9", day(-2), type="buy", properties={"amount": 4})
    begun.refresh()
    assert begun.client.fetch_one(waits) == ("immature",)

    begun.land("crm", [bought("u4", 3), {**exposed, "unit": "again"}])
    begun.land("crm", [bought("u5", 99)], accepted=False)
    begun.arrive("events", "u6", day(-2), type="buy", properties={"amount": "7.25"})
    begun.arrive("assignments", "u7", day(-2), experiment="trial", variant="off")
    begun.arrive("assignments", "u8", day(-20), experiment="trial", variant="off")
    begun.erase("u9")
    begun.arrive("events", "u10", day(-10), type="buy", properties={"amount": 5})
    begun.now += timedelta(days=3)
    begun.refresh()
    assert begun.differences() == {}
    units = begun.client.fetch_all("SELECT unit_id FROM experiments.first_exposures WHERE unit_id IN ('u9', 'landed')")
    assert units == []
    assert begun.client.fetch_one(waits) == ("measured",), "time itself made a value"


class Arrivals(RuleBasedStateMachine):
    """Anything may arrive in any order, be said again, be restated or be erased."""

    world: World

    @initialize(records=st.lists(RECORDS, min_size=4, max_size=8))
    def begin(self, records: list[dict[str, Any]]) -> None:
        self.world.forget()
        self.world.declare()
        self.last: dict[str, Any] | None = None
        for record in records:
            self.arrive(record)
        self.world.refresh()

    @rule(record=RECORDS)
    def arrive(self, record: dict[str, Any]) -> None:
        self.last = self._dated(record)
        self.world.arrive(**self.last)

    @rule(records=st.lists(RECORDS, max_size=4), source=st.sampled_from(["crm", "till"]), accepted=st.booleans())
    def land(self, records: list[dict[str, Any]], source: str, accepted: bool) -> None:
        self.world.land(source, [self._dated(record) for record in records], accepted=accepted)

    @rule()
    def say_again(self) -> None:
        if self.last is not None:
            self.world.arrive(**self.last, event_id="said twice")

    @rule(unit=UNITS)
    def erase(self, unit: str) -> None:
        self.world.erase(unit)

    @rule(days=st.integers(min_value=1, max_value=4))
    def time_passes(self, days: int) -> None:
        self.world.now += timedelta(days=days)

    @rule(metrics=st.sampled_from([METRICS, METRICS[2:]]))
    def edit(self, metrics: list[dict[str, Any]]) -> None:
        self.world.declare(metrics)

    @rule()
    def refresh(self) -> None:
        self.world.refresh()

    @invariant()
    def the_worlds_clock_goes_on(self) -> None:
        self.world.now += timedelta(minutes=1)

    def teardown(self) -> None:
        self.world.refresh()
        assert self.world.differences() == {}

    def _dated(self, record: dict[str, Any]) -> dict[str, Any]:
        dated = {**record, "occurred_at": self.world.now - record["age"]}
        del dated["age"]
        return dated


def test_whatever_arrives_it_is_as_if_everything_were_made_anew(world: World) -> None:
    class OfThisWorld(Arrivals):
        pass

    OfThisWorld.world = world
    run_state_machine_as_test(
        OfThisWorld,
        settings=settings(
            max_examples=2,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            # An example takes seconds: what fails is shown as it was found.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
