"""Bring everything up to date in this process: observe, plan, run, until nothing is left to do."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterEventType

from jobs.many import MAKE, MANY, root_cause, run_config
from jobs.plan import Work, key_of, next_work, together

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Ran:
    """What became of one partition in a run that was launched; ``seconds`` is its share of a run of many.

    ``closed_gates`` names blocking checks that failed: an answer, not a failure."""

    work: Work
    run_id: str
    success: bool
    seconds: float
    materialised: int
    closed_gates: tuple[str, ...]
    failures: tuple[str, ...]


def refresh(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    observe: Callable[[], object],
    *,
    only: Callable[[Work], bool] = lambda _: True,
    started: Callable[[Work], object] = lambda _: None,
    at_once: bool = True,
) -> Iterator[Ran]:
    """Yield every run as it ends. The same work is not tried twice: a run that failed leaves its partition as it was.

    The same work of many experiments is done in one run, or, unless ``at_once``, in a run each.
    ``observe`` looks at what lies outside the graph (declarations, files, raw tables) and is called before each plan.
    """
    graph = defs.resolve_asset_graph()
    tried: set[str] = set()
    while True:
        observe()
        planned = next_work(instance, graph, lambda work: only(work) and work.run_key not in tried)
        if not planned:
            return
        for works in together(planned) if at_once else ((work,) for work in planned):
            for work in works:
                tried.add(work.run_key)
                started(work)
            yield from _run_many(defs, instance, works) if len(works) > 1 else (_run(defs, instance, works[0]),)


def _run(defs: dg.Definitions, instance: dg.DagsterInstance, work: Work) -> Ran:
    begin = time.perf_counter()
    result = defs.resolve_job_def(work.job).execute_in_process(
        instance=instance,
        partition_key=work.partition,
        asset_selection=list(work.assets),
        run_config=QUIET,
        raise_on_error=False,
        tags={"causeway/run_key": work.run_key},
    )
    events = result.all_events
    closed = tuple(
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.blocking and evaluation.severity is dg.AssetCheckSeverity.ERROR
    )
    return Ran(
        work=work,
        run_id=result.run_id,
        success=result.success,
        seconds=time.perf_counter() - begin,
        materialised=sum(event.event_type is DagsterEventType.ASSET_MATERIALIZATION for event in events),
        closed_gates=closed,
        failures=root_causes(events),
    )


def _run_many(defs: dg.Definitions, instance: dg.DagsterInstance, works: Sequence[Work]) -> Iterator[Ran]:
    begin = time.perf_counter()
    partitions = {str(work.partition): work for work in works}
    result = defs.resolve_job_def(MANY[works[0].job].name).execute_in_process(
        instance=instance,
        run_config={**QUIET, **run_config(list(partitions), works[0].assets)},
        raise_on_error=False,
        tags={"causeway/run_key": key_of(works)},
    )
    seconds = (time.perf_counter() - begin) / len(works)
    made = result.output_for_node(MAKE) if result.is_node_success(MAKE) else {}
    for partition, work in partitions.items():
        outcome = made.get(partition)
        failures = tuple(outcome["failures"]) if outcome else root_causes(result.all_events)
        yield Ran(
            work=work,
            run_id=result.run_id,
            success=not failures and not (outcome and outcome["closed_gates"]),
            seconds=seconds,
            materialised=outcome["materialised"] if outcome else 0,
            closed_gates=tuple(outcome["closed_gates"]) if outcome else (),
            failures=failures,
        )


def root_causes(events: Sequence[dg.DagsterEvent]) -> tuple[str, ...]:
    """Why steps failed; a closed gate is an answer and not among them."""
    return tuple(
        root_cause(event.step_failure_data.error)
        for event in events
        if event.event_type is DagsterEventType.STEP_FAILURE
        and event.step_failure_data.error is not None
        and event.step_failure_data.error.cls_name != "DagsterAssetCheckFailedError"
    )
