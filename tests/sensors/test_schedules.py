"""Every night each declared source that changed is landed, once, and pairs of experiments are looked at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from definitions import defs
from jobs.schedules import daily_landing, nightly_interactions
from resources.registry import register_folder
from tests.sensors.conftest import EXPERIMENT

if TYPE_CHECKING:
    from conftest import Project

EVENTS = "event_id,type,unit_id,occurred_at\ne1,visit,u1,2024-01-01T00:00:00Z\n"
NIGHT = dt.datetime(2026, 1, 2, 2, tzinfo=dt.UTC)


@pytest.fixture
def nightly(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with an instance on disk, for the context of a schedule opens its instance by itself."""
    folder: Path = tmp_path_factory.mktemp("dagster")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        yield replace(project, instance=instance)


def night(project: Project, schedule: dg.ScheduleDefinition = daily_landing) -> list[dg.RunRequest] | dg.SkipReason:
    with dg.build_schedule_context(
        instance=project.instance,
        scheduled_execution_time=NIGHT,
        resources=project.resources,
        repository_def=defs.get_repository_def(),
    ) as context:
        return schedule(context)  # type: ignore[no-any-return]


def declare(project: Project, *names: str) -> None:
    for name in names:
        project.write(f"declarations/{name}.csv", EVENTS)
        project.write(
            f"declarations/{name}.yaml", f"kind: source\nkey: {name}\ntenant: acme\nfile: {name}.csv\nmode: append\n"
        )


def test_every_declared_source_is_asked_for_once(nightly: Project) -> None:
    declare(nightly, "nightly_a", "nightly_b")
    requests = night(nightly)
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["acme|nightly_a", "acme|nightly_b"]
    assert len({request.run_key for request in requests}) == 2


def test_a_source_that_is_as_it_was_landed_is_left_alone(nightly: Project) -> None:
    declare(nightly, "nightly_a", "nightly_b")
    night(nightly)
    defs.resolve_job_def("land").execute_in_process(instance=nightly.instance, partition_key="acme|nightly_a")
    requests = night(nightly)
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["acme|nightly_b"]


def test_a_broken_declaration_does_not_keep_the_others_from_being_landed(nightly: Project) -> None:
    declare(nightly, "nightly_a")
    night(nightly)
    nightly.write("declarations/broken.yaml", "kind: nonsense\n")
    requests = night(nightly)
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["acme|nightly_a"]


def test_without_a_source_the_night_is_quiet(nightly: Project) -> None:
    assert isinstance(night(nightly), dg.SkipReason)


def test_every_tenant_is_looked_through_once_a_night(nightly: Project) -> None:
    assert isinstance(night(nightly, nightly_interactions), dg.SkipReason)
    nightly.write("declarations/asked.yaml", EXPERIMENT.format(key="asked"))
    register_folder(nightly.client, nightly.folder / "declarations")
    (request,) = night(nightly, nightly_interactions)
    assert (request.partition_key, request.run_key) == ("acme", "acme@2026-01-02")
