"""How an experiment's intervals allow for looks, from its declaration."""

from causeway.declarations.analysis import PLANNED_UNITS
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.look_plan import LookPlan


def look_plan(experiment: ExperimentDeclaration) -> LookPlan:
    """As declared; a table with one row per unit is there at once and is looked at once."""
    sequential = experiment.analysis.sequential
    planned_units, alpha = sequential.planned_units or PLANNED_UNITS, experiment.decision.alpha
    if experiment.source is not None:
        return LookPlan("fixed_horizon", planned_units, alpha)
    return LookPlan(sequential.method, planned_units, alpha, sequential.looks, sequential.spending)


def share_of(experiment: ExperimentDeclaration, variant: str) -> float:
    """The share of all units that is dealt this variant or the control."""
    weights = experiment.variants
    return (weights[variant] + weights[experiment.control]) / sum(weights.values())
