"""What is seen in a study, held against the rules of its verdict: one function a rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from scipy import stats

from causeway.declarations.study_rules import StudyRules
from causeway.effects.balance import Balance
from causeway.effects.common_support import CommonSupport
from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Flags, Labels
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem
from causeway.effects.refutations import Refutation
from causeway.effects.studies.units import OTHER_TREATMENT, LeftOut
from causeway.effects.studies.verdict import Judged, consequence, graded
from causeway.statistics.attrition import missing_shares_p_value

# Levels of a column in which treatment is the same for all, as a share of those with two units or more.
NEARLY_ALL = 0.95
FEWEST_LEVELS = 4
# That an arm lost so much more than the other by chance.
UNLIKELY = 0.001


def judge_left_out(rules: StudyRules, left_out: LeftOut, n: int, *, is_designed: bool) -> Iterator[Judged]:
    """Rows that lack something, as a share of those that could have been used; and where one arm lost more than the
    other by far, and not by chance, for then those who are left are no longer like those who were treated.

    Rows with another treatment than the two that are compared are no loss where treatment was randomised; elsewhere
    they may be a slip, and are told.
    """
    rule = rules.left_out
    other = sum(rows for reason, rows in left_out.rows.items() if reason.startswith(OTHER_TREATMENT))
    share = (left_out.n - other) / max(1, left_out.n - other + n)
    broken = share > rule.max_share or (other > 0 and not is_designed)
    detail = f"{left_out.n:,} of {left_out.n + n:,} rows were left out: {left_out.in_words() or 'none'}"
    yield Judged("left_out", consequence(broken, rule.then), share, rule.max_share, detail)
    lost = {arm: left / (used + left) for arm, (used, left) in left_out.of_arms.items() if used + left}
    p_value = missing_shares_p_value(left_out.of_arms)
    apart = max(lost.values(), default=0.0) - min(lost.values(), default=0.0)
    if apart > rule.max_difference and p_value is not None and p_value < UNLIKELY:
        shares = " and ".join(f"{share:.1%} of the {arm}" for arm, share in lost.items())
        detail = f"rows were left out of one arm more than of the other: {shares} rows (p = {p_value:.1g})"
        yield Judged("left_out", consequence(True, rule.then), apart, rule.max_difference, detail)


def judge_overlap(rules: StudyRules, support: CommonSupport, target: Average, att: CommonSupport) -> Judged:
    """Share without a counterpart. Where the ATE has none, whether the ATT has is told."""
    rule, share = rules.overlap, support.share_outside
    detail = f"{share:.1%} of the units asked about have no counterpart in the other arm"
    severity = graded(share, rule.caution, rule.withhold)
    if severity == "withhold":
        detail = f"no overlap: {detail}"
        if target == "ATE" and att.share_outside <= rule.withhold:
            detail += (
                f"; of the treated all but {att.share_outside:.1%} have one, so the effect on them can be asked for:"
                " declare target: ATT"
            )
    elif severity == "caution":
        detail = f"weak overlap: {detail}"
    return Judged("overlap", severity, share, rule.withhold, detail)


def judge_balance(rules: StudyRules, balance: Sequence[Balance], problem: Problem) -> Judged:
    """Largest standardised difference that is left after weighting.

    Where treatment was randomised in a known way, what chance leaves is no bias: only a difference beyond it is told
    (3.9 standard errors, or more with many covariates), and nothing is withheld for it.
    """
    rule = rules.balance
    worst = max((each for each in balance if each.smd is not None), key=lambda each: abs(each.smd or 0.0), default=None)
    if worst is None or worst.smd is None:
        return Judged("balance", "fine", None, rule.caution, "there is nothing to balance")
    detail = f"after adjustment {worst.covariate} differs by {abs(worst.smd):.2f} standard deviations between the arms"
    if problem.known_propensity is not None or problem.blocks is not None:
        n_treated = int(problem.treated.sum())
        by_chance = float(stats.norm.isf(0.0001 / 2 / len(balance))) * math.sqrt(
            1 / n_treated + 1 / (problem.n - n_treated)
        )
        broken = abs(worst.smd) > max(rule.caution, by_chance) and problem.clusters is None
        return Judged("balance", "caution" if broken else "fine", abs(worst.smd), max(rule.caution, by_chance), detail)
    return Judged("balance", graded(abs(worst.smd), rule.caution, rule.withhold), abs(worst.smd), rule.caution, detail)


def judge_negative_controls(rules: StudyRules, controls: Sequence[Mapping[str, object]]) -> Judged:
    """The smallest p-value, times the number of controls."""
    rule = rules.negative_controls
    tested = [(str(each["column"]), float(str(each["p_value"]))) for each in controls if each["p_value"] is not None]
    if not tested:
        detail = "there are no negative controls" if not controls else "no negative control could be tested"
        return Judged("negative_controls", "fine" if not controls else "caution", None, rule.caution, detail)
    column, smallest = min(tested, key=lambda pair: pair[1])
    p_value = min(1.0, smallest * len(tested))
    severity = graded(p_value, rule.caution, rule.withhold, above=False)
    told = f"the negative control {column} shows an effect where there can be none (p = {p_value:.2g})"
    detail = told if severity != "fine" else f"no negative control shows an effect (smallest p = {p_value:.2g})"
    return Judged("negative_controls", severity, p_value, rule.caution, detail)


def judge_refutations(rules: StudyRules, refutations: Sequence[Refutation]) -> Iterator[Judged]:
    """One for each attempt that found a problem or could not be made; one where all is well."""
    told = 0
    for each in refutations:
        if each.problem_found or each.problem_found is None:
            told += 1
            what = "found a problem" if each.problem_found else "could not be carried out"
            severity = consequence(True, rules.refutations.then)
            said = f"{each.name} {what}"
            yield Judged("refutations", severity, each.p_value, None, f"{said}: {each.detail}", said)
    if not told:
        yield Judged("refutations", "fine", None, None, f"{len(refutations)} attempts to refute found no problem")


def judge_instability(rules: StudyRules, spread: float | None, splits: int) -> Judged:
    """How far the effect moves with the split, in standard errors."""
    rule = rules.instability
    if spread is None:
        return Judged("instability", "fine", None, rule.max_spread, "the method does not split the units")
    broken = spread > rule.max_spread
    detail = f"over {splits} splits of the units the effect varies by {spread:.2f} standard errors"
    if broken:
        detail = f"unstable: {detail}"
    return Judged("instability", consequence(broken, rule.then), spread, rule.max_spread, detail)


def judge_extrapolation(rules: StudyRules, problem: Problem, nuisances: Sequence[Nuisances]) -> Judged:
    """Predicted outcomes beyond the range of those observed in the arm, as a share of all predictions."""
    rule = rules.extrapolation
    beyond = []
    for arm, name in ((~problem.treated, "outcome_control"), (problem.treated, "outcome_treated")):
        low, high = problem.outcome[arm].min(), problem.outcome[arm].max()
        slack = 1e-9 * max(1.0, abs(low), abs(high))
        for each in nuisances:
            predicted = getattr(each, name)
            beyond.append(float(((predicted < low - slack) | (predicted > high + slack)).mean()))
    share = float(np.mean(beyond))
    detail = f"{share:.1%} of the predicted outcomes lie beyond all that were observed in the arm"
    return Judged("extrapolation", consequence(share > rule.max_share, rule.then), share, rule.max_share, detail)


def judge_clusters(
    rules: StudyRules, treated: Flags, clusters: Labels | None, columns: Mapping[str, pl.Series]
) -> Judged:
    """Without declared clusters: a column within whose levels everybody has the same treatment."""
    rule = rules.clusters_ignored
    if clusters is not None:
        return Judged("clusters_ignored", "fine", None, None, "clusters are declared")
    arm = pl.Series("treated", treated)
    for name, series in columns.items():
        levels = (
            pl.DataFrame({"level": series, "treated": arm})
            .group_by("level")
            .agg(pl.len().alias("units"), pl.col("treated").n_unique().alias("arms"))
            .filter(pl.col("units") > 1)
        )
        units = int(levels["units"].sum())
        # Fewer levels are an ordinary covariate; nearly as many as units are a number.
        if levels.height < FEWEST_LEVELS or units < 0.9 * len(treated) or units < 3 * levels.height:
            continue
        share = int((levels["arms"] == 1).sum()) / levels.height
        if share >= NEARLY_ALL:
            detail = (
                f"treatment is the same for all units of the same {name}: units are not independent;"
                f" declare clusters: {name}"
            )
            return Judged("clusters_ignored", consequence(True, rule.then), share, NEARLY_ALL, detail)
    return Judged("clusters_ignored", "fine", None, None, "treatment does not come in groups that the columns show")
