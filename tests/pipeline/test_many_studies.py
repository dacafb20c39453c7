"""Many studies made in one run are what they are when each is made in a run of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from assets.publication import NOT_CONTENT
from jobs.observe import observe
from jobs.refresh import refresh
from resources.registry import register_folder

if TYPE_CHECKING:
    from conftest import House

STUDIES = ("first", "second", "hopeless")
TABLES = ("estimates.study_effects", "estimates.unit_effects", "serving.study_answers", "serving.study_results")


@pytest.fixture(scope="module")
def studies(own_house: House) -> Iterator[House]:
    """Three studies of one table; in the last everybody is treated."""
    dice = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(200):
        x = dice.gauss(0, 1)
        treated = int(dice.random() < (0.65 if x > 0 else 0.35))
        y = x + treated + dice.gauss(0, 1)
        rows.append({"id": f"u{number}", "x": x, "t": treated, "y": y, "z": y * y, "all": 1})
    own_house.table("units.csv", rows)
    declare_all(own_house)
    yield own_house


def declare_all(house: House, **more: Any) -> None:
    for key, treatment, outcome in (("first", "t", "y"), ("second", "t", "z"), ("hopeless", "all", "y")):
        house.declare(
            "study",
            key,
            unit="person",
            treatment={"column": treatment, "values": {"control": 0, "treated": 1}},
            outcome={"column": outcome},
            confounders=["x"],
            effect_modifiers=["x"],
            **more,
            source={"file": "units.csv", "unit_id": "id"},
        )
    register_folder(house.client, house.folder)


def contents(house: House) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [
            {name: value for name, value in row.items() if name not in NOT_CONTENT}
            for row in house.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
        ]
        for table in TABLES
    }


def made(house: House, *, at_once: bool) -> list[Any]:
    return list(refresh(house.defs, house.instance, lambda: observe(house.instance, house.client), at_once=at_once))


def test_one_run_for_all_makes_what_a_run_for_each_makes(studies: House) -> None:
    together = made(studies, at_once=True)
    assert not [failure for ran in together for failure in ran.failures]
    assert len({ran.run_id for ran in together if ran.work.job == "analyse_study"}) == 1
    first = contents(studies)
    verdicts = {row["study"]: row["verdict"] for row in first["estimates.study_effects"]}
    assert set(verdicts) == set(STUDIES)
    assert verdicts["hopeless"] == "withheld"
    # Content that is made again from the very same rows.
    studies.as_administrator("DELETE FROM estimates.study_effects", "DELETE FROM estimates.unit_effects")
    declare_all(studies, hypothesis="The same, said with more words.")
    alone = made(studies, at_once=False)
    assert len({ran.run_id for ran in alone if ran.work.job == "analyse_study"}) == len(STUDIES)
    assert contents(studies) == first


def test_nothing_is_left_to_do(studies: House) -> None:
    assert made(studies, at_once=False) == []
