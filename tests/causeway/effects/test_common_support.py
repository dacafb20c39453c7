"""Who has a counterpart: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causeway.effects.common_support import common_support

TREATED = np.repeat([True, False], 4)
E = np.array([0.99, 0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 0.01])


@pytest.mark.parametrize(("target", "share"), [("ATE", 2 / 8), ("ATT", 1 / 4), ("ATC", 1 / 4)])
def test_shares_are_of_those_asked_about(target: Any, share: float) -> None:
    found = common_support(E, TREATED, target)
    assert (found.share_outside, found.share_trimmed) == (share, share)


def test_a_rare_treatment_is_no_lack_of_overlap() -> None:
    treated = np.arange(1000) < 5
    assert common_support(np.full(1000, 0.005), treated, "ATE").share_outside == 0.0
    assert common_support(np.full(1000, 0.005), treated, "ATE").kept.all()


def test_effective_numbers_are_kishs() -> None:
    found = common_support(E, TREATED, "ATE")
    weights = 1 / E[:4]
    assert found.effective_treated == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert common_support(E, TREATED, "ATT").effective_treated == pytest.approx(4.0)
    assert set(found.as_document()) >= {"share_outside", "effective_control", "treated_quantiles"}
