"""What a declaration makes of gates."""

from __future__ import annotations

from causeway.statistics.gates.gate import Gate, declared_as_warnings


def gate(name: str, *, passed: bool, blocking: bool = True) -> Gate:
    return Gate(name, passed, blocking, 0.5 if passed else 1e-6, {}, {}, "Seen.")


def test_a_gate_that_is_declared_to_warn_keeps_its_verdict_and_withholds_nothing() -> None:
    (found,) = declared_as_warnings([gate("pre_exposure_imbalance:age", passed=False)], ["pre_exposure_imbalance"])
    assert (found.passed, found.blocking, found.p_value) == (False, False, 1e-6)
    assert found.detail == "Seen. The declaration says that this is a warning alone."


def test_all_others_stay_as_they_are() -> None:
    gates = [gate("srm", passed=False), gate("srm:region", passed=True), gate("crossover", passed=False)]
    assert declared_as_warnings(gates, ["a_a"]) == gates
    assert [each.blocking for each in declared_as_warnings(gates, ["srm"])] == [False, False, True]
