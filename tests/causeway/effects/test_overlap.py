"""Balance and overlap on groups that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.effects.overlap import balance, overlap


def test_the_standardised_difference_is_the_textbook_one() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0], [4.0, 5.0], [6.0, 5.0]])
    first, second = balance(x, ["x", "constant"], np.array([False, False, True, True]))
    assert first.smd == pytest.approx(3 / np.sqrt(2))
    assert second.smd is None


def test_randomised_groups_overlap_and_separated_ones_do_not() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2_000, 3))
    randomised = generator.uniform(size=2_000) < 0.5
    assert overlap(x, randomised).share_outside == 0.0
    assert overlap(x, x[:, 0] > 0).share_outside > 0.8


def test_a_rare_treatment_given_at_random_is_not_a_lack_of_overlap() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(20_000, 2))
    rare = generator.uniform(size=20_000) < 0.005
    found = overlap(x, rare)
    assert found.control_quantiles[2] < 0.01
    assert found.share_outside == 0.0


def test_without_confounders_everybody_has_a_counterpart() -> None:
    found = overlap(np.empty((100, 0)), np.arange(100) < 30)
    assert found.share_outside == 0.0
    assert found.treated_quantiles == pytest.approx((0.3,) * 5)
