from __future__ import annotations

import numpy as np
import pytest

from causeway.statistics.gates.pre_exposure_imbalance import Characteristic, pre_exposure_imbalance_gates
from causeway.statistics.moments import Moments


def number(name: str, rng: np.random.Generator, n: int = 1000, shift: float = 0.0) -> Characteristic:
    arms = {"off": Moments.from_arrays(rng.normal(size=n)), "on": Moments.from_arrays(rng.normal(shift, size=n))}
    return Characteristic(name, None, arms)


def gates(*characteristics: Characteristic, planned_n: float | None = 10_000.0, threshold: float = 0.001):
    found = pre_exposure_imbalance_gates(characteristics, control="off", planned_n=planned_n, threshold=threshold)
    return {gate.check_name.partition(":")[2]: gate for gate in found}


@pytest.mark.parametrize("planned_n", [None, 10_000.0])
def test_arms_that_differed_beforehand_close_the_gate(planned_n):
    rng = np.random.default_rng(3)
    found = gates(number("age", rng), number("visits before", rng, shift=0.4), planned_n=planned_n)
    assert found["age"].passed
    assert (found["visits before"].passed, found["visits before"].blocking) == (False, True)
    (compared,) = found["visits before"].observed["compared"]
    assert compared["standardised_difference"] == pytest.approx(0.4, abs=0.1)


def test_levels_are_compared_by_their_shares():
    levels = [
        Characteristic.of_share("device", "phone", {"off": (600, 1000), "on": (450, 1000)}),
        Characteristic.of_share("device", "desk", {"off": (400, 1000), "on": (550, 1000)}),
    ]
    gate = gates(*levels)["device"]
    assert not gate.passed
    assert "device=phone was 0.6 in" not in gate.detail  # the control's share is told as such
    assert "0.45 in on and 0.6 in off" in gate.detail


def test_a_rare_level_and_a_few_units_are_not_judged():
    rare = Characteristic.of_share("device", "tv", {"off": (0, 2000), "on": (9, 2000)})
    few = number("age", np.random.default_rng(4), n=20, shift=3.0)
    assert [(gate.passed, gate.p_value) for gate in gates(rare, few).values()] == [(True, None), (True, None)]


def test_daily_looks_find_no_imbalance_that_is_not_there():
    """Sixty looks at three numbers and a share of units that come in day by day."""
    rng = np.random.default_rng(5)
    runs, threshold, failed = 300, 0.05, 0
    for _ in range(runs):
        units = rng.normal(size=(2, 60 * 20, 3))
        units[:, :, 2] = units[:, :, 2] < -0.8
        sums, squares = units.cumsum(axis=1), (units**2).cumsum(axis=1)
        hit = False
        for n in range(20, 1201, 20):
            mean, m2 = sums[:, n - 1] / n, squares[:, n - 1] - sums[:, n - 1] ** 2 / n
            arms = [
                {arm: Moments(n, float(mean[a, k]), float(m2[a, k])) for a, arm in enumerate(("off", "on"))}
                for k in range(3)
            ]
            found = [Characteristic(f"x{k}", None if k < 2 else "yes", of) for k, of in enumerate(arms)]
            hit = hit or any(not gate.passed for gate in gates(*found, planned_n=2400.0, threshold=threshold).values())
        failed += hit
    print({"imbalance": failed / runs})
    assert failed / runs <= threshold + 3 * np.sqrt(threshold * (1 - threshold) / runs)
