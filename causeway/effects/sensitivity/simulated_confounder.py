"""A confounder that is made up, of a strength that is known, and what every estimator says once it is adjusted for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array, Flags
from causeway.effects.refutations import Refutation
from causeway.effects.sensitivity.strength import Strength
from causeway.statistics.effect import Status


@dataclass(frozen=True, slots=True)
class SimulatedConfounder:
    """`effects[i][j]`: the mean estimate with a confounder of outcome strength i and treatment strength j among the
    covariates, None where re-estimating gave no finite number in any draw; all empty unless `status` is "ok".
    """

    status: Status
    outcome_strengths: tuple[float, ...]
    treatment_strengths: tuple[float, ...]
    effects: tuple[tuple[float | None, ...], ...]
    draws: int


def simulate_confounder(
    *,
    treated: Flags,
    outcome: Array,
    x: Array,
    effect: float,
    re_estimate: Callable[[Array], float],
    outcome_strengths: Sequence[float],
    treatment_strengths: Sequence[float],
    seed: int,
    draws: int = 1,
) -> SimulatedConfounder:
    """Add a column u to x (n, p) and estimate again: `re_estimate` gets (n, p + 1), u last.

    u is made of what x leaves of the treatment, of what x and the treatment leave of the outcome, and of noise that is
    orthogonal to both, so that its partial R2 with the treatment given x, and with the outcome given x and treatment,
    are exactly the strengths that are asked for, in a linear sense. It pulls the estimate towards zero (by the sign of
    `effect`). A regression's new estimate then is Cinelli & Hazlett's adjusted one (2020, sec. 4.1), to rounding;
    for any other estimator there is no formula, and this is how to know (Rosenbaum & Rubin 1983, JRSS-B 45, 212-218).
    Every cell has the same noise of its draw.

    Statuses: too_few_units (n of at most p + 3), zero_variance (nothing is left of treatment or outcome). Raises
    ValueError for strengths outside their ranges.
    """
    asked = [[Strength(y, d) for d in treatment_strengths] for y in outcome_strengths]
    n, p = len(x), x.shape[1]
    axes = tuple(float(y) for y in outcome_strengths), tuple(float(d) for d in treatment_strengths)
    if n <= p + 3:
        return SimulatedConfounder("too_few_units", *axes, (), draws)
    basis = np.column_stack([np.ones(n), x])
    of_treatment, of_outcome = _left(basis, treated.astype(np.float64)), None
    if of_treatment is not None:
        of_outcome = _left(np.column_stack([basis, of_treatment]), outcome)
    if of_treatment is None or of_outcome is None:
        return SimulatedConfounder("zero_variance", *axes, (), draws)
    known = np.column_stack([basis, of_treatment, of_outcome])
    towards = math.copysign(1.0, effect)
    found: list[list[list[float]]] = [[[] for _ in row] for row in asked]
    for child in np.random.SeedSequence(seed).spawn(draws):
        noise = _left(known, np.random.default_rng(child).normal(size=n))
        if noise is None:
            return SimulatedConfounder("too_few_units", *axes, (), draws)
        for i, row in enumerate(asked):
            for j, strength in enumerate(row):
                rest = towards * math.sqrt(strength.outcome) * of_outcome + math.sqrt(1 - strength.outcome) * noise
                u = math.sqrt(strength.treatment) * of_treatment + math.sqrt(1 - strength.treatment) * rest
                answer = float(re_estimate(np.column_stack([x, u * math.sqrt(n)])))
                if math.isfinite(answer):
                    found[i][j].append(answer)
    effects = tuple(tuple(float(np.mean(cell)) if cell else None for cell in row) for row in found)
    return SimulatedConfounder("ok", *axes, effects, draws)


def _left(known: Array, values: Array) -> Array | None:
    """What the columns of `known` leave of the values, of length one; None if that is rounding."""
    left = values
    for _ in range(2):
        # A second pass takes away what rounding left of the first.
        left = left - known @ np.linalg.lstsq(known, left, rcond=1e-10)[0]
    length = float(np.linalg.norm(left))
    size = float(np.linalg.norm(values - values.mean()))
    return left / length if length > 1e-9 * size and size > 0 else None


def refute_with_confounder(
    *, method: str, effect: float, benchmarks: Sequence[tuple[str, Strength]], re_estimate: Callable[[Strength], float]
) -> Refutation:
    """Does a confounder as strong as the strongest observed one, by its confounding, change the sign of the effect?

    re_estimate: the estimate under a strength, by `simulate_confounder` or by a bound. Has no p-value: it is a question
    of size. Nothing to compare with, or no finite answer: it was not carried out.
    """
    name = "simulated_confounder"
    if not benchmarks:
        return Refutation(name, method, None, None, None, "no observed covariate to take the strength from")
    label, strength = max(benchmarks, key=lambda each: (each[1].confounding, each[0]))
    new_effect = float(re_estimate(strength))
    if not math.isfinite(new_effect):
        return Refutation(name, method, None, None, None, f"no estimate with a confounder as strong as {label}")
    is_problem = new_effect * effect <= 0
    detail = (
        f"a confounder as strong as {label} (partial R2 {strength.treatment:.3f} with the treatment, "
        f"{strength.outcome:.3f} with the outcome) moves the effect from {effect:.4g} to {new_effect:.4g}"
    )
    return Refutation(name, method, new_effect, None, is_problem, detail)
