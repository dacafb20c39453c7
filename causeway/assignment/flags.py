"""The model of what is evaluated: flags, their rules, experiments with variants, layers, holdouts and ramps.

Everything is immutable and compiled once, when it is made: conditions become closures, weights and coverage
become the dealer that hands out variants. What cannot be evaluated cannot be made, so that an evaluation never
raises. GrowthBook's payloads and our own declarations are read into this one model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from causeway.assignment.conditions import Test, compile_with_groups
from causeway.assignment.dealers import Dealer
from causeway.assignment.hashers import DEFAULT_HASHER, hasher_named
from causeway.assignment.hashing import Range
from causeway.assignment.json_values import Json
from causeway.assignment.operators import Groups, members_of
from causeway.assignment.sticky import assignment_key

Kind = Literal["boolean", "string", "number", "object"]
FilterKind = Literal["layer", "filter"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One side of an experiment and the value that its units get. A unit in a `passthrough` variant is counted
    in the experiment, but its value comes from the rules that follow.
    """

    key: str
    value: Json
    name: str | None = None
    passthrough: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """The unit goes on only if its position under this seed lies in one of the half-open ranges.

    A layer is one seed whose 10,000 buckets are dealt out to experiments: the filter of kind "layer" holds this
    experiment's ranges, as shares of 1.
    """

    seed: str
    ranges: tuple[Range, ...]
    attribute: str = "id"
    hasher: str = DEFAULT_HASHER
    kind: FilterKind = "filter"
    name: str | None = None
    position: Callable[[str], float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", hasher_named(self.hasher).position(self.seed))


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag whose evaluation must satisfy a condition on {"value": ...}. If it does not, the rule is
    passed over, or, at a gate, the whole flag answers null.
    """

    flag: str
    condition: Mapping[str, Json]
    gate: bool = False
    test: Test = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "test", compile_with_groups(self.condition))


@dataclass(frozen=True, slots=True)
class Holdout:
    """A flag that runs a holdout experiment, and the variant of it whose units are held out of this one."""

    flag: str
    variant: str


@dataclass(frozen=True, slots=True)
class Switchback:
    """Units are dealt anew in every window of time: windows of this length, counted from the origin."""

    length: timedelta
    origin: datetime

    def __post_init__(self) -> None:
        if self.length <= timedelta(0):
            raise ValueError("a switchback's window must be longer than nothing")
        if self.origin.tzinfo is None:
            raise ValueError("a switchback's origin needs a time zone")

    def index(self, at: datetime) -> int:
        """Number of the window that holds this time; negative before the origin."""
        return (at - self.origin) // self.length

    def start(self, at: datetime) -> datetime:
        """When the window that holds this time began."""
        return self.origin + self.index(at) * self.length


@dataclass(frozen=True, slots=True)
class RampStep:
    """From this time on, this share of the units enters."""

    at: datetime
    coverage: float


@dataclass(frozen=True, slots=True)
class Leaf:
    """Weights for the units of one context of a contextual bandit."""

    id: int
    condition: Mapping[str, Json]
    weights: tuple[float, ...]
    test: Test = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "test", compile_with_groups(self.condition))


@dataclass(frozen=True, slots=True)
class Experiment:
    """Variants dealt out by a hash of the unit.

    `weights` are shares of 1, equal ones if None. `coverage` is the share of units that enters; a `ramp` takes
    its place, and nobody enters before its first step. `ranges` (GrowthBook hashers only) take the place of
    weights and coverage. `seed` is the key if None.

    `forced` names units that get a variant without being counted. A paused experiment (`accepts_new_units`
    False) serves only units whose assignment is stored. `enabled` is the kill switch, `active` the life cycle.
    `held_out` is the variant that other experiments' holdouts look for, if this is a holdout.
    `leaves` not None makes it a contextual bandit: the first leaf whose condition holds gives the weights.
    """

    key: str
    variants: tuple[Variant, ...]
    weights: tuple[float, ...] | None = None
    coverage: float = 1.0
    hasher: str = DEFAULT_HASHER
    seed: str | None = None
    attribute: str = "id"
    fallback_attribute: str | None = None
    ranges: tuple[Range, ...] | None = None
    condition: Mapping[str, Json] | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    filters: tuple[Filter, ...] = ()
    holdouts: tuple[Holdout, ...] = ()
    held_out: str | None = None
    forced: Mapping[str, str] = field(default_factory=dict)
    force: int | None = None
    sticky: bool = True
    bucket_version: int = 0
    min_bucket_version: int = 0
    window: Switchback | None = None
    ramp: tuple[RampStep, ...] = ()
    leaves: tuple[Leaf, ...] | None = None
    bandit_version: int | None = None
    enabled: bool = True
    active: bool = True
    accepts_new_units: bool = True
    name: str | None = None
    phase: str | None = None
    policy_version: str = ""
    test: Test | None = field(init=False, repr=False, compare=False)
    needs_time: bool = field(init=False, repr=False, compare=False)
    closed: Literal["invalid", "disabled", "not_running"] | None = field(init=False, repr=False, compare=False)
    layer: str | None = field(init=False, repr=False, compare=False)
    sticky_key: str = field(init=False, repr=False, compare=False)
    dealer: Dealer = field(init=False, repr=False, compare=False)
    ramp_dealers: tuple[tuple[datetime, Dealer], ...] = field(init=False, repr=False, compare=False)
    leaf_dealers: tuple[tuple[Leaf, Dealer], ...] = field(init=False, repr=False, compare=False)
    index_of: Mapping[str, int] = field(init=False, repr=False, compare=False)
    passing: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses what could not be evaluated: variants of the same key, an unknown hasher, times without zone."""
        index_of = {variant.key: index for index, variant in enumerate(self.variants)}
        if len(index_of) != len(self.variants):
            raise ValueError(f"experiment {self.key}: two variants have the same key")
        if any(step.at.tzinfo is None for step in self.ramp):
            raise ValueError(f"experiment {self.key}: a ramp's step needs a time zone")
        if self.ramp and self.leaves is not None:
            raise ValueError(f"experiment {self.key}: a contextual bandit has no ramp")
        steps = sorted(self.ramp, key=lambda step: step.at)
        deal = object.__setattr__
        deal(self, "test", None if self.condition is None else compile_with_groups(self.condition))
        closed = "invalid" if len(index_of) < 2 else "disabled" if not self.enabled else "not_running"
        deal(self, "closed", None if len(index_of) > 1 and self.enabled and self.active else closed)
        deal(self, "needs_time", self.window is not None or bool(self.ramp))
        deal(self, "layer", next((each.name for each in self.filters if each.kind == "layer"), None))
        deal(self, "sticky_key", assignment_key(self.key, self.bucket_version))
        deal(self, "index_of", index_of)
        deal(self, "passing", frozenset(variant.key for variant in self.variants if variant.passthrough))
        deal(self, "dealer", self.deal_with(self.weights, self.coverage))
        deal(self, "ramp_dealers", tuple((step.at, self.deal_with(self.weights, step.coverage)) for step in steps))
        leaves = self.leaves or ()
        deal(self, "leaf_dealers", tuple((leaf, self.deal_with(leaf.weights, self.coverage)) for leaf in leaves))

    def deal_with(self, weights: Sequence[float] | None, coverage: float) -> Dealer:
        """The dealer of this experiment's variants under other weights or another coverage."""
        seed = self.key if self.seed is None else self.seed
        return hasher_named(self.hasher).dealer(seed, len(self.variants), weights, coverage, self.ranges)


@dataclass(frozen=True, slots=True)
class ForceRule:
    """Everybody who passes gets this value. `coverage` or `range` let a share of the units pass; `variant` is
    the value's name, if it has one.
    """

    value: Json
    id: str = ""
    variant: str | None = None
    condition: Mapping[str, Json] | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    filters: tuple[Filter, ...] = ()
    coverage: float | None = None
    range: Range | None = None
    seed: str | None = None
    hasher: str = DEFAULT_HASHER
    attribute: str = "id"
    fallback_attribute: str | None = None
    test: Test | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        hasher_named(self.hasher)
        object.__setattr__(self, "test", None if self.condition is None else compile_with_groups(self.condition))


@dataclass(frozen=True, slots=True)
class ExperimentRule:
    """Everybody who passes goes into an experiment. `values`, by variant, take the place of the experiment's."""

    experiment: Experiment
    id: str = ""
    condition: Mapping[str, Json] | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    filters: tuple[Filter, ...] = ()
    values: Mapping[str, Json] | None = None
    test: Test | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "test", None if self.condition is None else compile_with_groups(self.condition))


Rule = ForceRule | ExperimentRule


@dataclass(frozen=True, slots=True)
class Flag:
    """A named value. The first rule that matches decides it, otherwise it is the default. A flag that is not
    enabled answers its default without a look at the rules.
    """

    key: str
    default: Json
    rules: tuple[Rule, ...] = ()
    enabled: bool = True
    kind: Kind | None = None
    default_variant: str | None = None
    policy_version: str = ""
    admissions: tuple[Callable[[str], bool] | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "admissions", tuple(_admission(rule, self.key) for rule in self.rules))


def _admission(rule: Rule, flag: str) -> Callable[[str], bool] | None:
    """What says whether a unit is in a rule's share of the units; None if the rule takes everybody."""
    if not isinstance(rule, ForceRule) or (rule.coverage is None and rule.range is None):
        return None
    hasher, seed = hasher_named(rule.hasher), rule.seed or flag
    if rule.range is not None:
        (start, end), position = rule.range, hasher.position(seed)
        return lambda unit: start <= position(unit) < end
    return hasher.admission(seed, rule.coverage or 0.0)


@dataclass(frozen=True, slots=True)
class FlagSet:
    """All flags that one evaluation may look at, and the saved groups that their conditions name.

    `experiments_enabled` False keeps everybody out of every experiment; in `qa_mode` only forced units are in.
    """

    flags: Mapping[str, Flag]
    saved_groups: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    version: str = ""
    experiments_enabled: bool = True
    qa_mode: bool = False
    groups: Groups = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", {name: members_of(values) for name, values in self.saved_groups.items()})
