from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.group_sequential_bounds import (
    LARGEST_BOUND,
    crossing_probabilities,
    efficacy_bounds,
    futility_bounds,
    planned_drift,
)
from tests.oracles.environment import ask

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
GSDESIGN_UPPER, GSDESIGN_LOWER = Spending("hwang_shih_decani", -4.0), Spending("hwang_shih_decani", -2.0)


@pytest.mark.parametrize(
    ("looks", "alpha", "pocock", "obrien_fleming"),
    [
        (2, 0.05, 2.178, 1.977),
        (3, 0.05, 2.289, 2.004),
        (4, 0.05, 2.361, 2.024),
        (5, 0.05, 2.413, 2.040),
        (8, 0.05, 2.512, 2.072),
        (10, 0.05, 2.555, 2.087),
        (15, 0.05, 2.626, 2.110),
        (20, 0.05, 2.672, 2.126),
        (2, 0.01, 2.772, 2.580),
        (5, 0.01, 2.986, 2.621),
        (10, 0.01, 3.117, 2.660),
    ],
)
def test_the_constants_of_pocock_and_of_obrien_and_fleming(looks, alpha, pocock, obrien_fleming):
    """Jennison & Turnbull (2000), tables 2.1 and 2.3; Pocock (1977); O'Brien & Fleming (1979). To the last digit."""
    fractions = [(look + 1) / looks for look in range(looks)]
    for constant, power in ((pocock, 0.0), (obrien_fleming, 0.5)):

        def error_rate(c, power=power):
            upper = [c / t**power for t in fractions]
            up, down = crossing_probabilities(fractions, upper, [-each for each in upper])
            return up.sum() + down.sum()

        assert error_rate(constant + 0.0005) < alpha < error_rate(constant - 0.0005)


@pytest.mark.parametrize(
    ("fractions", "alpha", "sides", "spending", "published", "digits"),
    [
        # Reboussin, DeMets, Kim & Lan (2000): five looks, O'Brien-Fleming and Pocock type.
        (FIFTHS, 0.05, 2, Spending("obrien_fleming"), [4.877, 3.357, 2.680, 2.290, 2.031], 3),
        (FIFTHS, 0.05, 2, Spending("pocock"), [2.438, 2.427, 2.410, 2.397, 2.386], 3),
        # R's gsDesign 3, snapshot of its own tests: Hwang-Shih-DeCani with gamma -4.
        (FIFTHS, 0.025, 1, GSDESIGN_UPPER, [3.25, 2.99, 2.69, 2.37, 2.03], 2),
        # R's ldbounds and GroupSeq print four and more digits of a grid of 0.05 standard deviations: the last are
        # its own, see test_bounds_agree_with_adaptive_quadrature.
        ((0.1, 0.33, 1.0), 0.05, 2, Spending("obrien_fleming"), [6.991, 3.731, 1.961], 3),
        ((0.5, 1.0), 0.05, 1, Spending("obrien_fleming"), [2.538, 1.662], 3),
    ],
)
def test_published_spending_bounds(fractions, alpha, sides, spending, published, digits):
    bounds = efficacy_bounds(fractions, alpha=alpha, spending=spending, sides=sides)
    assert [round(bound, digits) for bound in bounds] == pytest.approx(published, abs=1e-9)


def test_the_futility_bounds_of_gsdesign():
    """Snapshot of gsDesign's tests, test.type 4 (non-binding), 90 % power: bounds, sample size 882 for 800."""
    upper = efficacy_bounds(FIFTHS, alpha=0.025, spending=GSDESIGN_UPPER, sides=1)
    drift = planned_drift(FIFTHS, upper, beta=0.1, spending=GSDESIGN_LOWER)
    lower = futility_bounds(FIFTHS, upper, beta=0.1, spending=GSDESIGN_LOWER, drift=drift)
    assert [round(bound, 2) for bound in lower] == [-0.90, -0.04, 0.69, 1.36, 2.03]
    fixed_drift = stats.norm.isf(0.025) + stats.norm.isf(0.1)
    assert math.ceil(800 * (drift / fixed_drift) ** 2) == 882
    for given_drift, up, down in [
        (0.0, [0.0006, 0.0013, 0.0028, 0.0062, 0.0117], [0.1836, 0.3201, 0.2700, 0.1477, 0.0559]),
        (drift, [0.0417, 0.1679, 0.2806, 0.2654, 0.1444], [0.0077, 0.0115, 0.0171, 0.0256, 0.0381]),
    ]:
        ours = crossing_probabilities(FIFTHS, upper, lower, drift=given_drift)
        assert ours[0] == pytest.approx(up, abs=5.001e-5)
        assert ours[1] == pytest.approx(down, abs=5.001e-5)


def test_power_without_futility_is_that_of_gsdesign():
    """The same snapshot, test.type 1: drift 3.2415 times the root of 1.023."""
    upper = efficacy_bounds(FIFTHS, alpha=0.025, spending=GSDESIGN_UPPER, sides=1)
    up, _ = crossing_probabilities(FIFTHS, upper, drift=3.2415 * math.sqrt(1.023))
    assert up == pytest.approx([0.0370, 0.1512, 0.2647, 0.2699, 0.1771], abs=3e-4)


@pytest.mark.parametrize("sides", [1, 2])
def test_bounds_agree_with_adaptive_quadrature(sides):
    """Three looks at 0.3, 0.5 and 1.1, integrated by another method: each bound spends just what it may."""
    spending, (t1, t2, t3) = Spending("pocock"), (0.3, 0.5, 1.1)
    b1, b2, b3 = efficacy_bounds((t1, t2, t3), alpha=0.05, spending=spending, sides=sides)
    floor = (-b1, -b2) if sides == 2 else (-9.0, -9.0)

    def survives(x, at, start, level):
        """Density of the first look at x times the probability to be above `level` at the next one."""
        density = stats.norm.pdf(x, scale=math.sqrt(start))
        return density * special.ndtr((x - level) / math.sqrt(at - start))

    def second(y):
        total, _ = integrate.quad(
            lambda x: stats.norm.pdf(x, scale=math.sqrt(t1)) * stats.norm.pdf(y - x, scale=math.sqrt(t2 - t1)),
            floor[0] * math.sqrt(t1),
            b1 * math.sqrt(t1),
            epsabs=1e-13,
        )
        return total * special.ndtr((y - b3 * math.sqrt(t3)) / math.sqrt(t3 - t2))

    rate = 0.05 / sides
    parts = np.diff([0, *(spending.spent(t, rate) for t in (t1, t2, t3))])
    edges = (floor[0] * math.sqrt(t1), b1 * math.sqrt(t1))
    at_second, _ = integrate.quad(lambda x: survives(x, t2, t1, b2 * math.sqrt(t2)), *edges, epsabs=1e-13)
    at_third, _ = integrate.quad(second, floor[1] * math.sqrt(t2), b2 * math.sqrt(t2), epsabs=1e-12)
    assert stats.norm.sf(b1) == pytest.approx(parts[0], rel=1e-9)
    assert at_second == pytest.approx(parts[1], rel=1e-9)
    assert at_third == pytest.approx(parts[2], rel=1e-9)


@pytest.mark.parametrize("step", [0.001, 0.01, 0.5])
def test_a_close_second_look_is_integrated_finely_enough(step):
    first, second = efficacy_bounds((0.5, 0.5 + step), alpha=0.05, spending=Spending("pocock"), sides=1)
    edge, sd = first * math.sqrt(0.5), math.sqrt(step)

    def crosses(x):
        return stats.norm.pdf(x, scale=math.sqrt(0.5)) * special.ndtr((x - second * math.sqrt(0.5 + step)) / sd)

    found, _ = integrate.quad(crosses, edge - 9 * sd, edge, epsabs=1e-15, limit=200)
    spending = Spending("pocock")
    assert found == pytest.approx(spending.spent(0.5 + step, 0.05) - spending.spent(0.5, 0.05), rel=1e-9)


def test_agrees_with_spotify():
    """To 1e-4 where looks are even and 1e-3 where not, and no further, for its numbers are not closer to the truth.

    It takes the trapezoidal rule with a step of 0.05 standard deviations, cut off at the bound, and stops its search
    within 1e-7 of the probability; ours meets adaptive quadrature to 1e-9 (see above). Two-sided it lets a walk that
    has stopped on one side go on to the other, which moves no bound by more than 4e-6 here.
    """
    fourteenths = [look / 14 for look in range(1, 15)]
    questions = [
        (list(FIFTHS), 0.05, 2.0, 1),
        (list(FIFTHS), 0.05, 2.0, 2),
        (fourteenths, 0.05, 2.0, 2),
        ([0.1, 0.15, 0.5, 0.9, 1.0], 0.01, 3.0, 1),
    ]
    for (fractions, alpha, power, sides), theirs in zip(questions, ask("spotify_bounds", questions), strict=True):
        spending = Spending("power", power)
        ours = efficacy_bounds(tuple(fractions), alpha=alpha, spending=spending, sides=sides)
        one_sided = efficacy_bounds(tuple(fractions), alpha=alpha / sides, spending=spending, sides=1)
        even = len(set(np.diff(fractions).round(9))) == 1
        assert theirs[0] == pytest.approx(ours[0], rel=1e-9)
        assert theirs == pytest.approx(ours, abs=1e-4 if even else 1e-3)
        assert one_sided == pytest.approx(ours, abs=4e-6)


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.02, 0.6), min_size=1, max_size=6),
    st.floats(0.005, 0.2),
    st.sampled_from([Spending(), Spending("pocock"), Spending("power", 1.5)]),
    st.sampled_from([1, 2]),
)
def test_the_error_rate_is_what_was_spent_at_any_times(steps, alpha, spending, sides):
    """Uneven looks, extra looks, and information beyond the plan."""
    fractions = tuple(float(t) for t in np.cumsum(steps))
    bounds = efficacy_bounds(fractions, alpha=alpha, spending=spending, sides=sides)
    lower = [-each for each in bounds] if sides == 2 else None
    up, down = crossing_probabilities(fractions, bounds, lower)
    spent = sides * spending.spent(fractions[-1], alpha / sides)
    assert up.sum() + down.sum() == pytest.approx(spent, abs=1e-11)
    if sides == 2:
        assert up == pytest.approx(down, abs=1e-13)


@settings(max_examples=20)
@given(st.lists(st.floats(0.05, 0.4), min_size=2, max_size=5), st.floats(0.2, 0.8))
def test_a_look_does_not_change_the_bounds_before_it(steps, alpha):
    fractions = tuple(float(t) for t in np.cumsum(steps))
    whole = efficacy_bounds(fractions, alpha=alpha / 10, spending=Spending("pocock"))
    part = efficacy_bounds(fractions[:-1], alpha=alpha / 10, spending=Spending("pocock"))
    assert whole[:-1] == pytest.approx(part, abs=1e-9)


def test_one_look_at_the_end_is_the_fixed_design():
    bounds = efficacy_bounds((1.0,), alpha=0.05, spending=Spending())
    assert bounds == pytest.approx([stats.norm.isf(0.025)], abs=1e-10)


def test_over_running_spends_what_is_left_and_then_nothing():
    on_time = efficacy_bounds((0.5, 1.0), alpha=0.05, spending=Spending())
    late = efficacy_bounds((0.5, 1.3, 1.4), alpha=0.05, spending=Spending())
    assert late[0] == on_time[0]
    assert on_time[1] < late[1] < 2.0  # less correlated with the first look
    assert late[2] == LARGEST_BOUND


def test_under_running_spends_what_is_left_only_if_it_is_the_end():
    going_on = efficacy_bounds((0.5, 0.8), alpha=0.05, spending=Spending())
    ended = efficacy_bounds((0.5, 0.8), alpha=0.05, spending=Spending(), final=True)
    assert ended[1] < going_on[1]
    up, down = crossing_probabilities((0.5, 0.8), ended, [-each for each in ended])
    assert up.sum() + down.sum() == pytest.approx(0.05, abs=1e-11)


def test_where_next_to_nothing_may_be_spent_the_bound_stays_finite():
    bounds = efficacy_bounds(tuple(look / 60 for look in range(1, 61)), alpha=0.05, spending=Spending())
    assert bounds[0] == LARGEST_BOUND
    assert all(earlier >= later for earlier, later in pairwise(bounds))


@pytest.mark.parametrize(
    "fractions", [(), (0.0, 1.0), (0.5, 0.5), (0.6, 0.5), (0.5, 0.5004), (0.5, math.nan), (-0.5, 1.0)]
)
def test_looks_without_new_information_are_refused(fractions):
    with pytest.raises(ValueError):
        efficacy_bounds(fractions, alpha=0.05, spending=Spending())


def test_futility_never_lies_above_efficacy():
    fractions = (0.2, 0.7, 1.4)
    upper = efficacy_bounds(fractions, alpha=0.05, spending=Spending(), sides=1)
    lower = futility_bounds(fractions, upper, beta=0.2, spending=Spending("pocock"), drift=4.0)
    assert all(low <= high for low, high in zip(lower, upper, strict=True))
    assert lower[-1] == upper[-1]  # more information than planned: beta is not used up before the bounds meet
