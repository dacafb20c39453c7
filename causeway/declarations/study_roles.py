"""Which column of a study has which role, and which roles one column cannot have together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from causeway.declarations.declaration import Path

if TYPE_CHECKING:
    from causeway.declarations.study import StudyDeclaration

Mention = tuple[str, Path, str]
"""A column, where it is declared, and its role."""

NUMBERS = frozenset({"outcome", "further outcome", "column of weights", "known propensity", "cost of treatment"})
"""Roles of columns that hold numbers and nothing else."""

LABELS = frozenset({"column of clusters", "column of blocks", "segment"})
"""Roles of columns whose values only say what belongs together."""

_RESULTS = ("treatment", "outcome", "further outcome")
_BEFORE_TREATMENT = ("confounder", "instrument", "effect modifier")
_DESIGN = ("column of clusters", "column of blocks", "column of weights", "known propensity")
_NEGATIVE = ("negative control outcome", "negative control exposure")
# What a column cannot be if it is a key of this table, which is read in both directions. Outcome, confounders,
# instruments and effect modifiers are held against what stands before them where they are declared.
_EXCLUDED: dict[str, tuple[str, ...]] = {
    "further outcome": ("treatment", "outcome", *_BEFORE_TREATMENT),
    "negative control outcome": (*_RESULTS, *_BEFORE_TREATMENT),
    "negative control exposure": (*_RESULTS, *_BEFORE_TREATMENT, "negative control outcome"),
    "column of clusters": (*_RESULTS, *_NEGATIVE),
    "column of blocks": (*_RESULTS, *_NEGATIVE),
    "column of weights": (*_RESULTS, *_NEGATIVE, "column of clusters", "column of blocks"),
    "known propensity": (*_RESULTS, *_NEGATIVE, *(role for role in _DESIGN if role != "known propensity")),
    "segment": (*_RESULTS, "column of weights", "known propensity"),
    "cost of treatment": _RESULTS,
}


def mentions(study: StudyDeclaration) -> list[Mention]:
    """Every mention of a column, treatment and outcome first."""
    negative, policy = study.negative_controls, study.policy
    single: list[tuple[object, Path, str]] = [
        (study.clusters, ("clusters",), "column of clusters"),
        (study.known_propensity, ("known_propensity",), "known propensity"),
        (study.blocks, ("blocks",), "column of blocks"),
        (study.weights, ("weights",), "column of weights"),
        (policy.cost if policy else None, ("policy", "cost"), "cost of treatment"),
    ]
    return [
        (study.treatment.column, ("treatment", "column"), "treatment"),
        (study.outcome.column, ("outcome", "column"), "outcome"),
        *_listed(study.outcomes, ("outcomes",), "further outcome"),
        *_listed(study.confounders, ("confounders",), "confounder"),
        *_listed(study.instruments, ("instruments",), "instrument"),
        *_listed(study.effect_modifiers, ("effect_modifiers",), "effect modifier"),
        *_listed(negative.outcomes, ("negative_controls", "outcomes"), "negative control outcome"),
        *_listed(negative.exposures, ("negative_controls", "exposures"), "negative control exposure"),
        *((column, path, role) for column, path, role in single if isinstance(column, str)),
        *_listed(study.segments, ("segments",), "segment"),
    ]


def contradictions(mentioned: Sequence[Mention]) -> list[tuple[Path, str]]:
    """Where a column is declared in a role that another of its roles rules out, and why."""
    problems: list[tuple[Path, str]] = []
    for at, (column, path, role) in enumerate(mentioned):
        for other_column, _, other in mentioned[:at]:
            if column != other_column:
                continue
            if role == other:
                problems.append((path, f"{column!r} is listed twice"))
            elif other in _EXCLUDED.get(role, ()) or role in _EXCLUDED.get(other, ()):
                problems.append((path, f"{column!r} is a declared {other} and cannot be a {role} as well"))
            else:
                continue
            break
    return problems


def _listed(columns: Sequence[str], path: Path, role: str) -> list[Mention]:
    return [(column, (*path, index), role) for index, column in enumerate(columns)]
