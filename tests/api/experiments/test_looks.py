"""Looks over HTTP: each day of each effect, in order, and none while a gate is closed."""

from __future__ import annotations

import pytest

from api.experiments.models import ExperimentLooks

NUMBERS = {
    "mean": 0.3, "mean_control": 0.2, "effect": 0.1, "std_error": 0.02, "ci_low": 0.04, "ci_high": 0.16,
    "p_value": 1e-4, "relative_effect": 0.5, "relative_ci_low": 0.2, "relative_ci_high": 0.8,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    """acme: watched (three days of two metrics), broken (gate closed, and rows all the same); globex: watched too."""
    for tenant, key, passed in (("acme", "watched", True), ("acme", "broken", False), ("globex", "watched", True)):
        world.declare(tenant, key)
        world.materialise(tenant, key, gates_passed=passed)
        for metric, role, position in (("spend", "secondary", 2), ("visit", "primary", 1)):
            for day, n in (("2024-01-02", 50), ("2024-01-01", 10), ("2024-01-03", 900)):
                ready = n > 100
                world.insert(
                    "serving.experiment_daily_looks",
                    tenant_id=tenant, experiment=key, metric=metric, metric_role=role, position=position, variant="on",
                    control="off", day=day, method="difference_in_means", interval="always_valid",
                    status="ok" if ready else "too_few_units", n=n, n_control=n, settings={"alpha": 0.05},
                    provenance_id="p", **(NUMBERS if ready else {}),
                )  # fmt: skip
    world.declare("acme", "fresh")


def looks(client, key: str, **chosen: str) -> ExperimentLooks:
    answer = client.get(f"/v1/experiments/{key}/looks", params=chosen)
    assert answer.status_code == 200, answer.text
    return ExperimentLooks.model_validate_json(answer.text)


def test_they_come_primary_metric_first_and_day_by_day(acme):
    found = looks(acme, "watched").looks
    assert [(look.metric, look.day.day, look.status) for look in found] == [
        (metric, day, status)
        for metric in ("visit", "spend")
        for day, status in ((1, "too_few_units"), (2, "too_few_units"), (3, "ok"))
    ]
    assert (found[2].ci_low, found[2].alpha, found[1].effect) == (0.04, 0.05, None)


def test_one_metric_can_be_asked_for(acme):
    assert {look.metric for look in looks(acme, "watched", metric="spend").looks} == {"spend"}
    assert looks(acme, "watched", metric="unknown").looks == []


def test_behind_a_closed_gate_there_is_none_whatever_the_table_says(acme):
    assert looks(acme, "broken").looks == []


def test_there_are_none_before_anything_was_made(acme):
    assert looks(acme, "fresh").looks == []


def test_an_experiment_of_somebody_else_is_none(acme, world):
    world.declare("globex", "theirs")
    assert acme.get("/v1/experiments/theirs/looks").status_code == 404


def test_a_filter_that_nobody_knows_is_refused(acme):
    assert acme.get("/v1/experiments/watched/looks", params={"variant": "on"}).status_code == 422


def test_what_has_not_changed_is_not_sent_again(acme):
    first = acme.get("/v1/experiments/watched/looks")
    again = acme.get("/v1/experiments/watched/looks", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_report_draws_them(acme):
    text = acme.get("/v1/experiments/watched/report").text
    assert "Over time" in text
    assert "It first excluded zero on 3 Jan 2024." in text
    assert "Over time" not in acme.get("/v1/experiments/broken/report").text
