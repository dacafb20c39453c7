"""Pictures on asset pages."""

import base64

import dagster as dg


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG as Markdown with the picture inside, so that it needs no file and no server."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")
