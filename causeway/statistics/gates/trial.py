"""The gates of who is in a declared trial: arms, crossovers, undeclared variants, repeated units, missing outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from causeway.statistics.attrition import missing_shares_p_value
from causeway.statistics.gates.gate import THRESHOLD, TOLERANCE, Gate, percent
from causeway.statistics.gates.sample_ratio import Enrolment, sequential_srm_gate, srm_by_day_gate, srm_gate

OutcomeCounts = Mapping[str, tuple[int, int, float]]
"""By variant: units with an outcome, units without one, centred sum of squares of the outcome."""


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """What the gates need to know of a trial, all of it counted in SQL.

    weights: declared weight by variant. units: distinct units by declared variant, without the left-out ones
    below.
    crossover_units: units seen in more than one variant. unlisted: units by variant that was not declared.
    duplicate_rows: rows beyond the first of the same unit. total_units: distinct units seen at all.
    metrics: by metric and variant (units with an outcome, units without, centred sum of squares of the
    outcome). enrolment: units by day, of a trial whose units arrive one after another; of a table with one row
    per unit there is one look and no day.

    Raises ValueError where a count is negative or a part is larger than the whole.
    """

    weights: Mapping[str, float]
    units: Mapping[str, int]
    crossover_units: int
    unlisted: Mapping[str, int]
    duplicate_rows: int
    total_units: int
    metrics: Mapping[str, OutcomeCounts]
    enrolment: Enrolment | None = None

    def __post_init__(self) -> None:
        parts = [*self.units.values(), self.crossover_units, *self.unlisted.values()]
        if min([*parts, self.duplicate_rows, self.total_units]) < 0:
            raise ValueError(f"a count is negative: {self}")
        if max(parts) > self.total_units:
            raise ValueError(f"a part is larger than the {self.total_units} units seen at all: {self}")


def trial_gates(counts: TrialCounts, *, tolerance: float = TOLERANCE, threshold: float = THRESHOLD) -> tuple[Gate, ...]:
    """All gates of a trial, in a fixed order; those of a metric are called "<check>:<metric>".

    tolerance: share of units up to which crossovers, unlisted variants and repeated rows are only a warning.
    threshold: p-value below which the sample ratio or the missing outcomes contradict the design.
    """
    gates = [
        *_sample_ratio_gates(counts, threshold),
        crossover_gate(counts.crossover_units, counts.total_units, tolerance=tolerance),
        unlisted_variant_gate(counts.unlisted, counts.total_units, tolerance=tolerance),
        duplicate_unit_gate(counts.duplicate_rows, counts.total_units, tolerance=tolerance),
        empty_arm_gate(counts.units, counts.weights),
        one_unit_arm_gate(counts.units, counts.weights),
    ]
    for metric, by_variant in counts.metrics.items():
        gates.append(missing_outcome_gate(metric, by_variant, threshold=threshold))
        gates.append(constant_metric_gate(metric, by_variant))
    return tuple(gates)


def _sample_ratio_gates(counts: TrialCounts, threshold: float) -> tuple[Gate, ...]:
    if counts.enrolment is None:
        return (srm_gate(counts.units, counts.weights, threshold=threshold),)
    return (
        sequential_srm_gate(counts.enrolment, threshold=threshold),
        srm_by_day_gate(counts.enrolment, threshold=threshold),
    )


def crossover_gate(crossover_units: int, total_units: int, *, tolerance: float = TOLERANCE) -> Gate:
    """Units seen in more than one variant: left out; a warning, and blocking above the tolerance."""
    return _share_gate(
        "crossover",
        {"crossover_units": crossover_units},
        crossover_units,
        total_units,
        tolerance,
        seen=f"{crossover_units:,} of {total_units:,} units were in more than one variant and are left out",
        advice="The assignment does not stick: look for merged identities, a new salt, a second assigner.",
    )


def unlisted_variant_gate(unlisted: Mapping[str, int], total_units: int, *, tolerance: float = TOLERANCE) -> Gate:
    """Units in a variant that was not declared: left out; a warning, and blocking above the tolerance."""
    n_unlisted = sum(unlisted.values())
    names = ", ".join(f"{variant} {n:,}" for variant, n in sorted(unlisted.items()) if n > 0)
    where = f" ({names})" if names else ""
    return _share_gate(
        "unlisted_variant",
        {"unlisted": dict(unlisted)},
        n_unlisted,
        total_units,
        tolerance,
        seen=f"{n_unlisted:,} of {total_units:,} units are in no declared variant{where}",
        advice="Declare the variant, or correct its name where the assignments are written.",
    )


def duplicate_unit_gate(duplicate_rows: int, total_units: int, *, tolerance: float = TOLERANCE) -> Gate:
    """Rows repeated for one unit: only the first counts; a warning, and blocking above the tolerance."""
    return _share_gate(
        "duplicate_unit",
        {"duplicate_rows": duplicate_rows},
        duplicate_rows,
        total_units,
        tolerance,
        seen=f"{duplicate_rows:,} rows repeat one of {total_units:,} units; the first row counts",
        advice="One row a unit is expected. Check the join that made the file, or declare the right unit.",
    )


def empty_arm_gate(units: Mapping[str, int], weights: Mapping[str, float]) -> Gate:
    """Variants with weight but without a unit: a warning; their results have the status no_units."""
    return _small_arm_gate("empty_arm", 0, "has no unit at all", units, weights)


def one_unit_arm_gate(units: Mapping[str, int], weights: Mapping[str, float]) -> Gate:
    """Variants of a single unit: a warning; their results have the status too_few_units."""
    return _small_arm_gate("one_unit_arm", 1, "has a single unit, which has no variance", units, weights)


def missing_outcome_gate(metric: str, by_variant: OutcomeCounts, *, threshold: float = THRESHOLD) -> Gate:
    """Units without an outcome: a warning, and blocking where the arms lose different shares of their units.

    Units lost alike leave the arms comparable; units lost unequally do not, and no estimate can tell why they
    left.
    """
    missing = {variant: n_missing for variant, (_, n_missing, _) in by_variant.items()}
    sizes = {variant: n + n_missing for variant, (n, n_missing, _) in by_variant.items()}
    shares = {variant: missing[variant] / sizes[variant] if sizes[variant] else None for variant in by_variant}
    p_value = missing_shares_p_value({variant: (n, n_missing) for variant, (n, n_missing, _) in by_variant.items()})
    differential = p_value is not None and p_value < threshold
    lost, total = sum(missing.values()), sum(sizes.values())
    by_arm = ", ".join(f"{variant} {percent(share)}" for variant, share in shares.items() if share is not None)
    if total == 0:
        detail = f"There is no unit yet that could have an outcome for {metric}."
    elif lost == 0:
        detail = f"Every unit has an outcome for {metric}."
    elif differential:
        detail = (
            f"{metric} is missing for {lost:,} of {total:,} units, and not alike in all variants: {by_arm};"
            f" p = {p_value:.3g}, threshold {threshold:g}. The variant may decide who is measured:"
            " find out why before reading any effect."
        )
    elif lost == total:
        detail = f"{metric} is missing for all {total:,} units: check the column or the event it comes from."
    else:
        tested = "" if p_value is None else f", alike in the variants (p = {p_value:.3g})"
        detail = f"{metric} is missing for {lost:,} of {total:,} units{tested}: {by_arm}. They are left out."
    return Gate(
        check_name=f"missing_outcome:{metric}",
        passed=lost == 0,
        blocking=differential,
        p_value=p_value,
        observed={"missing": missing, "units": sizes, "shares": shares},
        expected={"missing": 0, "threshold": threshold},
        detail=detail,
    )


def constant_metric_gate(metric: str, by_variant: OutcomeCounts) -> Gate:
    """A metric without variation in an arm: a warning; in both arms, the status is zero_variance."""
    measured = {variant: m2 for variant, (n, _, m2) in by_variant.items() if n > 1}
    constant = [variant for variant, m2 in measured.items() if m2 == 0]
    if not measured:
        detail = f"No variant has two units with {metric}: whether it varies cannot be seen yet."
    elif not constant:
        detail = f"{metric} varies in every variant."
    elif len(constant) == len(measured):
        detail = (
            f"{metric} has one and the same value for all of {', '.join(constant)}: there is no standard"
            " error and no effect to report. Check that the outcome is recorded, or wait for more units."
        )
    else:
        detail = (
            f"{metric} does not vary in {', '.join(constant)}: all the uncertainty comes from the other arm."
            " Check that the outcome is recorded there."
        )
    return Gate(
        check_name=f"constant_metric:{metric}",
        passed=bool(measured) and not constant,
        blocking=False,
        p_value=None,
        observed={"constant": constant, "sum_of_squares": measured},
        expected={"constant": []},
        detail=detail,
    )


def _share_gate(
    check_name: str,
    observed: dict[str, Any],
    count: int,
    total_units: int,
    tolerance: float,
    *,
    seen: str,
    advice: str,
) -> Gate:
    share = count / total_units if total_units else None
    # Any such unit is worth a warning; whether the numbers may still be read depends on how many there are.
    passed = count == 0
    blocking = count > 0 if share is None else share > tolerance
    detail = f"{seen} ({percent(share)}; tolerated {percent(tolerance)})."
    return Gate(
        check_name=check_name,
        passed=passed,
        blocking=blocking,
        p_value=None,
        observed={**observed, "total_units": total_units, "share": share},
        expected={"share_at_most": tolerance},
        detail=detail if passed else f"{detail} {advice}",
    )


def _small_arm_gate(
    check_name: str, size: int, what: str, units: Mapping[str, int], weights: Mapping[str, float]
) -> Gate:
    weighted = [variant for variant, weight in weights.items() if weight > 0]
    arms = [variant for variant in weighted if units.get(variant, 0) == size]
    if arms:
        named = "; ".join(f"{arm} {what}" for arm in arms)
        detail = f"{named}. No effect can be given there: wait for units, or check the assignment."
    else:
        detail = f"None of the {len(weighted)} variants {what}."
    observed = {"variants": arms, "units": {variant: units.get(variant, 0) for variant in weighted}}
    return Gate(check_name, not arms, False, None, observed, {"variants": []}, detail)
