"""Drawings of effect frames."""

from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg
import polars as pl

from assets.pictures import drawing
from causeway.plots.canvas import with_decimals
from causeway.plots.effect_over_time import Look, effect_over_time
from causeway.plots.forest_panel import PanelRow, forest_panel

MOST_CURVES = 12


def forests(frame: pl.DataFrame, title: str) -> Mapping[str, dg.MarkdownMetadataValue]:
    """One forest plot a metric: metrics have units of their own and share no axis."""
    return {
        f"effects on {metric}": drawing(
            forest_panel([_row(row) for row in rows.iter_rows(named=True)], title=f"{title}: {metric}", tick=_tick)
        )
        for (metric,), rows in frame.group_by("metric", maintain_order=True)
    }


def over_time(frame: pl.DataFrame) -> Mapping[str, dg.MarkdownMetadataValue]:
    """How each effect went, look by look, of the first few: a page is looked at, not searched."""
    pairs = frame.select("metric", "variant").unique(maintain_order=True).head(MOST_CURVES)
    return {
        f"{metric} over time, {variant}": drawing(
            effect_over_time(
                [Look(*row) for row in _looks_at(frame, metric, variant)],
                description=f"Effect of {variant} on {metric}, look by look",
                tick=_tick,
            )
        )
        for metric, variant in pairs.iter_rows()
    }


def _looks_at(frame: pl.DataFrame, metric: str, variant: str) -> Iterator[tuple[date, float, float, float]]:
    chosen = frame.filter(pl.col("metric") == metric, pl.col("variant") == variant).sort("day")
    return chosen.select("day", "effect", "ci_low", "ci_high").iter_rows()


def _tick(value: float) -> str:
    return f"{value:g}"


def _row(row: Mapping[str, object]) -> PanelRow:
    label = f"{row['variant']}, {row['segment']}" if row["segment"] else str(row["variant"])
    effect, low, high = row["effect"], row["ci_low"], row["ci_high"]
    if row["status"] != "ok" or not (isinstance(effect, float) and isinstance(low, float) and isinstance(high, float)):
        return PanelRow(label, str(row["status"]).replace("_", " "))
    number, *bounds = (with_decimals(value, (high - low) / 2) for value in (effect, low, high))
    kind = "good" if low > 0 else "bad" if high < 0 else "open"
    return PanelRow(label, f"{number} [{', '.join(bounds)}]", effect, low, high, kind)
