"""Whether a declaration may come into force after what is in force already: the same rules for files and for HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from causeway.assignment.conditions import problems_of_condition
from causeway.declarations.assignment import Prerequisite
from causeway.declarations.declaration import Declaration, Path
from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.life_cycle import problems_of_layer_change, problems_of_transition, problems_of_version
from causeway.declarations.problem import path_text
from causeway.declarations.references import Fault, faults_of
from causeway.declarations.refusal import Refusal
from causeway.declarations.standing import Standing

Evaluated = (ExperimentDeclaration, FlagDeclaration, LayerDeclaration, KpiDeclaration)


def admit(new: Declaration, standing: Standing) -> list[Refusal]:
    """Why ``new`` cannot come into force in its tenant; empty if it can."""
    return [refusal for _, refusal in admit_all([new], standing)]


def admit_all(new: Sequence[Declaration], standing: Standing) -> list[tuple[Declaration, Refusal]]:
    """Why declarations of one tenant cannot come into force together: they may name each other in any order."""
    after = standing.after(new)
    refused = [(each, refusal) for each in new for refusal in _by_itself(each, standing)]
    written: dict[tuple[str, str], Declaration] = {
        (each.kind, each.key): each for each in new if isinstance(each, Evaluated)
    }
    faults = faults_of(after)
    refused += [(written[fault.kind, fault.key], fault.refusal) for fault in faults if _names(fault) in written]
    elsewhere = [fault for fault in faults if _names(fault) not in written]
    if elsewhere and not refused:
        # What was at fault before is nobody's new mistake.
        before = set(faults_of(standing))
        refused += [
            (new[0], Refusal((), f"{_place(fault)} {fault.refusal.sentence}", fault.refusal.code))
            for fault in elsewhere
            if fault not in before
        ]
    return refused


def _names(fault: Fault) -> tuple[str, str]:
    return fault.kind, fault.key


def _place(fault: Fault) -> str:
    at = path_text(fault.refusal.path)
    return f"then {fault.kind} {fault.key!r} no longer holds, at {at}:" if at else f"then {fault.kind} {fault.key!r}"


def _by_itself(new: Declaration, standing: Standing) -> Iterator[Refusal]:
    if isinstance(new, ExperimentDeclaration):
        yield from _conditions([(("targeting",), new.targeting)])
        yield from _conditions(_of_prerequisites(new.prerequisites, ()))
        old = standing.experiments.get(new.key)
        if old is not None:
            yield from (Refusal(*problem, "transition") for problem in problems_of_transition(old, new))
            yield from (Refusal(*problem, "frozen") for problem in problems_of_version(old, new))
    elif isinstance(new, FlagDeclaration):
        for index, rule in enumerate(new.rules):
            yield from _conditions([(("rules", index, "if"), rule.condition)])
            yield from _conditions(_of_prerequisites(rule.prerequisites, ("rules", index)))
        before = standing.flags.get(new.key)
        if before is not None and before.type != new.type:
            sentence = f"cannot change from {before.type} to {new.type}, as callers ask for one type; declare another"
            yield Refusal(("type",), f"{sentence} flag", "frozen")
    elif isinstance(new, LayerDeclaration):
        present = standing.layers.get(new.key)
        if present is not None:
            problems = problems_of_layer_change(present, new, standing.experiments)
            yield from (Refusal(*problem, "frozen") for problem in problems)
    elif isinstance(new, EventTypeDeclaration):
        yield from _of_event_type(new, standing)


def _of_event_type(new: EventTypeDeclaration, standing: Standing) -> Iterator[Refusal]:
    same = standing.event_types.get((new.key, new.version))
    newest = max((version for key, version in standing.event_types if key == new.key), default=0)
    if same is not None and same.properties_schema != new.properties_schema:
        sentence = f"is another than that of version {new.version}, which is in force; raise version above {newest}"
        yield Refusal(("schema",), sentence, "version")
    elif same is None and new.version < newest:
        yield Refusal(("version",), f"is below {newest}, which is in force; versions go up", "version")


def _of_prerequisites(prerequisites: Sequence[Prerequisite], base: Path) -> list[tuple[Path, object]]:
    return [((*base, "prerequisites", index, "condition"), each.condition) for index, each in enumerate(prerequisites)]


def _conditions(conditions: Sequence[tuple[Path, object]]) -> Iterator[Refusal]:
    for path, condition in conditions:
        yield from (Refusal(path, sentence, "condition") for sentence in problems_of_condition(condition))
