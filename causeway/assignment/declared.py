"""Declarations into what is evaluated: every flag, and every experiment as a flag of its own name.

The value of an experiment's flag is the config of the unit's variant, or the variant's name if it has no configs. A
unit that is not in the experiment gets the control's.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from causeway.assignment import flags as model
from causeway.assignment.json_values import Json
from causeway.declarations.assignment import TARGETING_KEY, Prerequisite
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration, FlagRule
from causeway.declarations.layer import BUCKETS, LayerDeclaration
from causeway.declarations.references import groups_named
from causeway.declarations.saved_group import SavedGroupDeclaration
from causeway.declarations.standing import holdouts_of

UNDECIDED = "default"
"""What the variant of a flag is called when no rule decided its value."""

ACTIVE = ("running", "paused")

DECIDES = (
    "key",
    "unit",
    "variants",
    "control",
    "order",
    "version",
    "hasher",
    "salt",
    "randomization",
    "coverage",
    "ramp",
    "targeting",
    "prerequisites",
    "forced",
    "layer",
    "holdouts",
    "sticky",
    "holdout",
)
"""Keys of an experiment's declaration that decide who gets which variant."""


def flag_set(
    experiments: Iterable[ExperimentDeclaration],
    flags: Iterable[FlagDeclaration] = (),
    layers: Iterable[LayerDeclaration] = (),
    saved_groups: Iterable[SavedGroupDeclaration] = (),
    *,
    killed: frozenset[str] = frozenset(),
) -> model.FlagSet:
    """One tenant's declarations, ready to be evaluated. ``killed`` names flags and experiments that are switched off.

    What is declared of something that is not there is left out: nobody gets into the buckets of a layer that is
    missing, and a rule whose experiment is missing does not decide.
    """
    declared = _Declared(experiments, flags, layers, saved_groups)
    compiled = {key: _experiment(each, declared, killed) for key, each in declared.experiments.items()}
    evaluated = {key: _flag_of_experiment(declared.experiments[key], each) for key, each in compiled.items()}
    for key, flag in declared.flags.items():
        evaluated[key] = _flag(flag, compiled, declared, killed)
    groups = {key: list(each.values) for key, each in declared.saved_groups.items()}
    return model.FlagSet(flags=evaluated, saved_groups=groups, version=declared.version(killed))


def shares(experiment: ExperimentDeclaration) -> tuple[float, ...] | None:
    """The weights of the ordered variants as shares of 1; None for equal ones under PlanOut, which has an operator of
    its own for them.
    """
    weights = [weight for _, weight in experiment.ordered_variants]
    if experiment.hasher == "planout" and len(set(weights)) == 1:
        return None
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


class _Declared:
    """Declarations by their keys, and the digests of what decides them."""

    def __init__(
        self,
        experiments: Iterable[ExperimentDeclaration],
        flags: Iterable[FlagDeclaration],
        layers: Iterable[LayerDeclaration],
        saved_groups: Iterable[SavedGroupDeclaration],
    ) -> None:
        self.experiments = {each.key: each for each in experiments}
        self.flags = {each.key: each for each in flags}
        self.layers = {each.key: each for each in layers}
        self.saved_groups = {each.key: each for each in saved_groups}
        holding = [each for each in self.experiments.values() if each.holdout is not None]
        self.holdouts = {key: holdouts_of(each, holding) for key, each in self.experiments.items()}
        self._digests = dict(self._all_digests())

    def policy_version(self, name: str) -> str:
        """12 hexadecimal digits of a hash over what decides ``name`` ("experiment|key"), near and far."""
        reached: set[str] = set()
        ahead = [name]
        while ahead:
            current = ahead.pop()
            if current not in reached and current in self._digests:
                reached.add(current)
                ahead += self._reads(current)
        return _digest(sorted((each, self._digests[each]) for each in reached))[:12]

    def version(self, killed: frozenset[str]) -> str:
        """16 hexadecimal digits of a hash over everything that an evaluation can depend on."""
        whole = [
            sorted((each.key, each.declaration_hash) for each in kind.values())
            for kind in (self.experiments, self.flags, self.layers, self.saved_groups)
        ]
        return _digest([whole, sorted(killed)])[:16]

    def _all_digests(self) -> Iterator[tuple[str, str]]:
        for key, experiment in self.experiments.items():
            # Without defaults: a key that a later version adds changes no policy version.
            written = json.loads(experiment.canonical_json())
            deciding = {name: value for name, value in written.items() if name in DECIDES}
            layer = self.layers.get(experiment.layer or "")
            buckets = None if layer is None else [layer.bucketing_salt, layer.buckets_of(key)]
            yield f"experiment|{key}", _digest([deciding, buckets, self.holdouts[key]])
        for kind, declared in (("flag", self.flags), ("group", self.saved_groups)):
            for key, each in declared.items():
                yield f"{kind}|{key}", each.declaration_hash

    def _reads(self, name: str) -> list[str]:
        """What else decides ``name``: the flags, holdouts and saved groups that it names."""
        kind, _, key = name.partition("|")
        if kind == "experiment":
            experiment = self.experiments[key]
            conditions: list[object] = [experiment.targeting]
            named = [each.flag for each in experiment.prerequisites] + list(self.holdouts[key])
            conditions += [each.condition for each in experiment.prerequisites]
        elif kind == "flag":
            rules = self.flags[key].rules
            conditions = [rule.condition for rule in rules]
            conditions += [each.condition for rule in rules for each in rule.prerequisites]
            named = [each.flag for rule in rules for each in rule.prerequisites]
            named += [rule.experiment for rule in rules if rule.experiment is not None]
        else:
            return []
        groups = [f"group|{group}" for condition in conditions for group in groups_named(condition)]
        return groups + [f"{kind}|{flag}" for flag in named for kind in ("experiment", "flag")]


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _experiment(declared: ExperimentDeclaration, among: _Declared, killed: frozenset[str]) -> model.Experiment:
    attribute = declared.randomization.hashed_attribute
    window = declared.randomization.window_length
    holding = [(key, among.experiments[key]) for key in among.holdouts[declared.key] if key in among.experiments]
    return model.Experiment(
        key=declared.key,
        variants=tuple(model.Variant(name, _value(declared, name)) for name, _ in declared.ordered_variants),
        weights=shares(declared),
        coverage=declared.coverage,
        hasher=declared.hasher,
        seed=declared.bucketing_salt,
        attribute=attribute,
        fallback_attribute=declared.sticky.fallback_attribute,
        condition=declared.targeting or None,
        prerequisites=_prerequisites(declared.prerequisites),
        filters=_layer_filter(declared, among, attribute),
        holdouts=tuple(
            model.Holdout(key, holdout.holdout.variant) for key, holdout in holding if holdout.holdout is not None
        ),
        held_out=None if declared.holdout is None else declared.holdout.variant,
        forced=declared.forced,
        sticky=declared.sticky.enabled,
        bucket_version=declared.sticky.bucket_version,
        min_bucket_version=declared.sticky.min_bucket_version,
        window=None if window is None else model.Switchback(window, declared.randomization.origin),
        ramp=tuple(model.RampStep(step.at, step.coverage) for step in declared.ramp),
        enabled=declared.enabled and declared.key not in killed,
        active=declared.status in ACTIVE,
        accepts_new_units=declared.status == "running",
        name=declared.name,
        policy_version=among.policy_version(f"experiment|{declared.key}"),
    )


def _value(experiment: ExperimentDeclaration, variant: str) -> Json:
    value: Json = experiment.configs[variant] if experiment.configs else variant
    return value


def _layer_filter(experiment: ExperimentDeclaration, among: _Declared, attribute: str) -> tuple[model.Filter, ...]:
    if experiment.layer is None:
        return ()
    layer = among.layers.get(experiment.layer)
    buckets = () if layer is None else layer.buckets_of(experiment.key)
    return (
        model.Filter(
            seed=experiment.layer if layer is None else layer.bucketing_salt,
            ranges=tuple((start / BUCKETS, end / BUCKETS) for start, end in buckets),
            attribute=attribute,
            kind="layer",
            name=experiment.layer,
        ),
    )


def _prerequisites(declared: Iterable[Prerequisite]) -> tuple[model.Prerequisite, ...]:
    return tuple(model.Prerequisite(each.flag, each.condition) for each in declared)


def _flag_of_experiment(declared: ExperimentDeclaration, compiled: model.Experiment) -> model.Flag:
    return model.Flag(
        key=declared.key,
        default=_value(declared, declared.control),
        rules=(model.ExperimentRule(compiled),),
        kind=_kind(declared.value_type),
        policy_version=compiled.policy_version,
    )


def _flag(
    declared: FlagDeclaration, experiments: Mapping[str, model.Experiment], among: _Declared, killed: frozenset[str]
) -> model.Flag:
    rules = (_rule(declared.key, rule, experiments) for rule in declared.rules)
    return model.Flag(
        key=declared.key,
        default=declared.default,
        rules=tuple(rule for rule in rules if rule is not None),
        enabled=declared.enabled and declared.key not in killed,
        kind=declared.type,
        default_variant=UNDECIDED,
        policy_version=among.policy_version(f"flag|{declared.key}"),
    )


def _rule(flag: str, rule: FlagRule, experiments: Mapping[str, model.Experiment]) -> model.Rule | None:
    shared: dict[str, Any] = {
        "id": rule.id,
        "condition": rule.condition or None,
        "prerequisites": _prerequisites(rule.prerequisites),
    }
    if rule.experiment is not None:
        experiment = experiments.get(rule.experiment)
        return None if experiment is None else model.ExperimentRule(experiment, values=rule.values, **shared)
    return model.ForceRule(
        value=rule.value,
        variant=rule.id,
        coverage=None if rule.coverage == 1.0 else rule.coverage,
        seed=f"{flag}.{rule.id}" if rule.salt is None else rule.salt,
        attribute=TARGETING_KEY,
        **shared,
    )


def _kind(value_type: str) -> model.Kind | None:
    kinds: tuple[model.Kind, ...] = ("boolean", "string", "number", "object")
    return next((kind for kind in kinds if kind == value_type), None)
