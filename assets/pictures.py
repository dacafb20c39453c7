"""Pictures on asset pages, with the picture inside the Markdown: it needs no file and no server."""

import base64

import dagster as dg

from causeway.plots.svg import Drawing


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG."""
    return _inside("image/png", png)


def drawing(drawn: Drawing) -> dg.MarkdownMetadataValue:
    """An SVG drawing, which costs a thousandth of a PNG."""
    return _inside("image/svg+xml", drawn.document().encode())


def _inside(kind: str, content: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![](data:{kind};base64,{base64.b64encode(content).decode()})")
