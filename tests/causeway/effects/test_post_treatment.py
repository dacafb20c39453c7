"""What is flagged as measured after the treatment is, and legitimate confounders, however strong, are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from causeway.effects.post_treatment import Array, Flags, _auc, _folds, _levels, post_treatment_signs

LALONDE = ["age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75"]
NHEFS = ["sex", "race", "age", "education", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
K401 = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]


def world(n: int = 600, slope: float = 1.0, seed: int = 0) -> tuple[Flags, Array]:
    """Six confounders of every shape; the log odds of treatment grow by `slope` for one deviation of the first."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    x[:, 1] = x[:, 1] > 1.3
    x[:, 2] = np.round(np.exp(x[:, 2]))
    x[:, 3] = np.where(x[:, 3] > 0, x[:, 3] ** 2, 0.0)
    x[:, 4] = rng.integers(0, 5, n)
    return rng.uniform(size=n) < 1 / (1 + np.exp(-slope * x[:, 0])), x


def signs(treated: Flags, x: Array, added: Array | None = None) -> dict[str, str]:
    matrix = x if added is None else np.column_stack([x, added])
    names = [f"c{place}" for place in range(x.shape[1])] + ([] if added is None else ["added"])
    return {each.name: each.sign for each in post_treatment_signs(treated, matrix, names)}


def after_treatment(kind: str, treated: Flags, rng: np.random.Generator) -> Array:
    n = len(treated)
    unit = rng.normal(size=n)
    return {
        "copy": treated.astype(float),
        "mirrored": 3.0 - 2.0 * treated,
        "nearly determined": 10.0 * treated + 0.3 * unit,
        "dose": np.where(treated, 5 + np.abs(unit), 0.0),
        "dose of the untreated": np.where(treated, -1.0, np.abs(unit)),
        "missing for controls": np.where(treated, unit, np.nan),
        "missing for most controls": np.where(treated | (rng.uniform(size=n) < 0.005), unit, np.nan),
        "flipped for 1 %": np.where(rng.uniform(size=n) < 0.01, ~treated, treated).astype(float),
        "moved by four deviations": 4.0 * treated + unit,
        "folded": np.where(treated, np.sign(unit) * (6 + np.abs(unit)), unit),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("copy", "determined"),
        ("mirrored", "determined"),
        ("nearly determined", "determined"),
        ("dose", "one_arm_only"),
        ("dose of the untreated", "one_arm_only"),
        ("missing for controls", "missing_by_arm"),
        ("missing for most controls", "missing_by_arm"),
        ("flipped for 1 %", "predicts_too_well"),
        ("moved by four deviations", "predicts_too_well"),
        ("folded", "predicts_too_well"),
    ],
)
def test_what_is_measured_after_the_treatment_is_flagged_and_nothing_else(kind: str, sign: str) -> None:
    for seed in range(5):
        treated, x = world(seed=seed)
        assert signs(treated, x, after_treatment(kind, treated, np.random.default_rng(seed))) == {"added": sign}


def test_two_of_them_do_not_hide_each_other() -> None:
    treated, x = world()
    rng = np.random.default_rng(1)
    both = [after_treatment("moved by four deviations", treated, rng) for _ in range(2)]
    found = post_treatment_signs(treated, np.column_stack([x, *both]), [*"abcdef", "one", "two"])
    assert [each.name for each in found] == ["one", "two"]
    assert all(each.auc is not None and each.auc > 0.95 and "out of fold" in each.detail for each in found)


@pytest.mark.parametrize("n", [20, 60, 600])
@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0, 3.0])
def test_strong_confounders_are_no_false_alarm(n: int, slope: float) -> None:
    """By hand, 200 seeds each: none up to a slope of three; at four, where overlap is gone, 8 % at 2,000 rows."""
    for seed in range(15):
        assert signs(*world(n, slope, seed)) == {}


def test_values_that_go_missing_for_reasons_of_their_own_are_no_sign() -> None:
    treated, x = world()
    rng = np.random.default_rng(0)
    x[rng.uniform(size=x.shape) < np.where(treated, 0.4, 0.1)[:, None]] = np.nan
    assert signs(treated, x) == {}
    rare = np.zeros(len(treated))
    rare[np.flatnonzero(treated)[:4]] = 1.0  # a rare level that only the treated have
    assert signs(treated, x, rare) == {}


def test_a_text_is_judged_as_a_whole() -> None:
    treated, x = world()
    level = np.random.default_rng(0).integers(0, 3, len(treated)) + 3 * treated
    columns = [f"plan={name}" for name in range(1, 6)]
    indicators = np.column_stack([level == name for name in range(1, 6)]).astype(float)
    found = post_treatment_signs(
        treated, np.column_stack([x, indicators]), [*"abcdef", *columns], owners=[*"abcdef", *["plan"] * 5]
    )
    assert [(each.name, each.sign) for each in found] == [("plan", "predicts_too_well")]


def test_groups_that_are_far_apart_altogether_are_no_sign() -> None:
    """Two causes of the treatment that each tell nearly everything: no overlap, but nothing stands out."""
    rng = np.random.default_rng(0)
    treated = rng.uniform(size=800) < 0.5
    apart = np.column_stack([treated * 2.6 + rng.normal(size=800), treated * 1.8 + rng.normal(size=800)])
    assert signs(treated, apart) == {}


def test_few_units_and_constants_say_nothing() -> None:
    treated = np.arange(30) < 9
    assert signs(treated, treated[:, None].astype(float)) == {}
    assert signs(np.arange(40) < 20, np.ones((40, 2))) == {}
    assert signs(np.arange(40) < 20, np.full((40, 1), np.nan)) == {}
    assert signs(np.arange(40) < 20, np.empty((40, 0))) == {}


def test_shapes_and_infinities_are_errors() -> None:
    treated, x = world()
    with pytest.raises(ValueError, match="columns"):
        post_treatment_signs(treated, x, ["a"])
    with pytest.raises(ValueError, match="infinite"):
        post_treatment_signs(treated, np.where(x > 2, np.inf, x), list("abcdef"))


def test_the_area_is_that_of_scikit_learn() -> None:
    treated, x = world()
    folds = _folds(treated, 0)
    levels = _levels(x[:, :1])
    areas, weights = [], []
    for fold in range(5):
        out = folds == fold
        share = {
            level: (treated[~out & (levels == level)].sum() + treated.mean()) / ((~out & (levels == level)).sum() + 1)
            for level in np.unique(levels)
        }
        areas.append(roc_auc_score(treated[out], [share[level] for level in levels[out]]))
        weights.append(treated[out].sum() * (~treated[out]).sum())
    assert _auc(levels, treated, folds) == pytest.approx(np.average(areas, weights=weights), abs=1e-12)


def real(reference_data: Path, study: str) -> tuple[Flags, pl.DataFrame]:
    def read(file: str) -> pl.DataFrame:
        return pl.read_csv(reference_data / file, infer_schema_length=None, null_values=["", "NA"])

    if study.startswith("lalonde"):
        controls = read(f"lalonde/{study.split()[1]}_controls.csv").select("treat", *LALONDE)
        trial = read("lalonde/nsw_dw.csv").filter(pl.col("treat") == 1).select("treat", *LALONDE)
        frame = pl.concat([trial.cast(pl.Float64), controls.cast(pl.Float64)])
        return frame["treat"].to_numpy() == 1, frame.select(LALONDE)
    if study.startswith("acic2016"):
        frame = read("acic2016/x.csv")
        return read(f"acic2016/zymu_{study.split()[1]}.csv")["z"].to_numpy() == 1, frame
    file, treatment, names = {"nhefs": ("nhefs", "qsmk", NHEFS), "k401": ("401k", "e401", K401)}[study]
    frame = read(f"{study}/{file}.csv")
    return frame[treatment].to_numpy() == 1, frame.select(names)


def encoded(frame: pl.DataFrame) -> tuple[Array, list[str], list[str]]:
    texts = [name for name in frame.columns if frame[name].dtype == pl.String]
    wide = frame.to_dummies(texts, drop_first=True) if texts else frame
    owners = [next((text for text in texts if name.startswith(f"{text}_")), name) for name in wide.columns]
    return wide.cast(pl.Float64).to_numpy(), wide.columns, owners


REAL = ["nhefs", "k401", "lalonde cps1", "lalonde psid1", *(f"acic2016 {i}" for i in range(1, 6))]


@pytest.mark.parametrize("study", REAL)
def test_the_confounders_of_real_studies_are_no_false_alarm(reference_data: Path, study: str) -> None:
    treated, frame = real(reference_data, study)
    x, columns, owners = encoded(frame)
    assert post_treatment_signs(treated, x, columns, owners=owners) == ()


def test_taking_part_in_a_pension_plan_is_not_a_cause_of_being_offered_one(reference_data: Path) -> None:
    frame = pl.read_csv(reference_data / "k401/401k.csv", infer_schema_length=None)
    x, columns, _ = encoded(frame.select(*K401, "p401"))
    found = post_treatment_signs(frame["e401"].to_numpy() == 1, x, columns)
    assert [(each.name, each.sign) for each in found] == [("p401", "one_arm_only")]
