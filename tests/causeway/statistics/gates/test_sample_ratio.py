from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from causeway.statistics.gates import (
    Enrolment,
    sequential_srm_gate,
    srm_by_day_gate,
    srm_cluster_gate,
    srm_segment_gates,
)
from causeway.statistics.gates.sample_ratio import p_values
from causeway.statistics.sequential_sample_ratio import sequential_sample_ratio_test

FIRST = date(2026, 3, 1)


def days(n: int) -> tuple[date, ...]:
    return tuple(FIRST + timedelta(days=k) for k in range(n))


def enrolment(units, shares=(0.5, 0.5), variants=("off", "on")) -> Enrolment:
    """One row of `units` a day; the same shares on all of them unless there is a row for each."""
    units = np.asarray(units, dtype=np.int64)
    shares = np.broadcast_to(np.asarray(shares, dtype=float), units.shape[-2:]).copy()
    return Enrolment(variants, days(units.shape[-2]), units, shares)


def test_with_unchanged_weights_it_is_the_sequential_test():
    units = np.random.default_rng(1).multinomial(300, [0.2, 0.3, 0.5], size=30)
    of = enrolment(units, shares=[0.2, 0.3, 0.5], variants=("a", "b", "c"))
    looks = [dict(zip("abc", map(int, row), strict=True)) for row in units.cumsum(axis=0)]
    reference = sequential_sample_ratio_test(looks, {"a": 2, "b": 3, "c": 5})
    np.testing.assert_allclose(p_values(of), reference.p_values, rtol=1e-9)


def test_52_to_48_is_found_and_dated():
    units = np.random.default_rng(2).multinomial(1000, [0.52, 0.48], size=60)
    gate = sequential_srm_gate(enrolment(units))
    assert not gate.passed and gate.blocking
    assert gate.p_value < 0.001
    assert gate.observed["failed_since"] < days(60)[-1].isoformat()
    assert gate.observed["units"] == {"off": int(units[:, 0].sum()), "on": int(units[:, 1].sum())}


def test_changed_weights_are_expected_from_the_day_on_which_they_were_in_force():
    shares = np.array([[0.9, 0.1]] * 10 + [[0.5, 0.5]] * 10)
    units = np.array([[450, 50]] * 10 + [[250, 250]] * 10)
    gate = sequential_srm_gate(enrolment(units, shares))
    assert gate.passed
    assert gate.expected["units"] == {"off": 7000.0, "on": 3000.0}
    assert [each["from"] for each in gate.expected["weights_in_force"]] == ["2026-03-01", "2026-03-11"]
    assert not sequential_srm_gate(enrolment(units)).passed


def test_what_failed_once_stays_failed():
    units = np.array([[150, 50]] + [[475, 525]] * 2 + [[500, 500]] * 17)
    gate = sequential_srm_gate(enrolment(units))
    assert (gate.passed, gate.observed["failed_since"]) == (False, "2026-03-01")
    assert gate.p_value < 0.001


def test_a_unit_in_an_arm_of_weight_zero_is_proof():
    gate = sequential_srm_gate(enrolment([[50, 1]], shares=[1.0, 0.0]))
    assert (gate.passed, gate.p_value) == (False, 0.0)
    assert sequential_srm_gate(enrolment([[50, 0]], shares=[1.0, 0.0])).passed


def test_nobody_is_nothing_to_estimate():
    gate = sequential_srm_gate(enrolment(np.zeros((0, 2))))
    assert (gate.passed, gate.p_value, gate.blocking) == (False, None, True)


def test_a_day_that_went_wrong_is_named_in_a_warning():
    units = np.array([[500, 500]] * 20)
    units[12] = [950, 50]
    gate = srm_by_day_gate(enrolment(units))
    assert (gate.passed, gate.blocking) == (False, False)
    assert list(gate.observed["days"]) == ["2026-03-13"]
    assert "2026-03-13: off 950, on 50" in gate.detail


def test_a_segment_that_loses_units_closes_although_the_whole_is_fine():
    levels = [("device", "phone"), ("device", "desk"), ("country", "DE")]
    units = np.array([[[60, 40]] * 40, [[40, 60]] * 40, [[50, 50]] * 40])
    assert sequential_srm_gate(enrolment(units[:2].sum(axis=0))).passed
    device, country = srm_segment_gates(levels, enrolment(units))
    assert (device.check_name, device.passed, device.blocking) == ("srm:device", False, True)
    assert set(device.observed["levels"]) == {"phone", "desk"}
    assert (country.check_name, country.passed) == ("srm:country", True)
    assert not srm_segment_gates(levels, enrolment(units), at_once=True)[0].passed


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
def test_false_alarms_over_sixty_looks_and_twenty_levels_are_as_rare_as_declared(shares):
    """5 segments of 4 levels each, of the same 6,000 units; at a threshold of 5 %, where 400 runs can tell."""
    rng = np.random.default_rng(7)
    levels = [(f"s{segment}", f"l{level}") for segment in range(5) for level in range(4)]
    runs, threshold = 400, 0.05
    whole = by_day = by_segment = 0
    for _ in range(runs):
        one = np.stack([rng.multinomial(rng.poisson(25), shares, size=60) for _ in range(4)])
        others = []
        for _ in range(4):
            total = one.sum(axis=0)
            parts = [rng.binomial(total, 0.25)]
            parts += [rng.binomial(total - parts[0], 1 / 3)]
            parts += [rng.binomial(total - parts[0] - parts[1], 1 / 2)]
            others.append(np.stack([*parts, total - sum(parts)]))
        units = np.concatenate([one, *others])
        whole += not sequential_srm_gate(enrolment(one.sum(axis=0), shares), threshold=threshold).passed
        by_day += not srm_by_day_gate(enrolment(one.sum(axis=0), shares), threshold=threshold).passed
        by_segment += any(
            not gate.passed for gate in srm_segment_gates(levels, enrolment(units, shares), threshold=threshold)
        )
    at_most = threshold + 3 * np.sqrt(threshold * (1 - threshold) / runs)
    print({"whole": whole / runs, "by_day": by_day / runs, "by_segment": by_segment / runs})
    assert max(whole, by_day, by_segment) / runs <= at_most


def of(units: dict[str, list[int]]) -> Enrolment:
    """Two days, equal shares."""
    counts = np.array(list(units.values())).T
    days = (date(2024, 1, 1), date(2024, 1, 2))[: len(counts)]
    return Enrolment(tuple(units), days, counts, np.full(counts.shape, 1 / len(units)))


@pytest.mark.parametrize("at_once", [True, False])
def test_clusters_that_were_dealt_are_counted_however_unequal_their_units(at_once: bool) -> None:
    clusters, units = of({"a": [10, 11], "b": [9, 12]}), of({"a": [900, 900], "b": [500, 500]})
    gate = srm_cluster_gate("school", clusters, 2, units, at_once=at_once)
    assert (gate.check_name, gate.passed, gate.blocking) == ("srm:school", True, True)
    assert gate.observed["units"] == {"a": 21, "b": 21}
    assert gate.detail.startswith(
        "42 of 44 clusters have units of one variant only, so clusters are counted. The clusters"
    )


def test_clusters_that_contradict_the_weights_close_it() -> None:
    gate = srm_cluster_gate(
        "school", of({"a": [40, 40], "b": [10, 10]}), 0, of({"a": [1, 1], "b": [1, 1]}), at_once=True
    )
    assert not gate.passed


@pytest.mark.parametrize(("whole", "mixed"), [([1, 0], 60), ([0, 0], 0)])
def test_units_are_counted_where_clusters_are_mixed_or_unknown(whole: list[int], mixed: int) -> None:
    units = of({"a": [900, 900], "b": [500, 500]})
    gate = srm_cluster_gate("school", of({"a": whole, "b": [0, 0]}), mixed, units, at_once=False)
    assert not gate.passed
    assert gate.observed["units"] == {"a": 1800, "b": 1000}
    assert gate.observed["counted"] == "units"
