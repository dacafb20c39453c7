"""True effects as averages of expectations."""

import numpy as np
import polars as pl
import pytest

from causeway.simulate import ExperimentTruth, TrueEffect
from causeway.simulate.truth import average_effects


def test_effects_are_averages_over_everybody_and_over_each_segment() -> None:
    control = np.array([1.0, 2.0, 3.0, 6.0])
    effects = average_effects(
        "y",
        ("off", control),
        {"on": control + np.array([1, 1, 3, 0])},
        {"city": pl.Series(["a", "a", "b", None])},
    )
    assert effects == (
        TrueEffect("y", None, "on", "off", 1.25, 3.0),
        TrueEffect("y", "city=a", "on", "off", 1.0, 1.5),
        TrueEffect("y", "city=b", "on", "off", 3.0, 3.0),
    )


def test_relative_effect_is_undefined_where_the_control_mean_is_zero() -> None:
    assert TrueEffect("y", None, "on", "off", 1.0, 4.0).relative_effect == 0.25
    assert TrueEffect("y", None, "on", "off", 1.0, 0.0).relative_effect is None


def test_an_effect_that_the_world_does_not_have_is_not_found() -> None:
    truth = ExperimentTruth((TrueEffect("y", None, "on", "off", 1.0, 4.0),))
    assert truth.find("y", "on").effect == 1.0
    with pytest.raises(KeyError, match="no true effect"):
        truth.find("y", "on", "city=a")
