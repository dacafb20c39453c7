"""Bring everything up to date in this process: observe, plan, run, until nothing is left to do."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterEventType
from dagster_shared.error import SerializableErrorInfo

from jobs.plan import Work, next_work

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Ran:
    """One run that was launched. ``closed_gates`` names blocking checks that failed: an answer, not a failure."""

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
) -> Iterator[Ran]:
    """Yield every run as it ends. The same work is not tried twice: a run that failed leaves its partition as it was.

    ``observe`` looks at what lies outside the graph (declarations, files, raw tables) and is called before each plan.
    """
    graph = defs.resolve_asset_graph()
    tried: set[str] = set()
    while True:
        observe()
        planned = next_work(instance, graph, lambda work: only(work) and work.run_key not in tried)
        if not planned:
            return
        for work in planned:
            tried.add(work.run_key)
            started(work)
            yield _run(defs, instance, work)


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


def root_causes(events: Sequence[dg.DagsterEvent]) -> tuple[str, ...]:
    """Why steps failed; a closed gate is an answer and not among them."""
    return tuple(
        _root_cause(event.step_failure_data.error)
        for event in events
        if event.event_type is DagsterEventType.STEP_FAILURE
        and event.step_failure_data.error is not None
        and event.step_failure_data.error.cls_name != "DagsterAssetCheckFailedError"
    )


def _root_cause(error: SerializableErrorInfo) -> str:
    """The innermost error's message on one line: what went wrong, not where it was passed on."""
    while error.cause is not None:
        error = error.cause
    return " ".join(error.message.split())
