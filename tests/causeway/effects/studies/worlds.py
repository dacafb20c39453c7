"""Small named worlds whose effects are known, as frames of one row a unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from causeway.declarations.study import StudyDeclaration


def study_of(**more: Any) -> StudyDeclaration:
    """Of the treatment `t` on `y`, adjusted for x0 and x1."""
    declared: dict[str, Any] = {
        "kind": "study",
        "key": "world",
        "unit": "person",
        "treatment": {"column": "t", "values": {"control": 0, "treated": 1}},
        "outcome": {"column": "y"},
        "confounders": ["x0", "x1"],
        "source": {"file": "world.csv"},
    }
    return StudyDeclaration.model_validate(declared | more)


def world_with_overlap(n: int = 400, *, seed: int = 0, strength: float = 0.7) -> pl.DataFrame:
    """Two confounders; an effect of 1 on `y`, of 2 on `y2` and of none on `none`."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    t = generator.random(n) < 1 / (1 + np.exp(-strength * (x[:, 0] + x[:, 1])))
    base = x[:, 0] - 0.5 * x[:, 1]
    return pl.DataFrame(
        {
            "x0": x[:, 0],
            "x1": x[:, 1],
            "t": t.astype(int),
            "y": t + base + generator.normal(size=n),
            "y2": 2 * t + base + generator.normal(size=n),
            "none": base + generator.normal(size=n),
            "w": generator.uniform(0.5, 2.0, n),
            "c": np.arange(n) // 4,
            "b": np.arange(n) % 5,
            "e": np.full(n, 0.5),
            "g": np.where(np.arange(n) % 3 == 0, "north", "south"),
        }
    )


def world_without_overlap(n: int = 400) -> pl.DataFrame:
    """Treatment is all but decided by x0."""
    return world_with_overlap(n, strength=12.0)


def world_without_overlap_of_controls(n: int = 1200, *, seed: int = 3) -> pl.DataFrame:
    """Half of the units can never be treated: the treated all have counterparts, the controls do not."""
    generator = np.random.default_rng(seed)
    frame = world_with_overlap(n, seed=seed)
    x0 = generator.normal(size=n)
    t = (generator.random(n) < np.where(x0 > 0, 0.35, 0.0)).astype(int)
    y = t + x0 + generator.normal(size=n)
    return frame.with_columns(pl.Series("x0", x0), pl.Series("t", t), pl.Series("y", y))


def world_with_bad_negative_control(n: int = 400) -> pl.DataFrame:
    """An unmeasured cause `u` moves treatment, outcome and the control outcome `nc`; `fine` is a good control."""
    generator = np.random.default_rng(1)
    frame = world_with_overlap(n, seed=1)
    u = generator.normal(size=n)
    t = (generator.random(n) < 1 / (1 + np.exp(-1.2 * u))).astype(int)
    return frame.with_columns(
        pl.Series("t", t),
        pl.Series("y", t + u + generator.normal(size=n)),
        pl.Series("nc", u + 0.3 * generator.normal(size=n)),
        pl.Series("fine", generator.normal(size=n)),
    )


def world_with_ignored_clusters(n: int = 400) -> pl.DataFrame:
    """Whole schools of ten are treated, and the school is among the columns."""
    generator = np.random.default_rng(2)
    frame = world_with_overlap(n, seed=2)
    school = np.arange(n) // 10
    t = (generator.random(school.max() + 1) < 0.5)[school].astype(int)
    return frame.with_columns(
        pl.Series("t", t), pl.Series("y", t + frame["x0"].to_numpy() + generator.normal(size=n)),
        pl.Series("school", [f"s{each:02d}" for each in school]),
    )  # fmt: skip


def world_with_post_treatment_confounder(n: int = 400) -> pl.DataFrame:
    """`after` is the treatment with a little noise: measured after it."""
    generator = np.random.default_rng(4)
    frame = world_with_overlap(n, seed=4)
    return frame.with_columns(pl.Series("after", 2.0 * frame["t"].to_numpy() + generator.normal(size=n)))


def world_with_weak_instrument(n: int = 400, *, strength: float = 0.1) -> pl.DataFrame:
    """`z` moves the treatment a little; the effect is 1 and an unmeasured cause moves both."""
    generator = np.random.default_rng(5)
    z, u = (generator.random(n) < 0.5).astype(int), generator.normal(size=n)
    t = (strength * (2 * z - 1) * 3 + u + generator.normal(size=n) > 0).astype(int)
    frame = world_with_overlap(n, seed=5)
    y = t + u + generator.normal(size=n)
    return frame.with_columns(pl.Series("z", z), pl.Series("t", t), pl.Series("y", y))
