"""One function decides every flag and every assignment: the API, the batch and the tests call it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from causeway.assignment.enrolment import Enrolment
from causeway.assignment.evaluation import Evaluation, Reason, Status
from causeway.assignment.flags import ExperimentRule, Flag, FlagSet, ForceRule, Prerequisite
from causeway.assignment.json_values import Json, unit_text
from causeway.assignment.sticky import StickyRecord
from causeway.assignment.tracing import Trace

# Flags that need flags that need flags: beyond this many, as if they went round in a circle.
MAX_CHAIN = 64


def evaluate(
    flag_set: FlagSet,
    key: str,
    context: Mapping[str, Json],
    *,
    at: datetime | None = None,
    sticky: Mapping[str, StickyRecord] | None = None,
    forced: Mapping[str, int | str] | None = None,
    trace: Trace | None = None,
) -> Evaluation:
    """What a flag is for a unit. Never raises, whatever the context holds, and answers the same every time.

    `at` is the time of ramps and switchbacks; without it nobody is in an experiment that needs one. `sticky`
    holds what is stored of this unit by `record_key`; without it nothing is sticky and fallback attributes are
    not used. `forced` names a variant (or its index) by experiment, and overrides everything but a switched-off
    flag set.
    """
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if type(context) is not dict and not isinstance(context, Mapping):
        context = {}
    run = _Run(flag_set, context, at, sticky=sticky, forced=forced, trace=trace)
    answer = run.flag(key)
    if len(answer.entered) == len(run.entered):
        return answer
    return answer._replace(entered=tuple(run.entered))


class _Run(Enrolment):
    """One evaluation: Enrolment puts units into experiments, this walks through flags and their rules."""

    __slots__ = ()

    def flag(self, key: str) -> Evaluation:
        """The evaluation of any flag."""
        flag = self.flag_set.flags.get(key)
        if flag is None:
            return Evaluation(key, None, None, "ERROR", "unknown_flag")
        if not flag.enabled:
            return Evaluation(
                key, flag.default, flag.default_variant, "DISABLED", "disabled", policy_version=flag.policy_version
            )
        if not flag.rules:
            return Evaluation(
                key, flag.default, flag.default_variant, "STATIC", "default", policy_version=flag.policy_version
            )
        self.chain.append(key)
        answer = self._rules(flag)
        self.chain.pop()
        return answer

    def prerequisite(self, key: str) -> Evaluation | None:
        """The evaluation of a flag that another one needs, None if that goes round in a circle.

        Every flag is evaluated once: otherwise a few dozen flags could keep a processor busy for years.
        """
        if key in self.chain or len(self.chain) > MAX_CHAIN:
            return None
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self.flag(key)
        return known

    def _rules(self, flag: Flag) -> Evaluation:
        fallen: Evaluation | None = None
        for index, rule in enumerate(flag.rules):
            if rule.prerequisites:
                failed = self._blocked(flag, index, rule)
                if failed is not None:
                    if isinstance(failed, Evaluation):
                        return failed
                    continue
            if isinstance(rule, ForceRule):
                if self._passes(flag, index, rule):
                    return _by_rule(flag, index, rule)
                continue
            answer = self._by_experiment(flag, index, rule)
            if answer is None:
                continue
            if answer.in_experiment:
                return answer
            fallen = answer
        if fallen is not None:
            return fallen
        return Evaluation(
            flag.key, flag.default, flag.default_variant, "DEFAULT", "default", policy_version=flag.policy_version
        )

    def _blocked(self, flag: Flag, index: int, rule: ForceRule | ExperimentRule) -> Evaluation | bool | None:
        """None if a rule's prerequisites hold, True if the rule is passed over, or the flag's answer."""
        failed = self.unmet(rule.prerequisites)
        if failed is None:
            return None
        if isinstance(failed, Prerequisite):
            if self.trace is not None:
                self.trace.rule(flag.key, index, rule.id, False, "prerequisite")
            if not failed.gate:
                return True
            return Evaluation(flag.key, None, None, "DEFAULT", "prerequisite", rule_index=index)
        if self.trace is not None:
            self.trace.rule(flag.key, index, rule.id, False, "cyclic_prerequisite")
        return Evaluation(flag.key, None, None, "ERROR", "cyclic_prerequisite", rule_index=index)

    def _passes(self, flag: Flag, index: int, rule: ForceRule) -> bool:
        status: Status | None = self.filtered(rule.filters) if rule.filters else None
        if status is None and rule.test is not None and not rule.test(self.context, self.flag_set.groups):
            status = "not_targeted"
        admits = flag.admissions[index]
        if status is None and admits is not None:
            unit = unit_text(self.context.get(rule.attribute))
            if not unit and rule.fallback_attribute is not None:
                unit = unit_text(self.context.get(rule.fallback_attribute))
            if not unit:
                status = "no_unit"
            elif not admits(unit):
                status = "coverage"
        if self.trace is not None:
            self.trace.rule(flag.key, index, rule.id, status is None, status or "rule")
        return status is None

    def _by_experiment(self, flag: Flag, index: int, rule: ExperimentRule) -> Evaluation | None:
        """The rule's evaluation; None if the flag's value must come from another rule."""
        if rule.test is not None and not rule.test(self.context, self.flag_set.groups):
            if self.trace is not None:
                self.trace.rule(flag.key, index, rule.id, False, "not_targeted")
            return None
        if rule.filters:
            status = self.filtered(rule.filters)
            if status is not None:
                if self.trace is not None:
                    self.trace.rule(flag.key, index, rule.id, False, status)
                return None
        answer = self.enrol(flag, index, rule)
        if answer.in_experiment and answer.variant in rule.experiment.passing:
            return None
        return answer


def _by_rule(flag: Flag, index: int, rule: ForceRule) -> Evaluation:
    targeted = rule.test is not None or rule.prerequisites or rule.filters
    reason: Reason = "SPLIT" if flag.admissions[index] is not None else "TARGETING_MATCH" if targeted else "STATIC"
    return Evaluation(
        flag.key,
        rule.value,
        rule.variant,
        reason,
        "rule",
        rule_id=rule.id,
        rule_index=index,
        policy_version=flag.policy_version,
    )
