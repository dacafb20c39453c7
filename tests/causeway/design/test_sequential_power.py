"""Power under repeated looks is that of the published tables, and of the single look where there is only one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from causeway.design.baseline import Baseline
from causeway.design.comparison import Comparison
from causeway.design.power import minimum_detectable_effect, power
from causeway.design.sequential_power import SequentialDesign, boundary_of
from causeway.statistics.group_sequential import GroupSequentialDesign
from causeway.statistics.group_sequential_bounds import crossing_probabilities
from causeway.statistics.normal_mixture import critical_value, tuned_rho

UNIT = Baseline(0.0, 1.0)
FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
POCOCK = SequentialDesign(lambda look: 2.413, FIVE, paths=60_000)
OBRIEN_FLEMING = SequentialDesign(lambda look: 2.040 / math.sqrt(look.fraction), FIVE, paths=60_000)


@pytest.mark.parametrize(
    ("design", "chance", "published"),
    [(POCOCK, 0.8, 1.228), (POCOCK, 0.9, 1.207), (OBRIEN_FLEMING, 0.8, 1.028), (OBRIEN_FLEMING, 0.9, 1.026)],
)
def test_inflation_is_that_of_jennison_and_turnbull(design, chance, published):
    """Jennison & Turnbull 2000, tables 2.2 and 2.4: five looks, two-sided alpha 5 %."""
    size = design.sample_size(UNIT, Comparison(), effect=0.02, power=chance)
    assert size.settings["inflation"] == pytest.approx(published, abs=0.012)
    assert size.power == pytest.approx(chance, abs=1e-3)


def test_the_error_rate_is_that_of_the_boundary():
    assert POCOCK.crossing_share(drift=0, sides=2) == pytest.approx(0.05, abs=3 * math.sqrt(0.0475 / 60_000))
    assert OBRIEN_FLEMING.crossing_share(drift=0, sides=2) == pytest.approx(0.05, abs=3 * math.sqrt(0.0475 / 60_000))


def test_one_look_is_the_formula():
    single = SequentialDesign(lambda look: 1.959964, [1.0], paths=200_000)
    arms = {"n_treated": 5_000.0, "n_control": 20_000.0}
    comparison = Comparison(allocation=0.25)
    theirs = minimum_detectable_effect(UNIT, comparison, **arms)
    assert single.minimum_detectable_effect(UNIT, comparison, **arms).effect == pytest.approx(theirs.effect, rel=0.01)
    assert single.power(UNIT, comparison, effect=0.03, **arms).power == pytest.approx(
        power(UNIT, comparison, effect=0.03, **arms).power, abs=0.005
    )


def test_a_confidence_sequence_by_its_interval():
    """Normal mixture (Robbins 1970): half-width s sqrt((n + k) / n (log((n + k) / k) + 2 log(1 / alpha)))."""

    def interval(effect: float, std_error: float, n: float) -> tuple[float, float]:
        k = 1_000.0
        half = std_error * math.sqrt((n + k) / n * (math.log((n + k) / k) + 2 * math.log(1 / 0.05)))
        return effect - half, effect + half

    days = np.arange(1, 61) / 60
    design = SequentialDesign(boundary_of(interval), days, paths=8_000)
    assert design.crossing_share(drift=0.0, sides=2, n=60_000) < 0.05
    arms = {"n_treated": 30_000.0, "n_control": 30_000.0}
    smallest = design.minimum_detectable_effect(UNIT, Comparison(), **arms)
    fixed = minimum_detectable_effect(UNIT, Comparison(), **arms)
    assert 1.1 < smallest.effect / fixed.effect < 1.6
    assert design.power(UNIT, Comparison(), effect=smallest.effect, **arms).power == pytest.approx(0.8, abs=2e-3)


def test_the_boundary_is_asked_with_the_units_and_the_error_of_each_look():
    asked = []

    def listening(look):
        asked.append((look.fraction, look.n, look.std_error))
        return 2.0

    SequentialDesign(listening, [0.25, 1.0], paths=10).power(
        UNIT, Comparison(), effect=0.1, n_treated=200, n_control=200
    )  # fmt: skip
    assert asked == [(0.25, 100.0, pytest.approx(0.2)), (1.0, 400.0, pytest.approx(0.1))]


def test_the_wanted_direction_margin_and_proportions_are_respected():
    arms = {"n_treated": 4_000.0, "n_control": 4_000.0}
    less = POCOCK.minimum_detectable_effect(Baseline.of_proportion(0.2), Comparison(direction="decrease"), **arms)
    more = POCOCK.minimum_detectable_effect(Baseline.of_proportion(0.2), Comparison(), **arms)
    assert less.effect < 0 < more.effect
    assert -less.effect < more.effect, "below one half a fall shrinks the variance"
    tolerant = Comparison(sides=1, alpha=0.025, margin=0.1)
    assert POCOCK.minimum_detectable_effect(UNIT, tolerant, **arms).effect < 0
    scarce = {"n_treated": 10.0, "n_control": 10.0}
    assert POCOCK.minimum_detectable_effect(Baseline.of_proportion(0.98), Comparison(), **scarce).status == (
        "not_reachable"
    )


@pytest.mark.parametrize("chance", [0.06, 0.3, 0.99])
def test_every_power_is_found_again(chance):
    arms = {"n_treated": 900.0, "n_control": 400.0}
    found = POCOCK.minimum_detectable_effect(UNIT, Comparison(), **arms, power=chance)
    again = POCOCK.power(UNIT, Comparison(), effect=found.effect, **arms)
    assert again.power == pytest.approx(chance, abs=5e-4)
    size = POCOCK.sample_size(UNIT, Comparison(allocation=2.25), effect=found.effect, power=chance)
    assert size.n_control == pytest.approx(400, rel=0.01)


def test_statuses_and_refusals():
    assert POCOCK.power(Baseline(1.0, 0.0), Comparison(), effect=1, n_treated=9, n_control=9).status == "zero_variance"
    assert POCOCK.power(UNIT, Comparison(), effect=1, n_treated=1, n_control=9).status == "too_few_units"
    assert POCOCK.sample_size(UNIT, Comparison(), effect=-1).status == "not_reachable"
    assert POCOCK.power(UNIT, Comparison(), effect=0.1, n_treated=90, n_control=90).settings["mc_error"] > 0
    for fractions in ([], [0.5, 0.4, 1.0], [0.5], [0.0, 1.0]):
        with pytest.raises(ValueError, match="fractions"):
            SequentialDesign(lambda look: 2.0, fractions)


@pytest.mark.parametrize("drift", [0.0, 1.5, 3.0])
def test_simulated_crossings_are_those_of_the_exact_recursion(drift):
    """The bounds of the house's own group-sequential method; its recursion integrates what is simulated here."""
    bounds = dict(zip(FIVE, GroupSequentialDesign().bounds(FIVE), strict=True))
    design = SequentialDesign(lambda look: bounds[look.fraction], FIVE, paths=60_000, seed=3)
    upper, _ = crossing_probabilities(FIVE, list(bounds.values()), drift=drift)
    assert design.crossing_share(drift=drift, sides=1) == pytest.approx(
        float(upper.sum()), abs=4 * math.sqrt(0.25 / 60_000)
    )


def test_sixty_daily_looks_with_the_houses_confidence_sequence():
    """Never above alpha without an effect, and dearer than one look, but not twice as dear."""
    rho = tuned_rho(20_000, alpha=0.05)
    design = SequentialDesign(
        lambda look: float(critical_value(look.n, rho=rho, alpha=0.05)), np.arange(1, 61) / 60, paths=5_000
    )
    assert design.crossing_share(drift=0.0, sides=2, n=20_000) < 0.05
    size = design.sample_size(UNIT, Comparison(), effect=0.04)
    assert 1.2 < size.settings["inflation"] < 2.0
