"""A small, seeded `causeway bench validity`: it sees a method that is wrong, not one that is a little off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import validity_methods
from benchmarks.validity import QUICK_RUNS, SEED, Validity, validity
from benchmarks.validity_methods import METHODS, METRICS, PEEKING, UNDEFINED
from cli.bench import bench, show_validity
from cli.terminal import WrongInput

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


def asked(*arguments):
    app = typer.Typer()
    app.command()(bench)
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("met", [True, False])
def test_the_exit_code_says_whether_a_target_was_missed(found, met, monkeypatch):
    wanted = {}

    def made(progress, *, runs, seed):
        wanted.update(runs=runs, seed=seed)
        progress(1, 2, "conversion")
        return replace(found, cells=(replace(found.cells[0], met=met), *found.cells[1:]))

    monkeypatch.setattr("benchmarks.validity.validity", made)
    done = asked("validity", "--quick", "--seed", "0", "--json")
    assert done.exit_code == (0 if met else 1)
    assert len(json.loads(done.stdout)) == len(found.cells) + len(found.factors)
    assert wanted == {"runs": QUICK_RUNS, "seed": 0}
    asked("validity", "--runs", "500")
    assert wanted == {"runs": 500, "seed": SEED}


@pytest.mark.parametrize("arguments", [["spine", "--quick"], ["spine", "--seed", "3"], ["sorcery"]])
def test_what_cannot_be_asked_is_refused(arguments):
    assert isinstance(asked(*arguments).exception, WrongInput)


def test_the_page_shows_every_pair():
    page = (Path(__file__).parents[2] / "docs" / "validity.md").read_text(encoding="utf-8")
    for metric in METRICS:
        for method in METHODS:
            assert f"| {metric} | {method} |" in page
    assert "**no**" not in page
