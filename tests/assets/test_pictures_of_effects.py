"""Drawings on asset pages say what the rows say, and no number that a row does not give."""

from __future__ import annotations

import base64
from datetime import date
from typing import Any

import polars as pl

from assets.estimates.pictures import forests, over_time

OK = {
    "metric": "visits",
    "segment": None,
    "variant": "b",
    "status": "ok",
    "effect": 7.6587,
    "ci_low": 6.9964,
    "ci_high": 8.321,
}


def drawn(value: Any) -> str:
    return base64.b64decode(str(value.value).partition("base64,")[2].rstrip(")")).decode()


def test_an_effect_is_written_to_the_digits_that_matter() -> None:
    found = forests(pl.DataFrame([OK]), "Adjusted")
    assert list(found) == ["effects on visits"]
    assert "7.66 [7.00, 8.32]" in drawn(found["effects on visits"])


def test_what_is_not_ok_is_said_in_words_even_if_a_number_is_passed_along() -> None:
    (text,) = (drawn(each) for each in forests(pl.DataFrame([{**OK, "status": "too_few_units"}]), "Plain").values())
    assert "too few units" in text
    assert "7.66" not in text


def test_each_effect_has_a_curve_of_its_own() -> None:
    rows = [{**OK, "metric": metric, "day": date(2024, 1, day)} for metric in ("visits", "sales") for day in (1, 2, 3)]
    found = over_time(pl.DataFrame(rows))
    assert list(found) == ["visits over time, b", "sales over time, b"]
    assert "3 Jan 2024" in drawn(found["sales over time, b"])


def test_a_page_has_no_more_than_a_dozen_curves() -> None:
    rows = [{**OK, "metric": f"m{number}", "day": date(2024, 1, 1)} for number in range(30)]
    assert len(over_time(pl.DataFrame(rows))) == 12
