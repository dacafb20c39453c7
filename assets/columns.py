"""Between frozen results and the columns of the tables they are written to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from causeway.statistics.effect import Effect

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)
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
_COMPARED_SCHEMA = {name: kind for name, kind in _EFFECT_SCHEMA.items() if name != "segment"} | {"interval": pl.String}
LOOK_SCHEMA = {**_COMPARED_SCHEMA, "day": pl.Date}
HEADLINE_SCHEMA = {
    **_COMPARED_SCHEMA,
    "adjusted_p_value": pl.Float64,
    "is_significant": pl.Boolean,
    "chance_to_beat": pl.Float64,
    "expected_loss": pl.Float64,
    "posterior": pl.String,
}


def json_text(value: Any) -> str:
    """JSON with sorted keys: the same value is the same text. ValueError for nan and infinity, which JSON lacks."""
    return _ENCODER.encode(value)


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


def look_row(effect: Effect, *, interval: str, **named: Any) -> dict[str, Any]:
    """One row of an effect whose interval allows for looks, with the columns ``named``."""
    row = effect_row(
        effect,
        metric=named.pop("metric"),
        variant=named.pop("variant"),
        control=named.pop("control"),
        method=named.pop("method"),
    )
    del row["segment"]
    return {**row, "interval": interval, **named}


EFFECT_COLUMNS = f"metric, variant, method, status, n, n_control, {', '.join(_EFFECT_NUMBERS)}, settings"
"""What `effect_of` reads, after the three that say which effect it is."""


def effect_of(values: Sequence[Any]) -> Effect:
    """The effect of a row that was read."""
    *numbers, settings = values
    return Effect(*numbers, settings=settings)


def effect_frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows as a frame with the columns' types, also where there is none."""
    return pl.DataFrame(list(rows), schema=_EFFECT_SCHEMA)
