"""Were the arms alike before anybody was exposed? What was known of the units cannot have been changed by a variant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from causeway.statistics.burn_in import DEFAULT_BURN_IN
from causeway.statistics.gates.gate import THRESHOLD, Gate
from causeway.statistics.moments import Moments
from causeway.statistics.multiple_testing import holm
from causeway.statistics.normal_mixture import always_valid_p_value, tuned_rho


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One number that was known of the units beforehand: a covariate, whether it has a level, a metric's own past.

    name: of the covariate, or of the metric. level: the level whose share it is, None for a number. arms: by variant.
    """

    name: str
    level: str | None
    arms: Mapping[str, Moments]

    @property
    def label(self) -> str:
        """As it is shown."""
        return self.name if self.level is None else f"{self.name}={self.level}"

    @staticmethod
    def of_share(name: str, level: str, counts: Mapping[str, tuple[int, int]]) -> Characteristic:
        """The indicator of a level from (units with it, units) by variant."""
        arms = {
            variant: Moments(n, having / n, having * (n - having) / n) if n else Moments.empty()
            for variant, (having, n) in counts.items()
        }
        return Characteristic(name, level, arms)


def pre_exposure_imbalance_gates(
    characteristics: Iterable[Characteristic],
    *,
    control: str,
    planned_n: float | None,
    threshold: float = THRESHOLD,
) -> tuple[Gate, ...]:
    """One blocking gate for each covariate and each metric's past, corrected by Holm over all that is compared.

    Each variant's mean, or share of each level, is compared with the control's. planned_n: units of an experiment that
    is looked at while they arrive: then the p-value is the always-valid one of the normal mixture tuned to that number,
    so that daily looks find an imbalance that is not there with probability `threshold` at most; nothing is tested
    before both arms are past the burn-in. None: a table that is looked at once, by Welch's test.
    """
    found: dict[tuple[str, str, str], float | None] = {}
    seen: dict[str, list[dict[str, Any]]] = {}
    for each in characteristics:
        reference = each.arms.get(control, Moments.empty())
        rows = seen.setdefault(each.name, [])
        for variant, arm in each.arms.items():
            if variant == control:
                continue
            difference, p_value = _compared(arm, reference, planned_n, threshold)
            found[(each.name, each.label, variant)] = p_value
            rows.append(
                {
                    "characteristic": each.label,
                    "variant": variant,
                    "mean": arm.mean_y if arm.n else None,
                    "mean_control": reference.mean_y if reference.n else None,
                    "standardised_difference": difference,
                    "p_value": p_value,
                }
            )
    tested = {key: p for key, p in found.items() if p is not None}
    adjusted = dict(zip(tested, holm({f"{i}": p for i, p in enumerate(tested.values())}).values(), strict=True))
    gates = []
    for name, rows in seen.items():
        p_values = {key: p for key, p in adjusted.items() if key[0] == name}
        for row in rows:
            row["p_value"] = adjusted.get((name, row["characteristic"], row["variant"]))
        odd = [row for row in rows if row["p_value"] is not None and row["p_value"] < threshold]
        worst = sorted((row for row in rows if row["p_value"] is not None), key=lambda row: row["p_value"])[:20]
        gates.append(
            Gate(
                f"pre_exposure_imbalance:{name}",
                not odd,
                True,
                min(p_values.values()) if p_values else None,
                {"compared": odd[:20] or worst, "comparisons": len(p_values)},
                {
                    "threshold": threshold,
                    "correction": "holm",
                    "comparisons": len(adjusted),
                    "interval": "fixed_horizon" if planned_n is None else "always_valid",
                },
                _detail(name, odd, len(p_values), control),
            )
        )
    return tuple(gates)


def _compared(
    arm: Moments, reference: Moments, planned_n: float | None, threshold: float
) -> tuple[float | None, float | None]:
    """Difference in standard deviations, and its p-value."""
    if arm.n < 2 or reference.n < 2:
        return None, None
    variances = arm.m2_y / (arm.n - 1), reference.m2_y / (reference.n - 1)
    gap, squared_error = arm.mean_y - reference.mean_y, variances[0] / arm.n + variances[1] / reference.n
    if squared_error <= 0:
        return (0.0, None) if gap == 0 else (None, 0.0)
    z = gap / math.sqrt(squared_error)
    difference = gap / math.sqrt((variances[0] + variances[1]) / 2)
    if planned_n is None:
        df = squared_error**2 / sum(
            (variance / each.n) ** 2 / (each.n - 1) for variance, each in zip(variances, (arm, reference), strict=True)
        )
        return difference, float(2 * stats.t.sf(abs(z), df))
    if not DEFAULT_BURN_IN.over(arm.n, reference.n) or _is_rare(arm, reference):
        return difference, None
    rho = tuned_rho(planned_n, alpha=threshold)
    return difference, float(always_valid_p_value(z, arm.n + reference.n, rho=rho))


def _is_rare(arm: Moments, reference: Moments) -> bool:
    """Whether a share, or a number that is nearly always the same, has had too few units that differ for a normal."""
    total = arm + reference
    spread = total.m2_y / total.n
    share = total.mean_y
    is_share = math.isclose(spread, share * (1 - share), rel_tol=1e-6, abs_tol=1e-12) and 0 <= share <= 1
    return is_share and min(arm.n, reference.n) * min(share, 1 - share) < 20


def _detail(name: str, odd: list[dict[str, Any]], comparisons: int, control: str) -> str:
    if not comparisons:
        return f"{name} does not vary, or there are too few units yet to compare the arms by it."
    if not odd:
        return f"The variants were alike in {name} before they were exposed."
    worst = odd[0]
    more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
    return (
        f"The variants differed in {name} before anybody was exposed: {worst['characteristic']} was {worst['mean']:.4g}"
        f" in {worst['variant']} and {worst['mean_control']:.4g} in {control} (adjusted p = {worst['p_value']:.3g})"
        f"{more}. Whoever decided on the variant knew of it, or units were lost by it: the arms are not comparable."
        " Look at the assignment, at carry-over from an earlier experiment with the same salt, and at when covariates"
        " are recorded."
    )
