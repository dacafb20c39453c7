"""Studies as people declare them, through the front door: a refusal of the spec, or an answer with its reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from conftest import Answer, CommandLine

SPEC = """\
kind: study
key: {key}
tenant: demo
unit: person
treatment: {{column: took, values: {{control: 0, treated: 1}}}}
outcome: {{column: y}}
{lines}
source: {{file: study.csv}}
"""
N = 120
AGE = "confounders: [age]"


def people(n: int = N) -> pl.DataFrame:
    """Age, treatment and outcome of n people, whose effect is 2."""
    dice = np.random.default_rng(0)
    age = dice.normal(50, 10, n)
    took = (dice.random(n) < 1 / (1 + np.exp(-(age - 50) / 10))).astype(int)
    return pl.DataFrame({"age": age, "took": took, "y": 0.1 * age + 2 * took + dice.normal(size=n)})


def analyzed(causeway: CommandLine, folder: Path, key: str, frame: pl.DataFrame, *lines: str) -> Answer:
    frame.write_csv(folder / "study.csv")
    (folder / "study.yaml").write_text(SPEC.format(key=key, lines="\n".join(lines)))
    return causeway("analyze", folder / "study.yaml", "--json")


def answer_of(done: Answer) -> Any:
    """The document of a study that was answered, with everything that holds of any."""
    assert done.code == 0, (done.err, done.json["failures"])
    assert "Traceback" not in done.err
    assert "NaN" not in done.out and "Infinity" not in done.out
    found = done.json
    assert sum(found["left_out"].values()) == found["n_left_out"]
    for row in found["estimates"]:
        numbers = [row[name] for name in ("effect", "std_error", "ci_low", "ci_high", "p_value")]
        if row["status"] == "ok" and found["verdict"] != "withheld":
            assert row["ci_low"] <= row["effect"] <= row["ci_high"]
        else:
            assert numbers == [None] * 5
    return found


@pytest.mark.parametrize(
    ("lines", "place", "remedy"),
    [
        (("known_propensity: 1",), "known_propensity", "between 0 and 1"),
        (("known_propensity: 0.0",), "known_propensity", "between 0 and 1"),
        ((AGE, "target: LATE"), "target", "declare instruments"),
        (("confounders: [age, age]",), "confounders", "listed twice"),
        (("confounders: [took]",), "confounders", "treatment"),
        (("confounders: [height]",), "height", "its columns are age, took, y"),
        (("clusters: y",), "clusters", "outcome"),
        (("graph: [[age]]",), "graph", "edges"),
        (("blocs: site",), "blocs", "blocks"),
    ],
)
def test_a_spec_that_cannot_be_is_one_line_with_the_place_and_the_remedy(
    causeway: CommandLine, tmp_path: Path, lines: tuple[str, ...], place: str, remedy: str
) -> None:
    done = analyzed(causeway, tmp_path, "wrong", people(), *lines)
    assert done.code == 2
    assert (place in done.line, remedy in done.line) == (True, True), done.line


def test_a_header_that_names_a_column_twice_is_refused(causeway: CommandLine, tmp_path: Path) -> None:
    analyzed_frame = people().with_columns(again=pl.col("age"))
    text = analyzed_frame.write_csv().replace("again", "age", 1)
    (tmp_path / "study.csv").write_text(text)
    (tmp_path / "study.yaml").write_text(SPEC.format(key="twice", lines=AGE))
    done = causeway("analyze", tmp_path / "study.yaml", "--json")
    assert done.code == 2
    assert "age" in done.line


def test_columns_named_like_internal_ones_are_columns(causeway: CommandLine, tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    frame = people().rename({"age": "propensity"})
    for name in ("treated", "outcome", "placebo", "unit_id", "study", "tenant_id", "position", "field_values"):
        frame = frame.with_columns(pl.Series(name, dice.normal(size=N)))
    frame = frame.with_columns(weights=pl.lit(2), segment=pl.Series([*"ab" * 57, *"ccccdd"]))
    found = answer_of(
        analyzed(
            causeway, tmp_path, "internal", frame,
            "confounders: [propensity, treated, outcome, placebo, unit_id, study, tenant_id, position, field_values]",
            "weights: weights", "segments: [segment]",
        )
    )  # fmt: skip
    assert found["n"] == N
    assert found["estimand"]["adjustment_set"][:2] == ["propensity", "treated"]
    told = {each["segment"]: each["verdict"] for each in found["further"]}
    assert set(told) == {"segment=a", "segment=b", "segment=c", "segment=d"}
    assert (told["segment=c"], told["segment=d"]) == ("withheld", "withheld")


def test_every_row_that_is_left_out_is_counted(causeway: CommandLine, tmp_path: Path) -> None:
    """Missing treatment, infinite and enormous confounders, negative weights, a third value; and 500 categories."""
    n, dice = 1_000, np.random.default_rng(2)
    row = pl.int_range(n)
    frame = people(n).with_columns(
        w=pl.when(row == 9).then(-1.0).when(row == 10).then(0.0).otherwise(1.0),
        city=pl.Series([f"city {number}" for number in dice.integers(0, 500, n)]),
        took=pl.when(row < 4).then(None).when(row < 6).then(7).otherwise("took"),
        age=pl.when(row == 6).then(1e300).otherwise("age"),
    )
    found = answer_of(analyzed(causeway, tmp_path, "counted", frame, "confounders: [age, city]", "weights: w"))
    assert (found["n"], found["n_left_out"]) == (n - 9, 9)
    assert sorted(found["left_out"].values()) == [1, 2, 2, 4]
    reasons = "; ".join(found["reasons"])
    assert found["verdict"] == "caution"
    assert "of the units have a level too rare" in reasons
    assert "with another took" in reasons


@pytest.mark.parametrize(
    ("key", "columns", "lines", "said"),
    [
        pytest.param("separated", {"took": (pl.col("age") > 50).cast(int)}, (AGE,), "after adjustment", id="separated"),
        pytest.param("ring", {}, (AGE, "graph: [[age, took], [took, y], [y, age]]"), "cycle", id="cycle"),
        pytest.param("halves", {"site": pl.col("took")}, ("blocks: site",), "blocks with one arm", id="blocks"),
        pytest.param(
            "still", {"z": pl.lit(1)}, (AGE, "instruments: [z]", "target: LATE"), "no instrument varies", id="late"
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_withheld_without_a_number(
    causeway: CommandLine, tmp_path: Path, key: str, columns: dict[str, pl.Expr], lines: tuple[str, ...], said: str
) -> None:
    found = answer_of(analyzed(causeway, tmp_path, key, people().with_columns(**columns), *lines))
    assert found["verdict"] == "withheld"
    assert said in "; ".join(found["reasons"])
    assert all(each["new_effect"] is None and each["p_value"] is None for each in found["refutations"])
    assert (found["sensitivity"], found["heterogeneity"]) == ({}, {})


@pytest.mark.parametrize(("n", "verdict"), [(5, "withheld"), (20, "caution")])
def test_a_handful_of_rows(causeway: CommandLine, tmp_path: Path, n: int, verdict: str) -> None:
    found = answer_of(analyzed(causeway, tmp_path, f"rows_{n}", people(n), AGE))
    assert (found["n"], found["verdict"]) == (n, verdict)
    assert found["reasons"]
