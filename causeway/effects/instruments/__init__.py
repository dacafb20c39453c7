"""Effects through instruments: what moves the treatment, and touches the outcome in no other way."""

from causeway.effects.instruments.compliers import ComplierMean, complier_means
from causeway.effects.instruments.confidence_set import ConfidenceSet, ratio_set
from causeway.effects.instruments.first_stage import FirstStage
from causeway.effects.instruments.local_average import LocalAverageEffect, local_average_effect, wald_effect
from causeway.effects.instruments.specification import SpecificationTest
from causeway.effects.instruments.two_stage_least_squares import TwoStageLeastSquares, two_stage_least_squares

__all__ = [
    "ComplierMean",
    "ConfidenceSet",
    "FirstStage",
    "LocalAverageEffect",
    "SpecificationTest",
    "TwoStageLeastSquares",
    "complier_means",
    "local_average_effect",
    "ratio_set",
    "two_stage_least_squares",
    "wald_effect",
]
