"""What a changed declaration would do is told to the digit, and nothing is done."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.postgres_client import PostgresClient
from resources.registry import register_folder
from tests.cli.conftest import CommandLine
from tests.cli.forked import PROJECT

METRIC: dict[str, Any] = {
    "kind": "metric",
    "key": "spend_of_plan",
    "tenant": "shop",
    "unit": "customer",
    "type": "mean",
}
METRIC["column"] = "spend"
CAP = 14.0


def experiment(key: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "experiment",
        "key": key,
        "tenant": "shop",
        "unit": "customer",
        "control": "off",
        "variants": {"off": 1, "on": 1},
        "metrics": ["spend_of_plan"],
        "source": {"file": f"{key}.csv", "unit_id": "customer", "variant": "arm"},
        **more,
    }


def write(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / f"{document['key']}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def spend_of(folder: Path, key: str, cap: float = float("inf")) -> dict[str, float]:
    """Mean by arm, capped."""
    with (folder / f"{key}.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_arm = {arm: [min(float(row["spend"]), cap) for row in rows if row["arm"] == arm] for arm in ("off", "on")}
    return {arm: sum(values) / len(values) for arm, values in by_arm.items()}


@pytest.fixture(scope="module")
def folder(causeway: CommandLine, client: PostgresClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two analysed experiments that use one declared metric, as they are in force."""
    folder = tmp_path_factory.mktemp("plan")
    write(folder, METRIC)
    register_folder(client, folder)
    dice = random.Random(3)
    for key in ("first", "second"):
        with (folder / f"{key}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["customer", "arm", "spend"])
            for number in range(120):
                arm = "on" if number % 2 else "off"
                writer.writerow([f"{key}{number}", arm, round(dice.gauss(12 if arm == "on" else 10, 2), 3)])
        done = causeway("analyze", write(folder, experiment(key)), "--json")
        assert done.code == 0, done.err
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_changed(client: PostgresClient, folder: Path) -> Any:
    """Neither the registry nor what is served nor provenance, and no scratch schema is left."""
    before = state(client)
    yield
    assert state(client) == before
    assert scratch_schemas(client) == []


def state(client: PostgresClient) -> list[Any]:
    tables = ("registry.experiments", "registry.metrics", "registry.declaration_versions", "registry.tenants")
    tables += ("serving.experiment_results", "serving.experiments", "ops.provenance")
    return [client.content_hash(table) for table in tables]


def scratch_schemas(client: PostgresClient) -> list[str]:
    return [name for (name,) in client.fetch_all("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'plan\\_%%'", ())]


def test_a_changed_metric_moves_the_numbers_of_every_experiment_that_uses_it(
    causeway: CommandLine, folder: Path, tmp_path: Path
) -> None:
    done = causeway("plan", write(tmp_path, METRIC | {"cap": {"upper": CAP}}), "--json")
    assert done.code == 0, done.err
    (change,) = done.json["changes"]
    assert (change["what"], change["kind"], change["partition"]) == ("changed", "metric", "shop|spend_of_plan")
    assert {"path": "cap.upper", "before": None, "after": CAP} in change["differences"]
    assert [each["partition"] for each in done.json["movements"]] == ["shop|first", "shop|second"]
    for each in done.json["movements"]:
        key = each["partition"].removeprefix("shop|")
        was, would_be = spend_of(folder, key), spend_of(folder, key, CAP)
        (row,) = (row for row in each["moved"] if row["method"] == "difference_in_means")
        assert row["before"]["effect"] == pytest.approx(was["on"] - was["off"])
        assert row["after"]["effect"] == pytest.approx(would_be["on"] - would_be["off"])
        assert row["difference"] == pytest.approx(row["after"]["effect"] - row["before"]["effect"])
        assert row["relative"] == pytest.approx(row["difference"] / row["before"]["effect"])
    stale = {(each["job"], each["partition"]) for each in done.json["stale"]}
    assert stale == {
        (job, f"shop|{key}") for job in ("analyse_experiment", "publish_experiment") for key in ("first", "second")
    }


def test_a_changed_rule_moves_the_decision_and_no_number(causeway: CommandLine, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "first.csv").write_bytes((folder / "first.csv").read_bytes())
    done = causeway("plan", write(tmp_path, experiment("first", decision={"min_relative_effect": 5.0})))
    assert done.code == 0, done.err
    assert "decision.min_relative_effect: 0.0 -> 5.0" in done.out
    assert "shop|first: 0 effects would move" in done.out
    assert "decision: ship -> continue" in done.out
    assert "nothing was changed" in done.out


def test_what_says_what_is_in_force_changes_nothing(causeway: CommandLine, folder: Path) -> None:
    done = causeway("plan", folder / "spend_of_plan.yaml")
    assert done.code == 0, done.err
    assert "every declaration says what is in force" in done.out


def test_a_folder_is_compared_as_a_whole_and_what_is_not_landed_is_not_measured(
    causeway: CommandLine, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "third.csv").write_bytes((folder / "first.csv").read_bytes())
    write(tmp_path, METRIC)
    write(tmp_path, experiment("third"))
    done = causeway("plan", tmp_path, "--json")
    assert done.code == 0, done.err
    changes = {(each["what"], each["kind"], each["partition"]) for each in done.json["changes"]}
    assert {
        ("added", "experiment", "shop|third"),
        ("removed", "experiment", "shop|first"),
        ("removed", "experiment", "shop|second"),
    } <= changes
    assert done.json["skipped"] == {"shop|third": "its table has not been landed yet"}
    assert done.json["movements"] == []
    assert ("land", "shop|third") in {(each["job"], each["partition"]) for each in done.json["stale"]}


def test_without_numbers_nothing_is_analysed(causeway: CommandLine, folder: Path, tmp_path: Path) -> None:
    done = causeway("plan", write(tmp_path, METRIC | {"cap": {"upper": CAP}}), "--no-numbers", "--json")
    assert done.code == 0, done.err
    assert done.json["stale"] and not done.json["movements"]


def test_mistakes_are_named_with_their_line(causeway: CommandLine, folder: Path, tmp_path: Path) -> None:
    assert "there is no file or folder nowhere.yaml" in causeway("plan", "nowhere.yaml").line
    broken = write(tmp_path, METRIC | {"type": "averge"})
    done = causeway("plan", broken)
    assert done.code == 2
    assert "spend_of_plan.yaml:5: type: 'averge'" in done.line
    done = causeway("plan", write(tmp_path, experiment("fourth", metrics=["nowhere"])))
    assert done.code == 2
    assert "fourth.yaml:" in done.line and "'nowhere'" in done.line


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_it_leaves_nothing_behind(
    causeway: CommandLine, client: PostgresClient, folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    changed = write(tmp_path, METRIC | {"cap": {"upper": CAP}})
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "plan", str(changed)],
        cwd=PROJECT,
        env={**os.environ, **causeway.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Where the tests run in the background, Ctrl-C is ignored, and whoever they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert wait_for_work(client)
    process.send_signal(how)
    assert process.wait(60) != 0


def wait_for_work(client: PostgresClient) -> bool:
    """Until a first table of an analysis lies in a scratch schema."""
    query = "SELECT 1 FROM pg_tables WHERE schemaname LIKE 'plan\\_%%\\_experiments' AND tablename = 'first_exposures'"
    for _ in range(600):
        if client.fetch_all(query, ()):
            return True
        time.sleep(0.1)
    return False
