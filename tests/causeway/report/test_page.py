"""The page says what there is, in words a person reads, and nothing that is withheld, injected or fetched."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.plots.svg import cleaned
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportDecision,
    ReportEffect,
    ReportGate,
    ReportMetric,
    ReportPosterior,
    ReportResult,
)
from causeway.report.page import render
from causeway.report.rendering import content_security_policy
from causeway.statistics.effect import Effect, Status
from tests.causeway.report.reports import DIGITS, SRM, effect, report, withheld

VOID = {"meta", "link", "br", "img", "input", "hr"}
NASTY = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style></svg><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!--",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "a\x00b\ud800c\u202ed",
]


class Skeleton(HTMLParser):
    """Elements with the names of their attributes and the values that are not text, and all the text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.said += [value or "" for name, value in attrs if name in ("aria-label", "data-label")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def visible(page: str) -> str:
    """What can be read or heard."""
    skeleton = Skeleton(page)
    return " ".join((*skeleton.text, *skeleton.said))


def test_the_page_says_what_there_is() -> None:
    text = visible(render(report()))
    for part in (
        "Ship on", "+73.6 text", "66.2 to 80.9 text", "173.6 text / 100.0 text", "+74 %", "60 % to 80 %", "0.0074",
        "adjusted 0.017", "1,000", "33.33 %", "1 Mar 2024", "device=phone", "7.36 text", "0.1.0", "8 Mar 2024",
        "crossover", "not made", "text-id", "Overridden", "9 Mar 2024, 05:00 UTC",
    ):  # fmt: skip
        assert part in text.replace("\u00a0", " "), part


def test_equal_reports_give_equal_pages() -> None:
    assert render(report()) == render(report())


def test_a_withheld_report_holds_no_number_of_an_outcome() -> None:
    """Whatever it was given: neither in text, nor spoken, nor as a place in a drawing."""
    page = render(withheld())
    assert "Withheld" in page
    assert "The shares are not as declared." in page
    body = page.partition("</style>")[2]
    for known in ("73.5", "73.6", "74", "66.2", "80.9", "173", "0.0074", "0.017", "+", DIGITS, "7.3", "Ship"):
        assert known not in visible(page), known
    assert 'class="verdict' not in page
    # Without their declared weights and counts, two withheld reports of different outcomes are one and the same.
    other = tuple(replace(result, effect=effect(-5.0, 1.0)) for result in report().results)
    assert render(withheld(results=other, looks=(), posteriors=())) == page
    forest = [part for part in re.findall(r"<svg.*?</svg>\n", body) if "Forest" in part]
    assert forest
    assert not any(mark in part for part in forest for mark in ("<line", "<circle", "<path"))


@pytest.mark.parametrize(
    "changes",
    [
        {"gates": (ReportGate("srm", None, True),)},
        {"gates": (SRM, ReportGate("own", False, True, "why"))},
        {"gates": ()},
        {"gates": (SRM,), "decision": ReportDecision("withheld", None, ("because",))},
    ],
)
def test_a_report_is_withheld_by_any_gate_by_the_decision_and_by_nobody_having_looked(
    changes: dict[str, object],
) -> None:
    shown = replace(report(), **changes).as_shown()  # type: ignore[arg-type]
    assert shown.is_withheld
    assert {result.effect.status for result in shown.results} == {"withheld"}
    assert (shown.looks, shown.posteriors, shown.decision.variant) == ((), (), None)
    assert all(result.reasons and result.adjusted_p_value is None for result in shown.results)
    assert all("73.59" not in reason for reason in shown.decision.reasons)


def test_a_failed_check_that_does_not_block_withholds_nothing() -> None:
    warned = replace(report(), gates=(SRM, ReportGate("enrolment", False, False, "Too slow.")))
    assert warned.as_shown() == warned
    assert "+73.6" in render(warned)


def test_a_single_withheld_result_takes_along_what_it_could_be_read_off() -> None:
    given_ = report(names=("off", "on", "other"))
    first = given_.results[0]
    results = (replace(first, effect=first.effect.withheld(), reasons=("why",)), *given_.results[1:])
    shown = replace(given_, results=results).as_shown()
    assert {result.effect.status for result in shown.results if result.variant == "on"} == {"withheld"}
    assert {result.effect.status for result in shown.results if result.variant == "other"} == {"ok"}
    assert {looks.variant for looks in shown.looks} == {each.variant for each in shown.posteriors} == {"other"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("no_units", "an arm is empty"),
        ("too_few_units", "too few units"),
        ("zero_variance", "the outcome does not vary"),
        ("no_covariates", "nothing to adjust with"),
        ("not_estimable", "cannot be estimated"),
    ],
)
def test_a_status_stands_in_words_where_there_is_no_number(status: Status, words: str) -> None:
    results = tuple(
        replace(each, effect=ReportEffect.of(Effect(status, 1_000, 1_000, 173.59, 100.0)), adjusted_p_value=None)
        for each in report().results
    )
    page = render(replace(report(), results=results, looks=(), posteriors=(), decision=ReportDecision()))
    assert visible(page).count(words) >= 4
    assert "173" not in visible(page)


@pytest.mark.parametrize("nasty", NASTY)
def test_a_nasty_name_is_a_name(nasty: str) -> None:
    page = render(named(nasty))
    assert cleaned(nasty) in visible(page)
    assert structure(page) == structure(render(named("plain")))
    page.encode("utf-8")


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    """Every name, reason and id at once: elements and attributes stay those of a harmless one."""
    page = render(named(text))
    assert structure(page) == structure(render(named("plain")))
    page.encode("utf-8")
    for drawing in drawings(page):
        ElementTree.fromstring(drawing)


def named(text: str) -> ExperimentReport:
    gate = ReportGate(f"{text}!", True, True, text)
    given_ = report(
        names=(f"{text}0", f"{text}1", f"{text}2"), metrics=(f"{text}m",), text=text, segments=(f"{text}=s",), gate=gate
    )
    return replace(given_, experiment=text)


def structure(page: str) -> list[tuple[str, tuple[str, ...]]]:
    skeleton = Skeleton(page)
    assert skeleton.open == []
    return skeleton.elements


def drawings(page: str) -> list[str]:
    return [part for part in re.findall(r"^(<svg class=\"chart\".*</svg>)$", page, re.MULTILINE)]


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    page = render(report())
    assert "<script" not in page
    assert not re.search(r"\bon[a-z]+=|url\(|@import|https?:", page.replace("http-equiv", ""))
    assert not re.search(r"<[^>]+ style=", page), "the policy would refuse it"
    assert content_security_policy().startswith("default-src 'none'")
    assert content_security_policy().replace("'", "&#39;") in page


def test_headings_descend_by_one_and_every_table_has_a_caption_and_scopes() -> None:
    page = render(report(metrics=("visits", "spend")))
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.count("<caption>") == page.count("<table")
    assert all("scope=" in cell for cell in re.findall(r"<th [^>]*>", page))
    ids = re.findall(r'id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:aria-labelledby="|href="#)([^"]*)"', page)) <= set(ids)
    assert all('role="img" aria-label="' in drawing for drawing in drawings(page))
    assert len(drawings(page)) == 2 * (1 + 2 + 1) + 1


def test_the_largest_report_is_small() -> None:
    page = render(report(names=("a", "b", "c"), metrics=[f"metric_{i}" for i in range(10)], days=60))
    assert len(page.encode()) < 400_000


@pytest.mark.parametrize(
    "bare",
    [
        ExperimentReport("e", "u", "draft", (), ()),
        ExperimentReport("e", "u", "running", report().arms, report().metrics),
        replace(report(), arms=tuple(replace(arm, units=None) for arm in report().arms)),
        replace(report(), arms=tuple(replace(arm, weight=0.0, units=0) for arm in report().arms)),
        replace(report(), metrics=()),
        replace(report(), results=()),
    ],
)
def test_a_report_with_little_in_it_is_a_page_too(bare: ExperimentReport) -> None:
    structure(render(bare))


@pytest.mark.parametrize(
    ("direction", "low", "high", "kind", "against"),
    [
        ("increase", 1.0, 3.0, "better", "non-inferior"),
        ("increase", -3.0, -2.5, "worse", "beyond the margin"),
        ("increase", -3.0, 1.0, "not separated from zero", "margin not excluded"),
        ("decrease", 1.0, 1.5, "worse", "non-inferior"),
        ("decrease", -3.0, -1.0, "better", "non-inferior"),
        ("decrease", 2.5, 3.0, "worse", "beyond the margin"),
    ],
)
def test_better_lies_where_it_was_declared(direction: str, low: float, high: float, kind: str, against: str) -> None:
    metric = ReportMetric("m", "mean", "primary", direction, non_inferiority_margin=2.0)  # type: ignore[arg-type]
    found = ReportEffect("ok", 9, 9, 1.0, 1.0, (low + high) / 2, low, high, 0.5, (low + high) / 2, low, high)
    page = render(
        replace(
            report(),
            metrics=(metric,),
            results=(ReportResult("m", "on", "off", "adjusted", found),),
            looks=(),
            posteriors=(),
        )
    )
    assert f"{kind}; {against}" in page
    line = re.search(r'class="margin" x1="([\d.]+)%"', page)
    zero = re.search(r'class="zero" x1="([\d.]+)%"', page)
    assert line and zero
    assert (float(line[1]) < float(zero[1])) == (direction == "increase")
    span = re.search(r'class="span \w+" x1="([\d.]+)%" y1="\d+" x2="([\d.]+)%"', page)
    assert span
    # The control mean is 1, so the margin lies at 2 in units of the metric.
    scale = (float(span[2]) - float(span[1])) / (high - low)
    assert abs(float(line[1]) - float(zero[1])) == pytest.approx(2 * scale, abs=0.05)


def test_a_negative_control_mean_turns_the_relative_interval_and_not_the_verdict() -> None:
    metric = ReportMetric("profit", "mean", "guardrail", "increase", non_inferiority_margin=0.1)
    found = ReportEffect("ok", 9, 9, -90.0, -100.0, 10.0, 8.0, 12.0, 0.001, -0.1, -0.12, -0.08)
    given_ = replace(
        report(), metrics=(metric,), results=(ReportResult("profit", "on", "off", "adjusted", found),), looks=(),
        posteriors=(),
    )  # fmt: skip
    assert "better; non-inferior" in render(given_)


def test_shares_are_in_per_cent_and_their_effects_in_percentage_points() -> None:
    metric = ReportMetric("m", "conversion", "primary", minimum_effect=0.05)
    found = ReportEffect("ok", 9, 9, 0.1827, 0.1062, 0.0766, 0.07, 0.0832, 1.6e-113, 0.7212, 0.644, 0.7984)
    given_ = replace(
        report(),
        metrics=(metric,),
        results=(ReportResult("m", "on", "off", "adjusted", found),),
        looks=(),
        posteriors=(),
    )
    text = visible(render(given_)).replace("\u00a0", " ")
    for part in ("18.27 % / 10.62 %", "+7.66 pp", "7.00 to 8.32 pp", "+72.1 %", "< 0.0001", "interest 5 %"):
        assert part in text, part
    assert "0.0766" not in text


def test_an_effect_is_taken_over_with_all_its_numbers_and_without_any_where_its_status_is_not_ok() -> None:
    found = Effect("ok", 1, 2, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.9, 10.0, 11.0, 12.0)
    taken = ReportEffect("ok", 1, 2, 3.0, 4.0, 5.0, 7.0, 8.0, 0.9, 10.0, 11.0, 12.0)
    assert ReportEffect.of(found) == taken
    assert taken.withheld() == ReportEffect.of(found.withheld("why")) == ReportEffect("withheld", 1, 2)


def test_a_status_and_numbers_that_contradict_each_other_are_refused() -> None:
    for status, *numbers in (("withheld", 1.0), ("ok", 1.0), ("ok", 1.0, 1.0, math.nan, 1.0, 2.0)):
        with pytest.raises(ValueError, match="status"):
            ReportEffect(str(status), 1, 1, *map(float, numbers))
    with pytest.raises(ValueError, match="with a number"):
        ReportPosterior("m", "on", "withheld", 0.9)
    with pytest.raises(ValueError, match="from zero"):
        ReportMetric("m", "mean", non_inferiority_margin=-1.0)


def test_whoever_only_shows_a_report_loads_no_numerics() -> None:
    """A process of the API would take twice its memory for them."""
    code = "import causeway.report.page, sys; print(sorted({'numpy', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
