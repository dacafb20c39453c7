"""An evaluation in OFREP's words: its members, its reasons, its error codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import ExperimentRule, Flag, FlagSet, ForceRule

# DEFAULT and ERROR stand outside of the protocol's list. A default that rules were asked about is no STATIC either:
# providers keep a STATIC answer and stop asking, and the next context may well match a rule.
_REASONS = frozenset({"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"})
_OTHERWISE = "UNKNOWN"

# What a provider shows as the variant where a flag has none to name: it must find some text there.
_NO_RULE = "default"

Answer = dict[str, Any]


class Refused(Exception):
    """A request or a flag that cannot be evaluated: OFREP's error code, and what is wrong in a sentence."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def answer_of(flag: Flag, evaluation: Evaluation, tenant: str, flags: FlagSet) -> Answer:
    """The members of a successful evaluation; Refused if the flag needs a unit that the context does not name.

    A value of null is left out: to the caller that means the default of its own code.
    """
    if evaluation.status == "no_unit":
        raise _without_unit(flag, evaluation)
    if evaluation.reason == "ERROR":
        raise Refused("GENERAL", f"Flag {flag.key} cannot be evaluated: {evaluation.status}.")
    reason = evaluation.reason if evaluation.reason in _REASONS else _OTHERWISE
    answer: Answer = {
        "key": flag.key,
        "reason": reason,
        "variant": evaluation.variant or evaluation.rule_id or _NO_RULE,
        "metadata": _metadata(evaluation, tenant, flags),
    }
    if evaluation.value is not None:
        answer["value"] = _in_one_form(flag, evaluation.value)
    return answer


def failure_of(key: str, refused: Refused) -> Answer:
    """The members of a failed evaluation."""
    return {"key": key, "errorCode": refused.code, "errorDetails": refused.details}


def _metadata(evaluation: Evaluation, tenant: str, flags: FlagSet) -> Mapping[str, bool | str | int | float]:
    """Flat, as the protocol asks; contextId, flagSetId and version are the names that telemetry hooks look for."""
    named = {
        "contextId": evaluation.unit_id,
        "flagSetId": tenant,
        "version": flags.version,
        "status": evaluation.status,
        "experimentKey": evaluation.experiment,
        "configVersion": evaluation.policy_version,
        "ruleId": evaluation.rule_id,
        "layerKey": evaluation.layer,
        "holdoutKey": evaluation.holdout,
        "hashAlgorithm": evaluation.hasher,
        "bucket": evaluation.bucket,
    }
    metadata = {name: value for name, value in named.items() if value is not None and value != ""}
    if evaluation.experiment is not None:
        metadata["inExperiment"] = evaluation.in_experiment
        metadata["isHoldout"] = evaluation.is_holdout
        metadata["sticky"] = evaluation.sticky_used
    return metadata


def _in_one_form(flag: Flag, value: Any) -> Any:
    """A number in the form that all numbers of its flag share: one written 10.0 is a float wherever it stands.

    Providers are typed: a flag that answers 10 today and 10.5 tomorrow would break its callers.
    """
    if flag.kind == "number" and type(value) is int and any(isinstance(other, float) for other in _values(flag)):
        return float(value)
    return value


def _values(flag: Flag) -> Iterator[Any]:
    yield flag.default
    for rule in flag.rules:
        match rule:
            case ForceRule():
                yield rule.value
            case ExperimentRule():
                yield from (variant.value for variant in rule.experiment.variants)


def _without_unit(flag: Flag, evaluation: Evaluation) -> Refused:
    attribute = evaluation.unit_attribute or "targetingKey"
    if attribute == "targetingKey":
        return Refused("TARGETING_KEY_MISSING", f"Flag {flag.key} needs a targetingKey in the context.")
    return Refused("INVALID_CONTEXT", f"Flag {flag.key} needs the attribute {attribute} in the context.")
