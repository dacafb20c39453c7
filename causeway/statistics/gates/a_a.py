"""An A/A experiment: its arms are treated alike, so whatever is found was made on the way."""

from __future__ import annotations

from collections.abc import Mapping

from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.effect import Effect
from causeway.statistics.gates.gate import Gate
from causeway.statistics.multiple_testing import holm


def a_a_gate(
    effects: Mapping[tuple[str, str], Effect], *, alpha: float, planned_n: float | None, not_tested: int = 0
) -> Gate:
    """Blocking, for this experiment alone, when any effect is significant by the rule that would ship a variant.

    The p-values are corrected by Holm over metrics and variants at the experiment's own alpha, so one A/A experiment in
    1 / alpha fails by chance. planned_n: units of an experiment that is looked at while they arrive: then they are
    always valid, and the probability is that of ever failing, at any look; None for a table that is looked at once.

    effects: by metric and variant, with fixed-horizon intervals. not_tested: metrics of types that have no such effect.
    """
    p_values: dict[str, float] = {}
    names: dict[str, tuple[str, str]] = {}
    for (metric, variant), effect in effects.items():
        looked = effect if planned_n is None else confidence_sequence(effect, planned_n=planned_n, alpha=alpha)
        if looked.status == "ok" and looked.p_value is not None:
            name = f"{metric} of {variant}"
            names[name], p_values[name] = (metric, variant), looked.p_value
    adjusted = holm(p_values)
    odd = sorted((name for name, p in adjusted.items() if p <= alpha), key=lambda name: adjusted[name])
    left = f"; {not_tested} metrics of other types are not tested" if not_tested else ""
    if odd:
        listed = ", ".join(f"{name} (p = {adjusted[name]:.3g})" for name in odd[:5])
        detail = (
            f"The arms are treated alike and yet differ: {listed}{left}. The fault lies in the assignment, the"
            " logging or the metric, and would be in every experiment that is made like this one."
        )
    elif adjusted:
        detail = f"The arms are treated alike, and none of {len(adjusted)} comparisons finds a difference{left}."
    else:
        detail = f"The arms are treated alike; there are too few units yet to compare them{left}."
    return Gate(
        "a_a",
        not odd,
        True,
        min(adjusted.values()) if adjusted else None,
        {"significant": odd[:20], "comparisons": len(adjusted)},
        {
            "significant": [],
            "alpha": alpha,
            "correction": "holm",
            "interval": "fixed_horizon" if planned_n is None else "always_valid",
        },
        detail,
    )
