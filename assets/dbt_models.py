"""The dbt models of one stage as Dagster assets: made by dbt, versioned by content, with their tests as checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from assets.increments import ANEW, Increment, increment_of, version_and_rows
from assets.partitions import keys_of
from assets.publication import cut_off, new_provenance_id, record
from resources.dbt import DbtResource, NodeOutcome, manifest
from resources.postgres import PostgresResource

# The newest moment of which every row is visible: a transaction still under way may yet bring rows with an older
# received_at, and a number that was made without them could not be made again.
_SETTLED = """
    SELECT coalesce(min(xact_start), clock_timestamp()) - interval '1 microsecond'
    FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
"""


class StageTranslator(DagsterDbtTranslator):
    """Keys, groups and owners as everywhere on the road; sources keep the schema they lie in as their stage."""

    def __init__(self, partitions_def: dg.DynamicPartitionsDefinition | None) -> None:
        super().__init__()
        self._partitions_def = partitions_def

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["fqn"][1], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return self.get_asset_key(dbt_resource_props).path[0]

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        return {"causeway/partitions": self._partitions_def.name} if self._partitions_def else {}

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props.get("description") or "")

    def get_asset_check_spec(self, *args: Any, **kwargs: Any) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(*args, **kwargs)
        return spec and spec._replace(partitions_def=self._partitions_def)


def stage_models(
    stage: str, *, unit: str | None = None, partitions_def: dg.DynamicPartitionsDefinition | None = None
) -> dg.AssetsDefinition:
    """The models under ``models/<stage>`` whose partition is an experiment, a study or a tenant (``unit``), or none."""
    translator = StageTranslator(partitions_def)
    parsed = manifest()
    names = [
        node["name"]
        for node in parsed["nodes"].values()
        if node["resource_type"] == "model"
        and node["fqn"][1] == stage
        and node["config"]["materialized"] != "ephemeral"
        and node["config"].get("partition_key") == unit
    ]

    @dbt_assets(
        name=f"{stage}_by_{unit}" if unit else stage,
        manifest=parsed,
        select=" ".join(f"{stage}.{name}" for name in names),
        partitions_def=partitions_def,
        dagster_dbt_translator=translator,
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtResource, postgres: PostgresResource) -> Iterator[Any]:
        selected = [".".join(key.path) for key in context.selected_asset_keys]
        partition = context.partition_key if partitions_def else ""
        known_at = _known_at(postgres, stage)
        increment = Increment()
        if known_at and not (postgres.schema_prefix or postgres.known_at):
            with postgres.client().transaction() as transaction:
                increment = increment_of(transaction, parsed, selected, partition=partition, known_at=known_at)
        outcomes = dbt.build(
            selected,
            known_at=str(known_at),
            partition=partition,
            changed_since=increment.changed_since,
            made_from=increment.made_from,
        )
        made = {outcome.unique_id: outcome for outcome in outcomes if not outcome.is_test}
        for unique_id in sorted(made, key=list(made).index):
            yield _materialised(
                context,
                postgres,
                stage=stage,
                unit=unit,
                node=parsed["nodes"][unique_id],
                outcome=made[unique_id],
                known_at=known_at,
                changed_since=increment.changed_since.get(parsed["nodes"][unique_id]["name"], ANEW),
            )
        for outcome in outcomes:
            check = outcome.is_test and get_asset_check_key_for_test(parsed, translator, outcome.unique_id, None)
            if check and check in context.selected_asset_check_keys:
                yield _checked(check, outcome)

    return models


def _known_at(postgres: PostgresResource, stage: str) -> Any:
    with postgres.client().transaction() as transaction:
        before = cut_off(postgres, transaction)
        if stage == "events" and not postgres.known_at:
            settled = transaction.fetch_one(_SETTLED)[0]
            # What was settled once stays so, also if a transaction that began before writes only now.
            return max(settled, before) if before else settled
        return before


def _materialised(
    context: dg.AssetExecutionContext,
    postgres: PostgresResource,
    *,
    stage: str,
    unit: str | None,
    node: Mapping[str, Any],
    outcome: NodeOutcome,
    known_at: Any,
    changed_since: str,
) -> dg.MaterializeResult:
    key = dg.AssetKey([stage, node["name"]])
    table = f"{stage}.{node['name']}"
    keys = keys_of(context.partition_key, unit) if unit else {}
    provenance_id = new_provenance_id()
    with postgres.client().transaction() as transaction:
        version, rows = version_and_rows(
            postgres, transaction, table, context.partition_key if context.has_partition_key else "", keys
        )
        record(
            context,
            postgres,
            transaction,
            key,
            provenance_id=provenance_id,
            version=version,
            rows=rows,
            known_at=known_at,
        )
        if stage == "serving" and not postgres.schema_prefix:
            # The API keeps answers until it is told that there are newer ones.
            transaction.execute("SELECT pg_notify('serving_changed', %s)", (keys["tenant_id"],))
    return dg.MaterializeResult(
        asset_key=key,
        data_version=dg.DataVersion(version),
        metadata={
            "dagster/row_count": rows,
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(name, column["data_type"], description=column["description"])
                    for name, column in node["columns"].items()
                ]
            ),
            "known_at": str(known_at),
            # What arrived up to then was in it already; -infinity: it was made anew.
            "changed_since": changed_since,
            "provenance_id": provenance_id,
            "seconds_in_dbt": outcome.seconds,
        },
    )


def _checked(check: dg.AssetCheckKey, outcome: NodeOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=outcome.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if outcome.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"failing_rows": outcome.failures or 0, "status": outcome.status, "message": outcome.message or ""},
    )
