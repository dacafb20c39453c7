"""The life of an experiment: draft, running, paused, stopped, archived; and what cannot change while it is alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from causeway.declarations.declaration import Path
from causeway.declarations.experiment import ExperimentDeclaration, Status
from causeway.declarations.layer import LayerDeclaration

TRANSITIONS: Mapping[Status, tuple[Status, ...]] = {
    "draft": ("running", "archived"),
    "running": ("paused", "stopped"),
    "paused": ("running", "stopped"),
    "stopped": ("archived",),
    "archived": (),
}
"""Where an experiment can go from each status."""

ALIVE: tuple[Status, ...] = ("running", "paused")
"""While an experiment is one of these, units hold variants of it."""

DORMANT: tuple[Status, ...] = ("draft", "archived")
"""An experiment that is one of these has nothing to compute: it has no units yet, or its results are final."""

_FROZEN: Mapping[str, Callable[[ExperimentDeclaration], object]] = {
    "unit": lambda experiment: experiment.unit,
    "variants": lambda experiment: dict(experiment.variants),
    "order": lambda experiment: [name for name, _ in experiment.ordered_variants],
    "control": lambda experiment: experiment.control,
    "salt": lambda experiment: experiment.bucketing_salt,
    "hasher": lambda experiment: experiment.hasher,
    "randomization": lambda experiment: experiment.randomization,
    "layer": lambda experiment: experiment.layer,
    "holdout": lambda experiment: None if experiment.holdout is None else experiment.holdout.variant,
    "configs": lambda experiment: experiment.value_type,
}
"""What decides the variants of the units that are in already, and the type of what callers are told."""


def problems_of_transition(old: ExperimentDeclaration, new: ExperimentDeclaration) -> list[tuple[Path, str]]:
    """The status can only go where the life cycle leads."""
    if new.status == old.status or new.status in TRANSITIONS[old.status]:
        return []
    onward = " or ".join(TRANSITIONS[old.status]) or "nothing else: declare another experiment"
    return [(("status",), f"cannot go from {old.status} to {new.status}; {old.status} is followed by {onward}")]


def problems_of_version(old: ExperimentDeclaration, new: ExperimentDeclaration) -> list[tuple[Path, str]]:
    """Versions go up, and what is frozen while an experiment is alive changes only with a higher one."""
    if new.version < old.version:
        return [(("version",), f"cannot go back from {old.version} to {new.version}")]
    # What a table says was dealt elsewhere: no unit moves when its description is put right.
    if old.status not in ALIVE or new.version > old.version or old.source is not None:
        return []
    # Another order follows from other variants or another control; it is named only if nothing else explains it.
    changed = [name for name, part in _FROZEN.items() if part(old) != part(new)]
    if "order" in changed and ("variants" in changed or "control" in changed):
        changed.remove("order")
    return [((name,), f"cannot change while the experiment is {old.status}; {_raise(old.version)}") for name in changed]


def problems_of_change(old: ExperimentDeclaration, new: ExperimentDeclaration) -> list[tuple[Path, str]]:
    """Everything that keeps ``new`` from taking the place of ``old``, as (path, sentence)."""
    return [*problems_of_transition(old, new), *problems_of_version(old, new)]


def problems_of_layer_change(
    old: LayerDeclaration, new: LayerDeclaration, experiments: Mapping[str, ExperimentDeclaration]
) -> list[tuple[Path, str]]:
    """Buckets of experiments that are alive (as ``experiments`` stand now) move only with a higher version."""
    if new.version < old.version:
        return [(("version",), f"cannot go back from {old.version} to {new.version}")]
    if new.version > old.version:
        return []
    alive = [key for key in old.experiments if key in experiments and experiments[key].status in ALIVE]
    problems: list[tuple[Path, str]] = []
    for name in ("unit", "bucketing_salt"):
        if alive and getattr(old, name) != getattr(new, name):
            path = name.removeprefix("bucketing_")
            problems.append(((path,), f"cannot change while {alive[0]!r} is {_status(alive[0], experiments)}"))
    problems += [
        (_allocation_of(key, new), f"the buckets of {key!r} cannot change while it is {_status(key, experiments)}")
        for key in alive
        if old.buckets_of(key) != new.buckets_of(key)
    ]
    return [(path, f"{sentence}; {_raise(old.version)}") for path, sentence in problems]


def _raise(version: int) -> str:
    return f"raise version above {version} to do it all the same"


def _status(key: str, experiments: Mapping[str, ExperimentDeclaration]) -> str:
    return experiments[key].status


def _allocation_of(key: str, layer: LayerDeclaration) -> Path:
    for index, allocation in enumerate(layer.allocations):
        if allocation.experiment == key:
            return ("allocations", index)
    return ("allocations",)
