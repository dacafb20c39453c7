"""Each job of the road is run for those experiments for which there is something to compute."""

from __future__ import annotations

import pytest

from jobs.road import ROAD
from jobs.standing import Standing

STANDING = Standing.of({
    "shop|draft": ("draft", False),
    "shop|planned": ("draft", True),
    "shop|runs": ("running", True),
    "shop|paused": ("paused", False),
    "shop|put_away": ("archived", True),
})  # fmt: skip
ANALYSES = {
    "conform", "land", "analyse_experiment", "analyse_study", "analyse_kpi", "publish_experiment", "publish_study",
    "publish_kpi",
}  # fmt: skip


@pytest.mark.parametrize(
    ("partition", "jobs"),
    [
        ("shop|draft", ANALYSES - {"analyse_experiment", "publish_experiment"}),
        ("shop|planned", ANALYSES - {"analyse_experiment", "publish_experiment"} | {"design_experiment"}),
        ("shop|runs", ANALYSES),
        ("shop|paused", ANALYSES),
        ("shop|put_away", ANALYSES - {"analyse_experiment", "publish_experiment"}),
        ("shop|some_source", ANALYSES),
        (None, ANALYSES),
    ],
)
def test_a_plan_is_made_of_drafts_alone_and_an_analysis_of_all_but_drafts_and_archived_experiments(
    partition: str | None, jobs: set[str]
) -> None:
    assert {job.name for job in ROAD if STANDING.asks_for(job.name, partition)} == jobs
