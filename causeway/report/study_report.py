"""What a report of one study is made from, and the rule of what may be shown of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from causeway.report.experiment_report import ReportProvenance

Document = Mapping[str, Any]
"""An answer as `causeway.effects.studies.answer.StudyAnswer.as_document` gives it: JSON values."""

NO_PROVENANCE = ReportProvenance()
VERDICTS = ("credible", "caution", "withheld")
NUMBERS = ("effect", "std_error", "ci_low", "ci_high", "p_value")
_OF_A_WITHHELD_ESTIMATE = ("method", "target", "estimand", "status", "n", "reason")
# What a diagnosis says of the data and not of the effect.
_OF_A_WITHHELD_STUDY = ("overlap", "balance", "negative_controls", "nuisance", "graph", "data")
# Where the words of a rule go on with numbers of the effect.
_TURNS = {"refutations": ": ", "weak_instrument": "; what holds for weak instruments too"}


@dataclass(frozen=True, slots=True)
class StudyReport:
    """Everything that the page of one study shows.

    answers: one for each outcome and segment, the declared outcome of everybody first; each a document whose missing
    parts are left out. unit: what a row is about, such as person. treatment: its column.
    """

    study: str
    answers: tuple[Document, ...] = ()
    tenant: str | None = None
    name: str | None = None
    hypothesis: str | None = None
    owner: str | None = None
    unit: str = "unit"
    treatment: str = ""
    provenance: ReportProvenance = NO_PROVENANCE

    @property
    def main(self) -> Document | None:
        """The answer that the page is about; None where there is none yet."""
        return self.answers[0] if self.answers else None

    @property
    def others(self) -> tuple[Document, ...]:
        """Further outcomes, and segments."""
        return self.answers[1:]

    def as_shown(self) -> StudyReport:
        """The report without what may not be shown, whatever it was given; see `as_shown`."""
        return replace(self, answers=tuple(as_shown(answer) for answer in self.answers))


def as_shown(document: Document) -> Document:
    """The answer without any number of an effect where its verdict is withheld, or none that is known.

    Methods keep their counts and the reasons, attempts to refute what they found; sensitivity, heterogeneity and the
    instruments' own intervals are left out, and sentences end where a number of the effect would follow. A number
    beside a status that is not "ok", or one that is not finite, is left out of any answer.
    """
    estimates = [_estimate(each) for each in document.get("estimates") or ()]
    shown = {**document, "estimates": estimates, "headline": _headline(document, estimates)}
    if document.get("verdict") in VERDICTS[:2]:
        return shown
    rules = [_cut(rule) for rule in document.get("rules") or ()]
    words = {
        str(before.get("detail")): str(after["detail"])
        for before, after in zip(document.get("rules") or (), rules, strict=True)
    }
    estimates = [_withheld(each) for each in estimates]
    diagnostics = document.get("diagnostics") or {}
    kept = {name: diagnostics[name] for name in _OF_A_WITHHELD_STUDY if name in diagnostics}
    return {
        **shown,
        "verdict": "withheld",
        "reasons": [words.get(str(reason), str(reason)) for reason in document.get("reasons") or ()],
        "estimates": estimates,
        "headline": _headline(document, estimates),
        "rules": rules,
        "refutations": [
            {name: each.get(name) for name in ("name", "method", "problem_found")}
            for each in document.get("refutations") or ()
        ],
        "diagnostics": {**kept, "instrument": _strength(diagnostics.get("instrument"))},
        "sensitivity": {},
        "heterogeneity": {},
    }


def number(value: object) -> float | None:
    """A finite number, or None.

    >>> number(1), number(float("nan")), number("1"), number(True)
    (1.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def interval(record: Document | None) -> tuple[float, float, float] | None:
    """Effect and bounds of a record with status ok and all three."""
    if not record or record.get("status", "ok") != "ok":
        return None
    effect, low, high = (number(record.get(name)) for name in ("effect", "ci_low", "ci_high"))
    return None if effect is None or low is None or high is None else (effect, low, high)


def _estimate(given: Document) -> Document:
    if given.get("status") != "ok":
        return {**given, **dict.fromkeys(NUMBERS)}
    numbers = {name: number(given.get(name)) for name in NUMBERS}
    if None in (numbers["effect"], numbers["ci_low"], numbers["ci_high"]):
        return {**given, "status": "not_estimable", **dict.fromkeys(NUMBERS)}
    return {**given, **numbers}


def _withheld(given: Document) -> Document:
    kept = {name: given.get(name) for name in _OF_A_WITHHELD_ESTIMATE}
    status = "withheld" if given.get("status") == "ok" else given.get("status")
    return {**kept, "status": status, **dict.fromkeys(NUMBERS)}


def _headline(document: Document, estimates: list[Document]) -> Document | None:
    headline = document.get("headline")
    name = headline.get("method") if isinstance(headline, Mapping) else headline
    return next((each for each in estimates if each.get("method") == name), None)


def _strength(instrument: Document | None) -> Document | None:
    """Of the instruments, how strong they are."""
    two_stage = (instrument or {}).get("two_stage_least_squares") or {}
    stage = two_stage.get("first_stage")
    return {"two_stage_least_squares": {"first_stage": stage}} if stage else None


def _cut(rule: Document) -> Document:
    detail = str(rule.get("detail") or "")
    turn = _TURNS.get(str(rule.get("rule")))
    observed = None if rule.get("rule") == "refutations" else rule.get("observed")
    return {**rule, "observed": observed, "detail": detail.split(turn, maxsplit=1)[0] if turn else detail}
