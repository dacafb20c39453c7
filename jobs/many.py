"""The jobs of experiments and of studies, for many of them in one run.

A run of one partition costs what Dagster and dbt need to begin and to end, many times what its numbers cost. Here one
step makes the same assets of many partitions: dbt once for all of them, every other asset by its own function, once a
partition. What is written, to the tables and to the event log, is what runs of single partitions write; a partition
whose asset raises or whose gate closes does not hold up the others.
"""

import inspect
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.data_version import DEFAULT_DATA_VERSION, DataVersion
from dagster._core.execution.plan.execute_step import _build_data_version_tags
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

import assets
from assets.dbt_models import STAGES
from assets.one_of_many import OneOfMany
from assets.publication import Publication, publish_all
from jobs.event_log import Latest, Log, latest, of_partition
from jobs.road import analyse_experiment, analyse_study, publish_experiment, publish_study
from resources.dbt import DbtFailure, DbtResource
from resources.mlflow import MlflowResource
from resources.postgres import PostgresResource, kept_open

Result = dg.MaterializeResult | dg.AssetCheckResult
MAKE = "make"
MOST_WAITING, MOST_ROWS = 50, 200_000
"""Partitions of one asset, and rows of theirs, that are written together."""


@dataclass
class Outcome:
    """What became of one partition. ``stopped`` has the assets that failed, or after which a gate closed."""

    materialised: int = 0
    closed_gates: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stopped: set[dg.AssetKey] = field(default_factory=set)

    def as_document(self) -> dict[str, Any]:
        """Without what only the run itself needs."""
        return {"materialised": self.materialised, "closed_gates": self.closed_gates, "failures": self.failures}


class Work(dg.Config):
    """Partitions, and the assets to make of each."""

    partitions: list[str]
    assets: list[str]


@dg.op(name=MAKE, description="Makes the same assets of many partitions.")
def make(
    context: dg.OpExecutionContext,
    config: Work,
    postgres: PostgresResource,
    dbt: DbtResource,
    mlflow: MlflowResource,
) -> dict[str, dict[str, Any]]:
    wanted = [dg.AssetKey.from_user_string(key) for key in config.assets]
    with kept_open(postgres) as opened:
        made = make_many(
            context, graph(), wanted, config.partitions, {"postgres": opened, "dbt": dbt, "mlflow": mlflow}
        )
    context.add_output_metadata(
        {
            "asset partitions made": sum(each.materialised for each in made.values()),
            "closed gates": dg.MetadataValue.json(
                {key: each.closed_gates for key, each in made.items() if each.closed_gates}
            ),
            "failures": dg.MetadataValue.json({key: each.failures for key, each in made.items() if each.failures}),
        }
    )
    return {partition: outcome.as_document() for partition, outcome in made.items()}


@dg.op(description="Fails if an asset of any partition did, as a run of that partition would have.")
def nothing_failed(made: dict[str, dict[str, Any]]) -> None:
    failures = {partition: outcome["failures"] for partition, outcome in made.items() if outcome["failures"]}
    if failures:
        raise dg.Failure(
            f"{len(failures)} of {len(made)} partitions failed: {', '.join(sorted(failures))}",
            metadata={"failures": dg.MetadataValue.json(failures)},
            allow_retries=False,
        )


@dg.job(description="Many experiments, from their first exposures to their decision records.")
def analyse_experiments() -> None:
    nothing_failed(make())


@dg.job(description="Put the results of many experiments, or why there are none, where the API reads.")
def publish_experiments() -> None:
    nothing_failed(make())


@dg.job(description="Many studies, from their columns to their verdicts.")
def analyse_studies() -> None:
    nothing_failed(make())


@dg.job(description="Put the answers of many studies where the API reads.")
def publish_studies() -> None:
    nothing_failed(make())


MANY: Mapping[str, dg.JobDefinition] = {
    analyse_experiment.name: analyse_experiments,
    publish_experiment.name: publish_experiments,
    analyse_study.name: analyse_studies,
    publish_study.name: publish_studies,
}
"""By the job of one partition, that of many."""


def run_config(partitions: Sequence[str], keys: Sequence[dg.AssetKey]) -> dict[str, Any]:
    """What to make, for a run of one of these jobs."""
    config = {"partitions": list(partitions), "assets": [key.to_user_string() for key in keys]}
    return {"ops": {MAKE: {"config": config}}}


@lru_cache(maxsize=1)
def graph() -> AssetGraph:
    """The assets, which a run of ops does not come with."""
    loaded = dg.load_assets_from_package_module(assets, include_specs=True)
    resources = {"postgres": PostgresResource(), "dbt": DbtResource(), "mlflow": MlflowResource()}
    return dg.Definitions(assets=loaded, resources=resources).resolve_asset_graph()


def make_many(
    context: dg.OpExecutionContext,
    graph: AssetGraph,
    wanted: Sequence[dg.AssetKey],
    partitions: Sequence[str],
    resources: Mapping[str, Any],
) -> Mapping[str, Outcome]:
    """Walk through the assets in the order of the graph, all partitions side by side."""
    outcomes = {partition: Outcome() for partition in partitions}
    log = Log(context.get_step_execution_context())
    for assets_def, keys in steps(graph, wanted):
        begin = time.perf_counter()
        going = [
            partition
            for partition, outcome in outcomes.items()
            if not any(graph.get(key).parent_keys & outcome.stopped for key in keys)
        ]
        for partition in outcomes.keys() - set(going):
            outcomes[partition].stopped |= set(keys)
        if not going:
            continue
        step = Step(context, graph, assets_def, keys, log)
        step.make(going, resources, outcomes)
        seconds = time.perf_counter() - begin
        context.log.info(f"{assets_def.op.name}: {len(going)} partitions of {len(keys)} assets in {seconds:.1f} s")
    return outcomes


def steps(
    graph: AssetGraph, wanted: Iterable[dg.AssetKey]
) -> Iterator[tuple[dg.AssetsDefinition, Sequence[dg.AssetKey]]]:
    """What is made by one function at a time, each after what it is made from; its assets in the order of the graph."""
    chosen = set(wanted)
    by_op: dict[str, list[dg.AssetKey]] = defaultdict(list)
    for key in graph.toposorted_asset_keys:
        if key in chosen:
            by_op[graph.get(key).assets_def.op.name].append(key)
    op_of = {key: op for op, keys in by_op.items() for key in keys}
    before = {
        op: {op_of[parent] for key in keys for parent in graph.get(key).parent_keys if parent in op_of} - {op}
        for op, keys in by_op.items()
    }
    for op in TopologicalSorter(before).static_order():
        yield graph.get(by_op[op][0]).assets_def, by_op[op]


@dataclass(frozen=True)
class Step:
    """One function and the assets that it makes."""

    context: dg.OpExecutionContext
    graph: AssetGraph
    assets_def: dg.AssetsDefinition
    keys: Sequence[dg.AssetKey]
    log: Log

    def make(self, partitions: Sequence[str], resources: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
        """Make these partitions and write what came of each to the event log."""
        inputs = self._inputs(partitions)
        makings = {
            partition: OneOfMany(
                partition_key=partition,
                run_id=self.context.run_id,
                assets_def=self.assets_def,
                selected_asset_keys=frozenset(self.keys),
                selected_asset_check_keys=frozenset(self.graph.get_check_keys_for_assets(set(self.keys))),
                log=self.context.log,
                input_versions={key: self._as_noted(key, inputs, partition) for key in inputs},
            )
            for partition in partitions
        }
        materialised: dict[dg.AssetKey, dict[str, dg.MaterializeResult]] = defaultdict(dict)
        checked: dict[dg.AssetKey, list[tuple[str, dg.AssetCheckResult]]] = defaultdict(list)
        for partition, result in self._results(makings, resources):
            if isinstance(result, dg.MaterializeResult):
                key = result.asset_key or self.keys[0]
                materialised[key][partition] = result
                self._tell(makings[partition], key, result)
                for check in result.check_results or ():
                    checked[check.asset_key or key].append((partition, check))
            elif isinstance(result, dg.AssetCheckResult):
                checked[result.asset_key or self.keys[0]].append((partition, result))
            else:
                outcomes[partition].failures.append(root_cause(result))
                outcomes[partition].stopped |= set(self.keys)
                self.context.log.error(f"{self.assets_def.op.name} of {partition} failed\n{result.to_string()}")
        # What was read as it stood before must not be noted as what is made here.
        for key in self.keys:
            targets = self._written(key, materialised[key], inputs, outcomes)
            self._gated(checked[key], targets, outcomes)

    def _tell(self, making: OneOfMany, key: dg.AssetKey, result: dg.MaterializeResult) -> None:
        """What is made by the same function afterwards is made from this."""
        version = result.data_version and result.data_version.value
        is_input = key in self.assets_def.keys_by_input_name.values()
        making.input_versions[key] = of_partition(version) if is_input else version

    def _inputs(self, partitions: Sequence[str]) -> dict[dg.AssetKey, dict[str | None, Latest]]:
        """What is known of everything that these assets are made from."""
        found: dict[dg.AssetKey, dict[str | None, Latest]] = {}
        for dep in {dep for key in self.keys for dep in self.graph.get(key).parent_keys}:
            node, instance = self.graph.get(dep), self.context.instance
            asked = partitions if node.is_partitioned else None
            found[dep] = dict(latest(instance, dep, is_external=node.is_external, partitions=asked))
            missing = [partition for partition in asked or () if partition not in found[dep]]
            # Of a partition that was never made Dagster notes the latest event of the asset: what is made of it
            # afterwards is newer than that.
            of_all = missing and latest(instance, dep, is_external=node.is_external, partitions=None)
            if of_all:
                found[dep] |= dict.fromkeys(missing, Latest(of_all[None].storage_id, None))
        return found

    def _as_noted(
        self, key: dg.AssetKey, inputs: Mapping[dg.AssetKey, Mapping[str | None, Latest]], partition: str
    ) -> str | None:
        """The version of an input as Dagster notes it with what was made from it."""
        node = self.graph.get(key)
        known = inputs[key].get(partition if node.is_partitioned else None)
        if known is None:
            return None
        # Every input of which one partition is read, what is made by the same function included.
        if not node.is_partitioned or key not in self.assets_def.keys_by_input_name.values():
            return known.version
        return of_partition(None if node.is_external else known.version)

    def _results(
        self, makings: Mapping[str, OneOfMany], resources: Mapping[str, Any]
    ) -> Iterator[tuple[str, Result | SerializableErrorInfo]]:
        stage = STAGES.get(self.assets_def.op.name)
        if stage is None:
            yield from self._called(makings, resources)
            return
        try:
            for partition, made in stage.made(makings, resources["dbt"], resources["postgres"]):
                yield partition, _error(made) if isinstance(made, DbtFailure) else made
        except Exception:
            error = serializable_error_info_from_exc_info(sys.exc_info())
            for partition in makings:
                yield partition, error

    def _called(
        self, makings: Mapping[str, OneOfMany], resources: Mapping[str, Any]
    ) -> Iterator[tuple[str, Result | SerializableErrorInfo]]:
        """What the asset's own function makes of each partition; what is to be written is written with others."""
        function, waiting = _function(self.assets_def), _Waiting(resources["postgres"])
        for partition, making in makings.items():
            try:
                for result in _flat(function(making, resources)):
                    if isinstance(result, Publication):
                        waiting.add(result)
                    else:
                        yield partition, result
            except Exception:
                waiting.forget(partition)
                yield partition, serializable_error_info_from_exc_info(sys.exc_info())
            if waiting.is_enough:
                yield from waiting.written()
        yield from waiting.written()

    def _written(
        self,
        key: dg.AssetKey,
        made: Mapping[str, dg.MaterializeResult],
        inputs: dict[dg.AssetKey, dict[str | None, Latest]],
        outcomes: Mapping[str, Outcome],
    ) -> Mapping[str, Any]:
        if not made:
            return {}
        materialisations = []
        for partition, result in made.items():
            outcomes[partition].materialised += 1
            materialisations.append(
                dg.AssetMaterialization(
                    asset_key=key,
                    partition=partition,
                    metadata=result.metadata,
                    tags=self._tags(key, partition, result, inputs) | dict(result.tags or {}),
                )
            )
        targets = self.log.materialised(key, materialisations)
        if key in inputs:
            for partition, result in made.items():
                version = result.data_version and result.data_version.value
                inputs[key][partition] = Latest(targets[partition].storage_id, version)
        return targets

    def _tags(
        self,
        key: dg.AssetKey,
        partition: str,
        result: dg.MaterializeResult,
        inputs: Mapping[dg.AssetKey, Mapping[str | None, Latest]],
    ) -> dict[str, str]:
        """The very tags by which Dagster tells what was made from what."""
        assert result.data_version is not None
        read: dict[dg.AssetKey, Any] = {}
        for dep in self.graph.get(key).parent_keys:
            known = inputs[dep].get(partition if self.graph.get(dep).is_partitioned else None)
            noted = self._as_noted(dep, inputs, partition)
            read[dep] = {
                "data_version": DEFAULT_DATA_VERSION if noted is None else DataVersion(noted),
                "storage_id": known and known.storage_id,
            }
        code_version = self.graph.get(key).code_version or self.context.run_id
        return _build_data_version_tags(result.data_version, code_version, read, True)

    def _gated(
        self,
        results: Sequence[tuple[str, dg.AssetCheckResult]],
        targets: Mapping[str, Any],
        outcomes: Mapping[str, Outcome],
    ) -> None:
        evaluations = []
        for partition, result in results:
            assert result.check_name is not None
            (name,) = {result.check_name}
            key = dg.AssetCheckKey(result.asset_key or self.keys[0], name)
            spec = self.assets_def.get_spec_for_check_key(key)
            evaluations.append(
                dg.AssetCheckEvaluation(
                    check_name=name,
                    asset_key=key.asset_key,
                    passed=result.passed,
                    metadata=result.metadata,
                    target_materialization_data=targets.get(partition),
                    severity=result.severity,
                    description=result.description,
                    blocking=spec.blocking,
                    partition=partition if spec.partitions_def is not None else None,
                )
            )
            if spec.blocking and not result.passed and result.severity is dg.AssetCheckSeverity.ERROR:
                outcomes[partition].closed_gates.append(name)
                outcomes[partition].stopped |= set(self.keys)
        if evaluations:
            self.log.checked(evaluations)


@dataclass
class _Waiting:
    """Partitions that an asset's function has made and nobody has written yet."""

    postgres: PostgresResource
    publications: dict[dg.AssetKey, list[Publication]] = field(default_factory=lambda: defaultdict(list))

    def add(self, publication: Publication) -> None:
        self.publications[publication.key].append(publication)

    def forget(self, partition: str) -> None:
        """Where a function fails halfway nothing of it is written."""
        for key, waiting in self.publications.items():
            self.publications[key] = [each for each in waiting if each.making.partition_key != partition]

    @property
    def is_enough(self) -> bool:
        """Whether they are many, or large: what waits is held in memory."""
        rows = sum(each.frame.height for waiting in self.publications.values() for each in waiting)
        return rows >= MOST_ROWS or any(len(waiting) >= MOST_WAITING for waiting in self.publications.values())

    def written(self) -> Iterator[tuple[str, Result | SerializableErrorInfo]]:
        """In the order in which they were made: what is made by the same function may be made from each other."""
        for waiting in self.publications.values():
            yield from self._written(waiting)
        self.publications.clear()

    def _written(self, waiting: Sequence[Publication]) -> Iterator[tuple[str, Result | SerializableErrorInfo]]:
        """One that cannot be written does not hold up the others: then each is written alone."""
        if not waiting:
            return
        try:
            results = publish_all(self.postgres, waiting)
        except Exception:
            if len(waiting) == 1:
                yield waiting[0].making.partition_key, serializable_error_info_from_exc_info(sys.exc_info())
                return
            for each in waiting:
                yield from self._written([each])
            return
        yield from ((each.making.partition_key, result) for each, result in zip(waiting, results, strict=True))


def _function(assets_def: dg.AssetsDefinition) -> Callable[[OneOfMany, Mapping[str, Any]], Any]:
    """The function that was made an asset, given the resources that it asks for."""
    function = assets_def.op.compute_fn.decorated_fn
    asked = list(inspect.signature(function).parameters)[1:]
    return lambda making, resources: function(making, **{name: resources[name] for name in asked})


def _flat(returned: Any) -> Iterator[Result | Publication]:
    if isinstance(returned, dg.MaterializeResult | dg.AssetCheckResult | Publication):
        yield returned
    elif returned is not None:
        yield from returned


def _error(error: BaseException) -> SerializableErrorInfo:
    return serializable_error_info_from_exc_info((type(error), error, error.__traceback__))


def root_cause(error: SerializableErrorInfo) -> str:
    """The innermost error's message on one line: what went wrong, not where it was passed on."""
    while error.cause is not None:
        error = error.cause
    return " ".join(error.message.split())
