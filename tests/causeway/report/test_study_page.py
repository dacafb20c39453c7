"""The page of a study says what was found, and of a withheld one why, without a number of the effect anywhere."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.declarations.study import StudyDeclaration
from causeway.effects.studies.study import answer_study
from causeway.report.rendering import content_security_policy
from causeway.report.served_study import study_report_of
from causeway.report.study_charts import study_pictures
from causeway.report.study_page import render_study, sections_of
from causeway.report.study_report import StudyReport, as_shown
from tests.causeway.report.study_documents import DIGITS, EFFECT, TOLD, document, report, withheld
from tests.causeway.report.test_page import NASTY, Skeleton, visible


def spoken(page: str) -> str:
    """What can be read or heard, with plain spaces."""
    return visible(page).replace("\u00a0", " ")


def test_the_first_screen_says_the_verdict_the_effect_in_words_and_why() -> None:
    text = spoken(render_study(report(document(verdict="caution", reasons=["balance is not reached"]))))
    beginning = text[: text.index("What the verdict rests on")]
    for part in (
        "To be read with caution",
        "Average effect of quit (1 against 0) on weight over every person: +73.6 (95 % interval 66.2 to 81.0).",
        "The interval excludes zero.", "27.4 % of what is left of both treatment and outcome", "balance is not reached",
        "1,000 used, 22 left out", "by adjustment (back door)", "age, sex, smoking",
    ):  # fmt: skip
        assert part in beginning, part


def test_every_part_is_on_the_page() -> None:
    shown = report(document(), document(outcome="height", verdict="withheld", reasons=["no overlap"]))
    ids = [section.id for section in sections_of(shown.as_shown())]
    assert ids == [
        "rules", "estimates", "graph", "balance", "overlap", "instruments", "controls", "refutations", "sensitivity",
        "heterogeneity", "policy", "others", "data", "provenance",
    ]  # fmt: skip
    text = spoken(render_study(shown))
    for part in (
        "AIPW (headline)", "the undecided (overlap-weighted)", "too few units: text", "consequence of the treatment",
        "1.0 % of those asked about have no counterpart", "Effective first-stage F 41", "placebo treatment",
        "not carried out", "an association of 3.74 with both", "Area above chance (Qini) +73.6", "effect rises with it",
        "Treating those whose predicted effect is worth it means 50.0 % of the units", "In two questions: text > 1",
        "height", "no overlap", "without age", "They come in 12 clusters.", "quadratic 80 %", "seed 1", "text-id",
    ):  # fmt: skip
        assert part in text, part


def test_missing_parts_are_left_out_and_not_empty() -> None:
    whole = document()
    bare = {name: whole[name] for name in ("outcome", "verdict", "estimates", "headline", "n")}
    shown = StudyReport("weight_study", (bare,)).as_shown()
    assert [section.id for section in sections_of(shown)] == ["estimates", "data"]
    for name in whole:
        without = {key: value for key, value in whole.items() if key != name}
        if name not in ("verdict", "outcome"):
            assert render_study(StudyReport("weight_study", (without,), treatment="quit"))
    for part in ("diagnostics", "sensitivity", "heterogeneity"):
        for name in whole[part]:
            without = copy.deepcopy(whole)
            del without[part][name]
            emptied = copy.deepcopy(whole)
            emptied[part][name] = None
            for each in (without, emptied):
                page = render_study(StudyReport("weight_study", (each,), treatment="quit"))
                assert "None" not in spoken(page), (part, name)


def test_nothing_answered_yet_is_a_page_too() -> None:
    text = spoken(render_study(StudyReport("weight_study")))
    assert "Not answered yet" in text
    assert "Nothing has been estimated yet." in text


def test_one_effect_for_everybody_has_no_drivers_no_order_and_no_policy() -> None:
    page = render_study(report(document(differs=False)))
    text = spoken(page)
    assert "so one effect is served; no drivers: evidence text." in text
    for absent in ("TreeSHAP", "Qini", "Whom to treat", "predicted effect of a unit", "Best linear"):
        assert absent not in text, absent
    assert "By age" in text


def test_the_gate_is_said_before_any_effect_of_units() -> None:
    text = spoken(render_study(report()))
    part = text[text.index("For whom the effect differs") :]
    assert part.index("On held-out units, effects that differ predict better") < part.index("Average effect +73.6")


def test_a_withheld_study_holds_no_number_of_the_effect() -> None:
    """Whatever the page was given: neither in text, nor spoken, nor as a place in a drawing."""
    page = render_study(report(withheld()))
    text = spoken(page)
    assert "Withheld" in text
    assert "so no number is shown" in text
    assert "placebo_treatment found a problem" in text
    assert "Effective first-stage F 41" in text
    for known in TOLD:
        assert known not in text, known
    body = page.partition("</style>")[2]
    assert DIGITS not in body
    # Two withheld studies that differ in nothing but their effects are one and the same page.
    other = json.loads(json.dumps(withheld()).replace("73", "11"))
    words = (other["rules"][2]["detail"], other["reasons"][0])
    assert all("11.59" in each for each in words)
    assert render_study(report(other)) == page
    forest = next(part for part in re.findall(r"<svg.*?</svg>\n", body) if "Forest" in part)
    assert not any(mark in forest for mark in ("<line", "<circle", "<path"))


def test_a_withheld_answer_among_others_holds_none_either() -> None:
    page = render_study(
        report(document(differs=False) | {"estimates": [], "headline": None}, withheld(outcome="height"))
    )
    assert "placebo_treatment found a problem" in spoken(page)
    part = spoken(page)
    part = part[part.index("Further outcomes") : part.index("Data")]
    assert not [known for known in TOLD if known in part]


@pytest.mark.parametrize("verdict", ["withheld", "", None, "CREDIBLE", "unheard of"])
def test_what_is_not_known_to_be_showable_is_withheld(verdict: Any) -> None:
    shown = as_shown(document() | {"verdict": verdict})
    assert shown["verdict"] == "withheld"
    assert all(each["effect"] is None for each in shown["estimates"])
    assert (shown["sensitivity"], shown["heterogeneity"]) == ({}, {})


def test_numbers_that_are_none_are_not_shown() -> None:
    """A number beside a status that is not ok, or one that is not finite."""
    given = document()
    given["estimates"][1] |= {"status": "zero_variance"}
    given["estimates"][2] |= {"ci_low": float("nan")}
    shown = as_shown(given)["estimates"]
    assert [each["status"] for each in shown] == ["ok", "zero_variance", "not_estimable", "too_few_units"]
    assert [each["effect"] for each in shown] == [EFFECT["effect"], None, None, None]


def test_withholding_twice_changes_nothing_and_the_answer_given_is_not_changed() -> None:
    given = withheld()
    before = copy.deepcopy(given)
    once = as_shown(given)
    assert as_shown(once) == once
    assert given == before


def test_pictures_for_the_page_of_the_asset_are_those_of_what_may_be_shown() -> None:
    everything = study_pictures(document(), treatment="quit")
    assert list(everything) == [
        "estimates by method", "graph", "balance", "overlap", "refutations", "sensitivity", "effects of units",
        "effects by age", "qini", "policy",
    ]  # fmt: skip
    hidden = study_pictures(withheld(), treatment="quit")
    assert list(hidden) == ["estimates by method", "graph", "balance", "overlap", "refutations"]
    assert not [name for name, drawn in hidden.items() if any(known in drawn.markup() for known in ("73.5", "66.2"))]


def test_rows_as_they_are_served_become_a_report() -> None:
    declaration = {
        "key": "weight_study", "unit": "person", "outcome": {"column": "weight"}, "treatment": {"column": "quit"},
        "name": "Weight after quitting",
    }  # fmt: skip
    rows = [
        document(outcome="height") | {"segment": "", "provenance_id": "p1"},
        document(segment="sex=1") | {"provenance_id": "p2"},
        document() | {"segment": "", "provenance_id": "p1"},
    ]
    made = study_report_of("acme", declaration, rows, declaration_hash="abc")
    assert [(each["outcome"], each["segment"]) for each in made.answers] == [
        ("weight", None), ("weight", "sex=1"), ("height", None),
    ]  # fmt: skip
    text = spoken(render_study(made))
    assert "weight, sex=1" in text
    assert "p1, p2" in text
    assert "Weight after quitting" in text
    assert render_study(study_report_of("acme", declaration, [])).count("Not answered yet") == 2


@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_name_is_a_name(text: str) -> None:
    given = document(text=text, names=(text, f"{text}2"), treatment="quit", reasons=[text])
    page = render_study(report(given, document(outcome=text), text=text))
    skeleton = Skeleton(page)
    assert skeleton.open == []
    allowed = {"script", "iframe", "img", "object", "form"} & {tag for tag, _ in skeleton.elements}
    assert not allowed
    assert not [name for _, names in skeleton.elements for name in names if name.startswith("on")]
    assert "49" not in "".join(skeleton.text).replace("1,049", "")


def test_equal_reports_give_equal_pages_that_allow_nothing() -> None:
    page = render_study(report())
    assert page == render_study(report())
    assert content_security_policy().replace("'", "&#39;") in page
    assert "<script" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_a_web_process_renders_it_without_numerical_libraries() -> None:
    code = (
        "import causeway.report.study_page, causeway.report.served_study, sys;"
        "print(sorted({'numpy', 'scipy', 'matplotlib', 'polars', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def world_with_an_effect() -> pl.DataFrame:
    chance = np.random.default_rng(5)
    n = 400
    age = chance.normal(45, 10, n)
    quit_ = chance.random(n) < 1 / (1 + np.exp(-0.05 * (age - 45)))
    weight = 70 + 3 * quit_ + 0.2 * age + chance.normal(0, 3, n)
    return pl.DataFrame({"quit": quit_.astype(int), "weight": weight, "age": age, "alone": quit_.astype(float)})


def _study(**changes: Any) -> StudyDeclaration:
    return StudyDeclaration.model_validate(
        {
            "kind": "study", "key": "weight_study", "unit": "person", "outcome": {"column": "weight"},
            "treatment": {"column": "quit", "values": {"control": 0, "treated": 1}}, "confounders": ["age"],
            "source": {"file": "weights.csv"}, **changes,
        }
    )  # fmt: skip


def test_a_study_that_was_estimated_is_shown_as_estimated(world_with_an_effect: pl.DataFrame) -> None:
    answer = answer_study(world_with_an_effect, _study()).answer
    row = json.loads(json.dumps(answer.as_document())) | {"segment": "", "provenance_id": "p"}
    text = spoken(render_study(study_report_of("acme", _study().document(), [row])))
    headline = answer.headline_estimate
    assert headline is not None and headline.effect is not None
    assert f"+{headline.effect:.2f} (95 % interval" in text
    for method in ("AIPW", "g-formula", "IPW", "matching"):
        assert method in text
    assert "DoWhy" in text


def test_a_study_that_was_withheld_says_why_and_shows_nothing(world_with_an_effect: pl.DataFrame) -> None:
    """A confounder that is the treatment leaves nobody to compare with."""
    study = _study(confounders=["age", "alone"])
    answer = answer_study(world_with_an_effect, study).answer
    assert answer.verdict == "withheld"
    text = spoken(render_study(study_report_of("acme", study.document(), [answer.as_document()])))
    assert "Withheld" in text
    assert "no unit has a counterpart" in text
    assert "+" not in text
