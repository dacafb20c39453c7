"""Seasonal arrivals: their expectations are what the truth is computed from."""

from datetime import date

import numpy as np
import pytest

from causeway.simulate.arrivals import Season, arrive

SEASON = Season.of_year(date(2024, 1, 1), 365, amplitude=0.3, peak_day=100.0, weekend=0.2)


def test_a_season_has_one_unit_of_mass_per_day_and_mass_adds_up() -> None:
    begin, middle, end = np.array([0.0, 3.3]), np.array([10.4, 80.0]), np.array([365.0, 90.0])
    assert SEASON.mass(np.array([0.0]), np.array([365.0])) == pytest.approx(365.0)
    assert SEASON.mass(begin, middle) + SEASON.mass(middle, end) == pytest.approx(SEASON.mass(begin, end))


def test_weekends_and_the_far_side_of_the_year_are_quiet() -> None:
    daily = np.diff(SEASON.cumulative)
    assert daily[5] < 0.3 * daily[4]  # 6 January 2024 is a Saturday
    assert daily[95] > 1.5 * daily[277]  # two Fridays, half a year apart


def test_expected_counts_between_two_days_are_rate_times_mass() -> None:
    rate, begin = np.repeat([0.2, 1.0], 5_000), np.tile([0.0, 50.0], 5_000)
    happened = arrive(np.random.default_rng(1), np.random.default_rng(2), SEASON, rate, begin)
    assert (happened.day >= begin[happened.unit]).all()
    assert (happened.day < 365).all()
    for group in (rate == 0.2, rate == 1.0):
        for low, high in ((60.0, 61.5), (60.0, 200.0)):
            counted = (group[happened.unit] & (happened.day >= low) & (happened.day < high)).sum()
            expected = rate[group].sum() * SEASON.mass(np.array([low]), np.array([high]))[0]
            assert abs(counted - expected) < 4 * np.sqrt(expected)


def test_superposed_processes_keep_every_event() -> None:
    one = arrive(np.random.default_rng(1), np.random.default_rng(2), SEASON, np.array([0.1, 0.2]))
    both = one + one
    assert len(both.unit) == len(both.day) == 2 * len(one.unit)
