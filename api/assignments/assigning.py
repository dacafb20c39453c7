"""How a group of units gets its variants and keeps them: read what is stored, evaluate, store what is new.

What is answered is what is stored. Two who ask for one unit at the same moment may both find its slot free; the
insertion leaves the first and tells the second, which is then evaluated once more with what the first one stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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
from api.assignments.queries import (
    EXPOSURE,
    SOURCE,
    Cross,
    Exposure,
    Keep,
    Slot,
    Stored,
    cross,
    cross_event,
    expose,
    exposure_event,
    keep_and_read,
    read_stored,
)
from api.database import Database
from api.events.event_types import EventTypes
from api.flags_in_force import FlagsInForce
from api.problems import FieldError, Problem, not_found
from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Entry, Evaluation
from causeway.assignment.explain import Explanation, explain
from causeway.assignment.flags import Experiment
from causeway.assignment.json_values import Json
from causeway.declarations.event_type import SEVEN_YEARS

WITHDRAWN = "variant_withdrawn"

# Whoever is overtaken in one round knows in the next what the other one stored.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """Asks for the variant of a unit. ``context`` has the unit as its targetingKey."""

    experiment: str
    unit_id: str
    context: Mapping[str, Json]
    at: datetime
    log_exposure: bool = False

    @property
    def properties(self) -> str:
        """The context as it is noted with the assignment."""
        return json.dumps({k: v for k, v in self.context.items() if k != TARGETING_KEY}, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a unit is told. Without a variant, ``value`` is the control's."""

    question: Question
    experiment: Experiment
    evaluation: Evaluation
    variant: str | None
    value: Json
    status: str
    stored: Stored | None = None
    was_stored: bool = False
    exposure_logged: bool = False


@dataclass(slots=True)
class Draft:
    """An answer in the making: what may be stored already, what the evaluation says, and what is to be stored."""

    question: Question
    experiments: Mapping[str, Experiment]
    lookups: Sequence[Lookup]
    evaluation: Evaluation = field(init=False)
    entries: list[tuple[Entry, Experiment, Slot]] = field(default_factory=list)
    wanted: dict[Slot, Keep] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Whether nothing that is stored matters but the assignment itself.

        Then it is evaluated as if nothing were: the statement that would store the assignment tells what is.
        """
        if len(self.experiments) > 1:
            return False
        (experiment,) = self.experiments.values()
        is_bound = experiment.fallback_attribute is not None or experiment.min_bucket_version > 0
        return experiment.attribute == TARGETING_KEY and not is_bound


class SpoiltDeclarationError(Exception):
    """What is stored of the experiment no longer validates, which is our fault."""


class Assigning:
    """Answers groups of questions of one tenant."""

    def __init__(self, database: Database, flags: FlagsInForce, event_types: EventTypes) -> None:
        self._database = database
        self._flags = flags
        self._event_types = event_types
        self._reach: dict[str, Reach] = {}

    async def reach(self, tenant: str) -> Reach:
        """The flags of ``tenant`` that are in force, with what each of them may look at."""
        flags = await self._flags.of(tenant)
        reach = self._reach.get(tenant)
        if reach is None or reach.flags is not flags:
            reach = self._reach[tenant] = Reach(flags)
        return reach

    async def assign(self, tenant: str, questions: Sequence[Question]) -> list[Answer | Exception]:
        """The answers to ``questions``, stored. A question that cannot be answered has its Problem."""
        reach = await self.reach(tenant)
        drafts = [self._drafted(tenant, reach, question) for question in questions]
        others = [draft for draft in drafts if isinstance(draft, Draft) and not draft.is_alone]
        known = await read_known(self._database, tenant, [lookup for draft in others for lookup in draft.lookups])
        judged = [self._judged(reach, draft, known) if isinstance(draft, Draft) else draft for draft in drafts]
        sound = [draft for draft in judged if isinstance(draft, Draft)]
        before = await self._keep(tenant, reach, sound, known)
        crossed = await self._cross(tenant, sound, known)
        told = [_answer(draft, known, before, crossed) if isinstance(draft, Draft) else draft for draft in judged]
        await self._expose(tenant, [answer for answer in told if isinstance(answer, Answer)])
        return told

    async def explain(self, tenant: str, question: Question) -> tuple[Explanation, Answer | None]:
        """Why the flag or experiment of ``question`` is what it is; of an experiment, its answer. Nothing is stored."""
        reach = await self.reach(tenant)
        key = question.experiment
        if key not in reach.flags.flags:
            raise self.missing(tenant, key)
        lookups = list(lookups_of(reach.within(key), question.context, question.at))
        known = await read_known(self._database, tenant, lookups)
        explanation = explain(reach.flags, key, question.context, at=question.at, sticky=known.records(lookups))
        if not reach.experiments(key):
            return explanation, None
        judged = self._judged(reach, Draft(question, reach.experiments(key), lookups), known)
        if isinstance(judged, Problem):
            raise judged
        return explanation, _answer(judged, known, frozenset(known.stored), {})

    def _drafted(self, tenant: str, reach: Reach, question: Question) -> Draft | Exception:
        experiments = reach.experiments(question.experiment)
        if not experiments:
            return self.missing(tenant, question.experiment)
        lookups = list(lookups_of(experiments, question.context, question.at))
        return Draft(question, experiments, lookups)

    def missing(self, tenant: str, key: str) -> Exception:
        """Why there is no experiment ``key``: not declared, or declared and spoilt."""
        spoilt = key in self._flags.spoilt(tenant)
        return SpoiltDeclarationError(key) if spoilt else not_found("experiment", key)

    def _judged(self, reach: Reach, draft: Draft, known: Known) -> Draft | Problem:
        """``draft`` with its evaluation and what it wants to have stored."""
        question = draft.question
        sticky = known.records(draft.lookups)
        draft.evaluation = evaluate(reach.flags, question.experiment, question.context, at=question.at, sticky=sticky)
        draft.entries.clear()
        draft.wanted.clear()
        for entry in draft.evaluation.entered:
            experiment = draft.experiments[entry.experiment]
            if not is_storable(entry.unit_id):
                return _unusable(entry)
            slot = slot_of(experiment, entry.unit_attribute, entry.unit_id, entry.window_start)
            draft.entries.append((entry, experiment, slot))
            # The variant belongs to the cluster; that the unit has it is stored as well.
            for each in {slot, slot._replace(unit_attribute=TARGETING_KEY, unit_id=question.unit_id)}:
                if each not in known.stored:
                    noted = question.properties if each.unit_attribute == TARGETING_KEY else None
                    draft.wanted[each] = Keep(entry.variant, experiment.policy_version, noted)
        return draft

    async def _keep(self, tenant: str, reach: Reach, drafts: Sequence[Draft], known: Known) -> frozenset[Slot]:
        """Store what ``drafts`` want; the slots that were taken before.

        Whoever was overtaken, or had not asked what is stored, is evaluated again with what there is now.
        """
        before = set(known.stored)
        unread = [lookup.slot for draft in drafts if draft.is_alone for lookup in draft.lookups]
        for _ in range(_ROUNDS):
            wanted: dict[Slot, Keep] = {}
            for draft in drafts:
                for slot, each in draft.wanted.items():
                    wanted.setdefault(slot, each)
            if not wanted and not unread:
                break
            kept, found = await keep_and_read(self._database, tenant, wanted, unread)
            known.stored |= kept | found
            before |= found.keys()
            unread = []
            lost = wanted.keys() - known.stored.keys()
            if lost:
                known.stored |= await read_stored(self._database, tenant, lost)
            for draft in drafts:
                if _is_overtaken(draft, known, found):
                    self._judged(reach, draft, known)
                else:
                    draft.wanted.clear()
        assert not any(draft.wanted for draft in drafts), "what is stored never changes, so nobody is overtaken twice"
        return frozenset(before)

    async def _cross(self, tenant: str, drafts: Sequence[Draft], known: Known) -> dict[str, datetime]:
        """Note the variants that are not the stored ones, where an experiment does not hold its units to those."""
        wanted: dict[str, Cross] = {}
        for draft in drafts:
            for entry, experiment, slot in draft.entries:
                if not experiment.sticky and known.stored[slot].variant != entry.variant:
                    unit_id = draft.question.unit_id
                    event_id = cross_event(slot, experiment.policy_version)
                    wanted[event_id] = Cross(entry.experiment, unit_id, entry.variant, draft.question.properties)
        return await cross(self._database, tenant, wanted) if wanted else {}

    async def _expose(self, tenant: str, answers: Sequence[Answer]) -> None:
        exposures: dict[str, Exposure] = {}
        for answer in answers:
            if answer.exposure_logged and answer.variant is not None:
                question, experiment = answer.question, answer.experiment
                slot = slot_of(experiment, TARGETING_KEY, question.unit_id, answer.evaluation.window_start)
                shown = {
                    "experiment": experiment.key,
                    "variant": answer.variant,
                    "bucket_version": experiment.bucket_version,
                    "policy_version": None if answer.stored is None else answer.stored.policy_version,
                }
                exposures[exposure_event(slot, answer.variant)] = Exposure(question.unit_id, json.dumps(shown))
        if exposures:
            declared = (await self._event_types.of(tenant)).types.get(EXPOSURE)
            days = SEVEN_YEARS if declared is None else declared.retention_days
            await expose(self._database, tenant, exposures, days)


def _is_overtaken(draft: Draft, known: Known, found: Mapping[Slot, Stored]) -> bool:
    if draft.is_alone and any(lookup.slot in found for lookup in draft.lookups):
        return True
    return any(known.stored[slot].variant != each.variant for slot, each in draft.wanted.items())


def _unusable(entry: Entry) -> Problem:
    message = f"must have 1 to {MAX_UNIT_LENGTH} characters, none of them a control character"
    location: list[str | int] = ["body", "context", entry.unit_attribute]
    field = FieldError(location=location, code="unusable", message=message)
    return Problem(422, "invalid-request", "The unit cannot be assigned.", errors=[field])


def _answer(draft: Draft, known: Known, before: frozenset[Slot], crossed: Mapping[str, datetime]) -> Answer:
    question, evaluation = draft.question, draft.evaluation
    experiment = draft.experiments[question.experiment]
    own = next(((entry, slot) for entry, each, slot in draft.entries if each is experiment), None)
    if own is None:
        variant = evaluation.variant if evaluation.in_experiment else None
        return Answer(question, experiment, evaluation, variant, evaluation.value, evaluation.status)
    entry, slot = own
    stored = known.stored.get(slot)
    variant = entry.variant
    if stored is not None and stored.variant != variant:
        if experiment.sticky:
            # The variant that the unit keeps was taken out of the experiment; another would be a second one.
            return Answer(question, experiment, evaluation, None, experiment.variants[0].value, WITHDRAWN, stored)
        noted = crossed.get(cross_event(slot, experiment.policy_version))
        stored = None if noted is None else Stored(variant, noted, SOURCE, experiment.policy_version)
    value = evaluation.value
    if not evaluation.in_experiment:
        value = experiment.variants[experiment.index_of[variant]].value
    was_stored = evaluation.sticky_used or slot in before
    return Answer(
        question,
        experiment,
        evaluation,
        variant,
        value,
        evaluation.status,
        stored,
        was_stored,
        question.log_exposure,
    )
