"""The demo's declarations, and what they ask for measured on landed records without the simulator's code."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import yaml

from causeway.declarations.declaration import Declaration
from causeway.declarations.experiment import ExperimentDeclaration, Metric
from causeway.declarations.feature import FeatureDeclaration
from causeway.declarations.source import SourceDeclaration
from causeway.declarations.study import StudyDeclaration
from causeway.simulate import SimulatedWorld

DECLARATIONS = Path(__file__).parents[3] / "declarations"
MODELS = {
    "experiments": ExperimentDeclaration,
    "features": FeatureDeclaration,
    "sources": SourceDeclaration,
    "studies": StudyDeclaration,
}


@cache
def read_declared(kind: str) -> dict[str, Declaration]:
    declarations = [
        MODELS[kind].model_validate(yaml.safe_load(path.read_text()))
        for path in sorted((DECLARATIONS / kind).glob("*.yaml"))
    ]
    return {declaration.key: declaration for declaration in declarations}


def unit_values(world: SimulatedWorld, units: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """One metric per unit, from events from assignment until the window closes; none is zero."""
    value = pl.lit(1.0)
    if metric.column is not None:
        value = pl.col("properties").str.json_path_match(f"$.{metric.column}").cast(pl.Float64)
    assert metric.window_days is not None
    window = pl.duration(microseconds=round(metric.window_days * 86_400_000_000))
    measured = (
        world.events.filter(pl.col("type") == metric.event)
        .with_columns(value=value)
        .join(units.select("unit_id", assigned_at="occurred_at"), on="unit_id")
        .filter(pl.col("occurred_at") >= pl.col("assigned_at"))
        .filter(pl.col("occurred_at") < pl.col("assigned_at") + window)
    )
    if metric.type == "conversion":
        measured = measured.with_columns(value=(pl.col("value") > 0).cast(pl.Float64))
    summary = pl.col("value").max() if metric.type == "conversion" else pl.col("value").sum()
    per_unit = measured.group_by("unit_id").agg(summary)
    return units.select("unit_id").join(per_unit, on="unit_id", how="left").fill_null(0)


def measure(world: SimulatedWorld, experiment: str) -> pl.DataFrame:
    """unit_id, variant, one column per declared segment and metric; one row per assigned unit."""
    declaration = read_declared("experiments")[experiment]
    assert isinstance(declaration, ExperimentDeclaration)
    units = world.assignments.filter(pl.col("experiment") == experiment)
    profiles = world.events.filter(pl.col("type") == "profile").select(
        "unit_id",
        *(pl.col("properties").str.json_path_match(f"$.{segment}").alias(segment) for segment in declaration.segments),
    )
    frame = units.select("unit_id", "variant").join(profiles, on="unit_id", how="left")
    for metric in declaration.metrics:
        frame = frame.join(unit_values(world, units, metric).rename({"value": metric.key}), on="unit_id")
    return frame


@pytest.fixture(scope="session")
def measured() -> Callable[[SimulatedWorld, str], pl.DataFrame]:
    return measure


@pytest.fixture(scope="session")
def declared() -> Callable[[str], dict[str, Declaration]]:
    return read_declared
