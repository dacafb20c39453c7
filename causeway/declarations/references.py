"""What declarations say of each other: that what they name is there, fits, and does not lead back to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from causeway.assignment.evaluate import MAX_CHAIN
from causeway.declarations.assignment import Prerequisite
from causeway.declarations.declaration import Path
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.metric import Metric
from causeway.declarations.refusal import Code, Refusal
from causeway.declarations.standing import Standing
from causeway.declarations.suggestion import did_you_mean

_GROUP_OPERATORS = ("$inGroup", "$notInGroup")

Edge = tuple[str, Path]
"""Key of a flag or experiment that must be evaluated first, and where it is named ("" of a holdout: nowhere)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal of one declaration, named by its kind and key."""

    kind: str
    key: str
    refusal: Refusal


def faults_of(standing: Standing) -> list[Fault]:
    """Everything that is wrong about what the declarations say of each other."""
    found: list[Fault] = []
    for experiment in standing.experiments.values():
        found += [Fault("experiment", experiment.key, each) for each in _of_experiment(experiment, standing)]
    for flag in standing.flags.values():
        found += [Fault("flag", flag.key, each) for each in _of_flag(flag, standing)]
    for layer in standing.layers.values():
        found += [Fault("layer", layer.key, each) for each in _of_layer(layer, standing)]
    for kpi in standing.kpis.values():
        found += [Fault("kpi", kpi.key, each) for each in _of_kpi(kpi, standing)]
    edges = _edges(standing)
    circles = list(_cycles(edges, standing))
    return found + (circles or list(_long_chains(edges, standing)))


def groups_named(condition: object) -> Iterator[str]:
    """Keys of the saved groups that a condition asks for."""
    return (group for group, _ in _groups(condition, ()))


def _groups(condition: object, path: Path) -> Iterator[tuple[str, Path]]:
    if isinstance(condition, Mapping):
        for key, value in condition.items():
            if key in _GROUP_OPERATORS and isinstance(value, str):
                yield value, (*path, key)
            else:
                yield from _groups(value, (*path, key))
    elif isinstance(condition, list):
        for index, value in enumerate(condition):
            yield from _groups(value, (*path, index))


def _of_experiment(experiment: ExperimentDeclaration, standing: Standing) -> Iterator[Refusal]:
    if experiment.key in standing.flags:
        sentence = f"there is a flag {experiment.key!r}, and an experiment is a flag of its own name"
        yield Refusal(("key",), sentence, "taken")
    yield from _of_metrics(experiment, standing)
    yield from _of_conditions(experiment.targeting, ("targeting",), standing)
    yield from _of_prerequisites(experiment.prerequisites, (), standing)
    if experiment.layer is not None:
        layer = standing.layers.get(experiment.layer)
        if layer is None:
            yield _unknown(("layer",), "layer", experiment.layer, standing.layers)
        elif layer.unit != experiment.unit:
            sentence = f"layer {layer.key!r} deals out units {layer.unit!r}, the experiment {experiment.unit!r}"
            yield Refusal(("layer",), sentence, "unit")
    for index, key in enumerate(experiment.holdouts):
        yield from _of_holdout_named(experiment, key, ("holdouts", index), standing)
    if experiment.holdout is not None and experiment.holdout.experiments != "all":
        for index, key in enumerate(experiment.holdout.experiments):
            yield from _of_experiment_held(experiment, key, ("holdout", "experiments", index), standing)


def _of_metrics(experiment: ExperimentDeclaration, standing: Standing) -> Iterator[Refusal]:
    """Declared metrics that are used must be there, be of the same unit, and fit where the rows come from."""
    for index, metric in enumerate(experiment.metrics):
        path: Path = ("metrics", index)
        if metric.metric is None:
            continue
        declared = standing.metrics.get(metric.metric)
        if declared is None:
            yield _unknown((*path, "metric"), "metric", metric.metric, standing.metrics)
        elif declared.unit != experiment.unit:
            sentence = f"metric {declared.key!r} is of units {declared.unit!r}, the experiment of {experiment.unit!r}"
            yield Refusal((*path, "metric"), sentence, "unit")
        else:
            defined = metric.defined_by(declared)
            yield from (
                Refusal((*path, "metric"), f"metric {declared.key!r} does not fit: {sentence}", "reference")
                for sentence in _misfits(defined, experiment)
            )


def _misfits(metric: Metric, experiment: ExperimentDeclaration) -> Iterator[str]:
    yield from (sentence for _, sentence in experiment.problems_in_table(metric))
    known = [*experiment.covariates, *experiment.segments]
    yield from (
        f"{column!r} is among the covariates or segments, which must be known before assignment"
        for column in metric.columns
        if column in known
    )


def _of_holdout_named(experiment: ExperimentDeclaration, key: str, path: Path, standing: Standing) -> Iterator[Refusal]:
    holdouts = {name: each for name, each in standing.experiments.items() if each.holdout is not None}
    if key not in holdouts:
        yield _unknown(path, "holdout", key, holdouts)
    elif holdouts[key].unit != experiment.unit:
        sentence = f"holdout {key!r} deals out units {holdouts[key].unit!r}, the experiment {experiment.unit!r}"
        yield Refusal(path, sentence, "unit")


def _of_experiment_held(holdout: ExperimentDeclaration, key: str, path: Path, standing: Standing) -> Iterator[Refusal]:
    held = standing.experiments.get(key)
    if held is None:
        yield _unknown(path, "experiment", key, standing.experiments)
    elif held.holdout is not None:
        yield Refusal(path, f"{key!r} is a holdout itself", "reference")
    elif held.unit != holdout.unit:
        sentence = f"experiment {key!r} deals out units {held.unit!r}, the holdout {holdout.unit!r}"
        yield Refusal(path, sentence, "unit")


def _of_flag(flag: FlagDeclaration, standing: Standing) -> Iterator[Refusal]:
    # Said of the experiment too, so that whichever of the two is written second is told.
    if flag.key in standing.experiments:
        sentence = f"there is an experiment {flag.key!r}, and an experiment is a flag of its own name"
        yield Refusal(("key",), sentence, "taken")
    for index, rule in enumerate(flag.rules):
        base: Path = ("rules", index)
        yield from _of_conditions(rule.condition, (*base, "if"), standing)
        yield from _of_prerequisites(rule.prerequisites, base, standing)
        if rule.experiment is None:
            continue
        experiment = standing.experiments.get(rule.experiment)
        if experiment is None:
            yield _unknown((*base, "experiment"), "experiment", rule.experiment, standing.experiments)
            continue
        for name in rule.values:
            if name not in experiment.variants:
                sentence = f"{name!r} is not a variant of {experiment.key!r}{did_you_mean(name, experiment.variants)}"
                yield Refusal((*base, "values", name), sentence, "reference")
        missing = [name for name in experiment.variants if name not in rule.values]
        if missing:
            sentence = f"there is no value for {', '.join(map(repr, missing))} of {experiment.key!r}"
            yield Refusal((*base, "values"), sentence, "reference")


def _of_layer(layer: LayerDeclaration, standing: Standing) -> Iterator[Refusal]:
    hashed: dict[str, str] = {}
    for index, allocation in enumerate(layer.allocations):
        path: Path = ("allocations", index, "experiment")
        experiment = standing.experiments.get(allocation.experiment)
        if experiment is None:
            yield _unknown(path, "experiment", allocation.experiment, standing.experiments)
        elif experiment.layer != layer.key:
            sentence = f"experiment {experiment.key!r} does not say that it is in layer {layer.key!r}"
            yield Refusal(path, sentence, "reference")
        elif experiment.unit != layer.unit:
            sentence = f"experiment {experiment.key!r} deals out units {experiment.unit!r}, the layer {layer.unit!r}"
            yield Refusal(path, sentence, "unit")
        else:
            attribute = experiment.randomization.hashed_attribute
            hashed.setdefault(attribute, experiment.key)
            first = next(iter(hashed))
            if attribute != first:
                sentence = f"{experiment.key!r} hashes {attribute!r}, but {hashed[first]!r} hashes {first!r}"
                yield Refusal(path, f"{sentence}; in one layer all hash the same attribute", "unit")


def _of_kpi(kpi: KpiDeclaration, standing: Standing) -> Iterator[Refusal]:
    outcome: str | None = None
    for index, key in enumerate(kpi.interventions):
        path: Path = ("studies", index) if kpi.studies else ("study",)
        study = standing.studies.get(key)
        if study is None:
            yield _unknown(path, "study", key, standing.studies)
            continue
        outcome = outcome or study.outcome.column
        if study.outcome.column != outcome:
            sentence = (
                f"study {key!r} has the outcome {study.outcome.column!r}, and {kpi.interventions[0]!r} {outcome!r}"
            )
            yield Refusal(path, f"{sentence}; interventions compete for one outcome", "reference")
        for column in kpi.columns:
            if column not in study.columns:
                sentence = f"study {key!r} declares no column {column!r}{did_you_mean(column, study.columns)}"
                yield Refusal(_place_of_column(kpi, column), sentence, "reference")


def _place_of_column(kpi: KpiDeclaration, column: str) -> Path:
    return ("segments", kpi.segments.index(column)) if column in kpi.segments else ("cost",)


def _of_prerequisites(prerequisites: Iterable[Prerequisite], base: Path, standing: Standing) -> Iterator[Refusal]:
    known = {**standing.flags, **standing.experiments}
    for index, prerequisite in enumerate(prerequisites):
        path = (*base, "prerequisites", index)
        if prerequisite.flag not in known:
            yield _unknown((*path, "flag"), "flag or experiment", prerequisite.flag, known)
        yield from _of_conditions(prerequisite.condition, (*path, "condition"), standing)


def _of_conditions(condition: object, path: Path, standing: Standing) -> Iterator[Refusal]:
    for group, at in _groups(condition, path):
        if group not in standing.saved_groups:
            yield _unknown(at, "saved group", group, standing.saved_groups)


def _unknown(path: Path, what: str, key: str, known: Iterable[str]) -> Refusal:
    code: Code = "reference"
    return Refusal(path, f"there is no {what} {key!r}{did_you_mean(key, known)}", code)


def _edges(standing: Standing) -> dict[str, list[Edge]]:
    """What is evaluated on the way to each flag and experiment."""
    edges: dict[str, list[Edge]] = {}
    for key, experiment in standing.experiments.items():
        edges[key] = [
            (each.flag, ("prerequisites", index, "flag")) for index, each in enumerate(experiment.prerequisites)
        ]
        edges[key] += [(holdout, ("holdouts",)) for holdout in standing.holdouts_of(experiment)]
    for key, flag in standing.flags.items():
        leading = edges.setdefault(key, [])
        for index, rule in enumerate(flag.rules):
            leading += [
                (each.flag, ("rules", index, "prerequisites", number, "flag"))
                for number, each in enumerate(rule.prerequisites)
            ]
            if rule.experiment is not None:
                leading.append((rule.experiment, ("rules", index, "experiment")))
    return edges


def _cycles(edges: Mapping[str, list[Edge]], standing: Standing) -> Iterator[Fault]:
    """A fault for every flag and experiment that would have to be evaluated before itself, at the step that leads
    back.
    """
    for key in _in_cycles(edges):
        kind = "flag" if key in standing.flags else "experiment"
        for first, path in edges[key]:
            way = _way(first, key, edges)
            if way is not None:
                shown = " -> ".join([key, *way])
                yield Fault(kind, key, Refusal(path, f"goes round in a circle: {shown}", "cycle"))
                break


def _long_chains(edges: Mapping[str, list[Edge]], standing: Standing) -> Iterator[Fault]:
    """A fault for everything with more evaluations before its own than an evaluation goes through; without circles."""
    longest: dict[str, int] = {}
    for start in edges:
        ahead = [start]
        while ahead:
            key = ahead[-1]
            waiting = [step for step, _ in edges.get(key, ()) if step not in longest]
            if waiting:
                ahead += waiting
            else:
                longest[key] = max((longest[step] + 1 for step, _ in edges.get(key, ())), default=0)
                ahead.pop()
    for key, length in longest.items():
        if length > MAX_CHAIN:
            kind = "flag" if key in standing.flags else "experiment"
            path = max(edges[key], key=lambda edge: longest[edge[0]])[1]
            sentence = f"a chain of {length} flags and experiments would be evaluated first; at most {MAX_CHAIN} may be"
            yield Fault(kind, key, Refusal(path, sentence, "cycle"))


def _in_cycles(edges: Mapping[str, list[Edge]]) -> list[str]:
    """Those left when all that lead nowhere, or are led to from nowhere, are taken away again and again."""
    left = {key: {step for step, _ in leading if step in edges} for key, leading in edges.items()}
    while True:
        led_to = {step for steps in left.values() for step in steps}
        staying = {key: steps & left.keys() for key, steps in left.items() if steps & left.keys() and key in led_to}
        if staying == left:
            return list(left)
        left = staying


def _way(start: str, end: str, edges: Mapping[str, list[Edge]]) -> list[str] | None:
    """A shortest way from ``start`` to ``end``, both included."""
    ways: list[list[str]] = [[start]]
    seen = {start}
    while ways:
        longer: list[list[str]] = []
        for way in ways:
            if way[-1] == end:
                return way
            for step, _ in edges.get(way[-1], ()):
                if step not in seen:
                    seen.add(step)
                    longer.append([*way, step])
        ways = longer
    return None
