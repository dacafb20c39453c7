"""A drawing on a page."""

from __future__ import annotations

from dataclasses import dataclass

from causeway.plots.svg import Drawing


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with the words above and below it; `id` is unique in the page and made of no name;
    title: empty where a heading stands above it anyway."""

    id: str
    title: str
    drawing: Drawing
    caption: str
