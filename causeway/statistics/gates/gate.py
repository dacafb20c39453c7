"""What a gate answers.

A gate that is not passed and blocking withholds the estimates; one that is not passed and not blocking is a
warning. `detail` is for a person: what was seen, where, and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

TOLERANCE = 0.01
THRESHOLD = 0.001


@dataclass(frozen=True, slots=True)
class Gate:
    """One check of one trial; observed and expected are JSON values, p_value is None without a test."""

    check_name: str
    passed: bool
    blocking: bool
    p_value: float | None
    observed: dict[str, Any]
    expected: dict[str, Any]
    detail: str


def percent(share: float | None) -> str:
    """A share for people."""
    return "no share" if share is None else f"{100 * share:.3g} %"


def as_a_hint(gate: Gate) -> Gate:
    """Of units that were not dealt a variant each by itself: never blocking, for they are alike within a cluster."""
    said = "" if gate.passed else " Units that were dealt a variant together are alike, so this is no more than a hint."
    return replace(gate, blocking=False, detail=gate.detail + said)


def judged_by(gate: Gate, check_name: str) -> Gate:
    """A gate that leaves it to another one, which knows more, whether results are withheld."""
    said = "" if gate.passed else f" Whether that withholds the results is judged by {check_name}."
    return replace(gate, blocking=False, detail=gate.detail + said)


def declared_as_warnings(gates: Iterable[Gate], names: Collection[str]) -> list[Gate]:
    """The gates, of which those with one of these names withhold nothing; what they say of it stays on record.

    A gate of a metric, a covariate or a segment ("<name>:<of what>") goes by its first name.
    """
    return [_as_declared(gate) if gate.check_name.partition(":")[0] in names else gate for gate in gates]


def _as_declared(gate: Gate) -> Gate:
    said = "" if gate.passed else " The declaration says that this is a warning alone."
    return replace(gate, blocking=False, detail=gate.detail + said)


def in_windows(gate: Gate) -> Gate:
    """Of a switchback, whose gates count windows of clusters wherever others count units: says so in its sentence.

    >>> in_windows(Gate("crossover", True, False, None, {}, {}, "0 of 60 units were in more than one variant")).detail
    '0 of 60 windows were in more than one variant'
    """
    return replace(gate, detail=re.sub(r"\b([Uu])nit(s?)\b", _window, gate.detail))


def _window(unit: re.Match[str]) -> str:
    return ("W" if unit[1] == "U" else "w") + "indow" + unit[2]


def not_looked_at(check_name: str, reason: str) -> Gate:
    """An open gate that says why there is nothing to look at."""
    return Gate(check_name, True, False, None, {}, {}, f"Not looked at: {reason}")


def spent(p_value: float, position: int) -> float:
    """The p-value of one of endlessly many tests, corrected: at most p times k (k + 1), for the k-th from 1 on.

    The shares 1 / (k (k + 1)) add up to 1, so all tests that will ever be made err with `threshold` together, and what
    was said of an earlier one never changes because there is a later one (alpha spending; Foster & Stine 2008, section
    2).

    >>> spent(0.0001, 1), round(spent(0.0001, 3), 6)
    (0.0002, 0.0012)
    """
    return min(1.0, p_value * position * (position + 1))
