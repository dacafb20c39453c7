"""The page as a person gets it: on a phone, on a desk, on paper; in light and dark; with names that mean harm."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from causeway.report.page import render
from tests.browser.chromium import Tab
from tests.browser.readable import SCHEMES, WINDOWS, assert_it_can_be_read, printed_on_white
from tests.causeway.report.reports import report, withheld

LONG = "W" * 120
PAGES = {
    "usual": report(names=("off", "on", "other"), metrics=("visits", "load_time"), days=60),
    "withheld": withheld(),
    "long names": report(names=(f"{LONG}0", f"{LONG}1"), metrics=(LONG,), text=LONG, segments=(LONG,)),
    "nasty names": report(
        names=('"><script>hit()</script>', "<img src=https://evil.example onerror=hit()>"),
        metrics=("</svg></style><iframe src=//evil.example>",),
        text="<svg onload=hit()><style>@import 'https://evil.example'</style>",
        segments=("'\" autofocus onfocus=hit()",),
    ),
}


@pytest.fixture(scope="module")
def pages(written: Callable[[Mapping[str, str]], dict[str, Path]]) -> dict[str, Path]:
    return written({name: render(given) for name, given in PAGES.items()})


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_can_be_read(tab: Tab, pages: dict[str, Path], name: str, window: str, scheme: str) -> None:
    assert assert_it_can_be_read(tab, pages[name], window=window, scheme=scheme) > 50


def test_dark_is_dark_and_light_is_light(tab: Tab, pages: dict[str, Path]) -> None:
    painted = []
    for scheme in ("light", "dark"):
        tab.window(390, 844, scheme=scheme)
        tab.open(pages["usual"].as_uri())
        painted.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert painted == ["rgb(255, 255, 255)", "rgb(18, 22, 27)"]


def test_names_that_mean_harm_are_shown_as_names(tab: Tab, pages: dict[str, Path]) -> None:
    tab.window(390, 844)
    tab.open(pages["nasty names"].as_uri())
    assert tab.run("document.querySelectorAll('script, iframe, img, [onerror], [onload], [onfocus]').length") == 0
    assert tab.run("document.querySelectorAll('style').length") == 1
    text = tab.run("document.body.textContent")
    assert "<img src=https://evil.example onerror=hit()>" in text
    assert "</svg></style><iframe src=//evil.example>" in text


def test_even_a_script_that_got_in_would_not_run(tab: Tab, tmp_path: Path) -> None:
    """The page's own policy is the second wall behind escaping."""
    broken = render(report()).replace("</main>", "<script>document.title = 'hit'</script></main>")
    page = tmp_path / "broken.html"
    page.write_text(broken, encoding="utf-8")
    tab.open(page.as_uri())
    assert tab.run("document.title") != "hit"
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)


def test_drawings_are_read_aloud_as_one_picture_each(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["usual"].as_uri())
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    pictures = [node["name"]["value"] for node in nodes if node["role"]["value"] in ("image", "img")]
    assert len(pictures) == 2 * (1 + 2 + 1) + 1
    assert all(len(words) > 40 for words in pictures)
    assert sum(node["role"]["value"] == "table" for node in nodes) >= 5, "cards on a phone are still tables"


def test_the_page_can_be_printed_with_everything_in_it_and_on_white(tab: Tab, pages: dict[str, Path]) -> None:
    drawn = b"".join(_streams(printed_on_white(tab, pages["usual"])))
    assert re.search(rb" \.1216 \.1608 \.2 rg", drawn), "the ink of the light page"
    assert not re.search(rb" \.0706 \.0863 \.1059 rg", drawn), "the paper of the dark page"


def _streams(printed: bytes) -> Iterator[bytes]:
    for packed in re.findall(rb"stream\r?\n(.*?)endstream", printed, re.DOTALL):
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            continue
