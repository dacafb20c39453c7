"""What one tenant has in force: the declarations that refer to each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from causeway.declarations.declaration import Declaration
from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.metric import MetricDeclaration
from causeway.declarations.saved_group import SavedGroupDeclaration
from causeway.declarations.study import StudyDeclaration


@dataclass(frozen=True, slots=True)
class Standing:
    """Declarations of one tenant by key; event types by key and version, as every version stays."""

    experiments: Mapping[str, ExperimentDeclaration] = field(default_factory=dict)
    flags: Mapping[str, FlagDeclaration] = field(default_factory=dict)
    layers: Mapping[str, LayerDeclaration] = field(default_factory=dict)
    saved_groups: Mapping[str, SavedGroupDeclaration] = field(default_factory=dict)
    event_types: Mapping[tuple[str, int], EventTypeDeclaration] = field(default_factory=dict)
    metrics: Mapping[str, MetricDeclaration] = field(default_factory=dict)
    studies: Mapping[str, StudyDeclaration] = field(default_factory=dict)
    kpis: Mapping[str, KpiDeclaration] = field(default_factory=dict)

    @classmethod
    def of(cls, declarations: Iterable[Declaration]) -> Standing:
        """The standing that ``declarations`` make; kinds that refer to none of these are passed over."""
        return cls().after(declarations)

    def after(self, declarations: Iterable[Declaration]) -> Standing:
        """This standing with ``declarations`` in force as well, in place of those of the same key."""
        experiments, flags, layers = dict(self.experiments), dict(self.flags), dict(self.layers)
        saved_groups, event_types, metrics = dict(self.saved_groups), dict(self.event_types), dict(self.metrics)
        studies, kpis = dict(self.studies), dict(self.kpis)
        for each in declarations:
            if isinstance(each, ExperimentDeclaration):
                experiments[each.key] = each
            elif isinstance(each, FlagDeclaration):
                flags[each.key] = each
            elif isinstance(each, LayerDeclaration):
                layers[each.key] = each
            elif isinstance(each, SavedGroupDeclaration):
                saved_groups[each.key] = each
            elif isinstance(each, EventTypeDeclaration):
                event_types[each.key, each.version] = each
            elif isinstance(each, MetricDeclaration):
                metrics[each.key] = each
            elif isinstance(each, StudyDeclaration):
                studies[each.key] = each
            elif isinstance(each, KpiDeclaration):
                kpis[each.key] = each
        return Standing(experiments, flags, layers, saved_groups, event_types, metrics, studies, kpis)

    def holdouts_of(self, experiment: ExperimentDeclaration) -> tuple[str, ...]:
        """Keys of the holdouts that keep units from ``experiment``: those it names, and those that name it."""
        return holdouts_of(experiment, self.experiments.values())


def holdouts_of(experiment: ExperimentDeclaration, others: Iterable[ExperimentDeclaration]) -> tuple[str, ...]:
    """Keys of the holdouts among ``others`` that keep units from ``experiment``, and of those that it names itself.

    A holdout over all experiments is one over those of its unit. No holdout keeps units from another.
    """
    if experiment.holdout is not None:
        return ()
    naming = [
        other.key
        for other in others
        if other.holdout is not None
        and other.key != experiment.key
        and other.unit == experiment.unit
        and other.holdout.holds(experiment.key)
    ]
    return tuple(dict.fromkeys([*experiment.holdouts, *naming]))
