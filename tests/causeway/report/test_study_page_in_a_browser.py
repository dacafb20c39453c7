"""The page of a study as a person gets it: on a phone, on a desk, on paper; in light and dark; with names that harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeway.report.study_page import render_study
from causeway.report.study_report import StudyReport
from tests.browser.chromium import Tab, program, running
from tests.causeway.report.study_documents import document, report, withheld
from tests.causeway.report.test_page_in_a_browser import COLLISIONS, LONG, TEXTS, WINDOWS

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
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if program() is None:
        pytest.skip("there is no Chromium, and only root can install one")
    with running(tmp_path_factory.mktemp("profile")) as browser:
        yield browser.tab()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, given in PAGES.items():
        (folder / f"{name.replace(' ', '_')}.html").write_text(render_study(given), encoding="utf-8")
    return {name: folder / f"{name.replace(' ', '_')}.html" for name in PAGES}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_can_be_read(tab: Tab, pages: dict[str, Path], name: str, window: str, scheme: str) -> None:
    width, height, is_phone = WINDOWS[window]
    tab.window(width, height, is_phone=is_phone, scheme=scheme)
    tab.open(pages[name].as_uri())
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("innerWidth") == width, "a phone would have zoomed out"
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert tab.run("document.documentElement.scrollWidth") <= width
    texts = tab.run(TEXTS)
    assert texts
    assert [each for each in texts if each["size"] < 12] == []
    assert [each for each in texts if each["contrast"] < 4.5] == []
    assert tab.run(COLLISIONS) == []
    assert tab.complaints == []
    assert tab.requests == [pages[name].as_uri()]


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
    tab.window(390, 844, is_phone=True, scheme="dark")
    tab.open(pages["usual"].as_uri())
    printed = tab.pdf()
    assert printed.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 14
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.run("document.querySelector('details td').checkVisibility({contentVisibilityAuto: true})")
    tab.call("Emulation.setEmulatedMedia", media="")
