"""The formulas for arrays give what the functions of the pipeline give, look by look."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causeway.simulate.daily_looks import (
    DailyLooks,
    looks_at_adjusted_means,
    looks_at_event_quantiles,
    looks_at_means,
    looks_at_quantiles,
    looks_at_restricted_means,
    units_so_far,
)
from causeway.simulate.durations import DurationModel
from causeway.simulate.metric_types import METRICS_OF_UNITS, event_latencies
from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.life_table import LifeTable
from causeway.statistics.quantile import ArmQuantile, quantile_effect
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.time_to_event import restricted_mean_effect

UNITS, DAYS, RUN = 400, 8, 2
MEANS = [name for name in METRICS_OF_UNITS if "quantile" not in name]
Z = float(stats.norm.isf(0.025))


def two_arms(metric: str, *, days: int = DAYS):
    rng = np.random.default_rng(6)
    arms = [METRICS_OF_UNITS[metric].draw(rng, rng.standard_normal((3, UNITS)), lift) for lift in (0.1, 0.0)]
    return arms, units_so_far(UNITS, days)


def assert_same(looks: DailyLooks, look: int, effect: Effect) -> None:
    always = confidence_sequence(effect, planned_n=2 * UNITS)
    assert looks.seen[RUN, look] == (always.status == "ok")
    if effect.status == "ok":
        assert looks.effect[RUN, look] == pytest.approx(effect.effect, rel=1e-9, abs=1e-12)
        assert looks.std_error[RUN, look] == pytest.approx(effect.std_error, rel=1e-9)
    if always.status == "ok":
        assert looks.z(0.0)[RUN, look] == pytest.approx(effect.effect / effect.std_error, rel=1e-9, abs=1e-12)
    else:
        assert looks.z(0.0)[RUN, look] == 0


@pytest.mark.parametrize("metric", MEANS)
def test_means_ratios_and_cuped(metric):
    arms, n = two_arms(metric)
    plain, adjusted = looks_at_means(*arms, DAYS), looks_at_adjusted_means(*arms, "before", DAYS)
    denominator = "denominator" if metric == "ratio" else None
    seen = 0
    for look, units in enumerate(n.tolist()):
        found = [JointMoments.from_arrays({name: values[RUN, :units] for name, values in arm.items()}) for arm in arms]
        if denominator:
            effect = difference_in_ratios(*found)
        else:
            effect = difference_in_means(*(each.moments("outcome") for each in found))
        if effect.settings.get("relative_status") != "weak_denominator":
            assert_same(plain, look, effect)
            assert_same(adjusted, look, cuped(*found, ["before"], denominator=denominator))
        seen += plain.seen[RUN, look]
    assert 5 <= seen < DAYS


def test_a_weak_denominator_is_not_looked_at():
    rng = np.random.default_rng(1)
    arms = [
        {"outcome": (rng.random((3, UNITS)) < 0.1) * 1.0, "denominator": (rng.random((3, UNITS)) < 0.3) * 1.0}
        for _ in range(2)
    ]
    looks = looks_at_means(*arms, DAYS)
    weak = []
    for look, units in enumerate(units_so_far(UNITS, DAYS).tolist()):
        found = [JointMoments.from_arrays({name: values[RUN, :units] for name, values in arm.items()}) for arm in arms]
        effect = difference_in_ratios(*found)
        assert looks.seen[RUN, look] == (confidence_sequence(effect, planned_n=2 * UNITS).status == "ok")
        weak.append(effect.settings.get("interval") == "fieller" and units >= 100)
    assert any(weak)
    assert looks.seen[RUN].any()


@pytest.mark.parametrize("q", [0.5, 0.9, 0.97])
def test_quantiles_of_units(q):
    arms, n = two_arms("quantile (unit)")
    values = [arm["outcome"] for arm in arms]
    looks = looks_at_quantiles(*values, q=q, days=DAYS, critical_value=Z)
    for look, units in enumerate(n.tolist()):
        assert_same(looks, look, quantile_effect(*(ArmQuantile.from_arrays(y[RUN, :units], q) for y in values)))


@pytest.mark.parametrize("q", [0.5, 0.995])
def test_quantiles_of_events(q):
    rng = np.random.default_rng(8)
    arms = [event_latencies(rng, rng.standard_normal((3, UNITS)), lift) for lift in (0.1, 0.0)]
    looks = looks_at_event_quantiles(*arms, q=q, units=UNITS, days=DAYS, critical_value=Z)
    for look, units in enumerate(units_so_far(UNITS, DAYS).tolist()):
        rows = [(y[unit < units], unit[unit < units]) for y, unit in (arm[RUN] for arm in arms)]
        assert_same(looks, look, quantile_effect(*(ArmQuantile.from_arrays(y, q, units=unit) for y, unit in rows)))


def test_restricted_means_of_units_that_are_still_followed():
    rng = np.random.default_rng(9)
    model, days, horizon = DurationModel(), 20, 7
    arms = [model.draw_whole_days(rng, (3, UNITS), factor) for factor in (0.8, 1.0)]
    looks = looks_at_restricted_means(*arms, days, horizon)
    per_day = UNITS // days
    exposed = np.arange(UNITS) // per_day
    for look in range(days):
        tables = []
        for arm in arms:
            here = exposed <= look
            followed = np.minimum(look + 1 - exposed[here], horizon)
            exits = np.minimum(arm[RUN][here], followed)
            tables.append(LifeTable.from_arrays(exits, arm[RUN][here] <= followed))
        effect = restricted_mean_effect(*tables, horizon=horizon)
        assert (effect.status == "ok") == (look + 1 >= horizon)
        assert_same(looks, look, effect)


def test_units_that_do_not_come_in_equal_numbers_are_refused():
    with pytest.raises(ValueError, match="equal numbers"):
        units_so_far(100, 60)
