"""A decomposition by runs of rows is the one in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.effects import triangle as by_runs
from causeway.effects.estimators.g_formula import g_formula
from causeway.effects.sensitivity.observed_strengths import observed_strengths
from causeway.effects.triangle import runs, triangle


@pytest.mark.parametrize("n", [1, 3, 7, 8, 50])
def test_it_is_that_of_the_whole_matrix(n, monkeypatch):
    monkeypatch.setattr(by_runs, "ROWS_AT_ONCE", 7)
    matrix = np.random.default_rng(n).normal(size=(n, 4)) * [1, 1e-6, 1e6, 1]
    whole = np.linalg.qr(matrix, mode="r")
    assert np.abs(triangle(n, lambda run: matrix[run])) == pytest.approx(np.abs(whole), rel=1e-9)


def test_runs_are_every_row_once(monkeypatch):
    monkeypatch.setattr(by_runs, "ROWS_AT_ONCE", 7)
    assert [row for run in runs(23) for row in range(23)[run]] == list(range(23))
    assert max(len(range(23)[run]) for run in runs(23)) == 7


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="without rows"):
        triangle(0, lambda run: np.zeros((0, 2)))


def test_no_answer_depends_on_the_length_of_a_run(monkeypatch):
    dice = np.random.default_rng(3)
    x = dice.normal(size=(400, 3))
    x = np.column_stack([x, x[:, 0] ** 2, x[:, 1] > 0])
    treated = dice.random(400) < 0.3 + 0.4 * (x[:, 0] > 0)
    outcome = x @ [1.0, 0.5, 0, 0, 2] + treated * x[:, 0] + dice.normal(size=400)
    weights = dice.uniform(0.5, 2, 400)
    names = list("abcde")

    def answers():
        found = g_formula(outcome, treated, x, target="ATT", weights=weights)
        strengths = observed_strengths(outcome, treated, x, names, weights=weights)
        return found, {name: (each.treatment, each.outcome) for name, each in strengths}

    (whole, strong), _ = answers(), monkeypatch.setattr(by_runs, "ROWS_AT_ONCE", 33)
    cut, strong_of_cut = answers()
    assert cut.effect == pytest.approx(whole.effect, rel=1e-9)
    assert cut.contributions == pytest.approx(whole.contributions, rel=1e-7, abs=1e-12)
    assert strong_of_cut.keys() == strong.keys()
    for name, pair in strong.items():
        assert strong_of_cut[name] == pytest.approx(pair, rel=1e-8)
