"""Where a sample ratio mismatch comes from: the evidence along the five stages of its taxonomy.

Fabijan, Gupchup, Gupta, Omhover, Qin, Vermeer & Dmitriev (2019), "Diagnosing Sample Ratio Mismatch in Online
Controlled Experiments", KDD, section 4: what goes wrong goes wrong while units are assigned, while the variants run,
while logs are processed, in the analysis, or because somebody interferes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causeway.statistics.attrition import missing_shares_p_value
from causeway.statistics.gates.gate import THRESHOLD, TOLERANCE, Gate, percent
from causeway.statistics.gates.sample_ratio import Enrolment
from causeway.statistics.multiple_testing import holm
from causeway.statistics.sample_ratio import sample_ratio_test

Stage = Literal["assignment", "execution", "log_processing", "analysis", "interference"]
STAGES: tuple[Stage, ...] = ("assignment", "execution", "log_processing", "analysis", "interference")

ByVariant = Mapping[str, int]
Sign = tuple[bool, str]
"""Whether it speaks for the stage, and what was seen."""


@dataclass(frozen=True)
class Trail:
    """What was counted on the way from assignment to analysis; by declared variant, and empty where nothing was seen.

    weights: declared, now in force. analysed: the units of the sample ratio test. assigned: units by the first variant
    that was written down for them, whenever that was and whatever happened then. exposed: units by their first
    exposure, whenever it was, in one variant or in many. is_logged: exposures are events of their own, not the
    assignments. crossovers: units left out because they were in another variant too. records, repeated, late: exposure
    records, those beyond a unit's first, and those that arrived over a day after they happened. quarantined: refused
    records that name the variant. enrolment: units by day.
    switched_off: whether the experiment was switched off. reweighted: whether weights changed without a new version.
    overlaps: by other experiment, the analysed units that are in it too.
    """

    weights: Mapping[str, float]
    analysed: ByVariant
    assigned: ByVariant = field(default_factory=dict)
    exposed: ByVariant = field(default_factory=dict)
    is_logged: bool = False
    crossovers: ByVariant = field(default_factory=dict)
    records: ByVariant = field(default_factory=dict)
    repeated: ByVariant = field(default_factory=dict)
    late: ByVariant = field(default_factory=dict)
    quarantined: ByVariant = field(default_factory=dict)
    enrolment: Enrolment | None = None
    switched_off: bool = False
    reweighted: bool = False
    overlaps: Mapping[str, ByVariant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What speaks for one stage, or that nothing does."""

    stage: Stage
    evidence: str
    points_to: bool


def diagnosed(gate: Gate, trail: Trail, *, threshold: float = THRESHOLD) -> Gate:
    """A failed gate with the diagnosis in `observed` and in a sentence of `detail`; one that passed stays as it is."""
    if gate.passed:
        return gate
    findings = diagnose(trail, threshold=threshold)
    listed: list[dict[str, Any]] = [
        {"stage": each.stage, "evidence": each.evidence, "points_to": each.points_to} for each in findings
    ]
    pointing = [f"{each.stage.replace('_', ' ')} ({each.evidence})" for each in findings if each.points_to]
    if pointing:
        sentence = f" The evidence points to {'; and to '.join(pointing)}."
    else:
        sentence = " None of the five stages left a trace that could be counted here."
    return replace(gate, observed={**gate.observed, "diagnosis": listed}, detail=gate.detail + sentence)


def diagnose(trail: Trail, *, threshold: float = THRESHOLD) -> tuple[Finding, ...]:
    """The five stages in their order, each with what was found; more than one may be pointed to, or none."""
    by_stage: Mapping[Stage, Callable[[Trail, float], Iterator[Sign]]] = {
        "assignment": _assignment,
        "execution": _execution,
        "log_processing": _log_processing,
        "analysis": _analysis,
        "interference": _interference,
    }
    found = []
    for stage in STAGES:
        signs = list(by_stage[stage](trail, threshold))
        against = [sentence for points_to, sentence in signs if points_to]
        told = against or [sentence for _, sentence in signs] or ["nothing was recorded that would show it"]
        found.append(Finding(stage, "; ".join(told), bool(against)))
    return tuple(found)


def _assignment(trail: Trail, threshold: float) -> Iterator[Sign]:
    first = trail.assigned if trail.is_logged else (trail.exposed or trail.assigned)
    if sum(first.values()):
        off = _is_off(first, trail.weights, threshold)
        verb = "deviate" if off else "do not deviate"
        yield off, f"the assignments as written down {verb} from the weights: {_listed(first)}"


def _execution(trail: Trail, threshold: float) -> Iterator[Sign]:
    if trail.is_logged and any(trail.assigned.values()):
        shares = {
            variant: (min(trail.exposed.get(variant, 0), n), max(n - trail.exposed.get(variant, 0), 0))
            for variant, n in trail.assigned.items()
        }
        p = missing_shares_p_value(shares)
        off = p is not None and p < threshold
        seen = ", ".join(f"{v} {percent(a / (a + b) if a + b else None)}" for v, (a, b) in shares.items())
        yield off, f"of the assigned units {'different' if off else 'similar'} shares saw their variant: {seen}"
    if trail.enrolment is not None and len(trail.enrolment.days):
        yield from _idle_days(trail.enrolment, threshold)


def _idle_days(enrolment: Enrolment, threshold: float) -> Iterator[Sign]:
    """Days on which a variant got nobody although it should have got some."""
    units, shares = enrolment.units, enrolment.shares
    chance = (1 - shares) ** units.sum(axis=1, keepdims=True)
    idle: NDArray[np.bool_] = (shares > 0) & (units == 0) & (chance < threshold / units.size)
    if not idle.any():
        yield False, "every variant got units on every day"
        return
    running = ~idle.any(axis=1)
    for place in np.flatnonzero(idle.any(axis=0)):
        days = [day for day, off in zip(enrolment.days, idle[:, place], strict=True) if off]
        began = days[-1] < enrolment.days[np.flatnonzero(units[:, place])[0]] if units[:, place].any() else False
        how = "began only after" if began else "got nobody on"
        named = days[-1].isoformat() if began else ", ".join(day.isoformat() for day in days[:5])
        yield True, f"{enrolment.variants[place]} {how} {named} ({len(days)} of {len(enrolment.days)} days)"
    left = units[running].sum(axis=0)
    expected = (units[running].sum(axis=1, keepdims=True) * shares[running]).sum(axis=0)
    if left.sum():
        agree = not _is_off(
            dict(zip(enrolment.variants, map(int, left), strict=True)),
            dict(zip(enrolment.variants, map(float, expected), strict=True)),
            threshold,
        )
        yield agree, f"the other days {'agree' if agree else 'disagree'} with the weights"


def _log_processing(trail: Trail, threshold: float) -> Iterator[Sign]:
    if sum(trail.quarantined.values()):
        known = trail.records or trail.analysed
        off = _differ({v: (known.get(v, 0), trail.quarantined.get(v, 0)) for v in trail.weights}, threshold)
        yield off, _alike("refused", trail.quarantined, off)
    for what, counts in (("repeated", trail.repeated), ("late", trail.late)):
        if sum(counts.values()):
            off = _differ(
                {v: (max(trail.records.get(v, 0) - counts.get(v, 0), 0), counts.get(v, 0)) for v in trail.weights},
                threshold,
            )
            yield off, _alike(what, counts, off)
    if not (sum(trail.quarantined.values()) or sum(trail.repeated.values()) or sum(trail.late.values())):
        yield False, "no record was refused, repeated or late"


def _alike(what: str, counts: ByVariant, off: bool) -> str:
    return f"{what} records are {'not ' if off else ''}alike in the variants: {_listed(counts)}"


def _analysis(trail: Trail, threshold: float) -> Iterator[Sign]:
    if not sum(trail.exposed.values()):
        return
    left_out = {v: max(trail.exposed.get(v, 0) - trail.analysed.get(v, 0), 0) for v in trail.weights}
    if not sum(left_out.values()):
        yield False, "nobody was left out of the analysis"
        return
    whole = not _is_off(trail.exposed, trail.weights, threshold)
    off = _differ({v: (trail.analysed.get(v, 0), left_out[v]) for v in trail.weights}, threshold)
    yield (
        whole and off,
        f"with the units that the analysis leaves out ({_listed(left_out)}) the ratio"
        f" {'agrees with' if whole else 'contradicts'} the weights",
    )


def _interference(trail: Trail, threshold: float) -> Iterator[Sign]:
    if sum(trail.crossovers.values()):
        off = _differ({v: (trail.analysed.get(v, 0), trail.crossovers.get(v, 0)) for v in trail.weights}, threshold)
        share = sum(trail.crossovers.values()) / max(sum(trail.crossovers.values()) + sum(trail.analysed.values()), 1)
        many = share > TOLERANCE
        yield (
            off or many,
            f"{percent(share)} of the units were in more than one variant, first in: {_listed(trail.crossovers)}",
        )
    if trail.switched_off:
        yield True, "the experiment was switched off while it ran"
    if trail.reweighted:
        yield True, "its weights were changed without a new version"
    yield from _overlaps(trail, threshold)


def _overlaps(trail: Trail, threshold: float) -> Iterator[Sign]:
    tested: dict[str, float] = {}
    for other, both in trail.overlaps.items():
        p = missing_shares_p_value(
            {v: (both.get(v, 0), max(trail.analysed.get(v, 0) - both.get(v, 0), 0)) for v in trail.weights}
        )
        if p is not None:
            tested[other] = p
    odd = [other for other, p in holm(tested).items() if p < threshold]
    for other in odd:
        yield True, f"experiment {other} has different shares of the variants' units: {_listed(trail.overlaps[other])}"
    if trail.overlaps and not odd:
        yield False, f"{len(trail.overlaps)} other experiments share units alike with all variants"


def _is_off(units: ByVariant, weights: Mapping[str, float], threshold: float) -> bool:
    known = {variant: units.get(variant, 0) for variant in weights}
    if not sum(known.values()) or not any(weights.values()):
        return False
    return not sample_ratio_test(known, weights, threshold=threshold).passed


def _differ(counts: Mapping[str, tuple[int, int]], threshold: float) -> bool:
    p = missing_shares_p_value(counts)
    return p is not None and p < threshold


def _listed(units: ByVariant) -> str:
    return ", ".join(f"{variant} {n:,}" for variant, n in units.items())
