"""Studies: the truth is recovered, the reference agrees, and what cannot be answered is not."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm

from causeway.effects.observational import MethodEstimate, StudyEstimate, estimate_study

NHEFS = ["sex", "race", "age", "education", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
LALONDE = ["age", "education", "black", "hispanic", "married", "nodegree", "re74", "re75"]


def confounded_world(n: int = 2_000, seed: int = 0) -> pl.DataFrame:
    """Severity and region move both treatment and outcome; the effect is 2 for everybody."""
    generator = np.random.default_rng(seed)
    severity = generator.normal(size=n)
    region = generator.choice(["north", "south", "west"], size=n)
    treated = generator.uniform(size=n) < 1 / (1 + np.exp(-severity - (region == "south")))
    outcome = 2.0 * treated + 1.5 * severity + 3.0 * (region == "south") + generator.normal(size=n)
    return pl.DataFrame(
        {"drug": np.where(treated, "yes", "no"), "severity": severity, "region": region, "outcome": outcome}
    )


def study(frame: Any, **changes: Any) -> StudyEstimate:
    arguments: dict[str, Any] = {
        "treatment": "drug",
        "control_value": "no",
        "treated_value": "yes",
        "outcome": "outcome",
        "confounders": ["severity", "region"],
        "target": "ATE",
        "seed": 1,
        **changes,
    }
    return estimate_study(frame, **arguments)


def numbers(found: StudyEstimate) -> dict[str, MethodEstimate]:
    return {estimate.method: estimate for estimate in found.estimates}


def assert_withheld(found: StudyEstimate, status: str, reason: str) -> None:
    assert found.verdict == "withheld"
    assert numbers(found)["dowhy_linear_regression"].status == status
    assert reason in found.reasons[0]
    for estimate in found.estimates:
        assert estimate.status != "ok"
        assert estimate.effect is None and estimate.std_error is None and estimate.p_value is None
        assert estimate.ci_low is None and estimate.ci_high is None


def test_adjustment_recovers_the_truth_that_the_raw_difference_misses() -> None:
    found = study(confounded_world())
    adjusted, raw = numbers(found)["dowhy_linear_regression"], numbers(found)["unadjusted"]
    assert found.verdict == "credible", found.reasons
    assert adjusted.ci_low is not None and adjusted.ci_high is not None and raw.ci_low is not None
    assert adjusted.ci_low < 2.0 < adjusted.ci_high
    assert raw.ci_low > 2.5
    assert found.adjustment_set == ("severity", "region")
    assert {refutation.name: refutation.problem_found for refutation in found.refutations} == {
        "placebo_treatment": False,
        "functional_form": False,
    }
    assert {entry.covariate for entry in found.balance} == {"severity", "region=south", "region=west"}


def test_number_and_standard_error_agree_with_statsmodels(reference_data: Path) -> None:
    frame = pd.read_csv(reference_data / "nhefs" / "nhefs.csv")
    found = study(frame, treatment="qsmk", control_value=0, treated_value=1, outcome="wt82_71", confounders=NHEFS)
    estimate = numbers(found)["dowhy_linear_regression"]
    complete = frame[["qsmk", "wt82_71", *NHEFS]].dropna()
    reference = sm.OLS(complete["wt82_71"], sm.add_constant(complete[["qsmk", *NHEFS]])).fit(cov_type="HC3", use_t=True)
    assert estimate.effect == pytest.approx(reference.params["qsmk"], abs=1e-8)
    assert estimate.std_error == pytest.approx(reference.bse["qsmk"], abs=1e-8)
    assert estimate.p_value == pytest.approx(reference.pvalues["qsmk"], abs=1e-10)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(tuple(reference.conf_int().loc["qsmk"]), abs=1e-8)
    assert (estimate.n, estimate.n_left_out) == (1_566, 63)


def test_quitting_smoking_gains_weight_as_published(reference_data: Path) -> None:
    """Hernan & Robins, What If: 2.54 kg unadjusted; 3.4 to 3.5 adjusted, interval 2.4 to 4.5."""
    frame = pl.read_csv(reference_data / "nhefs" / "nhefs.csv", infer_schema_length=None)
    found = study(frame, treatment="qsmk", control_value=0, treated_value=1, outcome="wt82_71", confounders=NHEFS)
    assert found.verdict == "credible", found.reasons
    assert numbers(found)["unadjusted"].effect == pytest.approx(2.54, abs=0.005)
    assert numbers(found)["dowhy_linear_regression"].effect == pytest.approx(3.44, abs=0.15)


def test_groups_without_counterparts_get_no_number(reference_data: Path) -> None:
    """Trainees against the general population: the raw difference is -8,498 dollars, the experiment says
    +1,794.
    """
    trial = pl.read_csv(reference_data / "lalonde" / "nsw_dw.csv")
    population = pl.read_csv(reference_data / "lalonde" / "cps1_controls.csv")
    frame = pl.concat([trial.filter(pl.col("treat") == 1), population])
    changes = {
        "treatment": "treat",
        "control_value": 0,
        "treated_value": 1,
        "outcome": "re78",
        "confounders": LALONDE,
    }
    found = study(frame, **changes)
    assert_withheld(found, "withheld", "no overlap")
    assert max(abs(entry.smd or 0.0) for entry in found.balance) == pytest.approx(2.43, abs=0.01)
    experiment = study(trial, **changes)
    assert experiment.verdict == "credible"
    assert numbers(experiment)["unadjusted"].effect == pytest.approx(1_794.34, abs=0.01)


def test_an_effect_that_rests_on_straight_lines_earns_a_caution(reference_data: Path) -> None:
    """401(k) eligibility: income acts in a curve; published answers lie between 7,000 and 9,500."""
    frame = pl.read_csv(reference_data / "k401" / "401k.csv")
    found = study(
        frame,
        treatment="e401",
        control_value=0,
        treated_value=1,
        outcome="net_tfa",
        confounders=["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"],
    )
    assert found.verdict == "caution"
    assert "functional_form" in found.reasons[0]


@pytest.mark.parametrize("as_pandas", [False, True])
def test_the_callers_frame_is_not_touched(as_pandas: bool) -> None:
    frame = confounded_world(300)
    given: Any = frame.to_pandas() if as_pandas else frame.clone()
    before = given.copy() if as_pandas else given.clone()
    study(given)
    assert before.equals(given)
    assert list(given.columns) == list(before.columns)


def test_pandas_and_polars_give_the_same_bits_and_so_does_a_second_run() -> None:
    frame = confounded_world(500)
    assert study(frame) == study(frame)
    assert study(frame) == study(frame.to_pandas())
    assert study(frame, seed=2).refutations[0] != study(frame).refutations[0]


def test_neither_global_randomness_nor_logging_is_disturbed(capfd: pytest.CaptureFixture[str]) -> None:
    state, level = np.random.get_state()[1], logging.getLogger("dowhy").level
    study(confounded_world(300))
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index]
    assert logging.getLogger("dowhy").level == level
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""


def test_rows_with_missing_values_are_left_out_and_counted() -> None:
    frame = confounded_world(400)
    holes = pl.DataFrame(
        {
            "drug": [None, "yes", "yes", "no", "no"],
            "severity": [0.0, None, float("nan"), float("inf"), 0.0],
            "region": ["north", "north", None, "west", "west"],
            "outcome": [1.0, 1.0, 1.0, 1.0, None],
        }
    )
    estimate = numbers(study(pl.concat([frame, holes])))["dowhy_linear_regression"]
    assert (estimate.n, estimate.n_left_out) == (400, 5)
    complete = numbers(study(frame))["dowhy_linear_regression"]
    assert estimate == replace(complete, n_left_out=5)
    mostly_missing = frame.with_columns(
        pl.when(pl.int_range(400) < 150).then(None).otherwise("severity").alias("severity")
    )
    assert "38% of the rows were left out" in study(mostly_missing).reasons[-1]


def test_a_confounder_with_five_hundred_levels_is_folded_and_said_so() -> None:
    frame = confounded_world(3_000).with_columns(
        pl.when(pl.int_range(3_000) % 3 == 0)
        .then(pl.lit("chain"))
        .otherwise(pl.format("shop {}", pl.int_range(3_000) % 499))
        .alias("shop")
    )
    found = study(frame, confounders=["severity", "region", "shop"])
    settings = numbers(found)["dowhy_linear_regression"].settings
    assert settings["folded_levels"] == {"shop": 499}
    assert len(settings["columns"]) == 4


def test_names_and_values_that_trip_libraries_are_harmless() -> None:
    """The refuter's own column is called placebo; graphs do not like spaces; csv files have 1.0 for 1."""
    frame = confounded_world(500).select(
        pl.col("drug").replace_strict({"no": 0.0, "yes": 1.0}).alias("the treatment -> x"),
        pl.col("severity").alias("placebo"),
        pl.col("region").alias('a "region"'),
        pl.col("outcome").alias("treatment"),
    )
    found = study(
        frame,
        treatment="the treatment -> x",
        control_value="0",
        treated_value=1,
        outcome="treatment",
        confounders=["placebo", 'a "region"'],
    )
    plain = numbers(study(confounded_world(500)))["dowhy_linear_regression"]
    assert numbers(found)["dowhy_linear_regression"].effect == plain.effect
    assert found.refutations[0].problem_found is False


def test_redundant_confounders_change_nothing() -> None:
    frame = confounded_world(500).with_columns(
        (pl.col("severity") * 1e6 + 3).alias("again"),
        (pl.col("region") == "south").alias("south"),
        pl.lit("always").alias("constant"),
    )
    found = study(frame, confounders=["severity", "region", "again", "south", "constant"])
    plain, redundant = (numbers(f)["dowhy_linear_regression"] for f in (study(frame), found))
    assert redundant.effect == pytest.approx(plain.effect, abs=1e-10)
    assert redundant.std_error == pytest.approx(plain.std_error, abs=1e-10)
    assert redundant.settings["redundant_columns"] == ["again", "south"]
    assert redundant.settings["constant"] == ["constant"]


def test_the_graph_decides_what_is_adjusted_for() -> None:
    frame = confounded_world().with_columns((pl.col("outcome") + 1.0).alias("after"))
    graph = """digraph {
        severity -> drug; severity -> outcome; region -> drug; region -> outcome
        drug -> outcome; outcome -> after
    }"""
    found = study(frame, confounders=["severity", "region", "after"], graph=graph)
    assert found.adjustment_set == ("severity", "region")
    assert numbers(found)["dowhy_linear_regression"].settings["set_aside"] == ["after"]
    assert numbers(found)["dowhy_linear_regression"].effect == pytest.approx(2.0, abs=0.15)
    edges = [("severity", "drug"), ("severity", "outcome"), ("drug", "outcome")]
    partly = study(frame, graph=edges)
    assert partly.adjustment_set == ("severity",)
    assert partly.verdict == "caution" and "region" in partly.reasons[-1]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"target": "LATE"}, "not_estimable", "instrument"),
        ({"confounders": ["drug"]}, "not_estimable", "more than one role"),
        ({"confounders": ["outcome"]}, "not_estimable", "more than one role"),
        ({"confounders": ["absent"]}, "not_estimable", "absent"),
        ({"outcome": "region", "confounders": []}, "not_estimable", "not a number"),
        ({"treated_value": "maybe"}, "not_estimable", "not declared: yes"),
        ({"treated_value": "no"}, "not_estimable", "same value"),
        (
            {"graph": "digraph { u -> drug; u -> outcome; drug -> outcome }"},
            "not_estimable",
            "not measured u",
        ),
        ({"graph": "graph { a -- b }"}, "not_estimable", "digraph"),
        ({"graph": "digraph { outcome -> drug }"}, "not_estimable", "no path"),
    ],
)
def test_a_question_that_cannot_be_answered_gets_a_status_and_the_reason(
    changes: dict[str, Any], status: str, reason: str
) -> None:
    assert_withheld(study(confounded_world(200), **changes), status, reason)


@pytest.mark.parametrize(
    ("column", "status", "reason"),
    [
        (pl.lit("yes").alias("drug"), "no_units", "nothing to compare"),
        (pl.lit(4.0).alias("outcome"), "zero_variance", "same for everybody"),
        (pl.lit(None).alias("outcome"), "no_units", "nothing to compare"),
        (pl.lit(None).alias("severity"), "no_units", "nothing to compare"),
        (pl.lit(date(2024, 1, 1)).alias("severity"), "not_estimable", "neither"),
        ((pl.col("drug") == "yes").alias("severity"), "not_estimable", "function of the confounders"),
        (
            (pl.col("severity") + 20 * (pl.col("drug") == "yes")).alias("severity"), "withheld", "no overlap",
        ),
        ((3 * (pl.col("drug") == "yes") + pl.col("severity")).alias("outcome"), "zero_variance", "variation"),
    ],
)  # fmt: skip
def test_data_that_cannot_answer_get_a_status_and_the_reason(column: pl.Expr, status: str, reason: str) -> None:
    assert_withheld(study(confounded_world(200).with_columns(column)), status, reason)


def test_a_handful_of_rows_is_too_few() -> None:
    assert_withheld(study(confounded_world(19)), "too_few_units", "only")
    wide = confounded_world(40).with_columns(
        [pl.Series(f"c{i}", np.random.default_rng(i).normal(size=40)) for i in range(35)]
    )
    assert_withheld(study(wide, confounders=[f"c{i}" for i in range(35)]), "too_few_units", "columns")


def test_a_target_that_a_regression_does_not_hit_and_an_unadjusted_study_earn_a_caution() -> None:
    assert "ATT" in study(confounded_world(500), target="ATT").reasons[0]
    bare = study(confounded_world(500), confounders=[])
    adjusted, raw = numbers(bare)["dowhy_linear_regression"], numbers(bare)["unadjusted"]
    assert bare.verdict == "caution" and "nothing was adjusted for" in bare.reasons[0]
    assert adjusted.effect == pytest.approx(raw.effect)
    with pytest.raises(ValueError, match="target"):
        study(confounded_world(100), target="PATE")


def test_five_thousand_rows_with_twenty_placebos_take_seconds() -> None:
    frame = confounded_world(5_000)
    started = time.perf_counter()
    study(frame)
    assert time.perf_counter() - started < 10
