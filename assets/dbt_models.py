"""The dbt models of one stage as Dagster assets: made by dbt, versioned by content, with their tests as checks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from assets.increments import ANEW, Increment, increment_of, together, versions_and_rows
from assets.one_of_many import Making
from assets.partitions import split
from assets.publication import cut_off, new_provenance_id, provenance_of, record
from resources.dbt import DbtFailure, DbtResource, NodeOutcome, manifest
from resources.postgres import PostgresResource

# The newest moment of which every row is visible: a transaction still under way may yet bring rows with an older
# received_at, and a number that was made without them could not be made again.
_SETTLED = """
    SELECT coalesce(min(xact_start), clock_timestamp()) - interval '1 microsecond'
    FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
"""


Made = tuple[str, dg.MaterializeResult | dg.AssetCheckResult | DbtFailure]
"""A partition, and what came of it."""
_WELL = ("success", "pass", "warn")


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


STAGES: dict[str, "StageModels"] = {}
"""By the name of the op that makes them."""


@dataclass(frozen=True)
class StageModels:
    """The models of one stage whose partitions are of the same kind, and how dbt makes them."""

    stage: str
    unit: str | None
    translator: StageTranslator
    parsed: Mapping[str, Any]

    def made(self, makings: Mapping[str, Making], dbt: DbtResource, postgres: PostgresResource) -> Iterator[Made]:
        """Make what all of ``makings`` (by partition, or under '' the whole) select, and yield what came of each.

        Partitions that hold the same already are made in the same statements.
        """
        selected = [".".join(key.path) for key in next(iter(makings.values())).selected_asset_keys]
        known_at = _known_at(postgres, self.stage)
        for partitions, increment, made_from in together(self._increments(postgres, selected, makings, known_at)):
            building = Building(dbt, selected, known_at, increment, made_from)
            for built, outcomes in building.of(partitions):
                if isinstance(outcomes, DbtFailure):
                    yield from ((partition, outcomes) for partition in built)
                else:
                    told = {partition: makings[partition] for partition in built}
                    yield from self._materialised(told, postgres, outcomes, building)
                    yield from self._checked(told, outcomes)

    def _increments(
        self, postgres: PostgresResource, selected: Sequence[str], partitions: Iterable[str], known_at: Any
    ) -> Mapping[str, Increment]:
        if not known_at or postgres.schema_prefix or postgres.known_at:
            return dict.fromkeys(partitions, Increment())
        with postgres.client().transaction() as transaction:
            return {
                partition: increment_of(transaction, self.parsed, selected, partition=partition, known_at=known_at)
                for partition in partitions
            }

    def _materialised(
        self,
        makings: Mapping[str, Making],
        postgres: PostgresResource,
        outcomes: Sequence[NodeOutcome],
        building: "Building",
    ) -> Iterator[Made]:
        for outcome in outcomes:
            if outcome.is_test:
                continue
            node = self.parsed["nodes"][outcome.unique_id]
            key = dg.AssetKey([self.stage, node["name"]])
            with postgres.client().transaction() as transaction:
                versions = versions_and_rows(postgres, transaction, ".".join(key.path), self.unit, list(makings))
                provenance = {partition: new_provenance_id() for partition in makings}
                record(
                    postgres,
                    transaction,
                    [
                        provenance_of(
                            making,
                            key,
                            provenance_id=provenance[partition],
                            version=versions[partition][0],
                            rows=versions[partition][1],
                            known_at=building.known_at,
                        )
                        for partition, making in makings.items()
                    ],
                )
                if self.stage == "serving" and not postgres.schema_prefix:
                    # The API keeps answers until it is told that there are newer ones.
                    for tenant in sorted({split(partition)[0] for partition in makings}):
                        transaction.execute("SELECT pg_notify('serving_changed', %s)", (tenant,))
            for partition in makings:
                version, rows = versions[partition]
                yield (
                    partition,
                    dg.MaterializeResult(
                        asset_key=key,
                        data_version=dg.DataVersion(version),
                        metadata={
                            "dagster/row_count": rows,
                            "known_at": str(building.known_at),
                            # What arrived up to then was in it already; -infinity: it was made anew.
                            "changed_since": building.increment.changed_since.get(node["name"], ANEW),
                            "provenance_id": provenance[partition],
                            "seconds_in_dbt": outcome.seconds,
                            **({"partitions_in_dbt": len(makings)} if len(makings) > 1 else {}),
                        },
                    ),
                )

    def _checked(self, makings: Mapping[str, Making], outcomes: Sequence[NodeOutcome]) -> Iterator[Made]:
        for outcome in outcomes:
            check = outcome.is_test and get_asset_check_key_for_test(
                self.parsed, self.translator, outcome.unique_id, None
            )
            for partition, making in makings.items():
                if check and check in making.selected_asset_check_keys:
                    yield partition, _checked(check, outcome)


@dataclass(frozen=True)
class Building:
    """What dbt is asked to make, of partitions that hold the same already."""

    dbt: DbtResource
    selected: Sequence[str]
    known_at: Any
    increment: Increment
    made_from: Mapping[str, str]

    def of(self, partitions: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[NodeOutcome] | DbtFailure]]:
        """Where one partition cannot be made or fails a test, the others are made without it: in halves, down to it.

        Halves are made with what was held before. What was made of them already is then found to be as it should be.
        """
        try:
            outcomes: Sequence[NodeOutcome] | DbtFailure = self.dbt.build(
                self.selected,
                known_at=str(self.known_at),
                partition=partitions if len(partitions) > 1 else partitions[0],
                changed_since=self.increment.changed_since,
                made_from=self.made_from if len(partitions) > 1 else self.made_from[partitions[0]],
            )
        except DbtFailure as failure:
            outcomes = failure
        is_well = not isinstance(outcomes, DbtFailure) and all(each.status in _WELL for each in outcomes)
        if is_well or len(partitions) == 1:
            yield partitions, outcomes
        else:
            half = len(partitions) // 2
            yield from self.of(partitions[:half])
            yield from self.of(partitions[half:])


def stage_models(
    stage: str, *, unit: str | None = None, partitions_def: dg.DynamicPartitionsDefinition | None = None
) -> dg.AssetsDefinition:
    """The models under ``models/<stage>`` whose partition is an experiment, a study or a tenant (``unit``), or none."""
    parsed = manifest()
    of_stage = StageModels(stage, unit, StageTranslator(partitions_def), parsed)
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
        dagster_dbt_translator=of_stage.translator,
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtResource, postgres: PostgresResource) -> Iterator[Any]:
        for _, made in of_stage.made({context.partition_key if partitions_def else "": context}, dbt, postgres):
            if isinstance(made, DbtFailure):
                raise made
            yield made

    STAGES[models.op.name] = of_stage
    return models


def _known_at(postgres: PostgresResource, stage: str) -> Any:
    with postgres.client().transaction() as transaction:
        before = cut_off(postgres, transaction)
        if stage == "events" and not postgres.known_at:
            settled = transaction.fetch_one(_SETTLED)[0]
            # What was settled once stays so, also if a transaction that began before writes only now.
            return max(settled, before) if before else settled
        return before


def _checked(check: dg.AssetCheckKey, outcome: NodeOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=outcome.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if outcome.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"failing_rows": outcome.failures or 0, "status": outcome.status, "message": outcome.message or ""},
    )
