"""Effects adjusted for covariates are those of the units themselves, whatever is not known of some of them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from causeway.statistics.cuped import cuped
from causeway.statistics.joint_moments import JointMoments

if TYPE_CHECKING:
    from conftest import House

NUMBERS = ("effect", "std_error", "ci_low", "ci_high", "p_value", "relative_effect")


def test_what_is_not_known_is_the_mean_and_a_covariate_itself(house: House) -> None:
    with (house.folder / "gaps.csv").open() as file:
        rows = list(csv.DictReader(file))
    known = [float(row["history"]) for row in rows if row["history"]]
    arms = [
        JointMoments.from_arrays(
            {
                "outcome": [float(row["spend"]) for row in rows if row["arm"] == arm],
                "history": [float(row["history"] or np.mean(known)) for row in rows if row["arm"] == arm],
                "history (missing)": [float(not row["history"]) for row in rows if row["arm"] == arm],
            }
        )
        for arm in ("on", "off")
    ]
    expected = cuped(*arms, ["history", "history (missing)"])
    row = house.served_one("acme|gaps", "spend", "cuped")
    assert {name: row[name] for name in NUMBERS} == pytest.approx(
        {name: getattr(expected, name) for name in NUMBERS}, rel=1e-9
    )
    assert row["settings"]["covariates"] == ["history", "history (missing)"], "channel is no number"
    assert row["settings"]["slopes"] == pytest.approx(expected.settings["slopes"], rel=1e-9)


def test_where_everything_is_known_nothing_is_adjusted_for_but_the_covariate(house: House) -> None:
    assert house.served_one("acme|lift", "spend", "cuped")["settings"]["covariates"] == ["history"]
