"""Whether a unit is in an experiment, and in which variant: the steps in the order of GrowthBook's SDKs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from causeway.assignment.dealers import OUT, Dealer
from causeway.assignment.evaluation import Entry, Evaluation, Reason, Status
from causeway.assignment.flags import Experiment, ExperimentRule, Filter, Flag, FlagSet, Prerequisite
from causeway.assignment.json_values import Json, unit_text
from causeway.assignment.sticky import StickyRecord, assignment_key, is_blocked, record_key
from causeway.assignment.tracing import Trace

# The leaf of a contextual bandit's unit that is in no context; it gets the marginal weights.
NO_LEAF = -1
_INSIDE = frozenset({"assigned", "sticky", "forced"})


class Enrolment:
    """What one evaluation was given, and what it has found out so far."""

    __slots__ = ("at", "chain", "context", "entered", "flag_set", "forced", "known", "sticky", "trace")

    def __init__(
        self,
        flag_set: FlagSet,
        context: Mapping[str, Json],
        at: datetime | None,
        *,
        sticky: Mapping[str, StickyRecord] | None,
        forced: Mapping[str, int | str] | None,
        trace: Trace | None,
    ) -> None:
        self.flag_set = flag_set
        self.context = context
        self.at = at
        self.sticky = sticky
        self.forced = forced
        self.trace = trace
        self.chain: list[str] = []
        self.known: dict[str, Evaluation] = {}
        self.entered: list[Entry] = []

    def prerequisite(self, key: str) -> Evaluation | None:
        """The evaluation of a flag that another one needs, None if that goes round in a circle."""
        raise NotImplementedError

    def filtered(
        self, filters: tuple[Filter, ...], attribute: str | None = None, unit: str | None = None
    ) -> Literal["layer", "filter"] | None:
        """The kind of the first filter that the unit does not pass. Of one attribute the unit is already known."""
        for each in filters:
            value = unit if each.attribute == attribute else unit_text(self.context.get(each.attribute))
            if not value:
                return each.kind
            position = each.position(value)
            for start, end in each.ranges:
                if start <= position < end:
                    break
            else:
                return each.kind
        return None

    def unmet(self, prerequisites: tuple[Prerequisite, ...]) -> Prerequisite | Literal["circular"] | None:
        """The first prerequisite that does not hold."""
        for each in prerequisites:
            parent = self.prerequisite(each.flag)
            if parent is None or (parent.reason == "ERROR" and parent.status == "cyclic_prerequisite"):
                return "circular"
            if not each.test({"value": parent.value}, self.flag_set.groups):
                if self.trace is not None:
                    self.trace.prerequisite = each.flag
                return each
        return None

    def enrol(self, flag: Flag, index: int, rule: ExperimentRule) -> Evaluation:
        """The evaluation of a rule with an experiment, whether the unit is in it or not."""
        attempt = _Attempt(self, flag, index, rule)
        answer = attempt.evaluation()
        if self.trace is not None:
            self.trace.experiment(answer, index, attempt.sticky_source)
        return answer


class _Attempt:
    """One unit before one experiment."""

    __slots__ = (
        "attribute",
        "bucket",
        "experiment",
        "flag",
        "holdout",
        "index",
        "leaf",
        "position",
        "record",
        "rule",
        "run",
        "sticky_source",
        "unit",
        "variant",
        "window_start",
    )

    def __init__(self, run: Enrolment, flag: Flag, index: int, rule: ExperimentRule) -> None:
        self.run = run
        self.flag = flag
        self.index = index
        self.rule = rule
        self.experiment: Experiment = rule.experiment
        self.variant = OUT
        self.unit: str | None = None
        self.attribute: str | None = None
        self.bucket: int | None = None
        self.position: float | None = None
        self.holdout: str | None = None
        self.leaf: int | None = None
        self.record: StickyRecord | None = None
        self.sticky_source: str | None = None
        self.window_start: datetime | None = None

    def evaluation(self) -> Evaluation:
        """The steps that end it early, then the draw."""
        run = self.run
        status: Status | None = self.experiment.closed
        if run.forced is not None or not run.flag_set.experiments_enabled:
            status = self._overridden()
        if status is None:
            status = self._before_draw() or self._draw()
        if status in _INSIDE:
            return self._inside(status)
        return self._outside(status)

    def _overridden(self) -> Status | None:
        """What decides before anything else: a flag set that is switched off, or a variant that the caller forces."""
        experiment, run = self.experiment, self.run
        if len(experiment.variants) < 2:
            return "invalid"
        if not run.flag_set.experiments_enabled:
            return "disabled"
        choice = run.forced.get(experiment.key) if run.forced is not None else None
        return experiment.closed if choice is None else self._force(choice)

    def _force(self, choice: int | str) -> Status:
        experiment = self.experiment
        self.variant = experiment.index_of.get(choice, OUT) if isinstance(choice, str) else choice
        self.unit, self.attribute = self._unit()
        return "forced" if 0 <= self.variant < len(experiment.variants) else "invalid"

    def _unit(self) -> tuple[str, str]:
        """The unit's id and the attribute that it was found in; the fallback counts only where stored
        assignments are looked up, because a unit would change its variant with its attribute.
        """
        experiment, context = self.experiment, self.run.context
        unit = unit_text(context.get(experiment.attribute))
        if not unit and experiment.fallback_attribute is not None and self.run.sticky is not None and experiment.sticky:
            other = unit_text(context.get(experiment.fallback_attribute))
            if other:
                return other, experiment.fallback_attribute
        return unit, experiment.attribute

    def _before_draw(self) -> Status | None:
        """Who the unit is, what is stored of it, and whether it is targeted."""
        experiment = self.experiment
        self.unit, self.attribute = self._unit()
        if not self.unit:
            return "no_unit"
        named = experiment.forced.get(self.unit)
        if named is not None and named in experiment.index_of:
            self.variant = experiment.index_of[named]
            return "forced"
        if experiment.needs_time:
            status = self._time()
            if status is not None:
                return status
        if self.run.sticky and experiment.sticky:
            status = self._stored()
            if status is not None or self.sticky_source is not None:
                return status
        return self._targeted() if experiment.accepts_new_units else "closed_to_new_units"

    def _time(self) -> Status | None:
        window, at = self.experiment.window, self.run.at
        if at is None:
            return "no_time"
        if window is not None:
            try:
                self.window_start = window.start(at)
            except OverflowError:
                return "no_time"
        return None

    def _stored(self) -> Status | None:
        """Looks up the unit's stored variant, under its own attribute first and then under the fallback."""
        experiment, sticky = self.experiment, self.run.sticky
        assert sticky is not None
        key = self._sticky_key()
        for attribute in (experiment.attribute, experiment.fallback_attribute):
            unit = unit_text(self.run.context.get(attribute)) if attribute is not None else ""
            record = sticky.get(record_key(attribute, unit)) if attribute is not None and unit else None
            if record is None:
                continue
            if experiment.min_bucket_version and is_blocked(record, experiment.key, experiment.min_bucket_version):
                self.sticky_source, self.variant = None, OUT
                return "blocked_by_version"
            if self.sticky_source is None:
                self.variant = experiment.index_of.get(record.assignments.get(key, ""), OUT)
                self.sticky_source = None if self.variant == OUT else attribute
        return None

    def _targeted(self) -> Status | None:
        experiment, run = self.experiment, self.run
        if experiment.filters:
            status = run.filtered(experiment.filters, self.attribute, self.unit)
            if status is not None:
                return status
        if experiment.test is not None and not experiment.test(run.context, run.flag_set.groups):
            return "not_targeted"
        if experiment.prerequisites:
            failed = run.unmet(experiment.prerequisites)
            if failed is not None:
                return "prerequisite" if isinstance(failed, Prerequisite) else "cyclic_prerequisite"
        return self._held_out() if experiment.holdouts else None

    def _held_out(self) -> Status | None:
        for holdout in self.experiment.holdouts:
            answer = self.run.prerequisite(holdout.flag)
            if answer is None:
                return "cyclic_prerequisite"
            if answer.in_experiment and answer.variant == holdout.variant:
                self.holdout = holdout.flag
                return "holdout"
        return None

    def _draw(self) -> Status:
        experiment = self.experiment
        dealer: Dealer | None = experiment.dealer
        if experiment.leaves is not None or experiment.ramp:
            dealer = self._dealer()
        if dealer is None:
            if self.sticky_source is None:
                return "coverage"
            dealer = experiment.dealer
        unit = self.unit or ""
        if experiment.window is not None and self.run.at is not None:
            unit = f"{unit}|{experiment.window.index(self.run.at)}"
        drawn, self.bucket, self.position = dealer(unit)
        if self.sticky_source is None:
            self.variant = drawn
        if self.variant == OUT:
            return "coverage"
        if experiment.force is not None:
            self.variant = experiment.force
            return "forced" if 0 <= self.variant < len(experiment.variants) else "invalid"
        if self.run.flag_set.qa_mode:
            return "disabled"
        return "assigned" if self.sticky_source is None else "sticky"

    def _dealer(self) -> Dealer | None:
        """The dealer in force; None before a ramp's first step."""
        experiment, at = self.experiment, self.run.at
        if experiment.leaves is not None:
            self.leaf = NO_LEAF
            for leaf, dealer in experiment.leaf_dealers:
                if leaf.test(self.run.context, self.run.flag_set.groups):
                    self.leaf = leaf.id
                    return dealer
        if not experiment.ramp_dealers or at is None:
            return experiment.dealer
        found = None
        for start, dealer in experiment.ramp_dealers:
            if start > at:
                break
            found = dealer
        return found

    def _inside(self, status: Status) -> Evaluation:
        experiment, rule = self.experiment, self.rule
        variant = experiment.variants[self.variant]
        value = variant.value if rule.values is None else rule.values.get(variant.key, variant.value)
        unit, attribute = self.unit or "", self.attribute or ""
        forced = status == "forced"
        if not forced:
            if self.run.sticky is not None and experiment.sticky:
                self._store(variant.key, unit, attribute, self.run.sticky)
            entry = Entry(experiment.key, variant.key, unit, attribute, experiment.policy_version, self.window_start)
            if entry not in self.run.entered:
                self.run.entered.append(entry)
        reason: Reason = "TARGETING_MATCH" if forced else "SPLIT"
        return self._answer(value, variant.key, reason, status, True)

    def _store(self, variant: str, unit: str, attribute: str, sticky: Mapping[str, StickyRecord]) -> None:
        """Notes what should be stored of the unit, if that is not stored already."""
        key = self._sticky_key()
        known = sticky.get(record_key(attribute, unit)) if sticky else None
        if known is None:
            self.record = StickyRecord(attribute, unit, {key: variant})
        elif known.assignments.get(key) != variant:
            self.record = StickyRecord(attribute, unit, {**known.assignments, key: variant})

    def _sticky_key(self) -> str:
        experiment = self.experiment
        if self.window_start is None:
            return experiment.sticky_key
        return assignment_key(experiment.key, experiment.bucket_version, self.window_start)

    def _outside(self, status: Status) -> Evaluation:
        reason: Reason = "DISABLED" if status == "disabled" else "DEFAULT"
        return self._answer(self.flag.default, self.flag.default_variant, reason, status, False)

    def _answer(self, value: Json, variant: str | None, reason: Reason, status: Status, inside: bool) -> Evaluation:
        experiment = self.experiment
        return Evaluation(
            self.flag.key,
            value,
            variant,
            reason,
            status,
            experiment.key,
            inside,
            self.unit or None,
            self.attribute,
            self.bucket,
            self.position,
            experiment.hasher,
            self.rule.id,
            self.index,
            experiment.layer,
            self.holdout,
            experiment.held_out is not None,
            self.sticky_source is not None,
            self.record,
            experiment.policy_version,
            tuple(self.run.entered),
            self.window_start,
            self.leaf if inside else None,
        )
