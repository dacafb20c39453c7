"""What is stale is asked for once, one step of the road at a time, and not while something is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from definitions import defs
from jobs.observe import observe
from resources.registry import register_folder
from sensors.stale_work import stale_work

if TYPE_CHECKING:
    from conftest import Project

EVENTS = "event_id,type,unit_id,occurred_at\ne1,visit,u1,2024-01-01T00:00:00Z\n"


def tick(project: Project) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(
        instance=project.instance, resources=project.resources, repository_def=defs.get_repository_def()
    ) as context:
        return stale_work(context)  # type: ignore[no-any-return]


def requested(project: Project) -> list[dg.RunRequest]:
    result = tick(project)
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or [])


def declare(project: Project, *files: str) -> None:
    project.declare("first")
    for file in files:
        project.write(f"declarations/sources/{file}", EVENTS)
        project.write(
            f"declarations/sources/{file}.yaml",
            f"kind: source\nkey: {file}\ntenant: acme\nfile: {file}\nmode: append\n",
        )
    register_folder(project.client, project.folder / "declarations")


def test_landings_are_asked_for_before_what_lies_behind_them(project: Project) -> None:
    declare(project, "a.csv", "b.csv")
    requests = requested(project)
    assert {(request.job_name, request.partition_key) for request in requests} == {
        ("land", "acme|a.csv"),
        ("land", "acme|b.csv"),
    }
    assert {key.to_user_string() for request in requests for key in request.asset_selection or ()} == {"raw/landings"}


def test_the_same_state_asks_for_the_same_runs(project: Project) -> None:
    declare(project, "a.csv")
    first, second = requested(project), requested(project)
    assert [request.run_key for request in first] == [request.run_key for request in second]
    assert first[0].tags["causeway/run_key"] == first[0].run_key


def test_another_state_asks_for_another_run(project: Project) -> None:
    declare(project, "a.csv")
    (first,) = requested(project)
    project.write("declarations/sources/a.csv", EVENTS.replace("u1", "u2"))
    register_folder(project.client, project.folder / "declarations")
    (second,) = requested(project)
    assert (second.job_name, second.partition_key) == (first.job_name, first.partition_key)
    # A landing that never ran is missing, whatever it would read; once it ran, its key follows the file's content.
    for request in (first,):
        defs.resolve_job_def(request.job_name or "").execute_in_process(
            instance=project.instance, partition_key=request.partition_key
        )
    project.write("declarations/sources/a.csv", EVENTS.replace("u1", "u3"))
    register_folder(project.client, project.folder / "declarations")
    (third,) = requested(project)
    assert third.partition_key == "acme|a.csv"
    assert third.run_key not in {first.run_key, second.run_key}


def test_nothing_is_asked_for_while_a_run_is_under_way(project: Project) -> None:
    declare(project, "a.csv")
    run = create_run_for_test(project.instance, job_name="land", status=dg.DagsterRunStatus.STARTED)
    result = tick(project)
    assert isinstance(result, dg.SkipReason)
    assert "1 runs are under way" in (result.skip_message or "")
    project.instance.report_run_canceled(project.instance.get_run_by_id(run.run_id))
    assert requested(project)


def test_the_sensor_looks_by_itself_at_what_was_declared(project: Project) -> None:
    declare(project, "a.csv")
    requested(project)
    assert project.partitions("sources") == {"acme|a.csv"}
    assert observe(project.instance, project.client) == ()
