"""A small, seeded `causeway bench validity`: it sees a method that is wrong, not one that is a little off."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from benchmarks import validity_methods
from benchmarks.validity import Validity, validity
from benchmarks.validity_methods import METHODS, METRICS, PEEKING, UNDEFINED
from cli.bench import show_validity

RUNS = 100


@pytest.fixture(scope="module")
def found() -> Validity:
    return validity(lambda done, total, what: None, runs=RUNS, seed=7)


def test_every_type_of_metric_meets_every_method(found):
    pairs = {(cell.metric, cell.method) for cell in found.cells}
    assert pairs >= {(metric, method) for metric in METRICS for method in METHODS}
    assert set(UNDEFINED) <= pairs
    for cell in found.cells:
        if (cell.metric, cell.method) in UNDEFINED:
            assert (cell.false_positives, cell.met) == (None, None)
            assert cell.note
        else:
            assert cell.runs == RUNS
            assert (cell.met is None) == (cell.method == PEEKING)


def test_no_method_misses_its_target(found):
    assert [cell for cell in found.cells if cell.met is False] == []
    assert [factor for factor in found.factors if not factor.met] == []
    assert found.met


def test_peeking_at_fixed_intervals_is_wrong_several_times_as_often(found):
    """What the sequential methods are for, in every type of metric."""
    peeked = {cell.metric: cell.false_positives for cell in found.cells if cell.method == PEEKING}
    assert set(peeked) == set(METRICS)
    assert min(peeked.values()) > 0.12
    assert np.mean(list(peeked.values())) > 0.2


def test_a_method_that_is_too_sure_of_itself_is_found(monkeypatch):
    """Half the standard error: one in three trials is significant, and the bench says so."""
    honest = validity_methods.difference_in_means

    def too_sure(treated, control):
        effect = honest(treated, control)
        return replace(
            effect,
            ci_low=(effect.effect + effect.ci_low) / 2,
            ci_high=(effect.effect + effect.ci_high) / 2,
            p_value=effect.p_value**3,
        )

    monkeypatch.setattr(validity_methods, "difference_in_means", too_sure)
    monkeypatch.setattr("benchmarks.validity.METRICS", ("conversion",))
    monkeypatch.setattr("benchmarks.validity.RHOS", ())
    found = validity(lambda done, total, what: None, runs=RUNS, seed=7)
    missed = {cell.method for cell in found.cells if cell.met is False}
    assert missed == {"difference, fixed horizon"}
    assert not found.met


def test_the_same_seed_gives_the_same_numbers(monkeypatch):
    monkeypatch.setattr("benchmarks.validity.METRICS", ("retention",))
    monkeypatch.setattr("benchmarks.validity.RHOS", (0.5,))
    first, again, other = (validity(lambda *_: None, runs=100, seed=seed).cells for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_what_is_shown_and_what_is_printed_as_json_is_everything(found):
    terminal = Console(width=200, quiet=False)
    with terminal.capture() as capture:
        show_validity(terminal, found)
    text = capture.get()
    for cell in found.cells:
        assert cell.method in text
    assert json.loads(json.dumps(found.as_documents()))[0]["metric"] == "conversion"
