"""Our flags as the payload of GrowthBook's SDKs, such that an SDK gives every unit the variant that we give.

What an SDK cannot do is left out and named, never approximated: other hashers, switchbacks, our own operators on
dates, and whatever needs a flag that is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from causeway.assignment.flags import Experiment, ExperimentRule, Filter, Flag, FlagSet, ForceRule
from causeway.assignment.json_values import Json

_VERSIONS = {"growthbook_v1": 1, "growthbook_v2": 2}
_OWN_OPERATORS = ("$before", "$after")
# The name that GrowthBook gives to the flags of its own holdouts.
_HOLDOUT = "$holdout:"


@dataclass(frozen=True, slots=True)
class Payload:
    """What SDKs fetch, and the flags that are not in it, each with the reason why."""

    body: dict[str, Any]
    left_out: dict[str, str]


def payload_of(flag_set: FlagSet, at: datetime, *, names: Mapping[str, str] | None = None) -> Payload:
    """The payload of a flag set, with the coverage that ramps have at this time.

    `names` are what attributes are called where the payload is evaluated, if it is not what we call them.
    """
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    left_out = {key: reason for key, flag in flag_set.flags.items() for reason in _obstacles(flag_set, flag)}
    while True:
        more = {
            key: f"needs {parent}, which is left out"
            for key, flag in flag_set.flags.items()
            if key not in left_out
            for parent in _parents(flag)
            if parent in left_out
        }
        if not more:
            break
        left_out |= more
    features: dict[str, Any] = {}
    for key, flag in flag_set.flags.items():
        if key not in left_out:
            features[key] = _feature(flag_set, flag, at)
            for holdout in _holdouts(flag):
                features[_HOLDOUT + holdout] = _holdout_feature(flag_set, holdout, at)
    groups = {name: list(values) for name, values in flag_set.saved_groups.items()}
    body = {"features": features, "savedGroups": groups}
    return Payload(_renamed(body, names) if names else body, left_out)


def _obstacles(flag_set: FlagSet, flag: Flag) -> Iterator[str]:
    """Why a flag cannot be in the payload."""
    for rule in flag.rules if flag.enabled else ():
        conditions: list[Any] = [rule.condition, *(each.condition for each in rule.prerequisites)]
        filters = [*rule.filters]
        if isinstance(rule, ExperimentRule):
            experiment = rule.experiment
            if not _runs(flag_set, experiment):
                continue
            yield from _obstacles_of_experiment(experiment)
            conditions += [experiment.condition, *(each.condition for each in experiment.prerequisites)]
            filters += experiment.filters
        elif rule.value is None:
            yield "forces null, which SDKs take for no rule"
        elif rule.hasher not in _VERSIONS and (rule.coverage is not None or rule.range is not None):
            yield f"uses the hasher {rule.hasher}"
        if any(each.hasher not in _VERSIONS for each in filters):
            yield "uses a layer or filter with another hasher"
        if any(_has_own_operator(condition) for condition in conditions):
            yield f"uses one of the operators {', '.join(_OWN_OPERATORS)}"


def _obstacles_of_experiment(experiment: Experiment) -> Iterator[str]:
    if experiment.hasher not in _VERSIONS:
        yield f"uses the hasher {experiment.hasher}"
    if experiment.window is not None:
        yield "is a switchback"
    if experiment.leaves is not None:
        yield "is a contextual bandit"
    if experiment.force is not None:
        yield "forces one variant after the draw"


def _has_own_operator(condition: Any) -> bool:
    if isinstance(condition, Mapping):
        return any(key in _OWN_OPERATORS or _has_own_operator(value) for key, value in condition.items())
    return isinstance(condition, list | tuple) and any(_has_own_operator(each) for each in condition)


def _runs(flag_set: FlagSet, experiment: Experiment) -> bool:
    """Whether units that are not stored can be in the experiment: an SDK knows of no others."""
    return flag_set.experiments_enabled and experiment.closed is None


def _parents(flag: Flag) -> Iterator[str]:
    for rule in flag.rules:
        yield from (each.flag for each in rule.prerequisites)
        if isinstance(rule, ExperimentRule):
            yield from (each.flag for each in rule.experiment.prerequisites)
    yield from _holdouts(flag)


def _holdouts(flag: Flag) -> Iterator[str]:
    for rule in flag.rules:
        if isinstance(rule, ExperimentRule):
            yield from (each.flag for each in rule.experiment.holdouts)


def _feature(flag_set: FlagSet, flag: Flag, at: datetime) -> dict[str, Any]:
    feature: dict[str, Any] = {"defaultValue": flag.default}
    if flag.enabled:
        feature["rules"] = [each for rule in flag.rules for each in _rules(flag_set, flag, rule, at)]
    return feature


def _holdout_feature(flag_set: FlagSet, key: str, at: datetime) -> dict[str, Any]:
    """A holdout's flag with its variants' names for values, which other flags can ask for."""
    flag = flag_set.flags.get(key)
    if flag is None or not flag.enabled:
        return {"defaultValue": None}
    return {
        "defaultValue": None,
        "rules": [each for rule in flag.rules for each in _rules(flag_set, flag, rule, at, names=True)],
    }


def _rules(
    flag_set: FlagSet, flag: Flag, rule: ForceRule | ExperimentRule, at: datetime, *, names: bool = False
) -> Iterator[dict[str, Any]]:
    """One of our rules as GrowthBook's, and more if it names units that get a variant without the draw. `names`
    puts the names of variants in the place of their values, and nobody's name in the place of any other value.
    """
    parents = [_tidy(id=each.flag, condition=each.condition, gate=each.gate) for each in rule.prerequisites]
    if isinstance(rule, ForceRule):
        yield _tidy(
            id=rule.id,
            force="" if names else rule.value,
            condition=rule.condition,
            parentConditions=parents,
            filters=[_filter(each) for each in rule.filters],
            coverage=rule.coverage,
            range=rule.range,
            seed=rule.seed or flag.key,
            hashVersion=_VERSIONS.get(rule.hasher),
            hashAttribute=rule.attribute,
            fallbackAttribute=rule.fallback_attribute,
        )
        return
    experiment = rule.experiment
    if not _runs(flag_set, experiment):
        return
    own = rule.values or {}
    answers = [each.key if names else own.get(each.key, each.value) for each in experiment.variants]
    for unit, variant in experiment.forced.items():
        if variant in experiment.index_of:
            yield _tidy(
                id=rule.id,
                force=answers[experiment.index_of[variant]],
                condition=_both(rule.condition, {experiment.attribute: {"$in": _spellings(unit)}}),
                parentConditions=parents,
                filters=[_filter(each) for each in rule.filters],
            )
    if experiment.accepts_new_units and not flag_set.qa_mode:
        yield _experiment_rule(rule, answers, parents, at)


def _experiment_rule(
    rule: ExperimentRule, answers: list[Json], parents: list[dict[str, Any]], at: datetime
) -> dict[str, Any]:
    experiment = rule.experiment
    coverage = experiment.coverage
    if experiment.ramp:
        steps = [step for step in sorted(experiment.ramp, key=lambda one: one.at) if step.at <= at]
        coverage = steps[-1].coverage if steps else 0.0
    # At a gate the whole flag would answer null; an experiment only stays without the unit.
    needed = [{"id": each.flag, "condition": each.condition} for each in experiment.prerequisites]
    held_out = [
        {"id": _HOLDOUT + each.flag, "condition": {"value": {"$ne": each.variant}}} for each in experiment.holdouts
    ]
    return _tidy(
        id=rule.id,
        key=experiment.key,
        name=experiment.name,
        phase=experiment.phase,
        variations=answers,
        meta=[_tidy(key=each.key, name=each.name, passthrough=each.passthrough) for each in experiment.variants],
        weights=None if experiment.weights is None else list(experiment.weights),
        coverage=coverage,
        ranges=None if experiment.ranges is None else [list(each) for each in experiment.ranges],
        condition=_both(rule.condition, experiment.condition),
        parentConditions=[*parents, *needed, *held_out],
        filters=[_filter(each) for each in (*rule.filters, *experiment.filters)],
        seed=experiment.key if experiment.seed is None else experiment.seed,
        hashVersion=_VERSIONS[experiment.hasher],
        hashAttribute=experiment.attribute,
        fallbackAttribute=experiment.fallback_attribute,
        disableStickyBucketing=not experiment.sticky,
        bucketVersion=experiment.bucket_version,
        minBucketVersion=experiment.min_bucket_version,
    )


def _renamed(body: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The payload with other names of attributes, wherever a rule names one."""
    features = {key: {**feature} for key, feature in body["features"].items()}
    for feature in features.values():
        if "rules" in feature:
            feature["rules"] = [_renamed_rule(rule, names) for rule in feature["rules"]]
    return {**body, "features": features}


def _renamed_rule(rule: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    renamed = dict(rule)
    for field in ("hashAttribute", "fallbackAttribute"):
        if field in renamed:
            renamed[field] = names.get(renamed[field], renamed[field])
    if "condition" in renamed:
        renamed["condition"] = _renamed_condition(renamed["condition"], names)
    if "filters" in renamed:
        renamed["filters"] = [
            {**each, "attribute": names.get(each["attribute"], each["attribute"])} for each in renamed["filters"]
        ]
    return renamed


def _renamed_condition(condition: Json, names: Mapping[str, str]) -> Json:
    """Attributes are the names that are no operators, at the top and in the conditions that $and and its like join."""
    if not isinstance(condition, Mapping):
        return condition
    return {
        names.get(name, name): (
            [_renamed_condition(each, names) for each in operand]
            if name in ("$and", "$or", "$nor") and isinstance(operand, list | tuple)
            else _renamed_condition(operand, names)
            if name == "$not"
            else operand
        )
        for name, operand in condition.items()
    }


def _filter(each: Filter) -> dict[str, Any]:
    return {
        "seed": each.seed,
        "ranges": [list(bounds) for bounds in each.ranges],
        "attribute": each.attribute,
        "hashVersion": _VERSIONS.get(each.hasher),
    }


def _both(one: Mapping[str, Json] | None, other: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    return {"$and": [one, other]} if one and other else one or other


def _spellings(unit: str) -> list[Json]:
    """A unit's id as text, and as a number if a context may hold it as one."""
    return [unit, int(unit)] if unit.isascii() and unit.isdigit() and unit == str(int(unit[:15])) else [unit]


def _tidy(**fields: Any) -> dict[str, Any]:
    """Without what an SDK takes for granted. A forced value is never taken for granted."""
    return {
        name: value
        for name, value in fields.items()
        if name == "force" or not (value is None or value is False or value in ("", []))
    }
