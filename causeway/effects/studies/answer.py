"""What is known of a declared effect: numbers with their estimands, what they were put to, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from causeway.effects.refutations import Refutation
from causeway.effects.studies.verdict import Judged
from causeway.statistics.effect import Status

Verdict = Literal["credible", "caution", "withheld"]


@dataclass(frozen=True, slots=True)
class MethodEstimate:
    """One method's answer, in units of the outcome, all None unless `status` is "ok".

    target: whose effect it is, which need not be what was asked for; estimand: the same in words. n: units used.
    reason: why there is no number. settings: what was really done; JSON values only.
    """

    method: str
    target: str
    estimand: str
    status: Status
    n: int
    effect: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    reason: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def withheld(self) -> MethodEstimate:
        """Without a number, and without settings that would give it away."""
        status: Status = "withheld" if self.status == "ok" else self.status
        return MethodEstimate(self.method, self.target, self.estimand, status, self.n, reason=self.reason)

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Estimand:
    """target: as declared. in_words: of the headline. by: backdoor, instrument, front_door or design."""

    target: str
    in_words: str
    identified: bool
    adjustment_set: tuple[str, ...] = ()
    by: str | None = None


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """The answer to one question about one outcome, of everybody or of a segment.

    headline: the name of the method that the verdict is about; None where there is none. n, n_left_out, left_out: rows
    used, not used, and those by reason. judged: each rule with what was seen. diagnostics, sensitivity, heterogeneity:
    JSON values only.
    """

    outcome: str
    verdict: Verdict
    reasons: tuple[str, ...]
    estimand: Estimand
    estimates: tuple[MethodEstimate, ...]
    headline: str | None
    n: int
    n_left_out: int
    left_out: Mapping[str, int]
    judged: tuple[Judged, ...] = ()
    refutations: tuple[Refutation, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    sensitivity: Mapping[str, Any] = field(default_factory=dict)
    heterogeneity: Mapping[str, Any] = field(default_factory=dict)
    segment: str | None = None

    @property
    def headline_estimate(self) -> MethodEstimate | None:
        return next((each for each in self.estimates if each.method == self.headline), None)

    def served(self) -> StudyAnswer:
        """As it may be shown: without any number where the verdict is withheld."""
        if self.verdict != "withheld":
            return self
        return replace(
            self,
            estimates=tuple(each.withheld() for each in self.estimates),
            judged=tuple(each.without_numbers() for each in self.judged),
            refutations=tuple(each.without_numbers() for each in self.refutations),
            diagnostics={**self.diagnostics, "instrument": _strength_alone(self.diagnostics.get("instrument"))},
            sensitivity={},
            heterogeneity={},
        )

    def as_document(self) -> dict[str, Any]:
        """JSON values only."""
        estimates = [each.as_document() for each in self.estimates]
        return {
            "outcome": self.outcome,
            "segment": self.segment,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "estimand": asdict(self.estimand) | {"adjustment_set": list(self.estimand.adjustment_set)},
            "estimates": estimates,
            "headline": next((each for each in estimates if each["method"] == self.headline), None),
            "n": self.n,
            "n_left_out": self.n_left_out,
            "left_out": dict(self.left_out),
            "rules": [asdict(each) for each in self.judged],
            "refutations": [asdict(each) for each in self.refutations],
            "diagnostics": dict(self.diagnostics),
            "sensitivity": dict(self.sensitivity),
            "heterogeneity": dict(self.heterogeneity),
        }


def _strength_alone(instrument: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the record of the instruments says of their strength, and nothing of the effect."""
    if instrument is None:
        return None
    two_stage = instrument.get("two_stage_least_squares") or {}
    return {"two_stage_least_squares": {name: two_stage.get(name) for name in ("status", "reason", "first_stage")}}
