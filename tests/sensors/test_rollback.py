"""What is declared to be switched off is, once a failure; the others are reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from assets import partitions
from resources.registry import register_folder
from sensors.rollback import HARM, SRM, rollback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Project

ENGAGE = "decision: {rollback: engage_kill_switch}\n"


@pytest.fixture(autouse=True)
def _nothing_is_off(project: Project) -> Iterator[None]:
    yield
    project.client.execute("DELETE FROM experiments.health")


def declare(project: Project, key: str, more: str = ENGAGE) -> None:
    path = project.declare(key)
    path.write_text(path.read_text() + more)
    register_folder(project.client, project.folder / "declarations")
    project.instance.add_dynamic_partitions("experiments", [f"acme|{key}"])


def checked(
    project: Project,
    key: str,
    check: dg.AssetCheckKey = HARM,
    *,
    passed: bool = False,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> None:
    """A run of an asset that has the check."""

    @dg.asset(
        key=check.asset_key,
        partitions_def=partitions.experiments,
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=check.asset_key, partitions_def=partitions.experiments),
        ],
    )
    def made() -> dg.MaterializeResult:
        result = dg.AssetCheckResult(passed=passed, severity=severity, description=f"{key} is harmed.")
        return dg.MaterializeResult(check_results=[result])

    assert dg.materialize([made], instance=project.instance, partition_key=f"acme|{key}").success


def tick(project: Project, cursor: str | None = None) -> tuple[str, str | None]:
    with dg.build_sensor_context(instance=project.instance, resources=project.resources, cursor=cursor) as context:
        result = rollback(context)
        assert isinstance(result, dg.SkipReason)
        return result.skip_message or "", context.cursor


def switched_off(project: Project) -> list[str]:
    return [key for (key,) in project.client.fetch_all("SELECT key FROM registry.kill_switches ORDER BY key")]


def test_nothing_fails_nothing_happens(project: Project) -> None:
    declare(project, "rolled_fine")
    checked(project, "rolled_fine", passed=True)
    declare(project, "rolled_warned")
    checked(project, "rolled_warned", severity=dg.AssetCheckSeverity.WARN)
    assert tick(project)[0] == "0 failures, none of them new"
    assert switched_off(project) == []


@pytest.mark.parametrize(
    ("key", "more", "words"),
    [
        ("rolled_quiet", "", "its declaration says warn"),
        ("rolled_stopped", "status: stopped\n" + ENGAGE, "It is not running"),
    ],
)
def test_what_does_not_declare_it_or_does_not_run_is_reported(
    project: Project, key: str, more: str, words: str
) -> None:
    declare(project, key, more)
    checked(project, key)
    report, _ = tick(project)
    assert words in report
    assert f"{key} is harmed." in report
    assert switched_off(project) == []


def test_a_failure_is_answered_once_and_a_new_one_anew(project: Project) -> None:
    declare(project, "rolled_back")
    checked(project, "rolled_back")
    report, cursor = tick(project)
    assert report.endswith("Its kill switch is engaged.")
    assert "rolled_back" in switched_off(project)
    assert tick(project, cursor) == ("1 failures, none of them new", cursor)
    checked(project, "rolled_back")
    report, cursor = tick(project, cursor)
    assert report.endswith("Its kill switch was engaged before.")
    checked(project, "rolled_back", passed=True)
    assert tick(project, cursor) == ("0 failures, none of them new", "{}")
    (audited,) = project.client.fetch_all("SELECT actor, details FROM ops.audit WHERE subject = 'rolled_back'")
    assert audited == ("rollback sensor", {"reason": "rollback: rolled_back is harmed."})


@pytest.mark.parametrize(
    ("key", "observed", "is_off"),
    [
        ("skewed_here", '{"diagnosis": [{"stage": "assignment", "evidence": "e", "points_to": true}]}', True),
        (
            "skewed_there",
            '{"diagnosis": [{"stage": "assignment", "points_to": false}, {"stage": "execution", "points_to": true}]}',
            False,
        ),
        ("skewed_somehow", "{}", False),
    ],
)
def test_a_skewed_sample_ratio_is_rolled_back_where_the_assignment_is_at_fault(
    project: Project, key: str, observed: str, is_off: bool
) -> None:
    declare(project, key)
    project.client.execute(
        "INSERT INTO experiments.health"
        " (tenant_id, experiment, check_name, passed, blocking, observed, expected, detail, provenance_id)"
        " VALUES ('acme', %s, 'srm', false, true, %s::jsonb, '{}', 'skewed', 'p')",
        (key, observed),
    )
    checked(project, key, SRM)
    tick(project)
    assert (key in switched_off(project)) == is_off
