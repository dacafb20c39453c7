"""What is put in is what is found: no lift changes nothing, and a lift has the size it was given."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from causeway.design.lifts import HazardRatio, convert, multiply, shift

RNG = np.random.default_rng(7)
LATENT = RNG.exponential(10, 60_000)
WATCH = np.minimum(RNG.exponential(15, 60_000), 20)
JOURNEYS = np.column_stack([np.minimum(LATENT, WATCH), (LATENT <= WATCH).astype(float)])
DAILY = np.column_stack([np.ceil(JOURNEYS[:, 0]), JOURNEYS[:, 1]])


def rate(rows: np.ndarray) -> float:
    """Events per unit of time watched: the hazard of an exponential time."""
    return float(rows[:, 1].sum() / rows[:, 0].sum())


@pytest.mark.parametrize("inject", [multiply, shift, convert, HazardRatio(JOURNEYS)])
def test_no_lift_changes_nothing(inject):
    rows = JOURNEYS if isinstance(inject, HazardRatio) else JOURNEYS[:, 1]
    assert np.array_equal(inject(rows, 0.0, np.random.default_rng(0)), rows)


@pytest.mark.parametrize("lift", [-0.5, -0.2, 0.3, 1.0])
def test_a_hazard_ratio_is_recovered(lift):
    injected = HazardRatio(JOURNEYS)(JOURNEYS, lift, np.random.default_rng(1))
    assert rate(injected) / rate(JOURNEYS) - 1 == pytest.approx(lift, abs=0.03)
    assert injected[:, 0].max() == JOURNEYS[:, 0].max()


def test_a_small_lift_moves_nearly_nobody():
    """The levels are drawn on the unit's own step of the curve, so the times go over into each other."""
    injected = HazardRatio(DAILY)(DAILY, 1e-6, np.random.default_rng(1))
    assert (injected != DAILY).any(axis=1).mean() < 1e-3


def test_hazards_are_proportional_on_every_day():
    """Ties by day: the daily hazard h becomes 1 - (1 - h)**1.5."""
    injected = HazardRatio(DAILY)(DAILY, 0.5, np.random.default_rng(2))
    for day in (1, 4, 9):
        before, after = (
            rows[rows[:, 0] == day, 1].sum() / (rows[:, 0] >= day).sum() for rows in (DAILY, injected)
        )  # fmt: skip
        assert np.log1p(-after) / np.log1p(-before) == pytest.approx(1.5, abs=0.12)


def test_a_larger_hazard_never_delays_an_event():
    inject = HazardRatio(JOURNEYS)
    low, high = (inject(JOURNEYS, lift, np.random.default_rng(3)) for lift in (0.2, 0.9))
    assert (high[:, 1] >= low[:, 1]).all()
    both = low[:, 1] == 1
    assert (high[both, 0] <= low[both, 0]).all()


def test_the_curve_is_that_of_statsmodels_also_with_ties():
    curve = HazardRatio(DAILY)
    theirs = SurvfuncRight(DAILY[:, 0], DAILY[:, 1])
    assert curve.event_times.tolist() == theirs.surv_times.tolist()
    assert curve.survival == pytest.approx(theirs.surv_prob, abs=1e-9)


def test_watching_ends_after_the_events_of_the_same_day():
    """Day 1: an event and an end of watching; of the three left then, one ends. Day 2: the last two end."""
    curve = HazardRatio([[1.0, 1.0], [1.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    assert curve.survival.tolist() == [0.75]
    assert curve.watched.tolist() == pytest.approx([2 / 3, 0.0])


@pytest.mark.parametrize("lift", [-0.4, 0.3])
def test_conversions_rise_and_fall_by_the_lift(lift):
    outcome = (RNG.random(60_000) < 0.2).astype(float)
    injected = convert(outcome, lift, np.random.default_rng(4))
    assert injected.mean() / outcome.mean() - 1 == pytest.approx(lift, abs=0.03)
    assert set(np.unique(injected)) == {0.0, 1.0}
    moved = injected != outcome
    assert (injected[moved] == (lift > 0)).all()


def test_covariates_stay_as_they_were():
    rows = np.array([[1.0, 7.0], [0.0, 8.0]])
    rng = np.random.default_rng(0)
    assert multiply(rows, 0.5, rng).tolist() == [[1.5, 7.0], [0.0, 8.0]]
    assert shift(rows, 0.5, rng).tolist() == [[1.5, 7.0], [0.5, 8.0]]
    assert convert(rows, 0.5, rng)[:, 1].tolist() == [7.0, 8.0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: HazardRatio(JOURNEYS[:, 0]),
        lambda: HazardRatio([[1.0, 0.5]]),
        lambda: HazardRatio([[-1.0, 1.0]]),
        lambda: HazardRatio(JOURNEYS)(JOURNEYS, -1.0, RNG),
        lambda: convert(np.array([0.0, 2.0]), 0.1, RNG),
    ],
)
def test_rows_of_another_kind_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
