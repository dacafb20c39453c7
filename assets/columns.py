"""Between frozen results and the columns of the tables they are written to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from causeway.statistics.effect import Effect

_EFFECT_NUMBERS = (
    "mean",
    "mean_control",
    "effect",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "relative_effect",
    "relative_ci_low",
    "relative_ci_high",
)
_EFFECT_SCHEMA = {
    "metric": pl.String,
    "segment": pl.String,
    "variant": pl.String,
    "control": pl.String,
    "method": pl.String,
    "status": pl.String,
    "n": pl.Int64,
    "n_control": pl.Int64,
    **dict.fromkeys(_EFFECT_NUMBERS, pl.Float64),
    "settings": pl.String,
}


def json_text(value: Any) -> str:
    """JSON with sorted keys: the same value is the same text. ValueError for nan and infinity, which JSON lacks."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def effect_row(
    effect: Effect, *, metric: str, variant: str, control: str, method: str, segment: str | None = None
) -> dict[str, Any]:
    """One row of the tables in ``estimates``."""
    return {
        "metric": metric,
        "segment": segment,
        "variant": variant,
        "control": control,
        "method": method,
        "status": effect.status,
        "n": effect.n,
        "n_control": effect.n_control,
        **{name: getattr(effect, name) for name in _EFFECT_NUMBERS},
        "settings": json_text(effect.settings),
    }


def effect_frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows as a frame with the columns' types, also where there is none."""
    return pl.DataFrame(list(rows), schema=_EFFECT_SCHEMA)
