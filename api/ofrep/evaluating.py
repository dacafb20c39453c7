"""Flags evaluated as units are assigned: what is stored of a unit decides, whoever stored it.

What is stored is asked for anew with every evaluation, so that no answer contradicts an assignment that another
process stored a moment ago. Requests that wait at one moment share one reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, cast

from api.assignments.assigning import WITHDRAWN, Assigning, Question
from api.assignments.assigning import Answer as Assigned
from api.assignments.committer import Committer
from api.assignments.lookups import TARGETING_KEY, Known, Lookup, Reach, lookups_of, read_known, slot_of
from api.database import Database, TextRefused
from api.ofrep.answers import Refused
from api.problems import Problem
from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Evaluation, Status
from causeway.assignment.flags import Experiment, ExperimentRule, Flag, FlagSet

_NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True)
class Asked:
    """Flags by their keys, in a context, at a time."""

    keys: Sequence[str]
    context: Mapping[str, Any]
    at: datetime


class Evaluating:
    """Evaluates the flags of a tenant."""

    def __init__(
        self, database: Database, assigning: Assigning, assignments: Committer[Question, Assigned], most_waiting: int
    ) -> None:
        self._database = database
        self._assigning = assigning
        self._assignments = assignments
        self.reading: Committer[Sequence[Lookup], Known] = Committer(self._read, most_waiting=most_waiting, groups=1)

    async def flags(self, tenant: str) -> Reach:
        """The flags of ``tenant`` that are in force."""
        return await self._assigning.reach(tenant)

    async def evaluate(self, tenant: str, reach: Reach, asked: Asked) -> list[Evaluation]:
        """The evaluation of every flag that is ``asked`` for, in its order."""
        experiments: Mapping[str, Experiment] = {}
        for key in asked.keys:
            within = reach.within(key)
            experiments = {**experiments, **within} if experiments else within
        # Most flags have no experiment, and then nothing that is stored matters.
        held = {key: experiment for key, experiment in experiments.items() if experiment.sticky}
        lookups = list(lookups_of(held, asked.context, asked.at)) if held else []
        known = await self.reading.submit(tenant, lookups) if lookups else _NOTHING_KNOWN
        records = known.records(lookups) if known.stored or known.older else {}
        flags = reach.flags
        found = [evaluate(flags, key, asked.context, at=asked.at, sticky=records) for key in asked.keys]
        return [_settled(flags, evaluation, experiments, known) for evaluation in found] if records else found

    async def expose(self, tenant: str, asked: Asked, evaluations: Sequence[Evaluation]) -> None:
        """Log that the unit was exposed, in each experiment that it is in; its assignments are stored before that.

        An exposure without an assignment would count nowhere. Refused if the context names no unit.
        """
        experiments = {entry.experiment for evaluation in evaluations for entry in evaluation.entered}
        if not experiments:
            return
        unit = asked.context.get(TARGETING_KEY)
        if not isinstance(unit, str) or not unit:
            raise Refused("TARGETING_KEY_MISSING", "To log an exposure, name the unit as targetingKey in the context.")
        questions = [
            Question(experiment, unit, asked.context, asked.at, log_exposure=True) for experiment in sorted(experiments)
        ]
        try:
            await asyncio.gather(*(self._assignments.submit(tenant, question) for question in questions))
        except Problem as problem:
            if problem.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            why = "; ".join(f"{field.location[-1]} {field.message}" for field in problem.errors) or problem.detail
            raise Refused("INVALID_CONTEXT", f"The exposure cannot be logged: {why}.") from None
        except TextRefused:
            raise Refused("INVALID_CONTEXT", "The exposure cannot be logged: the context cannot be stored.") from None

    async def _read(self, tenant: str, items: Sequence[Sequence[Lookup]]) -> Sequence[Known | Exception]:
        known = await read_known(self._database, tenant, [lookup for lookups in items for lookup in lookups])
        return [known] * len(items)


def _settled(flags: FlagSet, evaluation: Evaluation, experiments: Mapping[str, Experiment], known: Known) -> Evaluation:
    """``evaluation``, unless the unit keeps a variant that the experiment no longer has: it is given no second one."""
    if not evaluation.in_experiment or evaluation.sticky_used or evaluation.unit_id is None:
        return evaluation
    experiment = experiments[evaluation.experiment or ""]
    attribute = evaluation.unit_attribute or TARGETING_KEY
    stored = known.stored.get(slot_of(experiment, attribute, evaluation.unit_id, evaluation.window_start))
    if stored is None or stored.variant == evaluation.variant or not experiment.sticky:
        return evaluation
    value = _value_of_control(flags.flags[evaluation.flag], experiment)
    return evaluation._replace(
        value=value, variant=None, reason="DEFAULT", status=cast(Status, WITHDRAWN), in_experiment=False, entered=()
    )


def _value_of_control(flag: Flag, experiment: Experiment) -> Any:
    control = experiment.variants[0]
    for rule in flag.rules:
        if isinstance(rule, ExperimentRule) and rule.experiment is experiment and rule.values is not None:
            return rule.values.get(control.key, control.value)
    return control.value
