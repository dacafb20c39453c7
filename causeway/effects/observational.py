"""The effect of a treatment that nobody randomised: identified, estimated, refuted, and served only if that
holds.

DoWhy does the work (Sharma & Kiciman 2020, arXiv 2011.04216): it identifies the effect in the declared
graph, estimates it by linear regression on the adjustment set and tries a placebo. What it gets wrong is
done around it, each with its reason beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl
from scipy import stats

from causeway.effects.causal_graph import (
    Edge,
    Identification,
    common_cause_graph,
    identify_by_adjustment,
    read_dot,
)
from causeway.effects.dowhy_regression import LINEAR_REGRESSION, DowhyRegression, quiet
from causeway.effects.least_squares import TreatmentCoefficient, treatment_coefficient
from causeway.effects.overlap import Balance, Overlap, balance, overlap
from causeway.effects.refutations import PROBLEM_ALPHA, Refutation
from causeway.effects.study_frame import Encoded, Refusal, StudyFrame, read_study_frame
from causeway.statistics.comparison import check_alpha
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Status
from causeway.statistics.moments import Moments
from causeway.twins.learners import one_thread

if TYPE_CHECKING:
    import pandas as pd

Target = Literal["ATE", "ATT", "ATC", "LATE"]
Verdict = Literal["credible", "caution", "withheld"]

UNADJUSTED = "unadjusted"

# Shares of units without a counterpart in the other group above which the answer is doubted, and is not
# given.
DOUBTFUL_SHARE_OUTSIDE = 0.02
LARGE_SHARE_OUTSIDE = 0.10
LARGE_SHARE_LEFT_OUT = 0.20
# A treatment whose variance given the confounders is below this share of its variance is a function of them.
COLLINEAR = 1e-10
ROUNDING = 1e-10
MIN_RESIDUAL_DF = 10


@dataclass(frozen=True, slots=True)
class MethodEstimate:
    """One method's answer, in units of the outcome, all None unless status is "ok"; `estimand` says in words
    what it is of.
    """

    method: str
    status: Status
    estimand: str
    n: int
    n_left_out: int
    effect: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def without_number(self, status: Status) -> MethodEstimate:
        """The same row with its status and without its numbers."""
        return MethodEstimate(self.method, status, self.estimand, self.n, self.n_left_out)


@dataclass(frozen=True, slots=True)
class StudyEstimate:
    """Everything that is known about the effect. No estimate has a number when the verdict is "withheld"."""

    estimates: tuple[MethodEstimate, ...]
    refutations: tuple[Refutation, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    identified: bool
    adjustment_set: tuple[str, ...]
    balance: tuple[Balance, ...]
    overlap: Overlap | None


def estimate_study(
    frame: pl.DataFrame | pd.DataFrame,
    *,
    treatment: str,
    control_value: Any,
    treated_value: Any,
    outcome: str,
    confounders: Sequence[str],
    target: Target,
    graph: str | Sequence[Edge] | None = None,
    seed: int,
    placebo_simulations: int = 20,
    alpha: float = 0.05,
) -> StudyEstimate:
    """Estimate a declared observational study, refute it, and say whether to believe it.

    `frame` has one row per unit and is not changed. Rows with a missing treatment, outcome or confounder are
    left out and counted. Text confounders enter as indicators, rare levels folded into "(other)". Without a
    `graph` (DOT, or a list of edges) every confounder is a cause of both treatment and outcome; with one,
    the confounders are what was measured and the graph decides which of them to adjust for.

    Estimates: `unadjusted`, the difference in means with Welch's interval; `dowhy_linear_regression`, with
    an HC3 standard error (MacKinnon & White 1985; HC1 when a unit is fitted exactly, `settings["variance"]`)
    and Student's t. Where effects differ between units the regression estimates their average weighted by
    the conditional variance of treatment (Angrist 1998, Econometrica 66, 249-288), not the ATE: `estimand`
    says so, and a target of ATT or ATC earns a caution.

    Refutations: `placebo_treatment` (DoWhy's, by permutation) and `functional_form`.

    Verdict: "withheld" when the data refuse (see `read_study_frame`), the effect is not identified, the
    treatment is a function of the confounders, or more than 10 % of the units have no counterpart (see
    `overlap`); "caution" when a refutation finds a problem or cannot run, 2 to 10 % have no counterpart,
    over 20 % of the rows were left out, a confounder is not in the graph, nothing was adjusted for, or the
    target is another one; otherwise "credible", which no check can turn into proof that nothing was left
    unmeasured.

    Raises ValueError for an unknown target or an alpha outside (0, 1); everything else is a status.
    """
    check_alpha(alpha)
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {', '.join(get_args(Target))}, not {target!r}")
    contrast = f"{treatment} ({treated_value} against {control_value})"
    in_words = {
        UNADJUSTED: f"difference in mean {outcome} between the units with and without {contrast}, as they "
        "are: an effect only if the treatment was as good as random",
        LINEAR_REGRESSION: f"average effect of {contrast} on {outcome} among units alike in the adjustment "
        "set, weighted by how undecided their treatment was; the ATE, ATT and ATC alike if the effect is the "
        "same for everybody",
    }
    data = read_study_frame(
        frame,
        treatment=treatment,
        control_value=control_value,
        treated_value=treated_value,
        outcome=outcome,
        confounders=confounders,
    )
    if isinstance(data, Refusal):
        return _refused_by_data(data, in_words)

    blank = {
        method: MethodEstimate(method, "withheld", words, len(data.outcome), data.n_left_out)
        for method, words in in_words.items()
    }
    identification = _identify(graph, treatment, outcome, confounders)
    adjust_for = tuple(name for name in identification.adjustment_set if name in data.confounders)
    encoded = data.encoded(adjust_for)
    if len(data.outcome) - len(encoded.columns) - 2 < MIN_RESIDUAL_DF:
        reason = f"{len(data.outcome)} complete rows, {len(encoded.columns)} columns of confounders: too few"
        few = Refusal("too_few_units", reason, len(data.outcome), data.n_left_out)
        return _refused_by_data(few, in_words)
    independent = encoded.independent()
    with quiet():
        groups = overlap(independent.values, data.treated) if identification.identified else None
    described = data.encoded(tuple(data.confounders))
    result = StudyEstimate(
        estimates=tuple(blank.values()),
        refutations=(),
        verdict="withheld",
        reasons=(),
        identified=identification.identified,
        adjustment_set=adjust_for,
        balance=balance(described.values, described.columns, data.treated),
        overlap=groups,
    )
    refusal = _refusal(target, identification, groups, independent, data)
    if refusal is not None:
        status, reason = refusal
        adjusted = blank[LINEAR_REGRESSION].without_number(status)
        return replace(result, estimates=(blank[UNADJUSTED], adjusted), reasons=(reason,))

    with one_thread():
        regression = DowhyRegression(data, independent, identification, treatment=treatment, outcome=outcome)
        settings = {
            "columns": list(independent.columns),
            "redundant_columns": [column for column in encoded.columns if column not in independent.columns],
            "set_aside": list(identification.set_aside),
        }
        adjusted = _adjusted(blank[LINEAR_REGRESSION], regression, data, alpha, settings)
        refutations: tuple[Refutation, ...] = ()
        if adjusted.status == "ok":
            refutations = _refute(regression, data, independent, seed, placebo_simulations)
    if adjusted.status != "ok":
        reason = f"no variation of {outcome} is left after adjustment"
        return replace(result, estimates=(blank[UNADJUSTED], adjusted), reasons=(reason,))
    cautions = _cautions(target, data, identification, groups, refutations)
    return replace(
        result,
        estimates=(_unadjusted(blank[UNADJUSTED], data, alpha), adjusted),
        refutations=refutations,
        verdict="caution" if cautions else "credible",
        reasons=tuple(cautions),
    )


def _refused_by_data(refusal: Refusal, in_words: dict[str, str]) -> StudyEstimate:
    return StudyEstimate(
        estimates=tuple(
            MethodEstimate(method, refusal.status, words, refusal.n, refusal.n_left_out)
            for method, words in in_words.items()
        ),
        refutations=(),
        verdict="withheld",
        reasons=(refusal.reason,),
        identified=False,
        adjustment_set=(),
        balance=(),
        overlap=None,
    )


def _identify(
    graph: str | Sequence[Edge] | None, treatment: str, outcome: str, confounders: Sequence[str]
) -> Identification:
    if graph is None:
        edges: Sequence[Edge] = common_cause_graph(treatment, outcome, confounders)
    elif isinstance(graph, str):
        try:
            edges = read_dot(graph)
        except ValueError as problem:
            return Identification(False, (), tuple(confounders), (), str(problem))
    else:
        edges = [(tail, head) for tail, head in graph]
    return identify_by_adjustment(edges, treatment=treatment, outcome=outcome, measured=confounders)


def _refusal(
    target: Target,
    identification: Identification,
    groups: Overlap | None,
    confounders: Encoded,
    data: StudyFrame,
) -> tuple[Status, str] | None:
    if target == "LATE":
        return "not_estimable", "a LATE needs an instrument, and this method adjusts for confounders"
    if not identification.identified or groups is None:
        return "not_estimable", f"the effect is not identified: {identification.reason}"
    if _share_unexplained(confounders, data) < COLLINEAR:
        return "not_estimable", "the treatment is a function of the confounders: no unit has a counterpart"
    if groups.share_outside > LARGE_SHARE_OUTSIDE:
        return (
            "withheld",
            f"no overlap: {groups.share_outside:.0%} of the units have no counterpart in the other group",
        )
    return None


def _share_unexplained(confounders: Encoded, data: StudyFrame) -> float:
    """Share of the treatment's variance that its linear regression on the confounders leaves."""
    treated = data.treated - data.treated.mean()
    orthogonal = np.linalg.qr(confounders.values - confounders.values.mean(axis=0))[0]
    residual = treated - orthogonal @ (orthogonal.T @ treated)
    return float(residual @ residual / (treated @ treated))


def _cautions(
    target: Target,
    data: StudyFrame,
    identification: Identification,
    groups: Overlap | None,
    refutations: Sequence[Refutation],
) -> list[str]:
    cautions = []
    for refutation in refutations:
        if refutation.problem_found:
            cautions.append(f"{refutation.name} found a problem: {refutation.detail}")
        elif refutation.problem_found is None:
            cautions.append(f"{refutation.name} could not be carried out: {refutation.detail}")
    if groups is not None and groups.share_outside > DOUBTFUL_SHARE_OUTSIDE:
        cautions.append(f"weak overlap: {groups.share_outside:.0%} of the units have no counterpart in the other group")
    share_left_out = data.n_left_out / (data.n_left_out + len(data.outcome))
    if share_left_out > LARGE_SHARE_LEFT_OUT:
        cautions.append(f"{share_left_out:.0%} of the rows were left out because a value is missing")
    if identification.unknown:
        names = ", ".join(identification.unknown)
        cautions.append(f"declared, but not in the graph and so not adjusted for: {names}")
    if set(identification.adjustment_set) <= set(data.constant):
        cautions.append("nothing was adjusted for: the estimate equals the difference in means")
    if target in ("ATT", "ATC"):
        cautions.append(
            f"the target is the {target}, which a regression estimates only if the effect is the same for all"
        )
    return cautions


def _adjusted(
    blank: MethodEstimate,
    regression: DowhyRegression,
    data: StudyFrame,
    alpha: float,
    settings: dict[str, Any],
) -> MethodEstimate:
    effect, std_error = regression.effect, regression.coefficient.std_error
    if std_error <= ROUNDING * float(np.std(data.outcome)):
        return blank.without_number("zero_variance")
    half_width = float(stats.t.isf(alpha / 2, regression.df)) * std_error
    return replace(
        blank,
        status="ok",
        effect=effect,
        std_error=std_error,
        ci_low=effect - half_width,
        ci_high=effect + half_width,
        p_value=float(2 * stats.t.sf(abs(effect) / std_error, regression.df)),
        settings={
            "alpha": alpha,
            "df": regression.df,
            "variance": regression.coefficient.variance,
            **settings,
            "constant": list(data.constant),
            "folded_levels": dict(data.folded),
        },
    )


def _refute(
    regression: DowhyRegression, data: StudyFrame, confounders: Encoded, seed: int, placebo_simulations: int
) -> tuple[Refutation, ...]:
    curved = _functional_form(data, confounders, regression.coefficient, method=LINEAR_REGRESSION)
    return (regression.placebo(seed, placebo_simulations), *(() if curved is None else (curved,)))


def _unadjusted(blank: MethodEstimate, data: StudyFrame, alpha: float) -> MethodEstimate:
    effect = difference_in_means(
        Moments.from_arrays(data.outcome[data.treated]),
        Moments.from_arrays(data.outcome[~data.treated]),
        alpha=alpha,
    )
    return replace(
        blank,
        status=effect.status,
        effect=effect.effect,
        std_error=effect.std_error,
        ci_low=effect.ci_low,
        ci_high=effect.ci_high,
        p_value=effect.p_value,
        settings={**effect.settings, "mean": effect.mean, "mean_control": effect.mean_control},
    )


def _functional_form(
    data: StudyFrame, confounders: Encoded, linear: TreatmentCoefficient, *, method: str
) -> Refutation | None:
    """Does the effect survive letting the confounders act in curves? None where there is nothing to bend.

    Squares of the standardised numeric confounders are added. The two estimates come from the same units, so
    the variance of their difference is the sum of the squared differences of each unit's contribution
    (Hausman 1978, Econometrica 46, 1251-1271, without his assumption that one of them is efficient). A
    problem is a difference that is both unlikely (p < 0.05) and larger than one standard error: in large
    data every curve is significant, and one that does not move the answer does not matter.
    """
    x, n = confounders.values, len(data.outcome)
    # An indicator has no square of its own.
    bent = [position for position in range(x.shape[1]) if len(np.unique(x[:, position])) > 2]
    if not bent or n - x.shape[1] - len(bent) - 2 < MIN_RESIDUAL_DF:
        return None
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    curved = treatment_coefficient(
        np.column_stack([np.ones(n), data.treated, scaled, scaled[:, bent] ** 2]), data.outcome
    )
    difference = curved.value - linear.value
    change = curved.influence - linear.influence
    std_error = math.sqrt(float(change @ change))
    p_value = float(2 * stats.norm.sf(abs(difference) / std_error)) if std_error > 0 else 1.0
    return Refutation(
        name="functional_form",
        method=method,
        new_effect=curved.value,
        p_value=p_value,
        problem_found=p_value < PROBLEM_ALPHA and abs(difference) > linear.std_error,
        detail=f"with squares of the numeric confounders the effect is {curved.value:.4g} instead of "
        f"{linear.value:.4g}, {abs(difference) / linear.std_error:.1f} standard errors away "
        f"(p = {p_value:.3f})",
    )
