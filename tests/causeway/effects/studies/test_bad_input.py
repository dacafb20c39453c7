"""What data can be: an answer with reasons and the rows left out, never an exception, a warning or a made-up number."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.effects.studies.many import answer_all, questions_of
from causeway.effects.studies.study import answer_study
from causeway.effects.studies.units import read_units

TREATMENT_ON_A_SCALE = {"column": "took"}


def constant(value: float) -> Any:
    return lambda dice, of: np.full(len(of["y"]), value)


def first(*values: float, then: str) -> Any:
    """The first rows are these, the others a column's."""
    return lambda dice, of: np.r_[values, np.asarray(of[then])[len(values) :]]


def where(condition: Any, column: str = "took", otherwise: float = np.nan) -> Any:
    """The column in the rows for which the condition on their number holds."""
    return lambda dice, of: np.where(condition(np.arange(len(of["y"]))), of[column], otherwise)


def times(factor: float, column: str) -> Any:
    return lambda dice, of: np.asarray(of[column]) * factor


def few(k: int) -> Any:
    """One for the first k, zero for the others."""
    return lambda dice, of: (np.arange(len(of["y"])) < k) * 1.0


def names(levels: int) -> Any:
    return lambda dice, of: [f"level {number % levels}" for number in range(len(of["y"]))]


def noise(dice: np.random.Generator, of: Any) -> Any:
    return dice.normal(size=len(of["y"]))


def words(dice: np.random.Generator, of: Any) -> Any:
    return ["a", "b"] * (len(of["y"]) // 2)


def by_treatment(dice: np.random.Generator, of: Any) -> Any:
    return np.where(np.asarray(of["took"]) > 0, "a", "b")


# Name, columns, declaration, what is said. Each is withheld.
WITHHELD = [
    ("treatment constant", {"took": constant(1)}, {}, "took is the same for all 120 complete rows"),
    ("treatment of no declared value", {"took": constant(7)}, {}, "120 with another took (7.0)"),
    ("treatment missing", {"took": constant(np.nan)}, {}, "120 without took"),
    ("outcome constant", {"y": constant(3)}, {}, "y is the same for everybody"),
    ("outcome missing", {"y": constant(np.nan)}, {}, "120 without y"),
    ("outcome infinite", {"y": constant(np.inf)}, {}, "120 without y"),
    ("outcome in words", {"y": words}, {}, "y is not a number"),
    ("outcome of enormous numbers", {"y": times(1e300, "y")}, {}, "120 with y beyond 1e+30"),
    ("outcome of tiny numbers", {"y": times(1e-300, "y")}, {}, "y varies by less than 1e-30: rescale it"),
    ("confounder of enormous numbers", {"age": times(1e160, "age")}, {}, "120 with age beyond 1e+30"),
    ("perfect separation", {"took": lambda dice, of: (of["age"] > 50) * 1.0}, {}, "no overlap"),
    ("confounder is the treatment", {"age": times(1, "took")}, {}, "the treatment is a function of the confounders"),
    (
        "confounder that controls lack",
        {"dose": lambda dice, of: np.where(of["took"] > 0, dice.normal(size=120), np.nan)},
        {"confounders": ["age", "dose"]},
        "dose is missing for 100.0% of the control units and for 0.0% of the treated ones: what exists only after",
    ),
    ("weights zero", {"w": constant(0)}, {"weights": "w"}, "120 with no positive w"),
    ("weights enormous", {"w": constant(1e300)}, {"weights": "w"}, "120 with w beyond 1e+30"),
    ("one weight is everything", {"w": few(1)}, {"weights": "w"}, "took is the same for all 1 complete rows"),
    ("one weight is nearly everything", {"one": constant(1), "w": first(1e9, then="one")}, {"weights": "w"}, "1.0 eff"),
    ("weights in words", {"w": words}, {"weights": "w"}, "w is not a number"),
    ("propensity of 0 and 1", {"p": times(1, "took")}, {"known_propensity": "p"}, "120 with p not between 0 and 1"),
    (
        "one propensity is next to nothing",
        {"took": few(60), "half": constant(0.5), "p": first(1e-300, then="half")},
        {"known_propensity": "p", "confounders": []},
        "weights by p leave 1.0 effective units in an arm",
    ),
    ("one cluster", {"g": names(1)}, {"clusters": "g"}, "fewer than two clusters in an arm by g"),
    ("a cluster an arm", {"g": by_treatment}, {"clusters": "g"}, "fewer than two clusters in an arm by g"),
    ("blocks with one arm", {"g": by_treatment}, {"blocks": "g", "confounders": []}, "120 of 120 units are in blocks"),
    ("blocks of one unit", {"g": names(120)}, {"blocks": "g", "confounders": []}, "120 of 120 units are in blocks"),
    ("a graph with a cycle", {}, {"graph": [["age", "took"], ["took", "y"], ["y", "age"]]}, "age -> took -> y -> age"),
    ("a column that is not there", {}, {"confounders": ["age", "height"]}, "not in the data, or not just once: height"),
    ("scale: constant", {"took": constant(1)}, {"treatment": TREATMENT_ON_A_SCALE}, "took is the same for all 120"),
    ("scale: words", {"took": words}, {"treatment": TREATMENT_ON_A_SCALE}, "took is not a number"),
    ("scale: one unit differs", {"took": few(1)}, {"treatment": TREATMENT_ON_A_SCALE}, "took varies for fewer than 3"),
    ("scale: confounded", {"took": times(2, "age")}, {"treatment": TREATMENT_ON_A_SCALE}, "a function of the"),
    ("target ATT, five treated", {"took": few(5), "age": noise}, {"target": "ATT"}, "only 5 treated units"),
    ("target ATC, five treated", {"took": few(5), "age": noise}, {"target": "ATC"}, "only 5 treated units"),
    ("instrument constant", {"z": constant(1)}, {"instruments": ["z"], "target": "LATE"}, "no instrument varies"),
    ("instrument in words", {"z": words}, {"instruments": ["z"], "target": "LATE"}, "the instrument z is not a number"),
    ("instrument of one unit", {"z": few(1)}, {"instruments": ["z"], "target": "LATE"}, "z varies for fewer than 3"),
    ("instrument of noise", {"z": noise}, {"instruments": ["z"], "target": "LATE"}, "weak instrument"),
]  # fmt: skip

# Name, columns, declaration, what is said. Each has a number, and a doubt where something is said.
ANSWERED = [
    ("more than two values", {"took": lambda dice, of: np.arange(120) % 3 * 1.0}, {}, "40 with another took (2.0)"),
    ("treatment partly missing", {"took": where(lambda row: row % 4 > 0)}, {}, "30 without took"),
    ("confounder partly infinite", {"age": where(lambda row: row % 4 > 0, "age", np.inf)}, {}, "30 without age"),
    ("confounders collinear", {"b": times(2, "age"), "c": times(-1, "age")}, {"confounders": ["age", "b", "c"]}, ""),
    ("confounders constant", {"age": constant(1)}, {}, "nothing was adjusted for"),
    ("a confounder of words nobody shares", {"s": names(120)}, {"confounders": ["age", "s"]}, "s: 100% of the units"),
    ("weights negative", {"one": constant(1), "w": first(-1, 0, then="one")}, {"weights": "w"}, ""),
    ("weights tiny", {"w": constant(1e-308)}, {"weights": "w"}, ""),
    ("a cluster a unit", {"g": names(120)}, {"clusters": "g"}, ""),
    ("few clusters", {"g": names(4)}, {"clusters": "g"}, "only 4 clusters"),
    ("outcome nearly constant", {"y": few(2)}, {}, "only 2 of 120 units have another outcome"),
    (
        "outcome zero in one arm",
        {"y": lambda dice, of: of["took"] * (dice.random(120) < 0.5)},
        {},
        "",
    ),
    ("scale: three values", {"took": lambda dice, of: np.arange(120) % 3}, {"treatment": TREATMENT_ON_A_SCALE}, ""),
    (
        "scale: nothing adjusted for",
        {"took": noise},
        {"treatment": TREATMENT_ON_A_SCALE, "confounders": []},
        "nothing was adjusted for",
    ),
    (
        "instrument with a doubt of the design",
        {"z": lambda dice, of: np.maximum(of["took"], dice.random(120) < 0.3)},
        {"instruments": ["z"], "target": "LATE"},
        "",
    ),
    ("instrument is the treatment", {"z": times(1, "took")}, {"instruments": ["z"], "target": "LATE"}, ""),
    (
        "negative controls that are none",
        {"text": words, "one": constant(1), "none": constant(np.nan), "far": times(1e300, "y")},
        {"negative_controls": {"outcomes": ["text", "one", "none", "far"]}},
        "no negative control could be tested",
    ),
]


def answered(small: Any, study: Any, columns: Any, changes: Any, *, in_full: bool = False) -> Any:
    frame = small(**columns)
    before = frame.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = answer_study(frame, study(**changes), in_full=in_full).answer
    assert frame.equals(before)
    return answer


@pytest.mark.parametrize(("columns", "changes", "said"), [each[1:] for each in WITHHELD], ids=[e[0] for e in WITHHELD])
def test_what_cannot_be_answered_is_withheld_in_words(small, study, check, columns, changes, said):
    answer = answered(small, study, columns, changes)
    check(answer, 120)
    assert answer.verdict == "withheld"
    assert said in "; ".join(answer.reasons)


@pytest.mark.parametrize(("columns", "changes", "said"), [each[1:] for each in ANSWERED], ids=[e[0] for e in ANSWERED])
def test_what_can_be_answered_has_its_doubts(small, study, check, columns, changes, said):
    answer = answered(small, study, columns, changes)
    check(answer, 120)
    assert answer.verdict in ("credible", "caution")
    assert said in "; ".join([*answer.reasons, *(f"{rows} {why}" for why, rows in answer.left_out.items())])
    assert not said or answer.verdict == "caution" or answer.left_out


def test_a_confounder_that_next_to_no_control_has_is_told(small, study, check):
    n = 1_200
    of_treated = np.where(np.arange(n) < 20, 0.0, np.nan)
    frame = small(n, dose=lambda dice, of: np.where(of["took"] > 0, dice.normal(size=n), of_treated))
    answer = answer_study(frame, study(confounders=["age", "dose"]), in_full=False).answer
    check(answer, n)
    said = "dose looks like a consequence of the treatment: dose is missing for 98."
    assert any(reason.startswith(said) for reason in answer.reasons)


@pytest.mark.parametrize(
    ("n", "verdict", "said"),
    [
        (0, "withheld", "there are no rows"),
        (1, "withheld", "nothing to compare"),
        (5, "withheld", "nothing to compare"),
        (19, "withheld", "20 are needed"),
        (20, "caution", "only 6 treated units"),
    ],
)
def test_few_rows(small, study, check, n, verdict, said):
    answer = answer_study(small(n), study(), in_full=False).answer
    check(answer, n)
    assert answer.verdict == verdict
    assert said in "; ".join(answer.reasons)


def test_more_columns_than_rows_are_not_told_apart(small, study, check):
    wide = {f"x{number}": noise for number in range(200)}
    answer = answer_study(small(50, **wide), study(confounders=list(wide)), in_full=False).answer
    check(answer, 50)
    assert answer.verdict == "withheld"
    assert "50 units are too few to tell 200 columns apart" in answer.reasons


def test_a_confounder_with_500_categories_says_what_is_left_of_it(small, study, check):
    frame = small(1_000, city=lambda dice, of: [f"city {number}" for number in dice.integers(0, 500, 1_000)])
    answer = answer_study(frame, study(confounders=["age", "city"]), in_full=False).answer
    check(answer, 1_000)
    assert answer.verdict == "caution"
    assert "city: 84% of the units have a level too rare" in "; ".join(answer.reasons)
    assert answer.diagnostics["data"]["folded_levels"]["city"] > 400


INTERNAL = (
    "treated", "outcome", "propensity", "placebo", "unit_id", "study", "weights", "level", "units", "count", "arms",
    "literal", "index", "effect", "fold", "segment",
)  # fmt: skip


def test_columns_named_like_internal_ones_are_columns(small, study, check):
    """Under other names the same columns give the same number, in full and in every segment."""
    plain = small(200, site=lambda dice, of: np.where(dice.random(200) < 0.9, "a", "b"))
    expected = answer_study(plain, study(), in_full=False).answer.headline_estimate
    for name in INTERNAL:
        units = read_units(plain.rename({"age": name}), study(confounders=[name]))
        assert units.confounders.columns == (name,)
    renamed = plain.rename({"took": "outcome", "y": "treated", "age": "propensity", "site": "count"})
    declared = study(
        treatment={"column": "outcome", "values": {"control": 0, "treated": 1}},
        outcome={"column": "treated"},
        confounders=["propensity"],
        effect_modifiers=["propensity"],
        segments=["count"],
    )
    everybody, *segments = (each.answer for each in answer_all(questions_of(renamed, declared)))
    check(everybody, 200)
    assert everybody.headline_estimate.effect == expected.effect
    assert [each.segment for each in segments] == ["count=a", "count=b"]
    for each in segments:
        check(each, int((renamed["count"] == each.segment[-1]).sum()))


def test_a_level_with_too_few_units_is_told_and_not_dropped(small, study, check):
    frame = small(120, site=lambda dice, of: ["large"] * 113 + ["small"] * 6 + ["tiny"])
    found = {each.answer.segment: each.answer for each in answer_all(questions_of(frame, study(segments=["site"])))}
    assert set(found) == {None, "site=large", "site=small", "site=tiny"}
    assert [found[f"site={name}"].verdict for name in ("small", "tiny")] == ["withheld", "withheld"]
    check(found["site=small"], 6)


def test_two_columns_of_one_name_are_not_guessed_at(small, study, check):
    import pandas as pd

    frame = small().to_pandas()
    frame = pd.concat([frame, frame[["age"]]], axis=1)
    answer = answer_study(frame, study()).answer
    check(answer, 120)
    assert answer.reasons == ("not in the data, or not just once: age",)


def test_modifiers_that_say_nothing_leave_the_answer_as_it_is(small, study, check):
    """Constant ones, one that is the treatment, and segments of single units."""
    frame = small(one=constant(1), copy=times(1, "took"), own=names(120))
    expected = answer_study(frame, study(), in_full=False).answer.headline_estimate
    declared = study(effect_modifiers=["one", "copy"], segments=["own"])
    answer = answer_study(frame, declared).answer
    check(answer, 120)
    assert answer.headline_estimate.effect == expected.effect
    assert not answer.heterogeneity["beats_constant"]


def test_heavy_tails_do_not_pass_as_credible(small, study, check):
    answer = answered(small, study, {"y": lambda dice, of: dice.standard_cauchy(120) ** 3}, {}, in_full=True)
    check(answer, 120)
    assert answer.verdict == "caution"


def test_a_date_is_neither_number_nor_text(small, study, check):
    frame = small().with_columns(day=pl.date(2024, 1, 1))
    answer = answer_study(frame, study(confounders=["day"])).answer
    check(answer, 120)
    assert answer.reasons == ("day is neither a number nor a text",)
