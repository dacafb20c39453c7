"""What is declared shows in Dagster as partitions, however it was declared; nothing is computed for dormant ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from causeway.declarations.experiment import ExperimentDeclaration
from definitions import defs
from jobs.observe import observe, standing
from jobs.plan import Work, next_work
from jobs.standing import Standing
from resources.connection import connect
from resources.postgres_client import PostgresClient
from resources.settings import Settings

DECLARED = {
    "flags": "flag",
    "layers": "layer",
    "saved_groups": "saved_group",
    "kpis": "kpi",
}


@dataclass(frozen=True)
class House:
    instance: dg.DagsterInstance
    client: PostgresClient
    settings: Settings

    def declare_over_http(self, **more: Any) -> None:
        """As the API does it: as its role, for its tenant, without a file."""
        document = {
            "kind": "experiment",
            "key": "checkout",
            "tenant": "acme",
            "unit": "customer",
            "control": "old",
            "variants": {"old": 1, "new": 1},
            "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
        }
        declared = ExperimentDeclaration.model_validate(document | more)
        with connect(self.settings.address("causeway_api"), tenant="acme") as api:
            api.execute(
                "INSERT INTO registry.experiments (tenant_id, key, declaration, declaration_hash)"
                " VALUES ('acme', 'checkout', %s, %s) ON CONFLICT (tenant_id, key) DO UPDATE"
                " SET declaration = excluded.declaration, declaration_hash = excluded.declaration_hash",
                (json.dumps(declared.document()), declared.declaration_hash),
            )

    def work(self) -> set[str | None]:
        """Partitions of the first work that there is to do on experiments."""
        observe(self.instance, self.client)

        def of_experiments(work: Work) -> bool:
            return work.job in ("analyse_experiment", "publish_experiment")

        return {each.partition for each in next_work(self.instance, defs.resolve_asset_graph(), of_experiments)}


@pytest.fixture
def house(postgres: PostgresClient, database: Settings) -> Iterator[House]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(instance, postgres, database)
    for table in ("experiments", "event_types", *DECLARED):
        postgres.execute(f"DELETE FROM registry.{table}")


def test_an_experiment_that_was_declared_over_http_is_a_partition(house: House) -> None:
    house.declare_over_http()
    assert observe(house.instance, house.client)[:2] == (
        "registry/experiments acme|checkout",
        "registry/policies acme|checkout",
    )
    assert house.instance.get_dynamic_partitions("experiments") == ["acme|checkout"]
    assert house.work() == {"acme|checkout"}


@pytest.mark.parametrize("name", [*DECLARED, "event_types"])
def test_whatever_is_declared_is_a_partition_with_its_version(house: House, name: str) -> None:
    version = ", version" if name == "event_types" else ""
    put = (
        f"INSERT INTO registry.{name} (tenant_id, key, declaration, declaration_hash{version})"
        f" VALUES ('acme', 'k', '{{}}', %s{', 1' if version else ''})"
    )
    house.client.execute(put, ("one",))
    assert f"registry/{name} acme|k" in observe(house.instance, house.client)
    assert house.instance.get_dynamic_partitions(name) == ["acme|k"]
    assert observe(house.instance, house.client) == ()
    house.client.execute(f"UPDATE registry.{name} SET declaration_hash = 'two'")
    assert observe(house.instance, house.client) == (f"registry/{name} acme|k",)


def test_a_new_version_of_an_event_type_is_seen(house: House) -> None:
    put = (
        "INSERT INTO registry.event_types (tenant_id, key, version, declaration, declaration_hash)"
        " VALUES ('acme', 'k', %s, '{}', 'h')"
    )
    house.client.execute(put, (1,))
    observe(house.instance, house.client)
    house.client.execute(put, (2,))
    assert observe(house.instance, house.client) == ("registry/event_types acme|k",)


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_a_dormant_experiment_is_a_partition_and_asks_for_no_work(house: House, status: str) -> None:
    house.declare_over_http(status=status)
    assert house.work() == set()
    assert house.instance.get_dynamic_partitions("experiments") == ["acme|checkout"]
    assert standing(house.instance) == Standing(dormant=frozenset({"acme|checkout"}))


def test_it_asks_for_work_once_it_runs(house: House) -> None:
    house.declare_over_http(status="draft")
    assert house.work() == set()
    house.declare_over_http(status="running")
    assert house.work() == {"acme|checkout"}
    assert standing(house.instance) == Standing()


@pytest.mark.parametrize(("status", "planned"), [("draft", {"acme|checkout"}), ("running", set()), ("archived", set())])
def test_of_experiments_with_a_plan_drafts_are_planned(house: House, status: str, planned: set[str]) -> None:
    house.declare_over_http(status=status, plan={})
    observe(house.instance, house.client)
    assert standing(house.instance).planned == planned
