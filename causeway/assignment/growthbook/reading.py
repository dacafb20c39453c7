"""GrowthBook's SDK payloads, read into the model of what is evaluated.

Source: the specification of GrowthBook's SDKs, version 0.8.0, and the cases published with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from causeway.assignment.dealers import growthbook_ranges
from causeway.assignment.enrolment import NO_LEAF
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Leaf,
    Prerequisite,
    Rule,
    Variant,
)
from causeway.assignment.hashing import Range
from causeway.assignment.json_values import Json
from causeway.assignment.sticky import StickyRecord, record_key

_HASHERS = {1: "growthbook_v1", 2: "growthbook_v2"}
_NOBODY: tuple[Range, ...] = ()


def flag_set_from_payload(
    payload: Mapping[str, Any], *, version: str = "", enabled: bool = True, qa_mode: bool = False
) -> FlagSet:
    """The flags of a payload {"features": ..., "savedGroups": ..., "contextualBandits": ...}.

    A flag's rules keep their indices: a rule that says nothing becomes one that nobody passes.
    """
    features: Mapping[str, Any] = payload.get("features") or {}
    bandits: Mapping[str, Any] = payload.get("contextualBandits") or {}
    return FlagSet(
        {key: _flag(key, feature or {}, bandits) for key, feature in features.items()},
        saved_groups=_saved_groups(payload.get("savedGroups") or {}),
        version=version,
        experiments_enabled=enabled,
        qa_mode=qa_mode,
    )


def experiment_from_definition(
    definition: Mapping[str, Any], bandits: Mapping[str, Any] | None = None, key: str = ""
) -> Experiment:
    """An experiment as the SDKs' `run` takes it, or as it stands in a rule; `key` is used if it has none."""
    variations: Sequence[Json] = definition.get("contextualVariations") or definition.get("variations") or []
    version = definition.get("hashVersion") or 1
    ranges = definition.get("ranges")
    coverage = definition.get("coverage")
    return Experiment(
        key=definition.get("key") or key,
        variants=_variants(variations, definition.get("meta") or []),
        weights=_weights(definition.get("weights"), len(variations)),
        coverage=1.0 if coverage is None else coverage,
        hasher=_HASHERS.get(version, "growthbook_v2"),
        seed=definition.get("seed") or None,
        attribute=definition.get("hashAttribute") or "id",
        fallback_attribute=definition.get("fallbackAttribute"),
        # Nobody can be hashed with a version that is not known.
        ranges=_NOBODY if version not in _HASHERS else _ranges(ranges) if ranges else None,
        condition=definition.get("condition") or None,
        prerequisites=_prerequisites(definition),
        filters=_filters(definition) or _namespace(definition),
        force=definition.get("force"),
        sticky=not definition.get("disableStickyBucketing"),
        bucket_version=definition.get("bucketVersion") or 0,
        min_bucket_version=definition.get("minBucketVersion") or 0,
        leaves=_leaves(definition, len(variations), bandits or {}),
        bandit_version=_bandit(definition, bandits or {}).get("banditVersion"),
        active=definition.get("active", True) is not False and definition.get("status") not in ("draft", "stopped"),
        name=definition.get("name"),
        phase=definition.get("phase"),
    )


def flag_set_with_experiment(flag_set: FlagSet, definition: Mapping[str, Any]) -> tuple[FlagSet, str]:
    """The flags and one more, of the answered key, that only runs this experiment."""
    experiment = experiment_from_definition(definition)
    key = experiment.key
    while key in flag_set.flags:
        key += "'"
    default = experiment.variants[0].value if experiment.variants else None
    flag = Flag(key, default, (ExperimentRule(experiment),))
    return (
        FlagSet(
            {**flag_set.flags, key: flag},
            flag_set.saved_groups,
            flag_set.version,
            flag_set.experiments_enabled,
            flag_set.qa_mode,
        ),
        key,
    )


def sticky_records(documents: Sequence[Mapping[str, Any]]) -> dict[str, StickyRecord]:
    """Stored assignments from GrowthBook's documents."""
    return {
        record_key(each["attributeName"], each["attributeValue"]): StickyRecord(
            each["attributeName"], each["attributeValue"], dict(each.get("assignments") or {})
        )
        for each in documents
    }


def _saved_groups(groups: Mapping[str, Any]) -> dict[str, Sequence[Json]]:
    """Groups are lists, in newer payloads inside of {"type": "list", "values": [...]}."""
    values = {name: group.get("values") if isinstance(group, Mapping) else group for name, group in groups.items()}
    return {name: members for name, members in values.items() if isinstance(members, list)}


def _flag(key: str, feature: Mapping[str, Any], bandits: Mapping[str, Any]) -> Flag:
    rules = tuple(_rule(key, rule or {}, bandits) for rule in feature.get("rules") or [])
    return Flag(key, feature.get("defaultValue"), rules)


def _rule(flag: str, rule: Mapping[str, Any], bandits: Mapping[str, Any]) -> Rule:
    if rule.get("force") is not None:
        return _force_rule(flag, rule)
    if rule.get("variations") is None and rule.get("contextualVariations") is None:
        return ForceRule(None, rule.get("id") or "", prerequisites=_prerequisites(rule), coverage=0.0)
    inside = {name: value for name, value in rule.items() if name not in ("parentConditions", "filters", "force")}
    if _filters(rule):
        # Filters take the place of a namespace.
        inside.pop("namespace", None)
    return ExperimentRule(
        experiment_from_definition(inside, bandits, flag),
        id=rule.get("id") or "",
        prerequisites=_prerequisites(rule),
        filters=_filters(rule),
    )


def _force_rule(flag: str, rule: Mapping[str, Any]) -> ForceRule:
    version = rule.get("hashVersion") or 1
    bounds = rule.get("range")
    share = rule.get("coverage")
    if version not in _HASHERS and (bounds or share is not None):
        bounds, share = None, 0.0
    return ForceRule(
        rule["force"],
        id=rule.get("id") or "",
        condition=rule.get("condition") or None,
        prerequisites=_prerequisites(rule),
        filters=_filters(rule),
        coverage=share,
        range=(bounds[0], bounds[1]) if bounds else None,
        seed=rule.get("seed") or flag,
        hasher=_HASHERS.get(version, "growthbook_v2"),
        attribute=rule.get("hashAttribute") or "id",
        fallback_attribute=rule.get("fallbackAttribute"),
    )


def _variants(variations: Sequence[Json], meta: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    about = [meta[index] or {} if index < len(meta) else {} for index in range(len(variations))]
    keys = [each.get("key") or str(index) for index, each in enumerate(about)]
    if len(set(keys)) != len(keys):
        keys = [str(index) for index in range(len(keys))]
    return tuple(
        Variant(key, value, each.get("name"), bool(each.get("passthrough")))
        for key, value, each in zip(keys, variations, about, strict=True)
    )


def _weights(weights: Any, variations: int) -> tuple[float, ...] | None:
    """Weights if they can be used as they are; GrowthBook puts equal ones in the place of others."""
    if not isinstance(weights, list) or len(weights) != variations:
        return None
    numbers = [weight for weight in weights if isinstance(weight, int | float) and not isinstance(weight, bool)]
    if len(numbers) != variations or any(weight < 0 or not math.isfinite(weight) for weight in numbers):
        return None
    return tuple(numbers) if 0.99 <= sum(numbers) <= 1.01 else None


def _ranges(ranges: Sequence[Sequence[float]]) -> tuple[Range, ...]:
    return tuple((start, end) for start, end in ranges)


def _prerequisites(definition: Mapping[str, Any]) -> tuple[Prerequisite, ...]:
    return tuple(
        Prerequisite(parent["id"], parent.get("condition") or {}, bool(parent.get("gate")))
        for parent in definition.get("parentConditions") or []
        if parent.get("id") is not None
    )


def _filters(definition: Mapping[str, Any]) -> tuple[Filter, ...]:
    return tuple(
        Filter(
            each.get("seed") or "",
            _ranges(each.get("ranges") or []) if (each.get("hashVersion") or 2) in _HASHERS else _NOBODY,
            attribute=each.get("attribute") or "id",
            hasher=_HASHERS.get(each.get("hashVersion") or 2, "growthbook_v2"),
        )
        for each in definition.get("filters") or []
    )


def _namespace(definition: Mapping[str, Any]) -> tuple[Filter, ...]:
    """A namespace is a layer of version 1 of the hash, with one range for this experiment."""
    namespace = definition.get("namespace")
    if not namespace:
        return ()
    name, start, end = namespace
    attribute = definition.get("hashAttribute") or "id"
    return (Filter(f"__{name}", ((start, end),), attribute, "growthbook_v1", kind="layer", name=name),)


def _bandit(definition: Mapping[str, Any], bandits: Mapping[str, Any]) -> Mapping[str, Any]:
    found = bandits.get(definition.get("contextualBanditRef") or "")
    return found if isinstance(found, Mapping) else {}


def _leaves(definition: Mapping[str, Any], variations: int, bandits: Mapping[str, Any]) -> tuple[Leaf, ...] | None:
    """The contexts of a contextual bandit; None if this is none, or one that the payload does not define."""
    reference = definition.get("contextualBanditRef")
    if not reference or reference not in bandits:
        return None
    leaves = []
    for each in _bandit(definition, bandits).get("contexts") or []:
        leaf, weights = each.get("leafId"), _weights(each.get("weights"), variations)
        if not isinstance(leaf, int) or isinstance(leaf, bool) or weights is None:
            # It still ends the search, but its units get the weights of those that are in no context.
            leaf, weights = NO_LEAF, marginal_weights(definition, variations)
        leaves.append(Leaf(leaf, each.get("condition") or {}, weights))
    return tuple(leaves)


def marginal_weights(definition: Mapping[str, Any], variations: int) -> tuple[float, ...]:
    """The weights of an experiment as they are dealt out: equal ones if there are none that can be used."""
    weights = _weights(definition.get("weights"), variations)
    return tuple(end - start for start, end in growthbook_ranges(variations, None, 1.0)) if weights is None else weights
