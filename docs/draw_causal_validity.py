"""Writes docs/causal-validity.md from `causeway bench validity --suite causal --json`, given on standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.causal_validity import ERRORS, MOST_BIAS, MOST_WIDTH
from benchmarks.causal_worlds import CLUSTERS, SPLITS, UNITS

PAGE = Path(__file__).parent / "causal-validity.md"


def page(documents: Sequence[dict[str, Any]]) -> str:
    """The whole page: rates, bias with wrong nuisances, verdicts, and whether numbers are the same again."""
    rows = [each for each in documents if each["kind"] == "causal rates"]
    rates = [row for row in rows if row["covered"] is not None]
    biases = [row for row in rows if row["covered"] is None]
    verdicts = [each for each in documents if each["kind"] == "verdicts"]
    same = [each for each in documents if each["kind"] == "determinism"]
    first = rates[0]
    lines = ["# Causal validity", ""]
    lines.append(
        INTRODUCTION.format(
            runs=first["runs"],
            seed=first["seed"],
            error=first["error"],
            allowed=ERRORS,
            width=MOST_WIDTH,
            units=UNITS,
            clusters=CLUSTERS,
            splits=SPLITS,
        )
    )
    lines += ["", "## Intervals", ""]
    lines += [
        "| world and method | bias, sd | covered | oracle covers | width / oracle's | target | met |",
        "|---" * 7 + "|",
    ]
    for row in rates:
        oracle = "" if row["oracle_covered"] is None else f"{row['oracle_covered']:.1%}"
        width = "" if row["width"] is None else f"{row['width']:.2f}"
        lines.append(
            f"| {row['row']} | {row['bias']:+.3f} ± {row['bias_error']:.3f} | {row['covered']:.1%} | {oracle} |"
            f" {width} | {row['note'] or row['target']} | {_met(row['met'])} |"
        )
    lines += ["", "## One nuisance is wrong", "", WRONG.format(bias=MOST_BIAS), ""]
    lines += ["| AIPW where | bias, sd | target | met |", "|---" * 4 + "|"]
    lines += [
        f"| {row['row']} | {row['bias']:+.3f} ± {row['bias_error']:.3f} | {row['note'] or row['target']} |"
        f" {_met(row['met'])} |"
        for row in biases
    ]
    lines += ["", "## Verdicts", "", VERDICTS, ""]
    lines += ["| study | runs | credible | caution | withheld | target | met |", "|---" * 7 + "|"]
    lines += [
        f"| {each['scenario']} | {each['runs']} | {each['credible']:.0%} | {each['caution']:.0%} |"
        f" {each['withheld']:.0%} | {each['target']} | {_met(each['met'])} |"
        for each in verdicts
    ]
    lines += ["", "## The same numbers again", "", SAME, "", "| computed | identical |", "|---|---|"]
    lines += [f"| {each['computed']} | {_met(each['met'])} |" for each in same]
    return "\n".join([*lines, "", REMARKS]) + "\n"


def _met(met: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "-"}[met]


INTRODUCTION = """\
Whether the 95 % intervals of effects hold the truth, and whether they are as narrow as they could be:
`causeway bench validity --suite causal`, {runs:,} runs a row, seed {seed}. One Monte-Carlo error of a share near 95 %
is {error:.1%}; {allowed:.1f} are allowed, which a table of exact methods exceeds somewhere once in a hundred times.

The oracle sees the same draws, knows the true propensity and the true expected outcomes, and uses the same influence
function: the efficient one for AIPW, the coefficient's for the partially linear model, that of constant outcomes for
a difference in means. Mean width may differ from its by {width:.0%}. Methods that are not meant to be efficient have
a width without a target.

Each world has {units:,} units with four covariates; {clusters} clusters of unequal size, where there are clusters.
Effects differ between units, and more so where treatment is more likely. Nuisances are learnt as studies learn them:
the mean, quadratic regressions and boosted trees, weighed out of fold; over {splits} splits, where a study of so few
units takes seven. Bias is in standard deviations of the outcome. Rows without a target are for contrast."""
WRONG = """\
The mean takes the place of the propensity, of both outcome regressions, or of all three. What is left of the bias may
be at most {bias:g} standard deviations of the outcome while either of them is learnt."""
VERDICTS = """\
What `answer_study` says of studies that are as they should be, and of studies with a well-known mistake. A correct
study has to be called credible in most cases and a mistaken one must nearly never be; two Monte-Carlo errors are
allowed."""
SAME = """\
All that is told of one study, refutations and effects of units included, compared to the last bit with the first
time, computed in one thread."""
REMARKS = """\
Which truth: that of the whole population, except in blocks and after trimming, where it is the mean effect of the
units in the blocks, or of those kept. The partially linear model is held to its own estimand, the overlap-weighted
effect (ATO), and once more to the ATE, which it is not. Matching corrects its bias by regressions on the columns and
their squares; corrected by a line only, its ATT in this world is off by 0.045 standard deviations and covers 82 % of
the time.

Why more than three Monte-Carlo errors: some twenty shares are judged at once. See [validity](validity.md), which does
the same for experiments."""

if __name__ == "__main__":
    PAGE.write_text(page(json.load(sys.stdin)), encoding="utf-8")
