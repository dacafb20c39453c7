"""What the docstrings of ArmQuantile and LifeTable say to ask of Postgres is what they want."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from causeway.simulate.durations import DurationModel
from causeway.simulate.latencies import LatencyModel
from causeway.statistics.life_table import LifeTable
from causeway.statistics.mid_quantile import Step, steps_near
from causeway.statistics.quantile import ArmQuantile, quantile_effect, ranks_needed
from resources.connection import connect

MODEL = LatencyModel(between=0.8, within=0.6, more_events=10, activity=0.5)
Q, ALPHA = 0.9, 0.1


@pytest.fixture(scope="module")
def connection(database):
    with connect(database.admin_address(), autocommit=True) as opened:
        opened.execute("create temporary table events (unit_id text, value double precision)")
        opened.execute("create temporary table unit_times (event_day double precision, seen_day double precision)")
        yield opened


def statements(documented: type) -> list[str]:
    """The statements of a docstring: indented blocks that begin with `with` or `select`."""
    statement = re.compile(r"^( {4}(?:with|select) .*\n(?: {4}.*\n)*?)(?=\s*\n| {4}--)", re.MULTILINE)
    return statement.findall(inspect.getdoc(documented))


def fill(connection, table: str, rows: list[tuple]) -> None:
    connection.execute(f"truncate {table}".encode())
    with connection.cursor() as cursor:
        cursor.executemany(f"insert into {table} values (%s, %s)".encode(), rows)


def arm_from_sql(connection, q: float, alpha: float) -> ArmQuantile:
    steps_sql, residual_sql = statements(ArmQuantile)

    n, units = connection.execute("select count(*), count(distinct unit_id) from events").fetchone()

    def steps(ranks: tuple[int, ...]) -> tuple[Step, ...]:
        rows = connection.execute(steps_sql.encode(), {"levels": [(rank - 0.5) / n for rank in ranks]}).fetchall()
        return tuple(Step(value, int(below), int(ties)) for value, below, ties in rows)

    first = ArmQuantile(q, n, units, steps(ranks_needed(n, q)))
    location = first.location
    at_low, at_high = location.weights
    wanted = {"low": location.low.value, "high": location.high.value, "weight_low": at_low, "weight_high": at_high}
    (unit_ss,) = connection.execute(residual_sql.encode(), wanted | {"q": q}).fetchone()
    second = ArmQuantile(q, n, units, first.steps, float(unit_ss))
    return ArmQuantile(q, n, units, steps(ranks_needed(n, q, second.sigma, alpha)), float(unit_ss))


@pytest.mark.parametrize("digits", [9, 0, -1])
def test_quantiles_from_sql_are_those_from_arrays(connection, digits):
    """Latencies with no ties, in milliseconds and in tens of milliseconds."""
    rng, from_sql, from_arrays = np.random.default_rng(1), [], []
    for units in (60, 80):
        values, unit = MODEL.draw(rng, units)
        values = np.round(values, digits)
        fill(connection, "events", [(f"unit-{k}", y) for k, y in zip(unit.tolist(), values.tolist(), strict=True)])
        from_sql.append(arm_from_sql(connection, Q, ALPHA))
        from_arrays.append(ArmQuantile.from_arrays(values, Q, units=unit, alpha=ALPHA))
    for ours, arrays in zip(from_sql, from_arrays, strict=True):
        assert set(arrays.steps) <= set(ours.steps)
        assert len(ours.steps) <= len(arrays.steps) + 1
        assert ours.interval(ALPHA) == arrays.interval(ALPHA)
        assert ours.unit_ss == pytest.approx(arrays.unit_ss, rel=1e-12)
    found, expected = (quantile_effect(*arms, alpha=ALPHA) for arms in (from_sql, from_arrays))
    assert found.status == "ok"
    assert found.std_error == pytest.approx(expected.std_error, rel=1e-12)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.8, 0.99])
def test_steps_from_sql_are_right_at_mass_points_and_at_both_ends(connection, q):
    """Values 0 to 5 of 20 units, so that wanted values coincide, and the outermost ones are among them."""
    values = [0.0] * 9 + [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    fill(connection, "events", [(str(k), y) for k, y in enumerate(values)])
    steps_sql, _ = statements(ArmQuantile)
    ranks = ranks_needed(20, q, sigma=0.3, alpha=0.05)
    rows = connection.execute(steps_sql.encode(), {"levels": [(rank - 0.5) / 20 for rank in ranks]}).fetchall()
    expected = {Step(y, int(np.less(values, y).sum()), values.count(y)) for y in set(values)}
    found = {Step(value, int(below), int(ties)) for value, below, ties in rows}
    assert found <= expected
    distinct, counts = np.unique(values, return_counts=True)
    assert set(steps_near(distinct, counts, ranks)) <= found


def test_the_ordinary_quantile_lies_on_the_step_at_its_rank(connection):
    values, unit = MODEL.draw(np.random.default_rng(2), 50)
    fill(connection, "events", [(str(k), y) for k, y in zip(unit.tolist(), values.tolist(), strict=True)])
    (disc,) = connection.execute("select percentile_disc(0.9) within group (order by value) from events").fetchone()
    (rank,) = ranks_needed(values.size, 0.9)
    assert np.sort(values)[rank - 1] == disc


def test_life_tables_from_sql_are_those_from_arrays(connection):
    """event_day is null where the event has not come, seen_day the last day that the unit was followed."""
    days, observed = DurationModel().draw(np.random.default_rng(3), 200)
    days = np.ceil(days)
    rows = [(day if came else None, day) for day, came in zip(days.tolist(), observed.tolist(), strict=True)]
    fill(connection, "unit_times", rows)
    (sql,) = statements(LifeTable)
    found = connection.execute(sql.encode(), {"horizon": 14}).fetchall()
    table = LifeTable(*(tuple(column) for column in zip(*found, strict=True)))
    assert table == LifeTable.from_arrays(np.minimum(days, 14), observed & (days <= 14))
