"""What an evaluation answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from causeway.assignment.json_values import Json
from causeway.assignment.sticky import StickyRecord

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT", "UNKNOWN", "ERROR"]
Status = Literal[
    "assigned",
    "sticky",
    "forced",
    "rule",
    "default",
    "disabled",
    "unknown_flag",
    "not_running",
    "no_unit",
    "no_time",
    "not_targeted",
    "filter",
    "layer",
    "holdout",
    "prerequisite",
    "cyclic_prerequisite",
    "coverage",
    "closed_to_new_units",
    "blocked_by_version",
    "invalid",
]


class Entry(NamedTuple):
    """An experiment that a unit is in: what an exposure is counted by."""

    experiment: str
    variant: str
    unit_id: str
    unit_attribute: str
    policy_version: str
    window_start: datetime | None = None


class Evaluation(NamedTuple):
    """One resolution of a flag. A tuple, because it is made for every evaluation, and a dataclass takes five times
    as long to make.

    `reason` is OpenFeature's; `status` says in one word what decided: "assigned" by hash, "sticky" by a stored
    assignment, "forced", "rule" by a rule without experiment, or why the unit is in no experiment.

    The fields from `experiment` on are those of the experiment that decided, or, if the flag fell back to its
    default, of the last one that was tried. `bucket` is the hasher's integer, `hash_value` the same in [0, 1).
    `holdout` is the flag of the holdout that held the unit; `is_holdout` says that this experiment is one itself.
    `sticky` is what should be stored of the unit now, None if nothing changed. `entered` holds every experiment
    that the unit is in by hash or stored assignment: also those of prerequisites and holdouts, and those whose
    variant passes through. Forced units enter nothing.
    """

    flag: str
    value: Json
    variant: str | None
    reason: Reason
    status: Status
    experiment: str | None = None
    in_experiment: bool = False
    unit_id: str | None = None
    unit_attribute: str | None = None
    bucket: int | None = None
    hash_value: float | None = None
    hasher: str | None = None
    rule_id: str = ""
    rule_index: int | None = None
    layer: str | None = None
    holdout: str | None = None
    is_holdout: bool = False
    sticky_used: bool = False
    sticky: StickyRecord | None = None
    policy_version: str = ""
    entered: tuple[Entry, ...] = ()
    window_start: datetime | None = None
    leaf: int | None = None
