"""Writes docs/real-studies.md: published answers of real studies beside ours. Needs CAUSEWAY_REFERENCE_DATA.

The data are read where they are and never copied. Every study is a declaration, as `causeway analyze` takes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from causeway.declarations.reading import read_declaration
from causeway.declarations.study import StudyDeclaration
from causeway.effects.heterogeneity.study import heterogeneity
from causeway.effects.problem import Computing
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.many import Answered, answer_all, questions_of
from causeway.effects.studies.study import Studied, answer_study

PAGE = Path(__file__).parent / "real-studies.md"
COMPUTING = Computing(n_jobs=os.cpu_count() or 1)
SIMULATIONS = (1, 2, 3, 4, 5)
COINSURANCE = (25, 50, 95)


@dataclass(frozen=True)
class Published:
    """One published number, and what of ours is held against it.

    value, std_error: as printed; low, high: what is accepted of the effect. A printed standard error must be ours to
    its last digit; classical: it is the one for equal variances. inside: what must lie in our interval as well.
    """

    question: str
    method: str
    value: str
    low: float
    high: float
    std_error: str | None = None
    classical: bool = False
    inside: float | None = None
    outcome: str | None = None
    segment: str | None = None


@dataclass(frozen=True)
class Fact:
    """What is published besides effects: `ours` gives ours in words, and whether it is the same."""

    question: str
    published: str
    ours: Callable[[Sequence[Studied | Answered]], tuple[str, bool]]


@dataclass(frozen=True)
class RealStudy:
    """A declaration without its first and last lines, the frame that it is about, and what is published of it.

    unit: what our effects are multiplied by to be in the published unit. verdict: what it has to be.
    """

    name: str
    spec: str
    frame: Callable[[Path], pl.DataFrame]
    published: tuple[Published, ...] = ()
    facts: tuple[Fact, ...] = ()
    verdicts: tuple[str, ...] = ("credible", "caution")
    unit: float = 1.0

    @property
    def text(self) -> str:
        """The whole declaration."""
        return f"kind: study\ntenant: demo\n{self.spec}source: {{file: study.csv}}\n"

    @property
    def declaration(self) -> StudyDeclaration:
        read = read_declaration(self.text, self.name)
        assert isinstance(read, StudyDeclaration)
        return read

    def answered(self, data: Path, seed: int = 0) -> Sequence[Studied | Answered]:
        """About everybody first, then further outcomes and segments; without attempts to refute."""
        frame, study = self.frame(data), self.declaration
        if not study.outcomes and not study.segments:
            return [answer_study(frame, study, seed=seed, computing=COMPUTING, in_full=False)]
        questions = [replace(each, in_full=False) for each in questions_of(frame, study)]
        return answer_all(questions, seed=seed, computing=COMPUTING)


@dataclass(frozen=True)
class Compared:
    """A published number beside ours."""

    study: RealStudy
    published: Published
    row: MethodEstimate
    verdict: str

    @property
    def within(self) -> bool:
        row, published, unit = self.row, self.published, self.study.unit
        if row.effect is None or row.ci_low is None or row.ci_high is None:
            return False
        low, high = unit * row.ci_low, unit * row.ci_high
        return (
            published.low <= unit * row.effect <= published.high
            and (published.std_error is None or self.std_error == published.std_error)
            and (published.inside is None or low <= published.inside <= high)
        )

    @property
    def std_error(self) -> str:
        found = self.row.settings.get("std_error_classical") if self.published.classical else self.row.std_error
        like = self.published.std_error or self.published.value.lstrip("+-")
        return "-" if found is None else as_printed(self.study.unit * float(found), like)


def as_printed(value: float, like: str) -> str:
    """With as many digits as a published number has, and its sign."""
    digits = len(like.partition(".")[2])
    return f"{value:{'+' if like[0] in '+-' else ''},.{digits}f}"


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None, null_values=["NA", ""])


def _nhefs(data: Path) -> pl.DataFrame:
    frame = _read(data / "nhefs" / "nhefs.csv")
    # Codes, not amounts.
    return frame.with_columns(pl.col("education", "exercise", "active").cast(pl.String).str.replace("^", "code "))


def _lalonde(controls: str) -> Callable[[Path], pl.DataFrame]:
    def frame(data: Path) -> pl.DataFrame:
        trial = _read(data / "lalonde" / "nsw_dw.csv")
        others = _read(data / "lalonde" / f"{controls}_controls.csv")
        return pl.concat([trial.filter(pl.col("treat") == 1), others])

    return frame


def _star(data: Path) -> pl.DataFrame:
    return _read(data / "star" / "star.csv").with_columns(score=pl.col("readk") + pl.col("mathk"))


def _acic(simulation: int) -> Callable[[Path], pl.DataFrame]:
    def frame(data: Path) -> pl.DataFrame:
        known = _read(data / "acic2016" / f"zymu_{simulation}.csv")
        observed = pl.when(pl.col("z") == 1).then("y1").otherwise("y0").alias("y")
        return pl.concat([_read(data / "acic2016" / "x.csv"), known.with_columns(observed)], how="horizontal")

    return frame


def _randhie(data: Path) -> pl.DataFrame:
    del data
    from statsmodels.datasets import randhie

    frame = pl.from_pandas(randhie.load_pandas().data)
    share = (pl.col("lncoins").exp() - 1).round().cast(pl.Int64)
    return pl.DataFrame(frame).with_columns(coinsurance=share)


TWO = "{control: 0, treated: 1}"
TRAINEES = "[age, education, black, hispanic, married, nodegree, re74, re75]"
REGIONS = ", ".join(f"reg66{number}" for number in range(2, 10))
COVARIATES = ", ".join(f"x_{number}" for number in range(1, 59))


def _spec(key: str, unit: str, treatment: str, values: str | None, outcome: str, *lines: str) -> str:
    two = "" if values is None else f", values: {values}"
    head = f"key: {key}\nunit: {unit}\ntreatment: {{column: {treatment}{two}}}\noutcome: {{column: {outcome}}}\n"
    return head + "".join(f"{line}\n" for line in lines)


def _about(value: str, tolerance: float) -> dict[str, Any]:
    number = float(value.replace(",", ""))
    return {"value": value, "low": number - tolerance, "high": number + tolerance}


def _left_out(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
    answer = answers[0].answer
    return f"{answer.n:,} used; left out: {dict(answer.left_out)}", answer.left_out == {"without wt82_71": 63}


def _raw_imbalance(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
    balance = answers[0].answer.diagnostics["balance"]
    largest = max(abs(each["smd_before"]) for each in balance)
    return f"{largest:.2f}", f"{largest:.2f}" == "2.43"


def _refused_with_the_att_offered(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
    answer = answers[0].answer
    numbers = [row for row in answer.estimates if row.effect is not None]
    offered = [reason for reason in answer.reasons if "declare target: ATT" in reason]
    return f"{answer.verdict}: {offered[0] if offered else answer.reasons[0]}", bool(offered) and not numbers


def _first_stage(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
    answer = answers[0].answer
    stage = answer.diagnostics["instrument"]["two_stage_least_squares"]["first_stage"]
    found = f"{stage['f_classical']:.1f}"
    return f"{found}, {answer.verdict}", (found, answer.verdict) == ("13.3", "caution")


def _units_of_three_arms(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
    answer = answers[0].answer
    third = sum(rows for reason, rows in answer.left_out.items() if reason.startswith("with another"))
    return f"{answer.n:,} and {third:,} in the third arm", answer.n + third == 5_786


def _satt(simulation: int) -> Callable[[Path], tuple[float, float]]:
    def truth(data: Path) -> tuple[float, float]:
        frame = _acic(simulation)(data)
        treated = frame.filter(pl.col("z") == 1)
        sd = float(np.std(frame["y"].to_numpy(), ddof=1))
        return float((treated["mu1"] - treated["mu0"]).to_numpy().mean()), sd

    return truth


def studies(data: Path) -> Iterator[RealStudy]:
    """Every study of the reference data with what is published of it."""
    yield RealStudy(
        "NHEFS: quitting smoking on weight, kg",
        _spec(
            "nhefs", "person", "qsmk", TWO, "wt82_71",
            "confounders: [sex, race, age, education, smokeintensity, smokeyrs, exercise, active, wt71]",
        ),
        _nhefs,
        (
            Published("unadjusted", "difference_in_means", **_about("2.54", 0.005)),
            Published("adjusted", "ipw", **_about("3.44", 0.05)),
            Published("adjusted", "g_formula", **_about("3.52", 0.05)),
            Published("adjusted", "aipw", **_about("3.46", 0.15)),
        ),
        (Fact("without the outcome", "1,566 used, 63 lack it", _left_out),),
    )  # fmt: skip
    yield RealStudy(
        "NSW: training on earnings, $",
        _spec("nsw", "person", "treat", TWO, "re78", f"known_propensity: {185 / 445:.6f}"),
        lambda data: _read(data / "lalonde" / "nsw_dw.csv"),
        (Published("experiment", "difference_in_means", **_about("1,794.34", 0.005), std_error="671.00"),),
    )
    yield RealStudy(
        "NSW trainees beside CPS-1, $",
        _spec("cps", "person", "treat", TWO, "re78", f"confounders: {TRAINEES}", "target: ATT"),
        _lalonde("cps1"),
        (
            Published("unadjusted", "difference_in_means", **_about("-8,498", 0.5)),
            Published("adjusted", "aipw", "1,794", 800.0, 2_800.0, inside=1_794.34),
        ),
        (Fact("largest raw difference, sd", "2.43", _raw_imbalance),),
    )
    yield RealStudy(
        "NSW trainees beside CPS-1, $: everybody",
        _spec("cps_ate", "person", "treat", TWO, "re78", f"confounders: {TRAINEES}"),
        _lalonde("cps1"),
        facts=(Fact("ATE", "no overlap", _refused_with_the_att_offered),),
        verdicts=("withheld",),
    )
    yield RealStudy(
        "NSW trainees beside PSID-1, $",
        _spec("psid", "person", "treat", TWO, "re78", f"confounders: {TRAINEES}", "target: ATT"),
        _lalonde("psid1"),
        (Published("unadjusted", "difference_in_means", **_about("-15,205", 0.5)),),
    )
    yield RealStudy(
        "Card: schooling on log wage",
        _spec(
            "card", "person", "educ", None, "lwage", "instruments: [nearc4]", "target: LATE",
            f"confounders: [exper, expersq, black, smsa, south, smsa66, {REGIONS}]",
        ),
        lambda data: _read(data / "card" / "card.csv"),
        (
            Published("by nearc4", "2sls", **_about("0.1315", 0.0005), std_error="0.0550", classical=True),
            Published(
                "least squares", "linear_regression", **_about("0.0747", 0.00005), std_error="0.0035", classical=True
            ),
        ),
        (Fact("first-stage F, verdict", "13.3, caution", _first_stage),),
        verdicts=("caution",),
    )  # fmt: skip
    yield RealStudy(
        "401(k): eligibility on assets, $",
        _spec(
            "k401", "household", "e401", TWO, "net_tfa",
            "confounders: [age, inc, educ, fsize, marr, twoearn, db, pira, hown]",
        ),
        lambda data: _read(data / "k401" / "401k.csv"),
        (
            Published("interactive", "aipw", "7,000 to 9,500", 7_000.0, 9_500.0),
            Published("partially linear", "partially_linear", "7,000 to 9,500", 7_000.0, 9_500.0),
        ),
    )  # fmt: skip
    for key, arm, value, error in (("small", "small", "+13.90", "2.45"), ("aide", "regular+aide", "+0.31", "2.27")):
        yield RealStudy(
            f"STAR: {arm} class on scores, points",
            _spec(
                f"star_{key}", "child", "stark", f"{{control: regular, treated: {arm}}}", "score",
                "known_propensity: 0.5",
            ),
            _star,
            (Published("plain", "difference_in_means", **_about(value, 0.005), std_error=error),),
            (Fact("children", "5,786 in three arms", _units_of_three_arms),),
        )  # fmt: skip
    yield RealStudy(
        "STAR: small class within schools, points",
        _spec("star_schools", "child", "stark", "{control: regular, treated: small}", "score", "blocks: schoolidk"),
        _star,
        (Published("a constant a school", "linear_regression", **_about("+16.0", 0.05), std_error="2.2"),),
    )
    mails = (
        ("mens", "Mens E-Mail", ("+7.659", "0.339"), ("+0.681", "0.092"), ("+0.770", "0.145")),
        ("womens", "Womens E-Mail", ("+4.523", "0.323"), ("+0.311", "0.082"), ("+0.424", "0.130")),
    )
    for key, arm, visit, conversion, spend in mails:
        segments = [("womens=0", "+1.11", "0.44"), ("womens=1", "+7.31", "0.46")] if key == "womens" else []
        common = ("known_propensity: 0.5", *(["segments: [womens]"] if segments else []))
        values = f"{{control: No E-Mail, treated: {arm}}}"
        yield RealStudy(
            f"Hillstrom: {arm}, pp",
            _spec(f"hillstrom_{key}", "customer", "segment", values, "visit", "outcomes: [conversion]", *common),
            lambda data: _read(data / "hillstrom" / "hillstrom.csv"),
            (
                Published("visit", "difference_in_means", **_about(visit[0], 0.0005), std_error=visit[1]),
                Published(
                    "conversion", "difference_in_means", **_about(conversion[0], 0.0005), std_error=conversion[1],
                    outcome="conversion",
                ),
                *(
                    Published(
                        f"visit where {segment}", "difference_in_means", **_about(value, 0.005), std_error=error,
                        segment=segment,
                    )
                    for segment, value, error in segments
                ),
            ),
            unit=100.0,
        )  # fmt: skip
        yield RealStudy(
            f"Hillstrom: {arm}, $",
            _spec(f"hillstrom_{key}_spend", "customer", "segment", values, "spend", common[0]),
            lambda data: _read(data / "hillstrom" / "hillstrom.csv"),
            (Published("spend", "difference_in_means", **_about(spend[0], 0.0005), std_error=spend[1]),),
        )
    yield from _rand()
    for simulation in SIMULATIONS:
        truth, sd = _satt(simulation)(data)
        yield RealStudy(
            f"ACIC 2016, simulation {simulation}",
            _spec(f"acic_{simulation}", "child", "z", TWO, "y", f"confounders: [{COVARIATES}]", "target: ATT"),
            _acic(simulation),
            (Published(f"true effect on the treated, sd {sd:.2f}", "aipw", **_about(f"{truth:.3f}", 0.03 * sd)),),
            (Fact("mean effect of units, over the treated", f"{truth:.3f}", _effects_of_units(truth, 0.03 * sd)),),
        )


def _rand() -> Iterator[RealStudy]:
    """The RAND experiment as statsmodels ships it: the means of its file, and their order."""
    for share, difference in zip(COINSURANCE, ("-0.33", "-0.56", "-1.01"), strict=True):
        yield RealStudy(
            f"RAND: {share} % coinsurance on visits",
            _spec(
                f"rand_{share}", "person_year", "coinsurance", f"{{control: 0, treated: {share}}}", "mdvis",
                "known_propensity: 0.5",
            ),
            _randhie,
            (Published("against free care", "difference_in_means", **_about(difference, 0.01)),),
        )  # fmt: skip


def _effects_of_units(truth: float, tolerance: float) -> Callable[[Sequence[Studied | Answered]], tuple[str, bool]]:
    def ours(answers: Sequence[Studied | Answered]) -> tuple[str, bool]:
        found_alone = answers[0]
        assert isinstance(found_alone, Studied)
        arms, units = found_alone.arms, found_alone.units
        assert arms is not None and units is not None
        problem, modifiers = arms.problem, units.confounders.independent()
        found = heterogeneity(
            problem.outcome,
            problem.treated,
            modifiers.values,
            modifiers.columns,
            arms.nuisances,
            n_jobs=COMPUTING.n_jobs,
        )
        mean = float(np.mean(found.cate.effect[problem.treated]))
        return f"{mean:.3f}", abs(mean - truth) <= tolerance

    return ours


@dataclass(frozen=True)
class Told:
    """A fact beside ours."""

    study: RealStudy
    fact: Fact
    ours: str
    holds: bool


@dataclass(frozen=True)
class Found:
    """All that is compared."""

    compared: tuple[Compared, ...]
    told: tuple[Told, ...]
    verdicts: Mapping[str, str]


def found_in(data: Path, only: Callable[[RealStudy], bool] = lambda study: True) -> Found:
    """Every published number and fact of the studies beside ours."""
    compared, told, verdicts = [], [], {}
    for study in filter(only, studies(data)):
        answers = study.answered(data)
        verdicts[study.name] = answers[0].answer.verdict
        for published in study.published:
            answer = next(
                each.answer
                for each in answers
                if (published.outcome or study.declaration.outcome.column, published.segment)
                == (each.answer.outcome, each.answer.segment)
            )
            row = next(row for row in answer.estimates if row.method == published.method)
            compared.append(Compared(study, published, row, answer.verdict))
        told += [Told(study, fact, *fact.ours(answers)) for fact in study.facts]
    return Found(tuple(compared), tuple(told), verdicts)


def line_of_number(each: Compared) -> str:
    """A published number in the page."""
    row, published, unit = each.row, each.published, each.study.unit
    if row.effect is None or row.ci_low is None or row.ci_high is None:
        raise ValueError(f"{each.study.name}: {row.method}: {row.status}")
    like = published.value.split()[0]
    ours, low, high = (as_printed(unit * value, like) for value in (row.effect, row.ci_low, row.ci_high))
    theirs = published.value if published.std_error is None else f"{published.value} ({published.std_error})"
    return (
        f"| {each.study.name} | {published.question} | `{row.method}` | {row.target} | {theirs} |"
        f" {ours} ({each.std_error}) | {low} to {high} | {each.verdict} | {'yes' if each.within else '**no**'} |"
    )


def line_of_fact(each: Told) -> str:
    """Something else that is published, in the page."""
    holds = "yes" if each.holds else "**no**"
    return f"| {each.study.name} | {each.fact.question} | {each.fact.published} | {each.ours} | {holds} |"


def page(found: Found) -> str:
    """The whole page."""
    lines = [
        "# Real studies",
        "",
        *INTRODUCTION,
        "",
        "| study | question | method | target | published (SE) | ours (SE) | 95 % interval | verdict"
        " | within tolerance |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(line_of_number, found.compared),
        "",
        "| study | what else is published | published | ours | the same |",
        "|---|---|---|---|---|",
        *map(line_of_fact, found.told),
    ]
    return "\n".join([*lines, "", *REMARKS]) + "\n"


INTRODUCTION = (
    "Published answers beside what Causeway makes of the same rows. Each study is a declaration as `causeway analyze`",
    "takes it; all of them are in `docs/draw_real_studies.py`, which writes this page, and a test compares it with the",
    "data. The data are not part of the project: tests find them through `CAUSEWAY_REFERENCE_DATA`. The target is",
    "printed beside each number, for estimates of different targets need not agree.",
)
REMARKS = (
    "- NHEFS: education, exercise and activity are codes and adjusted for as such. Squares need not be declared: the",
    "  g-formula and weighting take the square of every number.",
    "- Card: the standard errors in print are for equal variances, and so are these; the interval is the robust one.",
    "- 401(k): what is published is a range over learners. Another seed moves neither number by half a standard error",
    "  (`tests/test_real_studies.py`).",
    "- STAR: standard errors are robust. The verdict is caution for the rows without a class or a score.",
    "- RAND, as it comes with statsmodels: differences of that file's averages. Manning et al. (1987) report 4.55,",
    "  3.33, 3.03 and 2.73 visits: order and direction are the same. The file has several years of a person and no id",
    "  of the person, so the intervals are too narrow.",
    "- ACIC 2016: the truth is known, as the data are simulated on real covariates; the tolerance is 0.03 standard",
    "  deviations of the outcome.",
)

if __name__ == "__main__":
    folder = os.environ.get("CAUSEWAY_REFERENCE_DATA")
    if not folder:
        sys.exit("set CAUSEWAY_REFERENCE_DATA to the folder of the reference data")
    PAGE.write_text(page(found_in(Path(folder))), encoding="utf-8")
