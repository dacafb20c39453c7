"""docs/agreement.md is what the second implementations say today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "draw_agreement.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("draw_agreement", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script):
    return script.agreements()


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_every_quantity_agrees_within_1e_9_or_says_why_not(found):
    assert [each for each in found if not each.in_order] == []


def test_every_quantity_and_every_peer_is_there(found):
    quantities = {each.quantity for each in found}
    assert quantities >= {
        "difference in means",
        "relative effect",
        "ratio",
        "CUPED, one theta",
        "post-stratification",
        "quantile",
        "time to event",
        "clusters randomised",
        "always-valid sequence",
        "group-sequential bounds",
        "sample ratio",
        "posterior",
        "Holm",
        "Benjamini-Hochberg",
    }
    peers = " ".join(each.peer for each in found)
    assert all(peer in peers for peer in ("tea-tasting", "gbstats", "Spotify", "statsmodels", "SciPy", "NumPy"))


def test_the_page_says_so(script, found):
    """Word for word but for the differences: those that are rounding may move, the others stay what they are."""
    shown = [line for line in script.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    made = script.rows(found)
    assert len(shown) == len(made)
    for row, row_now in zip(shown, made, strict=True):
        theirs, ours = cells(row), cells(row_now)
        assert theirs[:3] + theirs[4:] == ours[:3] + ours[4:]
        if theirs[4] == script.AGREE:
            assert float(theirs[3]) <= script.EXACT
        else:
            assert float(theirs[3]) == pytest.approx(float(ours[3]), rel=0.5)
    assert script.page(found).split("| quantity")[0] in script.PAGE.read_text(encoding="utf-8")


def test_a_difference_without_a_reason_is_out_of_order(script):
    assert not script.Agreement("mean", "effect", "a peer", 1e-8).in_order
    assert not script.Agreement("mean", "effect", "a peer", 1e-12, "for no reason").in_order
    assert script.largest([(1.0, 1.0), (2.0, 1.0)]) == 1.0
    assert script.largest([(None, 1.0)]) > 1e300
