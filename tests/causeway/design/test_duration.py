"""The enrolment curve is that of the past: by hand on small histories, and recovered on simulated ones."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from causeway.design.duration import ActivityHistory, days_until, enrolment_curve, reachable_effects

MONDAY = date(2024, 1, 1)
WEEKEND = [100, 100, 100, 100, 100, 20, 20]


def visits_of_a_population(rng: np.random.Generator, units: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Each unit comes on each day with a chance of its own, twice as often on weekdays."""
    chance = rng.beta(0.5, 4.0, units)[:, None] * np.where(np.arange(days) % 7 < 5, 1.0, 0.5)
    unit, day = np.nonzero(rng.random((units, days)) < chance)
    return unit, day


def enrolled_from(unit: np.ndarray, day: np.ndarray, start: int, horizon: int) -> np.ndarray:
    """Cumulative distinct units since `start`, counted directly."""
    inside = (day >= start) & (day < start + horizon)
    first = {}
    for u, d in sorted(zip(unit[inside].tolist(), day[inside].tolist(), strict=True), key=lambda pair: pair[1]):
        first.setdefault(u, d - start)
    return np.bincount(list(first.values()), minlength=horizon).cumsum()


def test_visits_become_gaps_by_hand():
    """Unit 7 comes on days 0, 1 (twice) and 4; unit 3 on day 4 only."""
    history = ActivityHistory.of_visits(MONDAY, [7, 7, 7, 7, 3], [4, 0, 1, 1, 4], days=6)
    expected = np.zeros((6, 6), dtype=int)
    expected[0, 0] = expected[1, 1] = expected[4, 3] = expected[4, 0] = 1
    assert np.array_equal(history.counts, expected)
    assert history.enrolled(0).tolist() == [1, 1, 0, 0, 2, 0]
    assert history.enrolled(1).tolist() == [1, 0, 0, 0, 2, 0]
    assert history.enrolled(2).tolist() == [1, 0, 0, 0, 2, 0]
    assert history.enrolled(3).tolist() == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("start", [14, 23])
def test_enrolment_by_gaps_is_the_count_of_distinct_units(start):
    """Had the experiment begun on that day of the past, gaps give exactly the units it would have enrolled."""
    unit, day = visits_of_a_population(np.random.default_rng(1), 400, 40)
    history = ActivityHistory.of_visits(MONDAY, unit, day, days=40)
    horizon = min(start, 40 - start)
    by_gaps = np.cumsum([history.enrolled(k)[start + k] for k in range(horizon)])
    assert np.array_equal(by_gaps, enrolled_from(unit, day, start, horizon))


def test_weekends_stay_weekends():
    history = ActivityHistory.of_new_units(MONDAY, WEEKEND * 4)
    thursday = date(2024, 3, 7)
    curve = enrolment_curve(history, first_day=thursday, horizon=7, draws=20)
    assert np.diff(curve.paths, axis=1, prepend=0)[0].tolist() == [100, 100, 20, 20, 100, 100, 100]
    answer = days_until(curve, 201)
    assert (answer.days, answer.days_low, answer.days_high) == (3, 3, 3)
    assert answer.last_day == date(2024, 3, 9)


def test_the_future_is_inside_the_interval_as_often_as_promised():
    """Weeks differ by a random factor: of many futures of the same kind, the interval holds nine in ten."""
    rng = np.random.default_rng(2)

    def weeks(count: int) -> np.ndarray:
        return rng.poisson(np.outer(rng.gamma(25, 1 / 25, count), WEEKEND)).ravel()

    inside = []
    for seed in range(150):
        history = ActivityHistory.of_new_units(MONDAY, weeks(16))
        curve = enrolment_curve(history, first_day=date(2024, 6, 3), horizon=84, draws=200, seed=seed)
        truth = int(np.argmax(weeks(12).cumsum() >= 3_000)) + 1
        answer = days_until(curve, 3_000)
        inside.append(answer.days_low <= truth <= answer.days_high)
    assert 0.8 < np.mean(inside) < 0.97


def test_units_that_return_are_not_enrolled_twice():
    unit, day = visits_of_a_population(np.random.default_rng(3), 3_000, 112)
    past = day < 84
    history = ActivityHistory.of_visits(MONDAY, unit[past], day[past], days=84)
    truth = enrolled_from(unit, day, 84, 28)
    curve = enrolment_curve(history, first_day=date(2024, 3, 25), horizon=28)
    for k in (1, 7, 14, 28):
        assert curve.units(k)[0] == pytest.approx(truth[k - 1], rel=0.05)
    naive = ActivityHistory.of_new_units(MONDAY, history.counts.sum(axis=1))
    assert enrolment_curve(naive, first_day=date(2024, 3, 25), horizon=28).units(28)[0] > 2.5 * truth[-1]


def test_beyond_the_history_the_curve_says_that_it_guesses():
    unit, day = visits_of_a_population(np.random.default_rng(4), 300, 28)
    history = ActivityHistory.of_visits(MONDAY, unit, day, days=28)
    curve = enrolment_curve(history, first_day=date(2024, 1, 29), horizon=60)
    assert curve.known_days == 28
    assert days_until(curve, curve.units(20)[0]).settings["returns_known"]
    assert not days_until(curve, curve.units(50)[0]).settings["returns_known"]


def test_coverage_and_watching_time():
    history = ActivityHistory.of_new_units(MONDAY, [10] * 28)
    half = enrolment_curve(history, first_day=MONDAY, horizon=30, coverage=0.5, draws=3)
    assert half.units(30)[0] == 150
    assert days_until(half, 100, watch_days=14).days == 34
    too_many = days_until(half, 151)
    assert (too_many.status, too_many.days, too_many.last_day) == ("not_reached", None, None)


def test_a_bound_beyond_the_horizon_is_no_number():
    rng = np.random.default_rng(5)
    history = ActivityHistory.of_new_units(MONDAY, np.repeat(rng.gamma(3, 10, 12).astype(int), 7))
    curve = enrolment_curve(history, first_day=MONDAY, horizon=21)
    answer = days_until(curve, curve.units(21)[0])
    assert answer.status == "ok"
    assert answer.days_low < answer.days
    assert answer.days_high is None


def test_the_smallest_effect_falls_with_the_days():
    history = ActivityHistory.of_new_units(MONDAY, np.random.default_rng(6).poisson(50, 56))
    curve = enrolment_curve(history, first_day=MONDAY, horizon=28)
    table = reachable_effects(curve, lambda units: units**-0.5, watch_days=7)
    assert [row.day for row in table] == list(range(1, 36))
    assert all(row.effect is None for row in table[:7])
    effects = [row.effect for row in table[7:]]
    assert effects == sorted(effects, reverse=True)
    assert all(row.effect_low <= row.effect <= row.effect_high for row in table[7:])
    assert table[34].units == curve.units(28)[0]
    assert [row.day for row in reachable_effects(curve, lambda units: None, days=range(7, 29, 7))] == [7, 14, 21, 28]


def test_a_history_of_one_odd_week_is_enough_to_begin_with():
    history = ActivityHistory.of_new_units(date(2024, 1, 3), [1, 2, 3, 4, 5, 6, 7, 8])
    curve = enrolment_curve(history, first_day=MONDAY, horizon=14, draws=2)
    assert np.diff(curve.paths, axis=1, prepend=0)[0].tolist() == [6, 7, 8, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ActivityHistory.of_new_units(MONDAY, [3, -1]),
        lambda: ActivityHistory(MONDAY, np.ones((2, 3), dtype=int)),
        lambda: ActivityHistory.of_visits(MONDAY, [1], [9], days=9),
        lambda: enrolment_curve(ActivityHistory.of_new_units(MONDAY, [1] * 6), first_day=MONDAY),
        lambda: enrolment_curve(ActivityHistory.of_new_units(MONDAY, [1] * 9), first_day=MONDAY, coverage=0.0),
        lambda: enrolment_curve(ActivityHistory.of_new_units(MONDAY, [1] * 9), first_day=MONDAY, horizon=0),
    ],
)
def test_histories_without_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
