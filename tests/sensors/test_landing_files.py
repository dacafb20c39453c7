"""A file in landing/<tenant>/ is landed once for every content it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
import pytest

from sensors.landing_files import landing_files

if TYPE_CHECKING:
    from conftest import Project

EVENT = {"event_id": "e1", "type": "visit", "unit_id": "u1", "occurred_at": "2024-01-01T00:00:00Z"}
CSV = ",".join(EVENT) + "\n" + ",".join(EVENT.values()) + "\n"


def tick(project: Project) -> dg.SensorResult:
    """What the sensor asks for; partitions that it asks for are added, as the daemon does."""
    with dg.build_sensor_context(instance=project.instance, resources=project.resources) as context:
        result = landing_files(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or ():
        project.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return result


def test_csv_parquet_and_ndjson_are_found_and_other_files_are_not(project: Project) -> None:
    project.write("landing/acme/a.csv", CSV)
    project.write("landing/globex/b.ndjson", json.dumps(EVENT) + "\n")
    pl.DataFrame([EVENT]).write_parquet(project.folder / "landing" / "acme" / "c.parquet")
    project.write("landing/acme/readme.txt", "not a table")
    requests = tick(project).run_requests or []
    assert {request.partition_key for request in requests} == {"acme|a.csv", "acme|c.parquet", "globex|b.ndjson"}
    assert project.partitions("sources") == {"acme|a.csv", "acme|c.parquet", "globex|b.ndjson"}


def test_a_file_that_was_seen_asks_for_no_second_run(project: Project) -> None:
    project.write("landing/acme/a.csv", CSV)
    assert len(tick(project).run_requests or []) == 1
    second = tick(project)
    assert not second.run_requests
    assert "nothing new" in str(second.skip_reason)


def test_a_new_content_under_the_same_name_asks_for_one_run_with_a_key_of_its_own(project: Project) -> None:
    project.write("landing/acme/a.csv", CSV)
    (first,) = tick(project).run_requests or []
    project.write("landing/acme/a.csv", CSV.replace("u1", "u2"))
    (second,) = tick(project).run_requests or []
    assert second.partition_key == first.partition_key
    assert second.run_key != first.run_key


@pytest.mark.parametrize("folder", [None, "landing"])
def test_an_empty_or_missing_folder_is_nothing_new(project: Project, folder: str | None) -> None:
    if folder:
        (project.folder / folder).mkdir()
    result = tick(project)
    assert not result.run_requests
    assert "0 files" in str(result.skip_reason)


def test_the_run_that_is_asked_for_lands_the_file(project: Project) -> None:
    from definitions import defs

    project.write("landing/acme/landed.csv", CSV)
    (request,) = tick(project).run_requests or []
    result = defs.resolve_job_def("land").execute_in_process(
        instance=project.instance, partition_key=request.partition_key
    )
    assert result.success
    assert project.client.fetch_all("SELECT unit_id, type FROM raw.events WHERE source = 'landed.csv'") == [
        ("u1", "visit")
    ]


def test_a_folder_whose_name_is_no_tenant_does_not_stop_the_others(project: Project) -> None:
    project.write("landing/Not A Tenant/a.csv", CSV)
    project.write("landing/acme/b.csv", CSV)
    assert [request.partition_key for request in tick(project).run_requests or []] == ["acme|b.csv"]
