"""Evaluations in the words of GrowthBook's SDKs: feature results and experiment results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import Experiment, ExperimentRule, FlagSet
from causeway.assignment.growthbook.reading import marginal_weights
from causeway.assignment.hashing import equal_weights
from causeway.assignment.json_values import Json

_SOURCES = {
    "unknown_flag": "unknownFeature",
    "prerequisite": "prerequisite",
    "cyclic_prerequisite": "cyclicPrerequisite",
    "rule": "force",
}
# What an SDK repeats of a rule when it answers with the experiment.
_EXPERIMENT_FIELDS = (
    "coverage",
    "weights",
    "hashAttribute",
    "fallbackAttribute",
    "namespace",
    "meta",
    "ranges",
    "name",
    "phase",
    "seed",
    "hashVersion",
    "filters",
    "condition",
    "disableStickyBucketing",
    "bucketVersion",
    "minBucketVersion",
)


def feature_result(
    flag_set: FlagSet, payload: Mapping[str, Any], context: Mapping[str, Json], evaluation: Evaluation
) -> dict[str, Any]:
    """What an SDK's `evalFeature` answers, for a flag set that was read from this payload."""
    value, index = evaluation.value, evaluation.rule_index
    answer: dict[str, Any] = {
        "value": value,
        "on": _truthy(value),
        "off": not _truthy(value),
        "source": "experiment" if evaluation.in_experiment else _source(evaluation),
        "ruleId": evaluation.rule_id if evaluation.in_experiment or evaluation.status == "rule" else "",
    }
    if evaluation.in_experiment and index is not None:
        rule = flag_set.flags[evaluation.flag].rules[index]
        assert isinstance(rule, ExperimentRule)
        definition = payload["features"][evaluation.flag]["rules"][index]
        answer["experiment"] = _experiment(flag_set, rule.experiment, definition, context, evaluation)
        answer["experimentResult"] = experiment_result(rule.experiment, context, evaluation)
    return answer


def experiment_result(experiment: Experiment, context: Mapping[str, Json], evaluation: Evaluation) -> dict[str, Any]:
    """What an SDK's `run` answers of a unit that is in an experiment."""
    variant = evaluation.variant or ""
    index = experiment.index_of[variant]
    hash_used = evaluation.status != "forced"
    attribute = evaluation.unit_attribute or experiment.attribute
    answer: dict[str, Any] = {
        "featureId": evaluation.flag,
        "value": evaluation.value,
        "variationId": index,
        "key": variant,
        "inExperiment": True,
        "hashUsed": hash_used,
        "hashAttribute": attribute,
        "hashValue": context.get(attribute),
        "stickyBucketUsed": evaluation.sticky_used,
    }
    if experiment.variants[index].name is not None:
        answer["name"] = experiment.variants[index].name
    if hash_used:
        answer["bucket"] = evaluation.hash_value
        answer |= _leaf(experiment, evaluation)
    return answer


def _source(evaluation: Evaluation) -> str:
    """A prerequisite that fails inside of an experiment only leaves the unit out of it."""
    return "defaultValue" if evaluation.experiment is not None else _SOURCES.get(evaluation.status, "defaultValue")


def _experiment(
    flag_set: FlagSet,
    experiment: Experiment,
    definition: Mapping[str, Any],
    context: Mapping[str, Json],
    evaluation: Evaluation,
) -> dict[str, Any]:
    answer: dict[str, Any] = {name: definition[name] for name in _EXPERIMENT_FIELDS if name in definition}
    answer["key"] = experiment.key
    answer["variations"] = [variant.value for variant in experiment.variants]
    if experiment.leaves is not None:
        matching = next((leaf for leaf in experiment.leaves if leaf.test(context, flag_set.groups)), None)
        weights = marginal_weights(definition, len(experiment.variants)) if matching is None else matching.weights
        answer["weights"] = list(weights)
        if evaluation.status != "forced":
            about = _leaf(experiment, evaluation)
            answer["contextualBandit"] = about
    return answer


def _leaf(experiment: Experiment, evaluation: Evaluation) -> dict[str, Any]:
    """The context of a contextual bandit that the unit was in."""
    if evaluation.leaf is None:
        return {}
    weights = experiment.weights or tuple(equal_weights(len(experiment.variants)))
    for leaf in experiment.leaves or ():
        if leaf.id == evaluation.leaf:
            weights = leaf.weights
    answer: dict[str, Any] = {"leafId": evaluation.leaf, "variationWeights": list(weights)}
    if experiment.bandit_version is not None:
        answer["banditVersion"] = experiment.bandit_version
    return answer


def _truthy(value: Json) -> bool:
    """As JavaScript sees it: empty lists and objects are true."""
    return isinstance(value, list | Mapping) or bool(value)
