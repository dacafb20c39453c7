"""A whole table of units, assigned a part at a time: what is stored is honoured, what is new is stored.

The work of the processor is done in a thread, so that other requests go on meanwhile; a part is small enough for its
statements not to hold up those of others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from api.assignments.assigning import WITHDRAWN
from api.assignments.batch import INVALID, UNIT, Units, assigned
from api.assignments.lookups import (
    MAX_UNIT_LENGTH,
    TARGETING_KEY,
    Known,
    Lookup,
    Reach,
    is_storable,
    lookups_of,
    read_known,
    slot_of,
)
from api.assignments.queries import Cross, Keep, Slot, cross, cross_event, keep, read_stored
from api.database import Database
from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Entry
from causeway.assignment.flags import Experiment
from causeway.assignment.json_values import Json, unit_text

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

R = TypeVar("R")

ROWS_AT_ONCE = 1_000
# Whoever is overtaken in one round knows in the next what the other one stored.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Task:
    """A table of units of ``tenant`` is to be assigned to the experiment ``key``, as of ``at``, and stored or not."""

    tenant: str
    reach: Reach
    key: str
    at: datetime
    persist: bool = True

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """The experiment and those that its evaluation may look at, by key."""
        return self.reach.experiments(self.key)


@dataclass(slots=True)
class _Part:
    """Some rows of the table: their contexts, where something may be stored of them, and what they enter."""

    units: Units
    ids: Sequence[str]
    contexts: Sequence[Mapping[str, Json] | None]
    lookups: Sequence[Lookup]
    table: pa.Table = None
    entries: list[tuple[int, Experiment, Slot, str]] = field(default_factory=list)
    wanted: dict[Slot, Keep] = field(default_factory=dict)


class Tables:
    """Assigns tables of units, in one thread: each thread more would keep memory of its own for good."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tables")

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[..., R], *arguments: object) -> R:
        """What ``work`` gives, called in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def assign(self, task: Task, units: Units) -> pa.Table:
        """The answer to every row. What was stored before holds, whether anything is to be stored or not."""
        import pyarrow as pa

        answers = []
        for begin in range(0, max(units.table.num_rows, 1), ROWS_AT_ONCE):
            part = await self.run(_part, task, _slice(units, begin))
            known = await read_known(self._database, task.tenant, part.lookups)
            await self.run(_judge, part, task, known)
            if task.persist:
                await self._keep(task, part, known)
            answers.append(await self.run(_answered, part, task, known))
        return pa.concat_tables(answers)

    async def _keep(self, task: Task, part: _Part, known: Known) -> None:
        for _ in range(_ROUNDS):
            wanted = dict(part.wanted)
            if not wanted:
                break
            kept = await keep(self._database, task.tenant, wanted)
            known.stored |= kept
            lost = wanted.keys() - kept.keys()
            if lost:
                known.stored |= await read_stored(self._database, task.tenant, lost)
            if any(known.stored[slot].variant != each.variant for slot, each in wanted.items()):
                await self.run(_judge, part, task, known)
            else:
                part.wanted.clear()
        crossed = {
            cross_event(slot, experiment.policy_version): Cross(
                experiment.key, part.ids[row], variant, _properties(part.contexts[row] or {})
            )
            for row, experiment, slot, variant in part.entries
            if not experiment.sticky and slot in known.stored and known.stored[slot].variant != variant
        }
        if crossed:
            await cross(self._database, task.tenant, crossed)


def _slice(units: Units, begin: int) -> Units:
    rows = units.table.slice(begin, ROWS_AT_ONCE)
    end = begin + rows.num_rows
    return Units(rows, {row - begin: error for row, error in units.errors.items() if begin <= row < end})


def _part(task: Task, units: Units) -> _Part:
    from causeway.assignment.batch.columns import cells

    columns = {name: cells(units.table.column(name).combine_chunks()) for name in units.table.column_names}
    ids = [unit_text(unit) for unit in columns[UNIT]]
    contexts: list[Mapping[str, Json] | None] = []
    for row, unit in enumerate(ids):
        if row in units.errors or not unit or not is_storable(unit):
            contexts.append(None)
            continue
        attributes = {name: column[row] for name, column in columns.items() if column[row] is not None}
        contexts.append({**attributes, TARGETING_KEY: columns[UNIT][row]})
    lookups = [each for context in contexts if context for each in lookups_of(task.experiments, context, task.at)]
    return _Part(units, ids, contexts, lookups)


def _judge(part: _Part, task: Task, known: Known) -> None:
    """Assign the rows of ``part``, and say what they want to have stored."""
    records = known.records(part.lookups)
    flags, experiments = task.reach.flags, task.experiments
    part.table = assigned(flags, task.key, part.units, at=task.at, sticky=records)
    if len(experiments) == 1:
        entries = _entered(part.table, experiments[task.key])
    else:
        # Holdouts and prerequisites are entered on the way, which the table does not tell.
        entries = (
            _entry(row, experiments[entry.experiment], entry)
            for row, context in enumerate(part.contexts)
            if context
            for entry in evaluate(flags, task.key, context, at=task.at, sticky=records).entered
        )
    part.entries = [entry for entry in entries if part.contexts[entry[0]] and is_storable(entry[2].unit_id)]
    part.wanted.clear()
    for row, experiment, slot, variant in part.entries:
        context = part.contexts[row] or {}
        unit = slot._replace(unit_attribute=TARGETING_KEY, unit_id=part.ids[row])
        for each in {slot, unit}:
            if each not in known.stored and each not in part.wanted:
                noted = _properties(context) if each.unit_attribute == TARGETING_KEY else None
                part.wanted[each] = Keep(variant, experiment.policy_version, noted)


def _entry(row: int, experiment: Experiment, entry: Entry) -> tuple[int, Experiment, Slot, str]:
    slot = slot_of(experiment, entry.unit_attribute, entry.unit_id, entry.window_start)
    return row, experiment, slot, entry.variant


def _entered(table: pa.Table, experiment: Experiment) -> Iterator[tuple[int, Experiment, Slot, str]]:
    names = ("variant", "status", "unit_attribute", "randomization_unit", "window_start")
    rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    for row, (variant, status, attribute, unit_id, window_start) in enumerate(rows):
        if variant is not None and status in ("assigned", "sticky"):
            yield row, experiment, slot_of(experiment, attribute, unit_id, window_start), variant


def _properties(context: Mapping[str, Json]) -> str:
    return json.dumps({k: v for k, v in context.items() if k not in (UNIT, TARGETING_KEY)}, allow_nan=False)


def _answered(part: _Part, task: Task, known: Known) -> pa.Table:
    """The rows as they are answered: some have a stored variant that is no more, or a cluster that cannot be stored."""
    experiment = task.experiments[task.key]
    mended: dict[int, dict[str, Any]] = {}
    control = orjson.dumps(experiment.variants[0].value).decode()
    nothing = {"variant": None, "config": control, "in_experiment": False}
    for row, each, slot, variant in part.entries:
        stored = known.stored.get(slot)
        if each is experiment and experiment.sticky and stored is not None and stored.variant != variant:
            mended[row] = {**nothing, "status": WITHDRAWN, "reason": "DEFAULT"}
    if experiment.attribute != TARGETING_KEY:
        for row, unit_id in enumerate(part.table.column("randomization_unit").to_pylist()):
            if unit_id and row not in part.units.errors and not is_storable(unit_id):
                error = f"{experiment.attribute} must have 1 to {MAX_UNIT_LENGTH} characters, none a control character"
                mended[row] = {**nothing, "config": None, "status": INVALID, "reason": "ERROR", "error": error}
    if not mended:
        return part.table
    import pyarrow as pa

    rows = part.table.to_pylist()
    for row, changes in mended.items():
        rows[row] |= changes
    return pa.Table.from_pylist(rows, schema=part.table.schema)
