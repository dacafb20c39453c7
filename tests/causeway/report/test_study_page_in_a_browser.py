"""The page of a study as a person gets it: on a phone, on a desk, on paper; in light and dark; with names that harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from causeway.report.study_page import render_study
from causeway.report.study_report import StudyReport
from tests.browser.chromium import Tab
from tests.browser.readable import SCHEMES, WINDOWS, assert_it_can_be_read, printed_on_white
from tests.causeway.report.study_documents import document, report, withheld

LONG = "W" * 120
PAGES = {
    "usual": report(document(names=("age", "sex", "education", "smoking intensity", "weight before")), document()),
    "withheld": report(withheld()),
    "one effect": report(document(differs=False)),
    "long names": report(document(text=LONG, names=(LONG, f"{LONG}2"), outcome=LONG), text=LONG),
    "nasty names": report(
        document(
            text="<img src=https://evil.example onerror=hit()>", names=("</svg></style><iframe src=//evil.example>",),
            reasons=["'\" autofocus onfocus=hit()"],
        ),
        text='"><script>hit()</script>',
    ),
    "nothing yet": StudyReport("weight_study"),
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(written: Callable[[Mapping[str, str]], dict[str, Path]]) -> dict[str, Path]:
    return written({name: render_study(given) for name, given in PAGES.items()})


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_can_be_read(tab: Tab, pages: dict[str, Path], name: str, window: str, scheme: str) -> None:
    assert assert_it_can_be_read(tab, pages[name], window=window, scheme=scheme) > 0


def test_the_verdict_and_the_effect_are_on_the_first_screen_of_a_phone(tab: Tab, pages: dict[str, Path]) -> None:
    width, height, is_phone = WINDOWS["phone"]
    tab.window(width, height, is_phone=is_phone)
    for name in ("usual", "withheld"):
        tab.open(pages[name].as_uri())
        assert tab.run("document.querySelector('.headline').getBoundingClientRect().bottom") < height


def test_names_that_mean_harm_are_shown_as_names(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["nasty names"].as_uri())
    assert tab.run("document.querySelectorAll('script, iframe, img, [onerror], [onload], [onfocus]').length") == 0
    assert "<img src=https://evil.example onerror=hit()>" in tab.run("document.body.textContent")


def test_drawings_are_read_aloud_as_one_picture_each(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["usual"].as_uri())
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    pictures = [node["name"]["value"] for node in nodes if node["role"]["value"] in ("image", "img")]
    assert len(pictures) == 11
    assert all(len(words) > 30 for words in pictures)


def test_the_page_can_be_printed_with_everything_in_it_and_on_white(tab: Tab, pages: dict[str, Path]) -> None:
    printed_on_white(tab, pages["usual"])
