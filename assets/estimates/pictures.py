"""Forest plots of effect frames."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.pictures import picture
from causeway.plots.forest import ForestRow, forest_plot


def forests(frame: pl.DataFrame, title: str) -> Mapping[str, dg.MarkdownMetadataValue]:
    """One forest plot a metric: metrics have units of their own and share no axis."""
    return {
        f"effects on {metric}": picture(
            forest_plot([_row(row) for row in rows.iter_rows(named=True)], title=title, unit=f"effect on {metric}")
        )
        for (metric,), rows in frame.group_by("metric", maintain_order=True)
    }


def _row(row: Mapping[str, object]) -> ForestRow:
    return ForestRow(
        label=f"{row['variant']}, {row['segment']}" if row["segment"] else str(row["variant"]),
        **{name: row[name] for name in ("effect", "ci_low", "ci_high", "status")},
    )
