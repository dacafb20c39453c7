"""Where assignments may be stored that an evaluation has to know, and what was found there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from api.assignments.queries import FOR_GOOD, Older, Slot, Stored, read_older, read_stored
from api.database import Database
from causeway.assignment.flags import Experiment, ExperimentRule, FlagSet
from causeway.assignment.json_values import Json, unit_text
from causeway.assignment.sticky import StickyRecord, assignment_key, record_key

TARGETING_KEY = "targetingKey"
MAX_UNIT_LENGTH = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Lookup(NamedTuple):
    """Where something may be stored of a unit that an evaluation asks for by ``attribute`` and ``unit_id``."""

    attribute: str
    unit_id: str
    slot: Slot
    key: str
    min_bucket_version: int


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
    """Which experiments the evaluation of a flag may look at: its rules', and those of prerequisites and holdouts."""

    def __init__(self, flags: FlagSet) -> None:
        self.flags = flags
        self._known: dict[str, Mapping[str, Experiment]] = {}

    def experiments(self, key: str) -> Mapping[str, Experiment]:
        """Experiments by key, that of the flag ``key`` among them; none if the flag is not an experiment's own."""
        within = self.within(key)
        return within if key in within else {}

    def within(self, key: str) -> Mapping[str, Experiment]:
        """Experiments by key; none if nothing in the flag ``key`` is one, or there is no such flag."""
        known = self._known.get(key)
        if known is None:
            known = self._found(key)
            if key in self.flags.flags:
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
        return found


async def read_known(database: Database, tenant: str, lookups: Sequence[Lookup]) -> Known:
    """What is stored where ``lookups`` look."""
    known = Known(await read_stored(database, tenant, [lookup.slot for lookup in lookups]))
    bound = [lookup for lookup in lookups if lookup.min_bucket_version]
    if bound:
        below = max(lookup.min_bucket_version for lookup in bound)
        known.older = await read_older(database, tenant, [each.slot.unit_id for each in bound], below)
    return known


def is_storable(unit_id: str) -> bool:
    """Whether ``unit_id`` is what the API takes as the id of a unit."""
    return len(unit_id) <= MAX_UNIT_LENGTH and not unit_id.isspace() and _CONTROL.search(unit_id) is None


def lookups_of(experiments: Mapping[str, Experiment], context: Mapping[str, Json], at: datetime) -> Iterator[Lookup]:
    """Where something may be stored that an evaluation of ``experiments`` in ``context`` has to know."""
    own = unit_text(context.get(TARGETING_KEY))
    for experiment in experiments.values():
        window = None
        if experiment.window is not None:
            try:
                window = experiment.window.start(at)
            except OverflowError:
                continue
        key = assignment_key(experiment.key, experiment.bucket_version, window)
        for attribute, kept_under in _places(experiment):
            unit_id = unit_text(context.get(attribute))
            if unit_id and is_storable(unit_id):
                slot = slot_of(experiment, kept_under, unit_id, window)
                yield Lookup(attribute, unit_id, slot, key, experiment.min_bucket_version)
        if experiment.attribute != TARGETING_KEY and own:
            slot = slot_of(experiment, TARGETING_KEY, own, window)
            yield Lookup(f"unit of {experiment.attribute}", own, slot, key, 0)


def _places(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """By which attributes a unit is looked up, and as the unit of which attribute it was stored."""
    yield experiment.attribute, experiment.attribute
    if experiment.fallback_attribute is not None:
        yield experiment.fallback_attribute, experiment.fallback_attribute
        # Before it was known, the unit asked under its anonymous id.
        yield experiment.fallback_attribute, TARGETING_KEY


def slot_of(experiment: Experiment, attribute: str, unit_id: str, window_start: datetime | None) -> Slot:
    """The place of the unit's assignment in the experiment as it is declared now."""
    return Slot(experiment.key, experiment.bucket_version, attribute, unit_id, window_start or FOR_GOOD)
