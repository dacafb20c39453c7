"""What a report of one experiment is made from: plain values, and the rule of what may be shown of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    # Statistics load SciPy, which whoever only shows numbers does without.
    from causeway.statistics.effect import Effect

Direction = Literal["increase", "decrease"]

SHARES = frozenset({"conversion", "retention", "funnel"})
"""Types of metrics whose mean is a share of the units: shown in per cent, their effects in percentage points."""


@dataclass(frozen=True, slots=True)
class ReportMetric:
    """A metric as declared.

    unit: what is counted, such as "EUR"; empty where it has no name. non_inferiority_margin: the loss that is
    tolerated; minimum_effect: the smallest effect of interest; both not negative and shares of the control mean (0.02
    is two per cent of it).
    """

    key: str
    type: str
    role: Literal["primary", "secondary", "guardrail"] = "secondary"
    direction: Direction = "increase"
    unit: str = ""
    non_inferiority_margin: float | None = None
    minimum_effect: float | None = None

    def __post_init__(self) -> None:
        for value in (self.non_inferiority_margin, self.minimum_effect):
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"a margin or minimum effect is a number from zero on: {self}")

    @property
    def is_share(self) -> bool:
        """Whether its mean is a share of the units."""
        return self.type in SHARES

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "increase" else -1


@dataclass(frozen=True, slots=True)
class ReportArm:
    """A variant with its declared weight and its distinct units (None: not counted)."""

    variant: str
    weight: float
    units: int | None
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class ReportGate:
    """A health check with its verdict. `detail` is shown behind a closed gate too: it may not tell an outcome."""

    check_name: str
    passed: bool | None
    blocking: bool
    detail: str = ""
    p_value: float | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it withholds the results."""
        return self.blocking and self.passed is not True


@dataclass(frozen=True, slots=True)
class ReportEffect:
    """The numbers of one comparison, as those of `causeway.statistics.Effect`; with any status but "ok" there are none.

    Raises ValueError for a number that is not finite, and for a status that contradicts the numbers.
    """

    status: str
    n: int
    n_control: int
    mean: float | None = None
    mean_control: float | None = None
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None

    def __post_init__(self) -> None:
        interval = (self.effect, self.ci_low, self.ci_high)
        rest = (self.mean, self.mean_control, self.p_value)
        numbers = (*interval, *rest, self.relative_effect, self.relative_ci_low, self.relative_ci_high)
        if any(number is not None and not math.isfinite(number) for number in numbers):
            raise ValueError(f"undefined is None with a status, never nan or infinity: {self}")
        if self.status == "ok" and None in interval:
            raise ValueError(f"status ok without an effect: {self}")
        if self.status != "ok" and any(number is not None for number in numbers):
            raise ValueError(f"status {self.status} with a number: {self}")

    @classmethod
    def of(cls, effect: Effect) -> ReportEffect:
        """The same effect, of which only the counts stay where there is none."""
        if effect.status != "ok":
            return cls(effect.status, effect.n, effect.n_control)
        return cls(*(getattr(effect, name) for name in cls.__slots__))

    def withheld(self) -> ReportEffect:
        """The counts alone."""
        return ReportEffect("withheld", self.n, self.n_control)


@dataclass(frozen=True, slots=True)
class ReportResult:
    """One comparison by one method, of everybody or, with `segment` ("column=value"), of some.

    adjusted_p_value: corrected for the family of tests that the report's `multiple_testing` names. interval: how it
    allows for looks. is_headline: whether the metric and variant are judged by it; without one, methods have an order.
    """

    metric: str
    variant: str
    control: str
    method: str
    effect: ReportEffect
    segment: str | None = None
    adjusted_p_value: float | None = None
    confidence: float = 0.95
    reasons: tuple[str, ...] = ()
    provenance_id: str | None = None
    interval: Literal["fixed_horizon", "always_valid", "group_sequential"] = "fixed_horizon"
    is_headline: bool = False


@dataclass(frozen=True, slots=True)
class ReportLook:
    """The cumulative effect up to and including a day, with its interval that holds at every look."""

    day: date
    effect: ReportEffect


@dataclass(frozen=True, slots=True)
class ReportLooks:
    """The looks at one comparison, ascending by day.

    fixed_method: the method among the results whose interval is drawn beside the last look, None for none.
    """

    metric: str
    variant: str
    control: str
    method: str
    looks: tuple[ReportLook, ...]
    fixed_method: str | None = None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class ReportPosterior:
    """What the Bayesian analysis says: numbers are None unless status is "ok".

    chance_to_beat: probability that the variant is better than the control. expected_loss: in units of the metric, if
    the variant were shipped. prior: in words.
    """

    metric: str
    variant: str
    status: str
    chance_to_beat: float | None = None
    expected_loss: float | None = None
    prior: str = ""

    def __post_init__(self) -> None:
        if self.status != "ok" and (self.chance_to_beat is not None or self.expected_loss is not None):
            raise ValueError(f"status {self.status} with a number: {self}")


@dataclass(frozen=True, slots=True)
class ReportDecision:
    """The decision on record. decision None: none was made. An override carries the actor and the actor's reason."""

    decision: Literal["ship", "stop", "continue", "withheld"] | None = None
    variant: str | None = None
    reasons: tuple[str, ...] = ()
    decided_at: datetime | None = None
    actor: str | None = None
    override_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReportProvenance:
    """Where the numbers come from. Everything is given; the report knows no clock."""

    computed_at: datetime | None = None
    data_through: date | None = None
    code_version: str | None = None
    declaration_hash: str | None = None
    snapshot_id: str | None = None
    provenance_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """Everything that the page of one experiment shows; see `as_shown` for what it leaves out.

    experiment: key. unit: what was randomised, such as "customer". status: where it is in its life cycle. metrics,
    arms, results and segments are shown in the order given, so the primary metric belongs first.
    """

    experiment: str
    unit: str
    status: str
    arms: tuple[ReportArm, ...]
    metrics: tuple[ReportMetric, ...]
    name: str | None = None
    tenant: str | None = None
    hypothesis: str | None = None
    owner: str | None = None
    version: int | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    decision: ReportDecision = ReportDecision()
    gates: tuple[ReportGate, ...] = ()
    results: tuple[ReportResult, ...] = ()
    looks: tuple[ReportLooks, ...] = ()
    posteriors: tuple[ReportPosterior, ...] = ()
    multiple_testing: str | None = None
    provenance: ReportProvenance = ReportProvenance()

    @property
    def closed_gates(self) -> tuple[ReportGate, ...]:
        """The blocking checks that did not pass."""
        return tuple(gate for gate in self.gates if gate.is_closed)

    @property
    def is_withheld(self) -> bool:
        """Whether no number of an outcome may be shown: a gate is closed, the decision says so, or nobody looked."""
        unchecked = not self.gates and bool(self.results or self.looks or self.posteriors)
        return bool(self.closed_gates) or self.decision.decision == "withheld" or unchecked

    def as_shown(self) -> ExperimentReport:
        """The report without what may not be shown, whatever it was given.

        Withheld as a whole: results keep their counts and the reasons, looks and posteriors are left out, and of the
        decision only the gates' own words stay. Where a single result is withheld, so are the looks, segments and
        posteriors of that metric and variant, from which it could be read off.
        """
        if self.is_withheld:
            why = tuple(f"{gate.check_name}: {gate.detail or 'did not pass'}" for gate in self.closed_gates)
            if not why and self.decision.decision == "withheld":
                why = self.decision.reasons
            why = why or ("No health check was made, so nothing is known of the data.",)
            return replace(
                self,
                decision=replace(self.decision, decision="withheld", variant=None, reasons=why),
                results=tuple(_withheld(result, why) for result in self.results),
                looks=(),
                posteriors=(),
            )
        behind = {
            (result.metric, result.variant): result.reasons
            for result in self.results
            if result.effect.status == "withheld"
        }
        if not behind:
            return self
        return replace(
            self,
            results=tuple(
                _withheld(result, behind[result.metric, result.variant])
                if (result.metric, result.variant) in behind and result.effect.status != "withheld"
                else result
                for result in self.results
            ),
            looks=_without(self.looks, behind),
            posteriors=_without(self.posteriors, behind),
        )


_Shown = TypeVar("_Shown", ReportLooks, ReportPosterior)


def _withheld(result: ReportResult, reasons: tuple[str, ...]) -> ReportResult:
    return replace(
        result,
        effect=result.effect.withheld(),
        adjusted_p_value=None,
        reasons=result.reasons if result.effect.status == "withheld" and result.reasons else reasons,
    )


def _without(shown: tuple[_Shown, ...], behind: Iterable[tuple[str, str]]) -> tuple[_Shown, ...]:
    hidden = set(behind)
    return tuple(each for each in shown if (each.metric, each.variant) not in hidden)
