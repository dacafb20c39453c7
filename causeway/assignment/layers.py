"""Who has which buckets of a layer, and how shares change hands without moving anybody else.

A layer has 10,000 buckets. An experiment holds half-open ranges of them; a unit's bucket is that of its hash under
the layer's salt, so that a unit is in at most one of the layer's experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from causeway.assignment.flags import Filter
from causeway.assignment.hashers import DEFAULT_HASHER

BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Allocation:
    """An experiment's buckets from `start` to `end` - 1."""

    experiment: str
    start: int
    end: int


def reallocate(allocations: Sequence[Allocation], experiment: str, buckets: int) -> tuple[Allocation, ...]:
    """The layer in which this experiment has so many buckets, and every other one what it had.

    To grow, an experiment takes free buckets, the lowest first; to shrink, it gives back its own, the last taken
    first. So a unit that was in an experiment and still could be is in it still. Allocations come back in the
    order in which they were taken, which the next change goes by.

    Raises ValueError if there are not as many free buckets, or if the allocations given overlap.
    """
    if not 0 <= buckets <= BUCKETS:
        raise ValueError(f"a layer has 0 to {BUCKETS} buckets to give, not {buckets}")
    problems = problems_of_allocations(allocations)
    if problems:
        raise ValueError(problems[0])
    missing = buckets - held(allocations, experiment)
    if missing < 0:
        return _given_back(allocations, experiment, -missing)
    return (*allocations, *_taken(allocations, experiment, missing))


def held(allocations: Iterable[Allocation], experiment: str) -> int:
    """How many buckets an experiment has."""
    return sum(each.end - each.start for each in allocations if each.experiment == experiment)


def free(allocations: Iterable[Allocation]) -> list[tuple[int, int]]:
    """The ranges of buckets that nobody has, from the lowest on."""
    gaps, start = [], 0
    for each in sorted(allocations, key=lambda one: one.start):
        if each.start > start:
            gaps.append((start, each.start))
        start = max(start, each.end)
    return [*gaps, (start, BUCKETS)] if start < BUCKETS else gaps


def problems_of_allocations(allocations: Sequence[Allocation]) -> list[str]:
    """What is wrong with a layer, one sentence each: ranges that are empty, outside of the layer, or overlap."""
    problems = [
        f"{each.experiment}: buckets {each.start} to {each.end} are no range within 0 to {BUCKETS}"
        for each in allocations
        if not 0 <= each.start < each.end <= BUCKETS
    ]
    ordered = sorted(allocations, key=lambda one: (one.start, one.end))
    # The one that reaches furthest so far is the one that a later one can overlap with.
    furthest: Allocation | None = None
    for each in ordered:
        if furthest is not None and each.start < furthest.end:
            problems.append(
                f"{furthest.experiment} and {each.experiment}: both have buckets {each.start} to"
                f" {min(furthest.end, each.end)}"
            )
        if furthest is None or each.end > furthest.end:
            furthest = each
    return problems


def layer_filter(
    layer: str,
    salt: str,
    allocations: Iterable[Allocation],
    experiment: str,
    *,
    attribute: str,
    hasher: str = DEFAULT_HASHER,
) -> Filter:
    """The filter that lets an experiment have the units of its buckets, and no others.

    Every experiment of a layer must use the same hasher here, whatever it deals its variants with.
    """
    ranges = tuple((each.start / BUCKETS, each.end / BUCKETS) for each in allocations if each.experiment == experiment)
    return Filter(salt, ranges, attribute, hasher, kind="layer", name=layer)


def _given_back(allocations: Sequence[Allocation], experiment: str, surplus: int) -> tuple[Allocation, ...]:
    kept: list[Allocation] = []
    for each in reversed(allocations):
        size = each.end - each.start
        if each.experiment != experiment or surplus == 0:
            kept.append(each)
        elif size > surplus:
            kept.append(Allocation(experiment, each.start, each.end - surplus))
            surplus = 0
        else:
            surplus -= size
    return tuple(reversed(kept))


def _taken(allocations: Sequence[Allocation], experiment: str, missing: int) -> list[Allocation]:
    taken: list[Allocation] = []
    for start, end in free(allocations):
        size = min(end - start, missing)
        if size:
            taken.append(Allocation(experiment, start, start + size))
            missing -= size
    if missing:
        raise ValueError(f"{experiment}: {missing} buckets more than are free in the layer")
    return taken
