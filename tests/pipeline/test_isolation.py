"""Tables that dbt makes are as closed as those that migrations make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.connection import connect
from resources.postgres_client import STAGES

if TYPE_CHECKING:
    from conftest import House

SERVED = ("experiments", "experiment_results", "experiment_health", "study_results")


def as_role(house: House, role: Any, query: str, tenant: str | None) -> list[tuple[Any, ...]]:
    with connect(house.settings.address(role), tenant=tenant) as connection:
        return connection.execute(query.encode()).fetchall()


def test_every_table_of_every_stage_has_forced_row_level_security_and_both_policies(house: House) -> None:
    rows = house.rows(
        "SELECT c.oid::regclass::text AS name, relrowsecurity, relforcerowsecurity,"
        " array(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1) AS policies"
        " FROM pg_class AS c WHERE relkind IN ('r', 'p', 'm') AND relnamespace::regnamespace::text = ANY(%s)",
        [*STAGES, "raw", "ops"],
    )
    names = {row["name"] for row in rows}
    assert {"events.events", "features.unit_covariates", "experiments.health", "serving.experiments"} <= names
    assert [row["name"] for row in rows if not (row["relrowsecurity"] and row["relforcerowsecurity"])] == []
    by_dbt_or_python = [row for row in rows if row["name"].split(".")[0] not in ("registry", "raw", "ops")]
    assert [
        row["name"] for row in by_dbt_or_python if row["policies"] != ["pipeline_all_tenants", "tenant_isolation"]
    ] == []


@pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst"])
@pytest.mark.parametrize("table", SERVED)
def test_without_a_tenant_nothing_is_served(house: House, role: str, table: str) -> None:
    assert as_role(house, role, f"SELECT * FROM serving.{table}", None) == []
    assert as_role(house, role, f"SELECT * FROM serving.{table}", "") == []


@pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst"])
@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_a_tenant_sees_its_own_rows_only(house: House, role: str, tenant: str) -> None:
    assert as_role(house, role, "SELECT DISTINCT tenant_id FROM serving.experiments", tenant) == [(tenant,)]
    seen = as_role(house, role, "SELECT count(*) FROM serving.experiment_results", tenant)
    there = house.rows("SELECT count(*) AS n FROM serving.experiment_results WHERE tenant_id = %s", tenant)
    assert seen == [(there[0]["n"],)] and there[0]["n"] > 0


@pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst"])
@pytest.mark.parametrize(
    "table",
    [
        "events.events",
        "events.exposures",
        "experiments.first_exposures",
        "experiments.unit_metric_values",
        "experiments.health",
        "features.unit_covariates",
        "models.prognostic_predictions",
        "twins.prognostic_scores",
        "estimates.difference_in_means",
        "decisions.experiment_decisions",
        "ops.provenance",
    ],
)
def test_left_of_serving_nobody_reads_but_the_pipeline(house: House, role: str, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(house, role, f"SELECT * FROM {table}", "acme")


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET tenant_id = 'acme'", "TRUNCATE {}"])
def test_the_api_changes_nothing_of_what_is_served(house: House, statement: str) -> None:
    for table in SERVED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(house, "causeway_api", statement.format(f"serving.{table}"), "acme")


def test_policies_are_still_there_after_a_partition_was_made_again(house: House) -> None:
    """dbt keeps the table of an incremental model and makes that of a plain one anew; both come out closed."""
    rows = house.rows(
        "SELECT relname, relforcerowsecurity FROM pg_class WHERE oid IN"
        " ('events.events'::regclass, 'serving.experiment_results'::regclass)"
    )
    assert [row["relforcerowsecurity"] for row in rows] == [True, True]
