"""Post-stratified effects are those of the units themselves, by all segments together."""

from __future__ import annotations

import csv
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from causeway.statistics.moments import Moments
from causeway.statistics.post_stratification import post_stratified_difference

if TYPE_CHECKING:
    from conftest import House

NUMBERS = ("n", "n_control", "effect", "std_error", "ci_low", "ci_high", "p_value", "relative_effect")


@pytest.mark.parametrize("metric", ["spend", "visit"])
def test_strata_are_the_levels_of_the_segments(house: House, metric: str) -> None:
    values: dict[str, dict[str, list[float]]] = {"on": defaultdict(list), "off": defaultdict(list)}
    with (house.folder / "lift.csv").open() as file:
        for row in csv.DictReader(file):
            values[row["arm"]][f"channel={row['channel']}"].append(float(row[metric]))
    arms = [{name: Moments.from_arrays(each) for name, each in values[arm].items()} for arm in ("on", "off")]
    expected = post_stratified_difference(*arms)
    row = house.served_one("acme|lift", metric, "post_stratified")
    assert {name: row[name] for name in NUMBERS} == pytest.approx(
        {name: getattr(expected, name) for name in NUMBERS}, rel=1e-9
    )
    assert (row["settings"]["strata"], row["is_headline"]) == (2, False)


def test_without_segments_there_is_none(house: House) -> None:
    assert not [row for row in house.served("acme|gaps") if row["method"] == "post_stratified"]
