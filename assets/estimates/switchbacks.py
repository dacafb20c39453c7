"""Experiments that deal variants to windows of time: what compares units has no number for them."""

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect

_REASON = (
    "a switchback deals variants to windows of time, and this method compares units:"
    " difference_in_means compares the windows"
)


def refused(experiment: ExperimentDeclaration) -> Effect | None:
    """The result of every method that compares units for a switchback; None for other experiments."""
    if experiment.randomization.by != "switchback":
        return None
    return Effect("not_estimable", 0, 0, settings={"reason": _REASON})
