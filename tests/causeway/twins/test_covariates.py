"""The encoded matrix: total, deterministic, and honest about what it did."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.twins.covariates import MAX_LEVELS, design_matrix, fold_levels


def test_missing_numbers_become_the_median_and_are_marked() -> None:
    matrix = design_matrix(pl.DataFrame({"age": [20.0, None, 40.0, float("nan"), float("inf"), 90.0]}), ["age"])
    assert matrix.columns == ("age", "age (missing)")
    assert matrix.values[:, 0].tolist() == [20.0, 40.0, 40.0, 40.0, 40.0, 90.0]
    assert matrix.values[:, 1].tolist() == [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert matrix.encodings[0].missing == 3
    assert matrix.encodings[0].fill_value == 40.0


def test_two_covariates_missing_for_the_same_units_share_one_indicator() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": [5.0, None, 9.0], "c": [None, 1.0, 2.0]})
    assert design_matrix(frame, ["a", "b", "c"]).columns == ("a", "a (missing)", "b", "c", "c (missing)")


def test_the_most_frequent_level_is_the_reference_and_missing_is_a_level() -> None:
    frame = pl.DataFrame({"channel": ["Web"] * 8 + ["Phone"] * 6 + [None] * 7})
    matrix = design_matrix(frame, ["channel"])
    assert matrix.columns == ("channel=Phone", "channel=(missing)")
    assert matrix.encodings[0].reference == "Web"
    assert matrix.values.sum(axis=0).tolist() == [6.0, 7.0]


def test_five_hundred_levels_cost_at_most_thirty_columns() -> None:
    levels = [f"level {i % 500:03d}" for i in range(5_000)] + ["frequent"] * 500
    levels += [f"common {i % 60:02d}" for i in range(60 * 60)]
    matrix = design_matrix(pl.DataFrame({"shop": levels}), ["shop"])
    assert matrix.values.shape == (len(levels), MAX_LEVELS)
    assert matrix.encodings[0].folded == 561 - MAX_LEVELS
    assert matrix.columns[-1] == "shop=(other)"
    assert (matrix.values.sum(axis=1) <= 1).all()


def test_rare_levels_are_folded_and_nulls_are_not() -> None:
    folded = fold_levels(pl.Series("x", ["a"] * 10 + ["b"] * 5 + ["c"] * 4 + ["d", None]))
    assert folded.kept == ("a", "b")
    assert folded.folded == 2
    assert folded.values.to_list() == ["a"] * 10 + ["b"] * 5 + ["(other)"] * 5 + [None]


@pytest.mark.parametrize(
    ("column", "note"),
    [
        (pl.Series("x", [None, None, None]), "all_missing"),
        (pl.Series("x", [None, None, None], dtype=pl.Float64), "all_missing"),
        (pl.Series("x", [None, None, None], dtype=pl.String), "all_missing"),
        (pl.Series("x", [7.0, 7.0, 7.0]), "constant"),
        (pl.Series("x", ["a", "a", "a"]), "constant"),
        (pl.Series("x", [], dtype=pl.Float64), "all_missing"),
    ],
)
def test_a_covariate_that_does_not_vary_gives_no_column_and_says_why(column: pl.Series, note: str) -> None:
    matrix = design_matrix(column.to_frame(), ["x"])
    assert matrix.values.shape == (len(column), 0)
    assert matrix.encodings[0].note == note
    assert matrix.as_record()[0]["note"] == note


def test_a_constant_with_missing_values_keeps_the_indicator() -> None:
    matrix = design_matrix(pl.DataFrame({"x": [7.0, None, 7.0]}), ["x"])
    assert matrix.columns == ("x (missing)",)


def test_declarations_that_cannot_be_meant_are_refused() -> None:
    frame = pl.DataFrame({"x": [1.0], "day": [date(2024, 1, 1)]})
    with pytest.raises(KeyError, match="absent"):
        design_matrix(frame, ["absent"])
    with pytest.raises(ValueError, match="twice"):
        design_matrix(frame, ["x", "x"])
    with pytest.raises(TypeError, match="day"):
        design_matrix(frame, ["day"])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
            st.one_of(st.none(), st.sampled_from(["a", "b", "(other)", "(missing)", ""])),
        ),
        min_size=1,
        max_size=40,
    ),
    seed=st.integers(0, 2**31),
)
def test_the_matrix_is_finite_and_follows_the_rows_wherever_they_go(
    rows: list[tuple[float | None, str | None]], seed: int
) -> None:
    frame = pl.DataFrame(
        {"x": [r[0] for r in rows], "c": [r[1] for r in rows]}, schema={"x": pl.Float64, "c": pl.String}
    )
    order = np.random.default_rng(seed).permutation(len(rows))
    straight, shuffled = design_matrix(frame, ["x", "c"]), design_matrix(frame[order.tolist()], ["x", "c"])
    assert np.isfinite(straight.values).all()
    assert len(set(straight.columns)) == len(straight.columns)
    assert shuffled.columns == straight.columns
    assert (shuffled.values == straight.values[order]).all()
