"""Findings over HTTP: what was found unasked, and nothing of what is behind a closed gate."""

from __future__ import annotations

from typing import Any

import pytest

from api.experiments.findings import Findings

NUMBERS = ("p_value", "q_value", "cramers_v")


def interaction(world: Any, a: str, b: str, test: str = "assignment", **more: Any) -> None:
    row = {"status": "ok", "n": 500, "p_value": 0.001, "q_value": 0.01, "found": True, "cramers_v": 0.3}
    row |= {"effects": [{"effect": 1.0}], "settings": {}, "provenance_id": "p_1", **more}
    world.insert("serving.experiment_interactions", tenant_id="acme", experiment_a=a, experiment_b=b, test=test, **row)


@pytest.fixture(scope="module", autouse=True)
def experiments(world: Any) -> None:
    """acme: open and other meet each other, and both meet broken, whose gate closed after the night."""
    for key in ("open", "other", "broken"):
        world.declare("acme", key)
        world.materialise("acme", key, gates_passed=key != "broken")
        world.insert(
            "serving.experiment_heterogeneity",
            tenant_id="acme",
            experiment=key,
            metric="visit",
            metric_role="primary",
            position=1,
            segment="channel",
            variant="on",
            control="off",
            status="ok",
            p_value=0.001,
            q_value=0.002,
            found=True,
            levels=[{"level": "web", "difference": 2.0}],
            levels_found=["web"],
            reversed_levels=[],
            simpson=False,
            reasons=[],
            settings={},
            provenance_id="p_1",
        )
    interaction(world, "open", "other")
    interaction(world, "open", "other", "interaction", measured_in="open", metric="visit", cramers_v=None)
    interaction(world, "broken", "open")


def findings(client: Any, key: str) -> dict[str, Any]:
    answer = client.get(f"/v1/experiments/{key}/findings")
    assert answer.status_code == 200, answer.text
    Findings.model_validate(answer.json())
    return answer.json()  # type: ignore[no-any-return]


def test_what_was_found_is_told_on_both_sides_of_a_pair(acme: Any) -> None:
    found = findings(acme, "open")
    assert [each["levels_found"] for each in found["heterogeneity"]] == [["web"]]
    pairs = {(each["experiment_a"], each["test"]): each for each in found["interactions"]}
    assert pairs["open", "assignment"]["q_value"] == 0.01
    assert pairs["open", "interaction"]["effects"] == [{"effect": 1.0}]
    assert [each["experiment_b"] for each in findings(acme, "other")["interactions"]] == ["other", "other"]


def test_a_gate_that_closed_since_the_night_takes_the_numbers_away(acme: Any) -> None:
    broken = findings(acme, "broken")
    assert broken["heterogeneity"] == []
    for each in (*broken["interactions"], *findings(acme, "open")["interactions"]):
        if each["experiment_a"] == "broken":
            assert (each["status"], each["found"], each["effects"]) == ("withheld", False, [])
            assert [each[name] for name in NUMBERS] == [None] * 3


def test_an_experiment_of_somebody_else_is_not_there(globex: Any) -> None:
    assert globex.get("/v1/experiments/open/findings").status_code == 404


def test_before_anything_is_made_nothing_is_known(world: Any, acme: Any) -> None:
    """Declared, and the tables are not there yet: null, which is not the same as nothing found."""
    world.execute("alter table serving.experiment_interactions rename to not_yet")
    try:
        world.declare("acme", "fresh")
        found = findings(acme, "fresh")
        assert (found["heterogeneity"], found["interactions"]) == ([], None)
    finally:
        world.execute("alter table serving.not_yet rename to experiment_interactions")
