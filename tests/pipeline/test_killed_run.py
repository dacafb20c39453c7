"""A run that is killed leaves the last good numbers served."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import yaml

from resources.connection import connect

if TYPE_CHECKING:
    from conftest import House

PARTITION = "acme|unreadable"
ANALYSE = """
import sys, dagster as dg
from definitions import defs
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("experiments", sys.argv[1:])
    defs.resolve_job_def("analyse_experiment").execute_in_process(instance=instance, partition_key=sys.argv[1])
"""
WAITING = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def published(house: House) -> list[list[dict[str, Any]]]:
    return [
        house.rows(f"SELECT * FROM {table} AS t WHERE experiment = 'unreadable' ORDER BY t::text")
        for table in ("estimates.difference_in_means", "serving.experiment_results", "serving.experiments")
    ]


def wait_until(house: House, waiting: int, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 120
    while house.rows(WAITING)[0]["n"] != waiting:
        assert time.monotonic() < deadline, "the run never came to the estimates"
        assert process is None or process.poll() is None, "the run ended by itself"
        time.sleep(0.1)


def test_a_run_killed_while_it_replaces_estimates_leaves_the_last_good_ones(house: House) -> None:
    before = published(house)
    path = house.folder / "acme_unreadable.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "decision": {"alpha": 0.2}}))
    house.pending()
    with connect(house.settings.admin_address(house.settings.database_name)) as blocker:
        # Readers pass; the run has to wait in the middle of the transaction that replaces its partition.
        blocker.execute("LOCK TABLE estimates.difference_in_means IN SHARE ROW EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, "-c", ANALYSE, PARTITION],
            cwd=house.settings.project_root,
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(house, 1, process)
        finally:
            process.kill()
            process.wait()
    wait_until(house, 0)
    assert published(house) == before

    assert {ran.work.partition for ran in house.refresh()} == {PARTITION}
    after = house.served_one(PARTITION, "spend", "difference_in_means")
    (old,) = (row for row in before[1] if row["method"] == "difference_in_means")
    assert after["ci_low"] > old["ci_low"]
