"""The page as a person gets it: on a phone, on a desk, on paper; in light and dark; with names that mean harm."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeway.report.page import render
from tests.browser.chromium import Tab, program, running
from tests.causeway.report.reports import report, withheld

WINDOWS = {"phone": (390, 844, True), "desk": (1280, 900, False)}
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

# Contrast as WCAG 2.2 defines it, of every piece of text against what is painted behind it.
TEXTS = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).slice(0, 3).map((x) => x / 255)
      .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    if (!text || element.tagName === 'title' || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const front = light(element instanceof SVGElement ? style.fill : style.color), back = light(behind(element));
    found.push({text, size: parseFloat(style.fontSize),
      contrast: (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)});
  }
  return found;
})()
"""
# Letters that stick out of the window, or lie over letters of the same drawing.
COLLISIONS = """
(() => {
  const wrong = [];
  for (const chart of document.querySelectorAll('svg.chart')) {
    const boxes = [...chart.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([text, box], at) => {
      if (box.left < -1 || box.right > innerWidth + 1) wrong.push(`out: ${text}`);
      for (const [other, over] of boxes.slice(at + 1)) {
        const wide = Math.min(box.right, over.right) - Math.max(box.left, over.left);
        const high = Math.min(box.bottom, over.bottom) - Math.max(box.top, over.top);
        if (wide > 1 && high > 6) wrong.push(`over each other: ${text} | ${other}`);
      }
    });
  }
  return wrong;
})()
"""


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
        (folder / f"{name.replace(' ', '_')}.html").write_text(render(given), encoding="utf-8")
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
    assert len(texts) > 50
    assert [each for each in texts if each["size"] < 12] == []
    assert [each for each in texts if each["contrast"] < 4.5] == []
    assert tab.run(COLLISIONS) == []
    assert tab.complaints == []
    assert tab.requests == [pages[name].as_uri()]


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
    tab.window(390, 844, is_phone=True, scheme="dark")
    tab.open(pages["usual"].as_uri())
    printed = tab.pdf()
    assert printed.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 14
    drawn = b"".join(_streams(printed))
    assert re.search(rb" \.1216 \.1608 \.2 rg", drawn), "the ink of the light page"
    assert not re.search(rb" \.0706 \.0863 \.1059 rg", drawn), "the paper of the dark page"
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.run("document.querySelector('details td').checkVisibility({contentVisibilityAuto: true})")
    tab.call("Emulation.setEmulatedMedia", media="")


def _streams(printed: bytes) -> Iterator[bytes]:
    for packed in re.findall(rb"stream\r?\n(.*?)endstream", printed, re.DOTALL):
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            continue
