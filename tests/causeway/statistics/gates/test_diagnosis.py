"""Each stage of the taxonomy in a small case of its own."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from causeway.statistics.gates import Enrolment, srm_gate
from causeway.statistics.gates.diagnosis import STAGES, Trail, diagnose, diagnosed

WEIGHTS = {"off": 1.0, "on": 1.0}
ALIKE = {"off": 2000, "on": 2000}
LOST = {"off": 2000, "on": 1500}


def daily(units) -> Enrolment:
    units = np.asarray(units, dtype=np.int64)
    days = tuple(date(2026, 3, 1) + timedelta(days=k) for k in range(len(units)))
    return Enrolment(("off", "on"), days, units, np.full(units.shape, 0.5))


CASES = {
    "assignment": Trail(WEIGHTS, LOST, assigned=LOST, exposed=LOST),
    "execution": Trail(WEIGHTS, LOST, assigned=ALIKE, exposed=LOST, is_logged=True),
    "log_processing": Trail(
        WEIGHTS, LOST, assigned=ALIKE, exposed=ALIKE, is_logged=True, records=ALIKE, quarantined={"off": 3, "on": 480}
    ),
    "analysis": Trail(WEIGHTS, LOST, assigned=ALIKE, exposed=ALIKE),
    "interference": Trail(WEIGHTS, LOST, assigned=ALIKE, exposed=LOST, is_logged=False, reweighted=True),
}


def pointed_to(trail: Trail) -> set[str]:
    return {finding.stage for finding in diagnose(trail) if finding.points_to}


@pytest.mark.parametrize(
    ("case", "stages"),
    [
        ("assignment", {"assignment"}),
        ("execution", {"execution"}),
        ("log_processing", {"log_processing", "analysis"}),
        ("analysis", {"analysis"}),
        ("interference", {"assignment", "interference"}),
    ],
)
def test_the_evidence_points_to_its_stage(case, stages):
    assert pointed_to(CASES[case]) == stages


def test_all_five_stages_are_told_in_their_order():
    assert tuple(finding.stage for finding in diagnose(CASES["execution"])) == STAGES


def test_a_variant_that_began_later_is_an_execution_that_was_late():
    late = daily([[100, 0]] * 5 + [[100, 100]] * 15)
    trail = Trail(WEIGHTS, {"off": 2000, "on": 1500}, exposed=LOST, enrolment=late)
    execution = diagnose(trail)[1]
    assert execution.points_to
    assert "on began only after 2026-03-05 (5 of 20 days)" in execution.evidence
    assert "the other days agree" in execution.evidence


@pytest.mark.parametrize(
    ("stage", "trail"),
    [
        ("log_processing", Trail(WEIGHTS, LOST, records=ALIKE, late={"off": 10, "on": 400})),
        ("log_processing", Trail(WEIGHTS, LOST, records={"off": 2000, "on": 2600}, repeated={"off": 0, "on": 1100})),
        ("interference", Trail(WEIGHTS, LOST, crossovers={"off": 5, "on": 495})),
        ("interference", Trail(WEIGHTS, LOST, switched_off=True)),
        ("interference", Trail(WEIGHTS, LOST, overlaps={"other": {"off": 1000, "on": 500}, "far": LOST})),
    ],
)
def test_other_traces(stage, trail):
    assert pointed_to(trail) == {stage}


def test_a_failed_gate_carries_the_diagnosis_and_a_passed_one_does_not():
    gate = diagnosed(srm_gate(LOST, WEIGHTS), CASES["execution"])
    assert [each["stage"] for each in gate.observed["diagnosis"]] == list(STAGES)
    assert "The evidence points to execution (of the assigned units different shares saw their variant" in gate.detail
    passed = srm_gate(ALIKE, WEIGHTS)
    assert diagnosed(passed, CASES["execution"]) is passed


def test_without_a_trace_it_says_so():
    gate = diagnosed(srm_gate(LOST, WEIGHTS), Trail(WEIGHTS, LOST))
    assert "None of the five stages" in gate.detail
