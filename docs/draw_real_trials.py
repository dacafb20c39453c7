"""Writes docs/real-trials.md: published answers of real trials beside ours. Needs CAUSEWAY_REFERENCE_DATA.

The data are read where they are and never copied.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.post_stratification import post_stratified_difference

PAGE = Path(__file__).parent / "real-trials.md"
HILLSTROM, LALONDE, STAR = "Hillstrom e-mail campaign", "NSW job training", "STAR class sizes"
NSW_COVARIATES = ("age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75")


@dataclass(frozen=True)
class Answer:
    """One published number beside ours.

    published, std_error: as printed; what is published without a standard error has None. unit: what ours is
    multiplied by to be in the same unit. exact: the same estimand on the same rows, so that every printed digit must
    agree; else the published value must be inside our interval, which it must be in any case.
    """

    trial: str
    question: str
    method: str
    published: str
    std_error: str | None
    effect: Effect
    unit: float = 1.0
    exact: bool = True

    @property
    def agrees(self) -> bool:
        """Whether every printed digit of the effect, and of its standard error if there is one, is ours."""
        if self.effect.effect is None or self.effect.std_error is None:
            return False
        pairs = [(self.published, self.effect.effect), (self.std_error, self.effect.std_error)]
        return all(_as_printed(self.unit * ours, theirs) == theirs for theirs, ours in pairs if theirs is not None)

    @property
    def inside(self) -> bool:
        """Whether the published effect lies in our interval."""
        low, high = self.effect.ci_low, self.effect.ci_high
        if low is None or high is None:
            return False
        return self.unit * low <= float(self.published.replace(",", "")) <= self.unit * high


def _as_printed(value: float, like: str) -> str:
    """With as many digits as a published number has, and its sign."""
    digits = len(like.partition(".")[2])
    return f"{value:{'+' if like[0] in '+-' else ''}{',' if ',' in like else ''}.{digits}f}"


def answers(data: Path) -> list[Answer]:
    """Every published answer of a randomised trial among the reference data, and two raw differences beside them."""
    return [*_hillstrom(data), *_lalonde(data), *_star(data), *_raw(data)]


def _hillstrom(data: Path) -> Iterator[Answer]:
    frame = pl.read_csv(data / "hillstrom" / "hillstrom.csv", infer_schema_length=None)
    published = [
        ("visit", "Mens E-Mail", "+7.659", "0.339"),
        ("visit", "Womens E-Mail", "+4.523", "0.323"),
        ("conversion", "Mens E-Mail", "+0.681", "0.092"),
        ("conversion", "Womens E-Mail", "+0.311", "0.082"),
        ("spend", "Mens E-Mail", "+0.770", "0.145"),
        ("spend", "Womens E-Mail", "+0.424", "0.130"),
    ]
    before = ["recency", "history", "womens", "mens", "newbie"]
    for metric, arm, effect, std_error in published:
        unit, in_what = (1.0, "$") if metric == "spend" else (100.0, "pp")
        rows = [frame.filter(pl.col("segment") == name) for name in (arm, "No E-Mail")]
        plain = difference_in_means(*(Moments.from_arrays(each[metric].to_numpy()) for each in rows))
        question = f"{arm} on {metric}, {in_what}"
        yield Answer(HILLSTROM, question, "difference_in_means", effect, std_error, plain, unit)
        yield Answer(HILLSTROM, question, "cuped", effect, None, _cuped(rows, metric, before), unit, exact=False)
        strata = [_by(each, "zip_code", metric) for each in rows]
        stratified = post_stratified_difference(*strata)
        yield Answer(HILLSTROM, question, "post_stratified (zip code)", effect, None, stratified, unit, exact=False)
    for womens, effect, std_error in ((0, "+1.11", "0.44"), (1, "+7.31", "0.46")):
        some = frame.filter(pl.col("womens") == womens)
        arms = [some.filter(pl.col("segment") == name)["visit"] for name in ("Womens E-Mail", "No E-Mail")]
        found = difference_in_means(*(Moments.from_arrays(each.to_numpy()) for each in arms))
        question = f"Womens E-Mail on visit where womens = {womens}, pp"
        yield Answer(HILLSTROM, question, "difference_in_means", effect, std_error, found, 100.0)


def _lalonde(data: Path) -> Iterator[Answer]:
    frame = pl.read_csv(data / "lalonde" / "nsw_dw.csv")
    arms = [frame.filter(pl.col("treat") == arm) for arm in (1, 0)]
    plain = difference_in_means(*(Moments.from_arrays(arm["re78"].to_numpy()) for arm in arms))
    question = "training on earnings of 1978, $"
    yield Answer(LALONDE, question, "difference_in_means", "1,794.34", "671.00", plain)
    yield Answer(LALONDE, question, "cuped", "1,794.34", None, _cuped(arms, "re78", NSW_COVARIATES), exact=False)
    strata = [_by(arm.with_columns(pl.col("nodegree").cast(pl.String)), "nodegree", "re78") for arm in arms]
    stratified = post_stratified_difference(*strata)
    yield Answer(LALONDE, question, "post_stratified (degree)", "1,794.34", None, stratified, exact=False)


def _star(data: Path) -> Iterator[Answer]:
    frame = pl.read_csv(data / "star" / "star.csv", infer_schema_length=None, null_values=["NA", ""])
    frame = frame.with_columns(score=pl.col("readk") + pl.col("mathk")).drop_nulls(["stark", "score"])
    published = (("small", "+13.90", "2.45"), ("regular+aide", "+0.31", "2.27"))
    for arm, effect, std_error in published:
        rows = [frame.filter(pl.col("stark") == name) for name in (arm, "regular")]
        plain = difference_in_means(*(Moments.from_arrays(each["score"].to_numpy()) for each in rows))
        question = f"{arm} class on reading and mathematics, points"
        yield Answer(STAR, question, "difference_in_means", effect, std_error, plain)
        yield Answer(STAR, question, "clusters (schools)", effect, None, _of_schools(rows), exact=False)
    rows = [frame.filter(pl.col("stark") == name) for name in ("small", "regular")]
    schools = post_stratified_difference(*(_by(each, "schoolidk", "score") for each in rows))
    question = "small class, within schools, points"
    yield Answer(STAR, question, "post_stratified (school)", "+16.0", None, schools, exact=False)


def _raw(data: Path) -> Iterator[Answer]:
    """Observational data: the raw difference is published too, as what not to believe."""
    folder = data / "lalonde"
    treated = pl.read_csv(folder / "nsw_dw.csv").filter(pl.col("treat") == 1)["re78"].to_numpy()
    for name, effect in (("cps1", "-8,498"), ("psid1", "-15,205")):
        controls = pl.read_csv(folder / f"{name}_controls.csv")["re78"].to_numpy()
        found = difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(controls))
        yield Answer("not a trial", f"trainees beside {name.upper()}, $", "difference_in_means", effect, None, found)
    frame = pl.read_csv(data / "nhefs" / "nhefs.csv", infer_schema_length=None).drop_nulls("wt82_71")
    arms = (frame.filter(pl.col("qsmk") == quit)["wt82_71"].to_numpy() for quit in (1, 0))
    found = difference_in_means(*(Moments.from_arrays(arm) for arm in arms))
    yield Answer("not a trial", "quitting smoking on weight, kg", "difference_in_means", "2.54", None, found)


def _cuped(rows: Sequence[pl.DataFrame], outcome: str, before: Sequence[str]) -> Effect:
    arms = (
        JointMoments.from_arrays(
            {"outcome": each[outcome].to_numpy(), **{name: each[name].to_numpy() for name in before}}
        )
        for each in rows
    )
    return cuped(*arms, list(before))


def _by(rows: pl.DataFrame, stratum: str, outcome: str) -> Mapping[str, Moments]:
    return {str(level): Moments.from_arrays(some[outcome].to_numpy()) for (level,), some in rows.group_by(stratum)}


def _of_schools(rows: Sequence[pl.DataFrame]) -> Effect:
    """Children were randomised within schools, and those of one school are alike."""
    treated = np.repeat([True, False], [each.height for each in rows])
    together = pl.concat(rows)
    clusters = ClustersAcrossArms.from_arrays(together["schoolidk"].to_numpy(), treated, together["score"].to_numpy())
    return effect_across_clusters(clusters)


def page(found: Sequence[Answer]) -> str:
    """The whole page."""
    lines = [
        "# Real trials",
        "",
        *INTRODUCTION,
        "",
        "| trial | question | method | published (SE) | ours (SE) | 95 % interval | agreement |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        effect = each.effect
        if effect.effect is None or effect.std_error is None or effect.ci_low is None or effect.ci_high is None:
            raise ValueError(f"{each.question}: {effect.status}")
        ours, error, low, high = (
            _as_printed(each.unit * value, each.published)
            for value in (effect.effect, effect.std_error, effect.ci_low, effect.ci_high)
        )
        if each.std_error is not None:
            error = _as_printed(each.unit * effect.std_error, each.std_error)
        verdict = "to the digit" if each.exact and each.agrees else "inside the interval" if each.inside else "**no**"
        theirs = each.published if each.std_error is None else f"{each.published} ({each.std_error})"
        interval = f"{low} to {high}"
        lines.append(
            f"| {each.trial} | {each.question} | `{each.method}` | {theirs} | {ours} ({error.lstrip('+')}) | {interval}"
            f" | {verdict} |"
        )
    return "\n".join([*lines, "", *REMARKS]) + "\n"


INTRODUCTION = (
    "Published answers beside what Causeway makes of the same rows. The data are not part of the project: tests find",
    "them through `CAUSEWAY_REFERENCE_DATA`. This page is written by `python docs/draw_real_trials.py`, and a test",
    "compares it with the data. The difference in means must agree to the printed digit, standard error included. A",
    "method that adjusts asks the same question in another way, and must hold the published value in its interval.",
)
REMARKS = (
    "- Hillstrom's arms hold 21,306, 21,307 and 21,387 customers: the sample ratio test gives p = 0.904. `causeway",
    "  analyze` gives these effects from a spec beside the file (`tests/cli/test_analyze.py`), and those of the two",
    "  other trials (`tests/cli/test_real_trials.py`).",
    "- For the training programme 671.00 is Welch's standard error; the 632.85 also in print is that of a regression",
    "  that takes both variances for equal.",
    "- In STAR children were randomised within schools. +16.0 is a regression with a constant for each school, which",
    "  weighs schools by how evenly their children were split; post-stratification weighs them by their children. Both",
    "  are averages of the same effects, so the one is asked to lie in the interval of the other and not to be it.",
    "- Three data sets are no trials: what is published of them without adjustment is a difference, and agrees. Their",
    "  adjusted answers are those of studies: see `tests/causeway/effects/test_observational.py`.",
    "- Of `card` (an instrument), `k401` and `acic2016` (machine-learned adjustment) no such difference is published.",
)

if __name__ == "__main__":
    folder = os.environ.get("CAUSEWAY_REFERENCE_DATA")
    if not folder:
        sys.exit("set CAUSEWAY_REFERENCE_DATA to the folder of the reference data")
    PAGE.write_text(page(answers(Path(folder))), encoding="utf-8")
