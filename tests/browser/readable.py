"""Whether a page can be read: in any window, on paper, in light and dark."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.chromium import Tab

WINDOWS = {"phone": (390, 844, True), "desk": (1280, 900, False)}
SCHEMES = ("light", "dark")

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


def assert_it_can_be_read(tab: Tab, page: Path, *, window: str, scheme: str) -> int:
    """Nothing sticks out, is too small, too pale or over something else, or comes from elsewhere; how many texts."""
    width, height, is_phone = WINDOWS[window]
    tab.window(width, height, is_phone=is_phone, scheme=scheme)
    tab.open(page.as_uri())
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("innerWidth") == width, "a phone would have zoomed out"
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert tab.run("document.documentElement.scrollWidth") <= width
    texts = tab.run(TEXTS)
    assert [each for each in texts if each["size"] < 12] == []
    assert [each for each in texts if each["contrast"] < 4.5] == []
    assert tab.run(COLLISIONS) == []
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    return len(texts)


def printed_on_white(tab: Tab, page: Path) -> bytes:
    """The page as PDF, from a phone in the dark, with everything that was folded away."""
    tab.window(390, 844, is_phone=True, scheme="dark")
    tab.open(page.as_uri())
    printed = tab.pdf()
    assert printed.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 14
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.run("document.querySelector('details td').checkVisibility({contentVisibilityAuto: true})")
    tab.call("Emulation.setEmulatedMedia", media="")
    return printed
