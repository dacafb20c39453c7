"""The oracles' environment is made when it is missing, and answers."""

from __future__ import annotations

import pytest

from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.moments import Moments
from tests.oracles.environment import ask


def test_another_implementation_of_welchs_test_agrees() -> None:
    control, treated = [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 5.0, 7.5]
    (theirs,) = ask("gbstats_means", [(control, treated)])
    ours = difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, rel=1e-9)
