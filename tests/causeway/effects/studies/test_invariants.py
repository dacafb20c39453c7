"""Whatever a small frame holds: an answer that holds together."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from causeway.effects.studies.study import answer_study

NASTY = [0.0, 1.0, -1.0, 1e-12, 1e9, -1e9, 1e30, 1e300, -1e300, 1e-300, 5e-324, float("nan"), float("inf")]
SIZES = (0, 1, 6, 24, 40, 60)


@st.composite
def columns(draw: st.DrawFn, n: int) -> list[float]:
    """Numbers of a column: well behaved, of few values, or spoilt here and there."""
    dice = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["normal", "binary", "constant", "skewed", "nasty", "words"]))
    if kind == "words":
        return [f"w{number}" for number in dice.integers(0, draw(st.integers(1, 30)), n)]
    values = {
        "normal": dice.normal(size=n),
        "binary": (dice.random(n) < draw(st.sampled_from([0.1, 0.5, 0.9]))) * 1.0,
        "constant": np.full(n, draw(st.sampled_from(NASTY))),
        "skewed": np.exp(dice.normal(size=n) * 4),
        "nasty": dice.choice(NASTY, n),
    }[kind]
    scale = draw(st.sampled_from([1.0, 1.0, 1e-20, 1e20]))
    values = np.asarray(values * scale)
    for row in draw(st.lists(st.integers(0, max(0, n - 1)), max_size=3)):
        values[row : row + 1] = draw(st.sampled_from(NASTY))
    return values.tolist()


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.sampled_from(SIZES))
    # A treatment that is none is quickly refused: it is tried among others below, not in every frame.
    dice = np.random.default_rng(draw(st.integers(0, 2**16)))
    took = (dice.random(n) < draw(st.sampled_from([0.2, 0.5, 0.8]))).astype(float).tolist()
    frame = {"took": took if draw(st.integers(0, 4)) else draw(columns(n))}
    return pl.DataFrame(frame | {name: draw(columns(n)) for name in ("y", "age", "other", "group")}, strict=False)


DESIGNS = [
    {},
    {"confounders": ["age", "other"]},
    {"confounders": []},
    {"target": "ATT"},
    {"target": "ATC", "weights": "other"},
    {"clusters": "group"},
    {"blocks": "group", "confounders": []},
    {"blocks": "group", "clusters": "other"},
    {"known_propensity": "other"},
    {"known_propensity": 0.5, "confounders": []},
    {"instruments": ["other"], "target": "LATE"},
    {"instruments": ["other", "group"], "target": "LATE", "confounders": []},
    {"treatment": {"column": "took"}},
    {"treatment": {"column": "took"}, "instruments": ["other"], "clusters": "group"},
    {"negative_controls": {"outcomes": ["other"], "exposures": ["group"]}},
]


@given(frame=frames(), changes=st.sampled_from(DESIGNS))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_an_answer_holds_together(study, check, frame, changes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = answer_study(frame, study(**changes), in_full=False).answer
    check(answer, frame.height)


@given(frame=frames(), changes=st.sampled_from(DESIGNS))
@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_an_answer_in_full_holds_together(study, check, frame, changes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = answer_study(frame, study(**{"effect_modifiers": ["age"], **changes})).answer
    check(answer, frame.height)
