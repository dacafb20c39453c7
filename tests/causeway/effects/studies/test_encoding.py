"""Covariates become numbers that can be told apart, and each number knows whose it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from causeway.effects.studies.encoding import Covariates


def encoded(**columns):
    series = {name: pl.Series(name, values) for name, values in columns.items()}
    return Covariates.of(series, len(next(iter(series.values()), ())))


def test_a_text_is_one_indicator_a_level_but_the_first():
    found = encoded(city=["b", "a", "c", "b"] * 10, age=np.arange(40.0))
    assert found.columns == ("city=b", "city=c", "age")
    assert found.owners == ("city", "city", "age")
    assert found.values[:4].tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 2], [1, 0, 3]]
    assert found.values.flags.c_contiguous


def test_rare_levels_are_one_and_are_counted():
    found = encoded(city=["a"] * 90 + ["b"] * 6 + ["c", "d", "e", "f"])
    assert found.columns == ("city=a", "city=b")
    assert found.folded == {"city": 4}
    assert found.share_folded == {"city": pytest.approx(0.04)}


@pytest.mark.parametrize(
    "values", [[1.0] * 30, ["a"] * 30, [f"level {each}" for each in range(30)], [1e-40] * 29 + [0]]
)
def test_what_does_not_vary_has_no_column_and_is_named(values):
    found = encoded(same=values, age=np.arange(30.0))
    assert (found.columns, found.constant) == (("age",), ("same",))


def test_nothing_is_no_column_for_everybody():
    found = Covariates.of({}, 7)
    assert (found.values.shape, found.columns) == ((7, 0), ())
    assert found.independent().values.shape == (7, 0)


def test_only_some_are_all_the_columns_of_these():
    found = encoded(city=["b", "a", "c", "b"] * 10, age=np.arange(40.0)).only(["city", "nobody"])
    assert (found.columns, found.values.shape) == (("city=b", "city=c"), (40, 2))


def test_what_columns_before_determine_is_left_out():
    dice = np.random.default_rng(0)
    a, b = dice.normal(size=(2, 50)) * [[1e6], [1e-6]]
    found = encoded(a=a, b=b, sum=a / 1e6 + b * 1e6 + 3, square=a**2, again=b).independent()
    assert found.columns == ("a", "b", "square")


def test_indicators_of_all_levels_and_a_constant_are_dependent():
    level = np.arange(60) % 3
    found = encoded(**{name: (level == at) * 1.0 for at, name in enumerate(("x", "y", "z"))}).independent()
    assert found.columns == ("x", "y")
