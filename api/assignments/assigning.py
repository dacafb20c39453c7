"""How a group of units gets its variants and keeps them: read what is stored, evaluate, store what is new.

What is answered is what is stored. Two who ask for one unit at the same moment may both find its slot free; the
insertion leaves the first and tells the second, which is then evaluated once more with what the first one stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from api.assignments.queries import (
    FOR_GOOD,
    SOURCE,
    Cross,
    Exposure,
    Keep,
    Older,
    Slot,
    Stored,
    cross,
    cross_event,
    expose,
    exposure_event,
    keep,
    read_older,
    read_stored,
)
from api.database import Database
from api.flags_in_force import FlagsInForce
from api.problems import FieldError, Problem, not_found
from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Entry, Evaluation
from causeway.assignment.flags import Experiment, ExperimentRule, FlagSet
from causeway.assignment.json_values import Json, unit_text
from causeway.assignment.sticky import StickyRecord, assignment_key, record_key
from causeway.assignment.tracing import Trace

TARGETING_KEY = "targetingKey"
MAX_UNIT_LENGTH = 512
WITHDRAWN = "variant_withdrawn"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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


class Lookup(NamedTuple):
    """Where something may be stored of a unit that an evaluation asks for by ``attribute`` and ``unit_id``."""

    attribute: str
    unit_id: str
    slot: Slot
    key: str
    min_bucket_version: int


@dataclass(slots=True)
class Draft:
    """An answer in the making: what may be stored already, what the evaluation says, and what is to be stored."""

    question: Question
    experiments: Mapping[str, Experiment]
    lookups: Sequence[Lookup]
    evaluation: Evaluation = field(init=False)
    entries: list[tuple[Entry, Experiment, Slot]] = field(default_factory=list)
    wanted: dict[Slot, Keep] = field(default_factory=dict)


@dataclass(slots=True)
class Known:
    """What is stored of the units of a group: in the slots of now, and under lower bucket versions."""

    stored: dict[Slot, Stored] = field(default_factory=dict)
    older: dict[Older, int] = field(default_factory=dict)

    def records(self, lookups: Sequence[Lookup]) -> dict[str, StickyRecord]:
        """What an evaluation is to know, as it asks for it."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for lookup in lookups:
            stored = self.stored.get(lookup.slot)
            if stored is not None:
                found.setdefault(lookup[:2], {}).setdefault(lookup.key, stored.variant)
            slot = lookup.slot
            version = self.older.get((slot.experiment, slot.unit_attribute, slot.unit_id)) if self.older else None
            if version is not None and version < lookup.min_bucket_version:
                found.setdefault(lookup[:2], {})[assignment_key(slot.experiment, version)] = ""
        return {record_key(*unit): StickyRecord(*unit, assignments) for unit, assignments in found.items()}


class Reach:
    """Which experiments the evaluation of a flag may look at: its own, and those of prerequisites and holdouts."""

    def __init__(self, flags: FlagSet) -> None:
        self.flags = flags
        self._known: dict[str, Mapping[str, Experiment]] = {}

    def experiments(self, key: str) -> Mapping[str, Experiment]:
        """Experiments by key, that of the flag ``key`` among them; none if the flag is not an experiment's own."""
        known = self._known.get(key)
        if known is None:
            known = self._found(key)
            if known:
                self._known[key] = known
        return known

    def _found(self, key: str) -> Mapping[str, Experiment]:
        found: dict[str, Experiment] = {}
        waiting, seen = [key], {key}
        while waiting:
            flag = self.flags.flags.get(waiting.pop())
            for rule in flag.rules if flag is not None else ():
                others = [needed.flag for needed in rule.prerequisites]
                if isinstance(rule, ExperimentRule):
                    experiment = rule.experiment
                    found[experiment.key] = experiment
                    others += [needed.flag for needed in experiment.prerequisites]
                    others += [holdout.flag for holdout in experiment.holdouts]
                waiting += [other for other in others if other not in seen]
                seen |= set(others)
        return found if key in found else {}


class SpoiltDeclarationError(Exception):
    """What is stored of the experiment no longer validates, which is our fault."""


class Assigning:
    """Answers groups of questions of one tenant."""

    def __init__(self, database: Database, flags: FlagsInForce) -> None:
        self._database = database
        self._flags = flags
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
        known = await self._known(tenant, [draft for draft in drafts if isinstance(draft, Draft)])
        before = frozenset(known.stored)
        judged = [self._judged(reach, draft, known) if isinstance(draft, Draft) else draft for draft in drafts]
        sound = [draft for draft in judged if isinstance(draft, Draft)]
        await self._keep(tenant, reach, sound, known)
        crossed = await self._cross(tenant, sound, known)
        told = [_answer(draft, known, before, crossed) if isinstance(draft, Draft) else draft for draft in judged]
        await self._expose(tenant, [answer for answer in told if isinstance(answer, Answer)])
        return told

    async def explain(self, tenant: str, question: Question) -> tuple[Answer, Trace]:
        """What ``question`` would be answered now, and the way there; nothing is stored."""
        reach = await self.reach(tenant)
        draft = self._drafted(tenant, reach, question)
        if isinstance(draft, Exception):
            raise draft
        known = await self._known(tenant, [draft])
        trace = Trace()
        judged = self._judged(reach, draft, known, trace)
        if isinstance(judged, Problem):
            raise judged
        return _answer(judged, known, frozenset(known.stored), {}), trace

    def _drafted(self, tenant: str, reach: Reach, question: Question) -> Draft | Exception:
        experiments = reach.experiments(question.experiment)
        if not experiments:
            if question.experiment in self._flags.spoilt(tenant):
                return SpoiltDeclarationError(question.experiment)
            return not_found("experiment", question.experiment)
        lookups = list(_lookups(experiments, question))
        return Draft(question, experiments, lookups)

    async def _known(self, tenant: str, drafts: Sequence[Draft]) -> Known:
        lookups = [lookup for draft in drafts for lookup in draft.lookups]
        known = Known(await read_stored(self._database, tenant, [lookup.slot for lookup in lookups]))
        bound = [lookup for lookup in lookups if lookup.min_bucket_version]
        if bound:
            below = max(lookup.min_bucket_version for lookup in bound)
            known.older = await read_older(self._database, tenant, [each.slot.unit_id for each in bound], below)
        return known

    def _judged(self, reach: Reach, draft: Draft, known: Known, trace: Trace | None = None) -> Draft | Problem:
        """``draft`` with its evaluation and what it wants to have stored."""
        question = draft.question
        sticky = known.records(draft.lookups)
        draft.evaluation = evaluate(
            reach.flags, question.experiment, question.context, at=question.at, sticky=sticky, trace=trace
        )
        draft.entries.clear()
        draft.wanted.clear()
        for entry in draft.evaluation.entered:
            experiment = draft.experiments[entry.experiment]
            if not is_storable(entry.unit_id):
                return _unusable(entry)
            slot = _slot(experiment, entry.unit_attribute, entry.unit_id, entry.window_start)
            draft.entries.append((entry, experiment, slot))
            # The variant belongs to the cluster; that the unit has it is stored as well.
            for each in {slot, slot._replace(unit_attribute=TARGETING_KEY, unit_id=question.unit_id)}:
                if each not in known.stored:
                    noted = question.properties if each.unit_attribute == TARGETING_KEY else None
                    draft.wanted[each] = Keep(entry.variant, experiment.policy_version, noted)
        return draft

    async def _keep(self, tenant: str, reach: Reach, drafts: Sequence[Draft], known: Known) -> None:
        """Store what ``drafts`` want; whoever was overtaken is evaluated again, with what the other one stored."""
        for _ in range(_ROUNDS):
            wanted: dict[Slot, Keep] = {}
            for draft in drafts:
                for slot, each in draft.wanted.items():
                    wanted.setdefault(slot, each)
            if not wanted:
                return
            kept = await keep(self._database, tenant, wanted)
            known.stored |= kept
            lost = wanted.keys() - kept.keys()
            if lost:
                known.stored |= await read_stored(self._database, tenant, lost)
            for draft in drafts:
                if any(known.stored[slot].variant != each.variant for slot, each in draft.wanted.items()):
                    self._judged(reach, draft, known)
                else:
                    draft.wanted.clear()

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
                slot = _slot(experiment, TARGETING_KEY, question.unit_id, answer.evaluation.window_start)
                shown = {
                    "experiment": experiment.key,
                    "variant": answer.variant,
                    "bucket_version": experiment.bucket_version,
                    "policy_version": None if answer.stored is None else answer.stored.policy_version,
                }
                exposures[exposure_event(slot, answer.variant)] = Exposure(question.unit_id, json.dumps(shown))
        if exposures:
            await expose(self._database, tenant, exposures)


def is_storable(unit_id: str) -> bool:
    """Whether ``unit_id`` is what the API takes as the id of a unit."""
    return len(unit_id) <= MAX_UNIT_LENGTH and not unit_id.isspace() and _CONTROL.search(unit_id) is None


def _lookups(experiments: Mapping[str, Experiment], question: Question) -> Iterator[Lookup]:
    context = question.context
    for experiment in experiments.values():
        window = None
        if experiment.window is not None:
            try:
                window = experiment.window.start(question.at)
            except OverflowError:
                continue
        key = assignment_key(experiment.key, experiment.bucket_version, window)
        for attribute, kept_under in _places(experiment):
            unit_id = unit_text(context.get(attribute))
            if unit_id and is_storable(unit_id):
                slot = _slot(experiment, kept_under, unit_id, window)
                yield Lookup(attribute, unit_id, slot, key, experiment.min_bucket_version)
        if experiment.attribute != TARGETING_KEY:
            slot = _slot(experiment, TARGETING_KEY, question.unit_id, window)
            yield Lookup(f"unit of {experiment.attribute}", question.unit_id, slot, key, 0)


def _places(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """By which attributes a unit is looked up, and as the unit of which attribute it was stored."""
    yield experiment.attribute, experiment.attribute
    if experiment.fallback_attribute is not None:
        yield experiment.fallback_attribute, experiment.fallback_attribute
        # Before it was known, the unit asked under its anonymous id.
        yield experiment.fallback_attribute, TARGETING_KEY


def _slot(experiment: Experiment, attribute: str, unit_id: str, window_start: datetime | None) -> Slot:
    return Slot(experiment.key, experiment.bucket_version, attribute, unit_id, window_start or FOR_GOOD)


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
