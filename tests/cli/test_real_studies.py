"""Studies with published answers through the whole graph: under other names and in another order the same answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from conftest import CommandLine

NHEFS = """\
kind: study
key: smoking_weight
tenant: demo
unit: person
treatment: {column: "Quit, 1=yes", values: {control: stayed, treated: gave up}}
outcome: {column: "treated"}
confounders: [index, propensity, "Alter (Jahre)", level, count, "smoke yrs", "select", "from", "Wt '71"]
source: {file: nhefs.csv}
"""
CARD = """\
kind: study
key: schooling_wage
tenant: demo
unit: person
treatment: {column: outcome}
outcome: {column: treatment}
instruments: [study]
confounders: [exper, expersq, black, smsa, south, smsa66, REGIONS]
target: LATE
source: {file: card.csv}
"""
TRAINEES = """\
kind: study
key: trainees
tenant: demo
unit: person
treatment: {column: Arm, values: {control: 0, treated: 1}}
outcome: {column: "earnings 1978 ($)"}
confounders: [age, units, black, hispanic, weights, nodegree, "1974", "1975"]
target: ATT
source: {file: trainees.csv}
"""


def analysed(causeway: CommandLine, folder: Path, spec: str, name: str, frame: pl.DataFrame) -> Any:
    """The answer about the rows in another order."""
    frame.sample(fraction=1.0, shuffle=True, seed=5).write_csv(folder / name)
    (folder / "study.yaml").write_text(spec)
    done = causeway("analyze", folder / "study.yaml", "--json")
    assert done.code == 0, done.err
    return done.json


def effects(answer: Any) -> dict[str, Any]:
    return {row["method"]: row for row in answer["estimates"]}


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None, null_values=["NA", ""])


def test_quitting_smoking(causeway: CommandLine, reference_data: Path, tmp_path: Path) -> None:
    frame = read(reference_data / "nhefs" / "nhefs.csv").select(
        pl.when(pl.col("qsmk") == 1).then(pl.lit("gave up")).otherwise(pl.lit("stayed")).alias("Quit, 1=yes"),
        pl.col("wt82_71").alias("treated"),
        pl.col("sex").alias("index"),
        pl.col("race").alias("propensity"),
        pl.col("age").alias("Alter (Jahre)"),
        ("code " + pl.col("education").cast(pl.String)).alias("level"),
        pl.col("smokeintensity").alias("count"),
        pl.col("smokeyrs").alias("smoke yrs"),
        ("code " + pl.col("exercise").cast(pl.String)).alias("select"),
        ("code " + pl.col("active").cast(pl.String)).alias("from"),
        pl.col("wt71").alias("Wt '71"),
    )
    answer = analysed(causeway, tmp_path, NHEFS, "nhefs.csv", frame)
    rows = effects(answer)
    assert abs(rows["difference_in_means"]["effect"] - 2.54) < 0.005
    assert abs(rows["ipw"]["effect"] - 3.44) <= 0.05
    assert abs(rows["g_formula"]["effect"] - 3.52) <= 0.05
    assert abs(rows["aipw"]["effect"] - 3.46) <= 0.15
    assert (answer["n"], answer["left_out"]) == (1_566, {"without treated": 63})


def test_schooling_by_the_nearness_of_a_college(causeway: CommandLine, reference_data: Path, tmp_path: Path) -> None:
    regions = [f"reg66{number}" for number in range(2, 10)]
    before = ["exper", "expersq", "black", "smsa", "south", "smsa66", *regions]
    frame = read(reference_data / "card" / "card.csv").select(
        pl.col("educ").alias("outcome"), pl.col("lwage").alias("treatment"), pl.col("nearc4").alias("study"), *before
    )
    answer = analysed(causeway, tmp_path, CARD.replace("REGIONS", ", ".join(regions)), "card.csv", frame)
    rows = effects(answer)
    assert abs(rows["2sls"]["effect"] - 0.1315) <= 0.0005
    assert abs(rows["linear_regression"]["effect"] - 0.0747) < 0.00005
    assert answer["verdict"] == "caution"
    assert any("weak instrument" in reason for reason in answer["reasons"])
    stage = answer["diagnostics"]["instrument"]["two_stage_least_squares"]["first_stage"]
    assert round(stage["f_classical"], 1) == 13.3


def test_trainees_beside_a_survey(causeway: CommandLine, reference_data: Path, tmp_path: Path) -> None:
    folder = reference_data / "lalonde"
    together = pl.concat([read(folder / "nsw_dw.csv").filter(pl.col("treat") == 1), read(folder / "cps1_controls.csv")])
    names = {
        "treat": "Arm", "re78": "earnings 1978 ($)", "education": "units", "married": "weights",
        "re74": "1974", "re75": "1975",
    }  # fmt: skip
    answer = analysed(causeway, tmp_path, TRAINEES, "trainees.csv", together.drop("data_id").rename(names))
    rows = effects(answer)
    assert round(rows["difference_in_means"]["effect"]) == -8_498
    assert 800 < rows["aipw"]["effect"] < 2_800
    assert rows["aipw"]["ci_low"] < 1_794 < rows["aipw"]["ci_high"]
    assert f"{max(abs(each['smd_before']) for each in answer['diagnostics']['balance']):.2f}" == "2.43"
