"""What is declared is registered, gets a partition, and is seen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from sensors.declarations import declarations_changed

if TYPE_CHECKING:
    from conftest import Project


def tick(project: Project) -> str:
    with dg.build_sensor_context(instance=project.instance, resources=project.resources) as context:
        result = declarations_changed(context)
    assert isinstance(result, dg.SkipReason)
    return result.skip_message or ""


def version_of(project: Project, key: str) -> str | None:
    record = project.instance.get_latest_data_version_record(
        dg.AssetKey(["registry", "experiments"]), is_source=True, partition_key=f"acme|{key}"
    )
    return None if record is None else record.asset_observation.tags["dagster/data_version"]  # type: ignore[union-attr]


def test_a_new_declaration_is_registered_and_gets_a_partition(project: Project) -> None:
    project.declare("first")
    assert tick(project).startswith("1 declarations, 1 changed")
    assert project.partitions("experiments") == {"acme|first"}
    assert project.client.fetch_all("SELECT tenant_id, key FROM registry.experiments") == [("acme", "first")]
    assert version_of(project, "first")


def test_a_second_look_sees_nothing_new(project: Project) -> None:
    project.declare("first")
    tick(project)
    assert tick(project) == "1 declarations, 0 changed; 0 newly seen"


def test_an_edit_changes_the_version_of_its_own_partition_only(project: Project) -> None:
    path = project.declare("first")
    project.declare("second")
    tick(project)
    before = {key: version_of(project, key) for key in ("first", "second")}
    path.write_text(path.read_text() + "segments: [country]\n")
    assert tick(project) == "2 declarations, 1 changed; 1 newly seen"
    assert version_of(project, "first") != before["first"]
    assert version_of(project, "second") == before["second"]


def test_a_broken_declaration_leaves_everything_in_force_and_says_where_the_mistake_is(project: Project) -> None:
    path = project.declare("first")
    tick(project)
    before = version_of(project, "first")
    path.write_text(path.read_text() + "segments: [country]\n")
    project.write("declarations/experiments/broken.yaml", "kind: experiment\nkey: broken\nvariantz: {}\n")
    message = tick(project)
    assert message.startswith("nothing was registered: ")
    assert "broken.yaml:3" in message
    assert "variantz" in message
    assert version_of(project, "first") == before


def test_a_declaration_whose_file_is_not_there_is_no_crash_either(project: Project) -> None:
    project.write(
        "declarations/sources/lost.yaml", "kind: source\nkey: lost\ntenant: acme\nfile: nowhere.csv\nmode: append\n"
    )
    assert "there is no file" in tick(project)


def test_a_file_without_a_declared_column_is_no_crash_either(project: Project) -> None:
    path = project.declare("first")
    project.write("declarations/experiments/first.csv", "id,arm\n1,on_\n")
    path.write_text(
        path.read_text().replace("event: purchase", "column: bought") + "source: {file: first.csv, variant: arm}\n"
    )
    assert "'bought'" in tick(project)


def test_a_file_that_cannot_be_read_as_a_table_is_no_crash_either(project: Project) -> None:
    path = project.declare("first")
    project.write("declarations/experiments/first.csv", "")
    path.write_text(
        path.read_text().replace("event: purchase", "column: bought") + "source: {file: first.csv, variant: arm}\n"
    )
    assert tick(project).startswith("nothing was registered: ")
