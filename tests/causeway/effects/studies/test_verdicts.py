"""Small worlds with one thing wrong each: the verdict, its reason, and the limits that can be declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.declarations.study import StudyDeclaration
from causeway.effects import learners
from causeway.effects.refutations import Refutation
from causeway.effects.studies import study as studies
from causeway.effects.studies import two_arms
from causeway.effects.studies.answer import StudyAnswer
from tests.causeway.effects.studies import worlds
from tests.causeway.effects.studies.worlds import study_of, world_with_overlap


@pytest.fixture(autouse=True)
def small_trees_and_two_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "TREES", ((float("inf"), learners.BoostedTrees((5, 10, 15), 2, 0.3)),))
    monkeypatch.setattr(two_arms, "usual_splits", lambda n: 2)


def answer(frame: pl.DataFrame, study: StudyDeclaration) -> StudyAnswer:
    return studies.answer_study(frame, study, seed=1, in_full=False).answer


def severities(found: StudyAnswer) -> dict[str, str]:
    """The worst that each rule said."""
    worst: dict[str, str] = {}
    for each in found.judged:
        order = ("fine", "caution", "withhold")
        worst[each.rule] = max(worst.get(each.rule, "fine"), each.severity, key=order.index)
    return worst


def broken(found: StudyAnswer) -> set[str]:
    return {rule for rule, severity in severities(found).items() if severity != "fine"}


def has_no_number(found: StudyAnswer) -> bool:
    return all(row.effect is None and row.ci_low is None and row.p_value is None for row in found.estimates)


def test_world_with_overlap_is_credible_and_right() -> None:
    found = answer(world_with_overlap(800), study_of())
    assert (found.verdict, found.reasons, broken(found)) == ("credible", (), set())
    headline = found.headline_estimate
    assert headline is not None and headline.ci_low is not None and headline.ci_high is not None
    assert headline.ci_low < 1.0 < headline.ci_high
    assert {row.method for row in found.estimates} >= {"aipw", "g_formula", "ipw", "partially_linear", "matching"}
    assert "average effect of t (1 against 0) on y over every person" in found.estimand.in_words


def test_world_without_overlap_is_withheld_without_any_number() -> None:
    found = answer(worlds.world_without_overlap(), study_of())
    assert found.verdict == "withheld" and severities(found)["overlap"] == "withhold"
    assert found.reasons[0].startswith("no overlap")
    assert has_no_number(found) and found.sensitivity == {}


def test_world_where_only_the_treated_have_counterparts_offers_their_effect() -> None:
    frame = worlds.world_without_overlap_of_controls()
    found = answer(frame, study_of(confounders=["x0"]))
    assert found.verdict == "withheld"
    assert any("declare target: ATT" in reason for reason in found.reasons)
    assert severities(answer(frame, study_of(confounders=["x0"], target="ATT")))["overlap"] != "withhold"


def test_world_with_bad_negative_control() -> None:
    frame = worlds.world_with_bad_negative_control()
    found = answer(frame, study_of(negative_controls={"outcomes": ["nc", "fine"]}))
    assert found.verdict == "withheld"
    assert any("negative control nc shows an effect" in reason for reason in found.reasons)
    assert "negative_controls" not in broken(answer(frame, study_of(negative_controls={"outcomes": ["fine"]})))


def test_world_with_ignored_clusters() -> None:
    frame = worlds.world_with_ignored_clusters()
    found = answer(frame, study_of(segments=["school"]))
    assert severities(found)["clusters_ignored"] == "caution"
    assert any("declare clusters: school" in reason for reason in found.reasons)
    declared = answer(frame, study_of(segments=["school"], clusters="school"))
    assert severities(declared)["clusters_ignored"] == "fine"
    narrow, wide = found.headline_estimate, declared.headline_estimate
    assert narrow is not None and wide is not None
    assert wide.settings["clusters"] == 40


def test_world_with_post_treatment_confounder() -> None:
    frame = worlds.world_with_post_treatment_confounder()
    graph = "digraph { x0 -> t; x0 -> y; x1 -> t; x1 -> y; t -> after; t -> y }"
    found = answer(frame, study_of(confounders=["x0", "x1", "after"], graph=graph))
    assert severities(found)["post_treatment"] == "caution"
    assert any("refused as a confounder: after" in reason for reason in found.reasons)
    assert found.estimand.adjustment_set == ("x0", "x1")
    stricter = {"post_treatment": {"by_graph": "withhold"}}
    strict = study_of(confounders=["x0", "x1", "after"], graph=graph, rules=stricter)
    assert answer(frame, strict).verdict == "withheld"


def test_world_with_weak_instrument() -> None:
    declared = {"instruments": ["z"], "confounders": [], "target": "LATE"}
    weak = answer(worlds.world_with_weak_instrument(strength=0.02), study_of(**declared))
    assert weak.verdict == "withheld" and severities(weak)["weak_instrument"] == "withhold"
    assert has_no_number(weak)
    strong = answer(worlds.world_with_weak_instrument(strength=0.8), study_of(**declared))
    assert severities(strong)["weak_instrument"] == "fine"
    demanding = study_of(**declared, rules={"weak_instrument": {"caution": 1e6, "withhold": 0}})
    assert (
        severities(answer(worlds.world_with_weak_instrument(strength=0.8), demanding))["weak_instrument"] == "caution"
    )


def test_rows_left_out_are_counted_and_judged() -> None:
    frame = world_with_overlap().with_columns(
        pl.when(pl.int_range(400) < 120).then(None).otherwise(pl.col("x0")).alias("x0"),
        pl.when(pl.int_range(400) > 389).then(2).otherwise(pl.col("t")).alias("t"),
    )
    found = answer(frame, study_of())
    assert (found.n, found.n_left_out) == (270, 130)
    assert found.left_out == {"without x0": 120, "with another t (2.0)": 10}
    assert severities(found)["left_out"] == "caution"


@pytest.mark.parametrize(
    ("of_treated", "of_control", "severity"), [(0.17, 0.05, "caution"), (0.12, 0.12, "fine"), (0.13, 0.10, "fine")]
)
def test_an_arm_that_lost_more_than_the_other_is_told(of_treated: float, of_control: float, severity: str) -> None:
    frame = world_with_overlap(2_000)
    dice = np.random.default_rng(4).random(2_000)
    lost = dice < np.where(frame["t"].to_numpy() == 1, of_treated, of_control)
    frame = frame.with_columns(pl.when(pl.Series(lost)).then(None).otherwise(pl.col("y")).alias("y"))
    found = answer(frame, study_of())
    assert severities(found)["left_out"] == severity
    assert any("one arm more than of the other" in reason for reason in found.reasons) == (severity == "caution")


def test_an_arm_that_lost_more_by_chance_is_not_told() -> None:
    frame = world_with_overlap(120)
    lost = (pl.int_range(120) < 7) & (pl.col("t") == 1)
    found = answer(frame.with_columns(pl.when(lost).then(None).otherwise(pl.col("y")).alias("y")), study_of())
    assert found.n_left_out > 0 and severities(found)["left_out"] == "fine"


def test_a_graph_with_an_unmeasured_confounder_withholds() -> None:
    found = answer(world_with_overlap(), study_of(graph="digraph { u -> t; u -> y; t -> y; x0 -> y }"))
    assert found.verdict == "withheld" and not found.estimand.identified and found.estimates == ()


def test_nothing_adjusted_is_an_association_unless_treatment_was_randomised() -> None:
    frame = world_with_overlap()
    assert "identification" in broken(answer(frame, study_of(confounders=[])))
    designed = answer(frame, study_of(confounders=[], known_propensity=0.5))
    assert "identification" not in broken(designed) and designed.headline == "difference_in_means"


def test_a_treatment_that_the_confounders_determine_has_no_counterparts() -> None:
    frame = world_with_overlap().with_columns((pl.col("t") * 2.0 + 1).alias("x0"))
    found = answer(frame, study_of())
    assert found.verdict == "withheld" and "function of the confounders" in found.reasons[0]


def test_a_treatment_on_a_scale_is_answered_with_a_slope() -> None:
    generator = np.random.default_rng(0)
    frame = world_with_overlap(600)
    dose = frame["x0"].to_numpy() + generator.normal(size=600)
    y = 2 * dose + frame["x0"].to_numpy() + generator.normal(size=600)
    frame = frame.with_columns(pl.Series("t", dose), pl.Series("y", y))
    found = answer(frame, study_of(treatment={"column": "t"}))
    headline = found.headline_estimate
    assert headline is not None and headline.target == "slope" and headline.effect is not None
    assert headline.effect == pytest.approx(2.0, abs=0.2)
    assert "one unit more" in headline.estimand


LIMITS: list[tuple[str, dict[str, Any], str]] = [
    ("overlap", {"caution": 0.0, "withhold": 1.0}, "caution"),
    ("overlap", {"caution": 0.0, "withhold": 0.0}, "withhold"),
    ("balance", {"caution": 1e-9, "withhold": 5}, "caution"),
    ("balance", {"caution": 1e-9, "withhold": 1e-9}, "withhold"),
    ("negative_controls", {"caution": 1.0, "withhold": 0.0}, "caution"),
    ("negative_controls", {"caution": 1.0, "withhold": 1.0}, "withhold"),
    ("instability", {"max_spread": 1e-9, "then": "caution"}, "caution"),
    ("instability", {"max_spread": 1e-9, "then": "withhold"}, "withhold"),
    ("instability", {"max_spread": 1e-9, "then": "ignore"}, "fine"),
    ("extrapolation", {"max_share": 0.0, "then": "withhold"}, "withhold"),
    ("left_out", {"max_share": 0.0, "then": "withhold"}, "withhold"),
    ("left_out", {"max_share": 0.0, "then": "ignore"}, "fine"),
    ("left_out", {"max_share": 1.0}, "fine"),
    ("clusters_ignored", {"then": "withhold"}, "withhold"),
]


@pytest.fixture(scope="module")
def world_with_a_little_of_everything() -> pl.DataFrame:
    """Schools treated whole, two units without a counterpart, and a missing value."""
    frame = worlds.world_with_ignored_clusters()
    x0 = frame["x0"].to_numpy() + 1.5 * frame["t"].to_numpy()
    x0[0], x0[399] = np.nan, 9.0
    return frame.with_columns(pl.Series("x0", x0))


@pytest.mark.parametrize(
    ("then", "severity"), [(None, "caution"), ("caution", "caution"), ("withhold", "withhold"), ("ignore", "fine")]
)
@pytest.mark.parametrize("found_a_problem", [True, None])
def test_what_a_refutation_that_found_a_problem_means_is_declared(
    monkeypatch: pytest.MonkeyPatch, then: str | None, severity: str, found_a_problem: bool | None
) -> None:
    said = Refutation("placebo_treatment", "aipw", 0.5, 0.001, found_a_problem, "0.5 where there is none")
    monkeypatch.setattr(studies, "refute", lambda *_, **__: (said,))
    rules = {} if then is None else {"rules": {"refutations": {"then": then}}}
    found = studies.answer_study(world_with_overlap(), study_of(**rules), seed=1).answer
    assert severities(found)["refutations"] == severity
    assert (found.verdict == "withheld") == (severity == "withhold")
    if severity == "withhold":
        assert has_no_number(found) and not any("0.5" in reason for reason in found.reasons)


@pytest.mark.parametrize(("rule", "declared", "severity"), LIMITS)
def test_declared_limits_are_obeyed(
    world_with_a_little_of_everything: pl.DataFrame, rule: str, declared: dict[str, Any], severity: str
) -> None:
    others = {"rules": {rule: declared}, "segments": ["school"], "negative_controls": {"outcomes": ["none"]}}
    found = answer(world_with_a_little_of_everything, study_of(**others))
    seen = [each for each in found.judged if each.rule == rule]
    assert severities(found)[rule] == severity, seen
    if severity == "withhold":
        assert found.verdict == "withheld" and has_no_number(found)
