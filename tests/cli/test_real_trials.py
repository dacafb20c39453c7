"""Trials with published answers through the whole graph, from a spec beside the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from conftest import CommandLine

NSW = """\
kind: experiment
key: nsw
tenant: demo
unit: person
control: none
variants: {none: 260, training: 185}
metrics:
  - {key: earnings, type: mean, column: re78, role: primary}
covariates: [age, education, re74, re75]
source: {file: nsw.csv, variant: arm}
"""
STAR = """\
kind: experiment
key: star
tenant: demo
unit: child
control: regular
variants: {regular: 2005, small: 1738, aide: 2043}
metrics:
  - {key: score, type: mean, column: score, role: primary}
covariates: [gender, lunchk]
source: {file: star.csv, variant: arm}
"""


def analysed(causeway: CommandLine, folder: Path, spec: str, name: str, frame: pl.DataFrame) -> dict[str, Any]:
    """Results of everybody by variant and method."""
    frame.write_csv(folder / f"{name}.csv")
    (folder / f"{name}.yaml").write_text(spec)
    done = causeway("analyze", folder / f"{name}.yaml", "--json")
    assert done.code == 0, done.err
    rows = [row for row in done.json["results"] if row["segment"] is None and row["status"] == "ok"]
    return {(row["variant"], row["method"]): row for row in rows}


def holds(rows: dict[str, Any], variant: str, published: float) -> set[str]:
    """The methods whose interval holds a published value."""
    return {
        method
        for (name, method), row in rows.items()
        if name == variant and row["ci_low"] <= published <= row["ci_high"]
    }


def test_job_training_as_dehejia_and_wahba_printed_it(
    causeway: CommandLine, reference_data: Path, tmp_path: Path
) -> None:
    frame = pl.read_csv(reference_data / "lalonde" / "nsw_dw.csv").with_columns(
        arm=pl.when(pl.col("treat") == 1).then(pl.lit("training")).otherwise(pl.lit("none"))
    )
    rows = analysed(causeway, tmp_path, NSW, "nsw", frame)
    plain = rows["training", "difference_in_means"]
    assert (round(plain["effect"], 2), round(plain["std_error"], 2)) == (1_794.34, 671.00)
    assert holds(rows, "training", 1_794.34) == {"difference_in_means", "cuped", "adjusted"}


def test_class_sizes_as_stock_and_watson_printed_them(
    causeway: CommandLine, reference_data: Path, tmp_path: Path
) -> None:
    frame = pl.read_csv(reference_data / "star" / "star.csv", infer_schema_length=None, null_values=["NA", ""])
    frame = (
        frame.with_columns(score=pl.col("readk") + pl.col("mathk"), arm=pl.col("stark").str.strip_prefix("regular+"))
        .drop_nulls(["stark", "score"])
        .select("arm", "score", "gender", "lunchk")
    )
    rows = analysed(causeway, tmp_path, STAR, "star", frame)
    for variant, effect, std_error in (("small", 13.90, 2.45), ("aide", 0.31, 2.27)):
        plain = rows[variant, "difference_in_means"]
        assert (round(plain["effect"], 2), round(plain["std_error"], 2)) == (effect, std_error)
        # The covariates are words, which cuped does not take and the twin does.
        assert holds(rows, variant, effect) == {"difference_in_means", "adjusted"}
