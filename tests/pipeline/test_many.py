"""Many experiments made in one run are what they are when each is made in a run of its own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG, CachingStaleStatusResolver
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import PartitionKeyFilter

from assets.partitions import keys_of
from assets.publication import NOT_CONTENT, publish
from jobs.freshness import Freshness, asked_of_dagster
from jobs.observe import observe
from jobs.refresh import Ran, refresh
from jobs.road import analyse_experiment, publish_experiment
from resources.dbt import DbtResource
from resources.registry import register_folder

if TYPE_CHECKING:
    from conftest import House

RAISES = "acme|odd_arms"
CLOSED = "acme|srm"
UNWRITABLE = "globex|shown"
FAILING = {RAISES: "the disk is full", UNWRITABLE: 'null value in column "metric"'}
PARTITIONS = ("acme|lift", CLOSED, RAISES, "globex|timing", UNWRITABLE, "initech|looked_at")


REPORTS = dg.AssetKey(["serving", "experiment_reports"])
"""Their pages name what they were made from, and are others whenever it is made again."""


class DiskIsFull(RuntimeError):
    pass


@pytest.fixture(scope="module")
def broken_asset() -> Iterator[None]:
    """An asset raises for one experiment, and makes what the server refuses for another, whoever makes it."""

    def raising(context: Any, postgres: Any, frame: pl.DataFrame, **named: Any) -> Any:
        if context.partition_key == RAISES:
            raise DiskIsFull("the disk is full")
        if context.partition_key == UNWRITABLE:
            frame = frame.with_columns(metric=pl.lit(None, pl.String))
        return publish(context, postgres, frame, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.estimates.cuped_effects.publish", raising)
        yield


class Worlds:
    """Six experiments of three tenants, and what runs made of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.graph = house.defs.resolve_asset_graph()
        selected = (analyse_experiment.selection | publish_experiment.selection).resolve(self.graph)
        self.keys = [key for key in self.graph.toposorted_asset_keys if key in selected]

    def refreshed(self, *, at_once: bool) -> list[Ran]:
        return list(
            refresh(
                self.house.defs,
                self.house.instance,
                lambda: observe(self.house.instance, self.house.client),
                at_once=at_once,
            )
        )

    def forget(self) -> None:
        """Nothing was ever made of any experiment; what lies before them stays as it is."""
        self.house.instance.wipe_assets(self.keys)
        tables = [".".join(key.path) for key in self.keys]
        self.house.as_administrator(
            *(f"DELETE FROM {table}" for table in tables),
            "DELETE FROM ops.table_states WHERE partition_key <> ''",
            "DELETE FROM ops.changed_days",
        )

    def rows(self) -> dict[tuple[str, str], str]:
        """By partition and table; of reports what they say, without the ids of what they were made from."""
        found = {
            (partition, ".".join(key.path)): self.house.client.content_hash(
                ".".join(key.path), keys_of(partition, "experiment"), NOT_CONTENT
            )
            for partition in PARTITIONS
            for key in self.keys
            if key != REPORTS
        }
        for row in self.house.rows("SELECT * FROM serving.experiment_reports"):
            said = f"{row['title']} {row['lead']} {row['page']}"
            found[f"{row['tenant_id']}|{row['experiment']}", ".".join(REPORTS.path)] = re.sub(r"p_\w{20}", "p", said)
        return found

    def materialisations(self) -> dict[tuple[str, str], Any]:
        """Tags, without the numbers of events, and which things are told beside them."""
        found = {}
        for partition in PARTITIONS:
            for key in self.keys:
                record = self.house.instance.get_latest_data_version_record(key, False, partition)
                made = record.asset_materialization if record else None
                found[partition, key.to_user_string()] = made and (
                    {
                        name: value
                        for name, value in (made.tags or {}).items()
                        if "pointer" not in name and (key != REPORTS or name != DATA_VERSION_TAG)
                    },
                    made.metadata.keys() - {"partitions_in_dbt", "dagster/column_schema"},
                )
        return found

    def provenance(self) -> dict[tuple[str, str], Any]:
        rows = self.house.rows(
            "SELECT DISTINCT ON (asset, partition_key) asset, partition_key, tenant_id, code_version, data_version,"
            " input_versions, known_at, seed, row_count FROM ops.provenance WHERE partition_key = ANY(%s)"
            " AND asset <> 'serving/experiment_reports'"
            " ORDER BY asset, partition_key, materialized_at DESC",
            list(PARTITIONS),
        )
        return {(row["asset"], row["partition_key"]): row for row in rows}

    def checks(self) -> dict[tuple[str, str, str], Any]:
        found = {}
        keys = [check for key in self.keys for check in self.graph.get_check_keys_for_assets({key})]
        for partition in PARTITIONS:
            records = self.house.instance.event_log_storage.get_latest_asset_check_execution_by_key(
                keys, partition_filter=PartitionKeyFilter(key=partition)
            )
            for key, record in records.items():
                if record.status is AssetCheckExecutionRecordStatus.PLANNED:
                    continue  # A run of one partition plans its checks, also those that it skips.
                assert record.event is not None and record.event.dagster_event is not None
                told = record.event.dagster_event.asset_check_evaluation_data
                found[partition, key.asset_key.to_user_string(), key.name] = (
                    record.status,
                    told.passed,
                    told.severity,
                    told.blocking,
                    told.description,
                    told.metadata,
                    told.target_materialization_data is not None,
                )
        return found


@pytest.fixture(scope="module")
def worlds(own_house: House, broken_asset: None) -> Worlds:
    from tests.pipeline.conftest import (
        world_in_time,
        world_looked_at_daily,
        world_of_odd_arms,
        world_with_lift,
        world_with_srm,
    )

    for declare in (world_with_lift, world_with_srm, world_of_odd_arms, world_in_time, world_looked_at_daily):
        declare(own_house)
    (own_house.folder / "initech_planned_looks.yaml").unlink()
    register_folder(own_house.client, own_house.folder)
    return Worlds(own_house)


@pytest.fixture(scope="module")
def one_by_one(worlds: Worlds) -> dict[str, Any]:
    ran = worlds.refreshed(at_once=False)
    return {"ran": ran, **_everything(worlds)}


@pytest.fixture(scope="module")
def at_once(worlds: Worlds, one_by_one: dict[str, Any]) -> dict[str, Any]:
    worlds.forget()
    ran = worlds.refreshed(at_once=True)
    return {"ran": ran, **_everything(worlds)}


def _everything(worlds: Worlds) -> dict[str, Any]:
    return {
        "rows": worlds.rows(),
        "materialisations": worlds.materialisations(),
        "provenance": worlds.provenance(),
        "checks": worlds.checks(),
    }


@pytest.mark.parametrize("what", ["rows", "materialisations", "provenance", "checks"])
def test_they_are_the_same(one_by_one: dict[str, Any], at_once: dict[str, Any], what: str) -> None:
    expected, found = one_by_one[what], at_once[what]
    assert found.keys() == expected.keys()
    assert {key: (found[key], expected[key]) for key in expected if found[key] != expected[key]} == {}
    assert len(expected) > 100


def test_it_was_one_run_and_not_one_each(one_by_one: dict[str, Any], at_once: dict[str, Any]) -> None:
    def runs(ran: list[Ran], job: str) -> Counter[str]:
        return Counter(each.run_id for each in ran if each.work.job == job)

    assert set(runs(one_by_one["ran"], "analyse_experiment").values()) == {1}
    assert max(runs(at_once["ran"], "analyse_experiment").values()) == len(PARTITIONS)
    assert max(runs(at_once["ran"], "publish_experiment").values()) >= len(PARTITIONS) - 1


def test_a_closed_gate_holds_up_its_own_experiment_alone(worlds: Worlds, at_once: dict[str, Any]) -> None:
    assert {each.work.partition: each.closed_gates for each in at_once["ran"] if "srm" in each.closed_gates} == {
        CLOSED: ("srm",)
    }
    made = at_once["materialisations"]
    assert made[CLOSED, "estimates/headline_effects"] is None
    assert made[CLOSED, "serving/experiment_results"] is not None
    assert {partition for partition in PARTITIONS if made[partition, "estimates/headline_effects"] is None} == {
        CLOSED,
        *FAILING,
    }


def test_what_cannot_be_made_or_written_fails_its_own_experiment_alone_and_is_told(
    worlds: Worlds, one_by_one: dict[str, Any], at_once: dict[str, Any]
) -> None:
    for ran in (one_by_one["ran"], at_once["ran"]):
        failed = {(each.work.partition, each.failures) for each in ran if each.failures}
        assert {partition for partition, _ in failed} == FAILING.keys()
        assert all(FAILING[partition] in " ".join(failures) for partition, failures in failed)
    runs = {each.run_id for each in at_once["ran"] if each.failures and each.work.job == "analyse_experiment"}
    statuses = {worlds.house.instance.get_run_by_id(run).status for run in runs}  # type: ignore[union-attr]
    assert statuses == {dg.DagsterRunStatus.FAILURE}
    for partition in FAILING:
        assert at_once["materialisations"][partition, "estimates/difference_in_means"] is not None
        assert at_once["materialisations"][partition, "estimates/cuped_effects"] is None


def test_a_second_refresh_makes_nothing_but_what_failed(worlds: Worlds, at_once: dict[str, Any]) -> None:
    again = worlds.refreshed(at_once=True)
    assert {each.work.partition for each in again} == FAILING.keys()
    assert sum(each.materialised for each in again) == 0


def test_what_is_stale_is_what_dagster_says(worlds: Worlds, at_once: dict[str, Any]) -> None:
    """Word by word, of every partition: as it was made, and when a declaration was edited."""
    house = worlds.house
    path = house.folder / "acme_lift.yaml"
    before = path.read_text()
    fresh = _both(worlds)
    path.write_text(before + "hypothesis: Another one.\n")
    register_folder(house.client, house.folder)
    observe(house.instance, house.client)
    stale = _both(worlds)
    path.write_text(before)
    register_folder(house.client, house.folder)
    observe(house.instance, house.client)
    for ours, theirs in (*fresh, *stale, *_both(worlds)):
        assert ours == theirs
    assert len({json.dumps([str(status), sorted(causes)]) for (status, causes), _ in stale}) > 10
    assert stale != fresh


def _both(worlds: Worlds) -> list[tuple[Any, Any]]:
    instance, graph, found = worlds.house.instance, worlds.graph, []
    with partition_loading_context(dynamic_partitions_store=instance):
        ours = Freshness(instance, graph)
        theirs = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        for key in graph.toposorted_asset_keys:
            partitions_def = graph.get(key).partitions_def
            if graph.get(key).is_materializable:
                for partition in partitions_def.get_partition_keys() if partitions_def else (None,):
                    pair = (ours.of(key, partition), asked_of_dagster(theirs, key, partition))
                    found.append(tuple((status, sorted(causes)) for status, causes in pair))
    return found


def test_what_is_kept_up_to_date_together_is_as_if_it_were_made_anew(worlds: Worlds, at_once: dict[str, Any]) -> None:
    house = worlds.house
    late = [
        {"event_id": "late", "type": "purchase", "unit_id": "u1", "occurred_at": "2024-03-11T00:00:00Z", "amount": 7},
        {"event_id": "new", "type": "assignment", "unit_id": "u9", "occurred_at": "2024-03-10T12:00:00Z",
         "experiment": "timing", "variant": "on"},
        {"event_id": "shown", "type": "exposure", "unit_id": "u3", "occurred_at": "2024-03-11T12:00:00Z",
         "experiment": "shown", "variant": "on"},
    ]  # fmt: skip
    house.write("late.ndjson", "".join(json.dumps(each) + "\n" for each in late))
    house.declare("source", "late", tenant="globex", file="late.ndjson", mode="append")
    register_folder(house.client, house.folder)
    ran = worlds.refreshed(at_once=True)
    assert max(Counter(each.run_id for each in ran if each.work.job == "analyse_experiment").values()) > 1
    names = ("first_exposures", "unit_metric_values", "unit_metric_days", "daily_statistics")
    for name in names:
        record = house.instance.get_latest_data_version_record(
            dg.AssetKey(["experiments", name]), False, "globex|timing"
        )
        assert record is not None and record.asset_materialization is not None
        assert record.asset_materialization.metadata["changed_since"].value != "-infinity"
    kept = worlds.rows()
    known_at = house.rows("SELECT max(known_at)::text AS known_at FROM ops.provenance WHERE asset = 'events/events'")
    of_globex = [partition for partition in PARTITIONS if partition.startswith("globex")]
    DbtResource().build(
        [f"experiments.{name}" for name in names], known_at=known_at[0]["known_at"], partition=of_globex
    )
    anew = worlds.rows()
    assert {key for key in kept if kept[key] != anew[key]} == set()
    (changed,) = house.rows("SELECT count(*) AS n FROM experiments.first_exposures WHERE unit_id = 'u9'")
    assert changed["n"] == 1
