"""Groups of similar predictions."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.twins.calibration_bins import calibration_bins


def test_tenths_hold_a_tenth_each_and_lose_nobody() -> None:
    predicted = np.random.default_rng(0).normal(size=1_000)
    bins = calibration_bins(predicted, predicted + 1.0)
    assert [group.n for group in bins] == [100] * 10
    assert [group.observed - group.predicted for group in bins] == pytest.approx([1.0] * 10)


def test_equal_predictions_stay_together() -> None:
    predicted = np.array([0.0] * 60 + [1.0] * 40)
    bins = calibration_bins(predicted, predicted)
    assert [(group.n, group.predicted) for group in bins] == [(60, 0.0), (40, 1.0)]
    assert sum(group.n for group in calibration_bins(np.zeros(7), np.arange(7.0))) == 7


def test_missing_outcomes_are_left_out_and_a_single_unit_has_no_standard_error() -> None:
    bins = calibration_bins(np.array([1.0, 2.0, 3.0]), np.array([np.nan, 5.0, np.nan]))
    assert [(group.n, group.observed, group.std_error) for group in bins] == [(1, 5.0, None)]
    assert calibration_bins(np.array([]), np.array([])) == ()
