"""Small studies, whole or spoilt, and what has to hold of every answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.declarations.study import StudyDeclaration
from causeway.effects.studies.answer import StudyAnswer

N = 120
OF_THE_EFFECT = {"effect", "std_error", "ci_low", "ci_high", "p_value", "new_effect", "effects", "spread", "robust_set"}


def declared(**changes: Any) -> StudyDeclaration:
    """Of `took` on `y`, adjusted for age."""
    usual = {
        "kind": "study",
        "tenant": "demo",
        "key": "small",
        "unit": "person",
        "treatment": {"column": "took", "values": {"control": 0, "treated": 1}},
        "outcome": {"column": "y"},
        "confounders": ["age"],
        "source": {"file": "small.csv"},
    }
    return StudyDeclaration.model_validate(usual | changes)


Column = Callable[[np.random.Generator, Mapping[str, Any]], Any]


def people(n: int = N, /, **columns: Column) -> pl.DataFrame:
    """Age, treatment and outcome of n people, whose effect is 2; columns: more of them, or others in their place."""
    generator = np.random.default_rng(0)
    age = generator.normal(50, 10, n)
    took = (generator.random(n) < 1 / (1 + np.exp(-(age - 50) / 10))).astype(np.float64)
    frame = {"age": age, "took": took, "y": 0.1 * age + 2 * took + generator.normal(size=n)}
    for name, values in columns.items():
        frame[name] = values(generator, frame)
    return pl.DataFrame(frame)


def _numbers(value: Any, key: str = "", path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, float]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _numbers(each, str(name), (*path, str(name)))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each, key, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, key, value


def holds_together(answer: StudyAnswer, rows: int) -> None:
    """Everything that is true of any answer."""
    document = answer.as_document()
    json.dumps(document, allow_nan=False)
    assert answer.n + answer.n_left_out == rows, (answer.n, answer.left_out, rows)
    assert sum(answer.left_out.values()) == answer.n_left_out
    assert answer.reasons or answer.verdict == "credible"
    for row in answer.estimates:
        numbers = [row.effect, row.std_error, row.ci_low, row.ci_high, row.p_value]
        if row.status == "ok":
            assert all(number is not None and math.isfinite(number) for number in numbers), row
            assert row.ci_low <= row.effect <= row.ci_high, row
            assert row.std_error > 0 and 0 <= row.p_value <= 1, row
            assert 0 < row.n <= answer.n
        else:
            assert numbers == [None] * 5, row
    if answer.verdict == "withheld":
        told = {path for path, key, _ in _numbers(document) if key in OF_THE_EFFECT and "negative_controls" not in path}
        assert told == set()
        assert (answer.sensitivity, answer.heterogeneity) == ({}, {})
    else:
        assert answer.headline_estimate is not None and answer.headline_estimate.status == "ok"


@pytest.fixture
def study() -> Callable[..., StudyDeclaration]:
    return declared


@pytest.fixture
def small() -> Callable[..., pl.DataFrame]:
    return people


@pytest.fixture
def check() -> Callable[[StudyAnswer, int], None]:
    return holds_together
