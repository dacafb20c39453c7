"""Many questions at once: what is shared changes no bit of an answer, and nothing is dropped unsaid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.declarations.study import StudyDeclaration
from causeway.effects import learners, nuisances
from causeway.effects.graph import dowhy_confirmation
from causeway.effects.problem import Computing
from causeway.effects.side_by_side import BackendMissing, side_by_side
from causeway.effects.studies import encoding, identifying, many, two_arms
from causeway.effects.studies.many import Question, answer_all, questions_of
from causeway.effects.studies.study import answer_study
from tests.causeway.effects.studies.worlds import study_of, world_with_overlap


@pytest.fixture(autouse=True)
def small_trees_and_two_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shared is the same question for small trees as for large ones."""
    monkeypatch.setattr(learners, "TREES", ((float("inf"), learners.BoostedTrees((5, 10, 15), 2, 0.3)),))
    monkeypatch.setattr(two_arms, "usual_splits", lambda n: 2)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """With an outcome that some units lack, and one that only half of them have."""
    n = 160
    world = world_with_overlap(n)
    row = pl.int_range(n)
    return world.with_columns(
        pl.when(row < 9).then(None).otherwise(pl.col("y2")).alias("holes"),
        pl.when(row < 9).then(None).otherwise(pl.col("none")).alias("same_holes"),
    )


def document(answer: Any) -> str:
    return json.dumps(answer.as_document())


def alone(frame: pl.DataFrame, study: StudyDeclaration, seed: int = 2) -> str:
    return document(answer_study(frame, study, seed=seed, in_full=False).answer)


def about(study: StudyDeclaration, *outcomes: str) -> list[StudyDeclaration]:
    return [
        study.model_copy(update={"outcome": study.outcome.model_copy(update={"column": name})}) for name in outcomes
    ]


DESIGNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"weights": "w"},
    "clusters": {"clusters": "c"},
    "known propensity": {"known_propensity": "e"},
    "blocks": {"blocks": "b", "confounders": []},
    "of the treated, with a negative control": {"target": "ATT", "negative_controls": {"outcomes": ["none"]}},
}


@pytest.mark.parametrize("design", DESIGNS)
def test_an_outcome_alone_is_the_same_outcome_among_others_to_the_last_bit(frame: pl.DataFrame, design: str) -> None:
    """Also where outcomes are missing for some: y and y2 share, and so do the two with holes."""
    names = ("y", "y2", "holes", "same_holes") if design == "plain" else ("y", "holes", "same_holes")
    studies = about(study_of(**DESIGNS[design]), *names)
    together = answer_all([Question(frame, each, in_full=False) for each in studies], seed=2)
    assert [document(each.answer) for each in together] == [alone(frame, each) for each in studies]


def test_propensities_are_fitted_once_for_all_outcomes(frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[str] = []
    real = nuisances._fit_fold

    def counting(fit: Any, *rest: Any) -> Any:
        fitted.append(fit.target.name)
        return real(fit, *rest)

    monkeypatch.setattr(nuisances, "_fit_fold", counting)
    answer_study(frame, study_of(), in_full=False)
    of_one = fitted.count("propensity")
    fitted.clear()
    answer_all([Question(frame, each, in_full=False) for each in about(study_of(), "y", "y2", "none")])
    assert fitted.count("propensity") == of_one > 0


def test_outcomes_with_other_adjustment_sets_share_nothing(frame: pl.DataFrame) -> None:
    """By the graph x1 is a confounder for y2 alone: its nuisances are none of y's."""
    study = study_of(graph="digraph { x0 -> t; x0 -> y; x0 -> y2; x1 -> t; x1 -> y2; t -> y; t -> y2 }")
    studies = about(study, "y", "y2")
    found = answer_all([Question(frame, each, in_full=False) for each in studies], seed=2)
    assert found[0].answer.estimand.adjustment_set != found[1].answer.estimand.adjustment_set
    assert [document(each.answer) for each in found] == [alone(frame, each) for each in studies]


def test_control_outcomes_are_estimated_once(frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    from causeway.effects.studies import negative_controls

    asked: list[str] = []
    real = negative_controls._of_outcome
    monkeypatch.setattr(negative_controls, "_of_outcome", lambda *given: (asked.append(given[2]), real(*given))[1])
    study = study_of(negative_controls={"outcomes": ["none"]})
    found = answer_all([Question(frame, each, in_full=False) for each in about(study, "y", "y2")])
    assert asked == ["none"]
    records = [each.answer.diagnostics["negative_controls"] for each in found]
    assert records[0] == records[1] and records[0] is not records[1]


def test_covariates_are_encoded_and_graphs_identified_once(
    frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    real = encoding.Covariates.of.__func__
    monkeypatch.setattr(
        encoding.Covariates, "of", classmethod(lambda cls, given, n: (encoded.append(n), real(cls, given, n))[1])
    )
    asked: list[str] = []
    monkeypatch.setattr(
        dowhy_confirmation, "confirm", lambda *given, **more: (asked.append("DoWhy"), (None, "not now"))[1]
    )
    identifying._identify_once.cache_clear()
    answer_all([Question(frame, each, in_full=False) for each in about(study_of(), "y", "y2", "none")])
    # Once with its two confounders, once without effect modifiers; all three have the same rows.
    assert encoded == [160, 160]
    assert asked == []
    identifying.identified(study_of())
    identifying.identified(study_of())
    assert asked == ["DoWhy"]
    identifying._identify_once.cache_clear()


def test_several_studies_of_several_frames_are_answered_in_their_order(frame: pl.DataFrame) -> None:
    other = world_with_overlap(120, seed=9)
    asked = [(frame, study_of()), (other, study_of(target="ATC")), (frame, study_of(confounders=["x0"]))]
    found = answer_all([Question(*each, in_full=False) for each in asked], seed=2, computing=Computing(2))
    assert [document(each.answer) for each in found] == [alone(*each) for each in asked]


def test_segments_are_named_and_small_ones_say_that_they_are_small(frame: pl.DataFrame) -> None:
    levels = ["small"] * 12 + ["north"] * 60 + ["south"] * 80 + [None] * 8
    segmented = frame.with_columns(pl.Series("region", levels))
    questions = questions_of(segmented, study_of(segments=["region"], outcomes=["y2"]))
    names = [None if each.segment is None else each.segment.name for each in questions]
    assert names == [None, None] + [f"region={name}" for name in ("south", "north", "small") for _ in range(2)]
    found = answer_all([each for each in questions if each.study.outcome.column == "y2"], seed=2)
    assert [each.answer.segment for each in found] == [None, "region=south", "region=north", "region=small"]
    small = found[-1].answer
    assert small.verdict == "withheld" and small.estimates[0].status == "too_few_units" and small.n == 12
    own = segmented.filter(pl.col("region") == "south").drop("region")
    as_own_study = answer_study(own, study_of(outcome={"column": "y2"}), seed=2, in_full=False).answer
    assert found[1].answer.headline_estimate == as_own_study.headline_estimate
    assert questions[0].told == {
        "segments": {
            "region": {
                "answered": ["south", "north", "small"],
                "levels_not_answered": 0,
                "rows_of_levels_not_answered": 0,
                "rows_without_a_level": 8,
            }
        }
    }


def test_levels_beyond_the_fiftieth_are_counted_and_absent_segments_refuse_the_study() -> None:
    frame = world_with_overlap(300).with_columns((pl.int_range(300) // 5).alias("many"))
    record = questions_of(frame, study_of(segments=["many"]))[0].told
    assert record is not None
    assert record["segments"]["many"]["levels_not_answered"] == 10
    assert record["segments"]["many"]["rows_of_levels_not_answered"] == 50
    (only,) = answer_all(questions_of(frame, study_of(segments=["absent"])))
    assert only.answer.verdict == "withheld" and "absent" in only.answer.reasons[0]


def test_infinite_numbers_are_no_level() -> None:
    values = pl.Series("v", [1.0, 2.0, float("nan"), float("inf")] * 30)
    record = questions_of(world_with_overlap(120).with_columns(values), study_of(segments=["v"]))[0].told
    assert record is not None
    assert (record["segments"]["v"]["answered"], record["segments"]["v"]["rows_without_a_level"]) == (
        ["1.0", "2.0"],
        60,
    )


def test_computing_changes_no_bit_and_progress_ends_with_everything(frame: pl.DataFrame) -> None:
    studies = about(study_of(segments=["g"]), "y", "holes")
    questions = [Question(frame, each, in_full=False) for each in studies]
    told: list[tuple[int, int]] = []
    found = answer_all(questions, seed=2, computing=Computing(2), report=lambda done, of: told.append((done, of)))
    assert [document(each.answer) for each in found] == [alone(frame, each) for each in studies]
    assert told == [(1, 2), (2, 2)]


def test_pieces_are_small_where_units_are_many() -> None:
    frame = pl.DataFrame({"y": np.zeros(1_000_000)})
    questions = [Question(frame, study_of(), in_full=False)] * 40
    assert [len(each) for each in many._pieces(questions, 2, apart=True)] == [2] * 20
    few = [Question(frame.head(100), study_of(), in_full=False)]
    assert [len(each) for each in many._pieces(few * 40, 2, apart=True)] == [16, 16, 8]
    assert [len(each) for each in many._pieces([Question(frame, study_of()), *questions[:2]], 2, apart=True)] == [
        1,
        1,
        1,
    ]


def test_what_travels_is_the_columns_of_the_study_and_the_rows_of_the_segment(frame: pl.DataFrame) -> None:
    questions = questions_of(frame, study_of(segments=["g"]))
    sent, _ = many._as_sent(questions, [1])
    assert set(sent.columns) == {"t", "y", "x0", "x1", "g"}
    assert sent.height == frame.filter(pl.col("g") == "south").height
    (answered,) = answer_all(questions[1:2])
    assert answered.units is None


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    with pytest.raises(BackendMissing, match=r"pip install 'causeway\[ray\]'"):
        answer_all([], computing=Computing(2, "ray"))


def test_backends_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="unheard"):
        side_by_side(abs, [(1,)], n_jobs=2, backend="unheard")


def test_multiprocessing_takes_closures_and_reports() -> None:
    more, told = 2, []
    found = side_by_side(
        lambda value: value + more, [(1,), (2,), (3,)], n_jobs=2, backend="multiprocessing", report=told.append
    )
    assert found == [3, 4, 5] and told[-1] == 3
