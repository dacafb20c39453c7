"""What the evaluation of one flag can look at: experiments, filters, shares, conditions and attributes, those of the
flags that it needs included.

Two units between which none of these makes a difference get the same evaluation. That is what allows a table to be
assigned by evaluating one unit of each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from causeway.assignment.conditions import Test
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Prerequisite,
    Switchback,
)
from causeway.assignment.json_values import Json


@dataclass(frozen=True, slots=True)
class Source:
    """Where the text that is hashed comes from: an attribute, or another one where that identifies nobody, and in a
    switchback the window of time.
    """

    attribute: str
    fallback: str | None = None
    window: Switchback | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition and the attributes that it may read."""

    test: Test
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Share:
    """A rule that takes a share of the units, without an experiment."""

    rule: ForceRule
    flag: str
    admits: Callable[[str], bool]

    @property
    def seed(self) -> str:
        """The seed of its hash."""
        return self.rule.seed or self.flag


@dataclass(slots=True)
class Reach:
    """Everything that the evaluation of a flag can look at, each thing once; flags that are switched off too."""

    flags: list[Flag] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)

    @property
    def unit_attributes(self) -> tuple[str, ...]:
        """Attributes that a unit's id is taken from."""
        names: list[str | None] = []
        for experiment in self.experiments:
            names += (experiment.attribute, experiment.fallback_attribute)
        names += [each.attribute for each in self.filters]
        for share in self.shares:
            names += (share.rule.attribute, share.rule.fallback_attribute)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that makes a difference."""
        read = sorted({name for condition in self.conditions for name in condition.attributes})
        return tuple(dict.fromkeys((*self.unit_attributes, *read)))

    def named_units(self) -> frozenset[str]:
        """Units that an experiment names, to give them a variant."""
        return frozenset(unit for experiment in self.experiments for unit in experiment.forced)

    @property
    def needs_time(self) -> bool:
        """Whether the time of the assignment makes a difference."""
        return any(experiment.needs_time for experiment in self.experiments)

    @property
    def moments(self) -> tuple[datetime, ...]:
        """When a coverage changes."""
        return tuple(sorted({step.at for experiment in self.experiments for step in experiment.ramp}))


def reach_of(flag_set: FlagSet, key: str) -> Reach:
    """What the evaluation of this flag can look at."""
    reach, waiting, seen = Reach(), [key], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        flag = flag_set.flags.get(name)
        if flag is None:
            continue
        reach.flags.append(flag)
        if not flag.enabled:
            continue
        for index, rule in enumerate(flag.rules):
            waiting += _needed(rule.prerequisites)
            _read(reach, rule.test, rule.condition)
            reach.filters += rule.filters
            if isinstance(rule, ExperimentRule):
                waiting += _of_experiment(reach, rule.experiment)
            elif (admits := flag.admissions[index]) is not None:
                reach.shares.append(Share(rule, name, admits))
    return reach


def _of_experiment(reach: Reach, experiment: Experiment) -> Iterator[str]:
    """Adds an experiment, and gives the flags that it needs; one that is switched off looks at nothing."""
    if len(experiment.variants) < 2 or not experiment.enabled or not experiment.active:
        return
    if not any(each is experiment for each in reach.experiments):
        reach.experiments.append(experiment)
        reach.filters += experiment.filters
        _read(reach, experiment.test, experiment.condition)
        for leaf in experiment.leaves or ():
            _read(reach, leaf.test, leaf.condition)
    yield from _needed(experiment.prerequisites)
    yield from (holdout.flag for holdout in experiment.holdouts)


def _needed(prerequisites: Iterable[Prerequisite]) -> Iterator[str]:
    return (each.flag for each in prerequisites)


def _read(reach: Reach, test: Test | None, condition: Mapping[str, Json] | None) -> None:
    if test is not None and condition is not None:
        reach.conditions.append(Condition(test, frozenset(_names(condition))))


def _names(condition: Json) -> Iterator[str]:
    """Every key in a condition that is no operator, up to its first dot: all attributes, and perhaps keys of theirs."""
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield from (str(key).partition(".")[0] for key in part if not str(key).startswith("$"))
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
