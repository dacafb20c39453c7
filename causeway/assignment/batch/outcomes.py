"""The few different answers among a table's many evaluations, and the columns that say them row by row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]

from causeway.assignment.evaluation import Evaluation

TEXT = pa.dictionary(pa.int16(), pa.string())
"""How a text of which a table has few is written. An experiment with more than 32,767 variants has no table."""

INSTANT = pa.timestamp("us", "UTC")

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation says without the unit's own id, bucket and window. The last two fields say whether it has the
    latter, and by which of the flag's rules it came.
    """

    variant: str | None
    value: str
    in_experiment: bool
    status: str
    reason: str
    layer: str | None
    holdout: str | None
    is_holdout: bool
    sticky: bool
    policy_version: str
    unit_attribute: str | None
    has_unit: bool
    has_bucket: bool
    has_window: bool
    rule_index: int | None


class Outcomes:
    """Outcomes by number, each once."""

    def __init__(self) -> None:
        self.each: list[Outcome] = []
        self._number: dict[Outcome, int] = {}
        self._texts: dict[int, tuple[Any, str]] = {}

    def number(self, evaluation: Evaluation) -> int:
        """The number of an evaluation's outcome."""
        outcome = Outcome(
            evaluation.variant,
            self._text(evaluation.value),
            evaluation.in_experiment,
            evaluation.status,
            evaluation.reason,
            evaluation.layer,
            evaluation.holdout,
            evaluation.is_holdout,
            evaluation.sticky_used,
            evaluation.policy_version,
            evaluation.unit_attribute,
            evaluation.unit_id is not None,
            evaluation.bucket is not None,
            evaluation.window_start is not None,
            evaluation.rule_index,
        )
        number = self._number.setdefault(outcome, len(self.each))
        if number == len(self.each):
            self.each.append(outcome)
        return number

    def _text(self, value: Any) -> str:
        """JSON text of a variant's value; the values are few and stay where they are."""
        known = self._texts.get(id(value))
        if known is None:
            known = self._texts[id(value)] = (value, json.dumps(value, default=str))
        return known[1]


class Rows:
    """Which outcome every row has, and columns made of that."""

    def __init__(self, outcomes: Outcomes, numbers: npt.NDArray[np.int32]) -> None:
        self._outcomes = outcomes.each
        self._numbers = numbers
        self._same: dict[tuple[int, str], npt.NDArray[Any]] = {}

    def texts(self, name: str) -> pa.Array:
        """A field of the outcomes as a dictionary column, null where the outcome has none."""
        values = [getattr(outcome, name) for outcome in self._outcomes]
        distinct = [value for value in dict.fromkeys(values) if value is not None]
        position = {value: index for index, value in enumerate(distinct)}
        indices = self._looked_up(np.array([position.get(value, 0) for value in values], np.int16))
        missing = None if None not in values else self._looked_up(np.array([value is None for value in values]))
        return pa.DictionaryArray.from_arrays(
            pa.array(indices, pa.int16(), mask=missing), pa.array(distinct, pa.string()), safe=False
        )

    def truths(self, name: str) -> pa.Array:
        """A field of the outcomes as a boolean column."""
        return _bits(self._looked_up(np.array([getattr(outcome, name) for outcome in self._outcomes], np.bool_)))

    def values(self, values: npt.NDArray[Any], kind: pa.DataType, there: str) -> pa.Array:
        """A column of these values, null where this field of the outcome says so."""
        missing = np.array([not getattr(outcome, there) for outcome in self._outcomes], np.bool_)
        return pa.array(values, kind, mask=self._looked_up(missing) if missing.any() else None)

    def unit_attributes(self) -> list[str]:
        """Attributes in which a unit was found."""
        found = [outcome.unit_attribute for outcome in self._outcomes if outcome.has_unit]
        return [name for name in dict.fromkeys(found) if name is not None]

    def of_attribute(self, attribute: str) -> pa.Array | None:
        """Which rows have their unit from this attribute; None if all do."""
        here = [outcome.has_unit and outcome.unit_attribute == attribute for outcome in self._outcomes]
        return None if all(here) else _bits(self._looked_up(np.array(here, np.bool_)))

    def _looked_up(self, of_outcome: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if len(of_outcome) == 0 or (of_outcome == of_outcome[0]).all():
            return self._same_everywhere(of_outcome[0] if len(of_outcome) else 0, of_outcome.dtype)
        found = np.empty(len(self._numbers), of_outcome.dtype)
        for begin in range(0, len(found), _ROWS_AT_ONCE):
            part = slice(begin, begin + _ROWS_AT_ONCE)
            np.take(of_outcome, self._numbers[part], out=found[part], mode="clip")
        return found

    def _same_everywhere(self, value: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """One array for all columns that say the same of every row; arrays of Arrow never change."""
        key = (int(value), str(dtype))
        if key not in self._same:
            zeros = np.zeros(len(self._numbers), dtype)
            self._same[key] = np.full_like(zeros, value) if value else zeros
        return self._same[key]


def _bits(truths: npt.NDArray[np.bool_]) -> pa.Array:
    packed = pa.py_buffer(np.packbits(truths, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(truths), [None, packed])
