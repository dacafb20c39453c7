"""Statistics of randomised trials, from additive sufficient statistics to effects and gates."""

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.confidence_sequence import confidence_sequence, running_intersection
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect, Status
from causeway.statistics.gates import Gate, TrialCounts, trial_gates
from causeway.statistics.group_sequential import Futility, GroupSequentialDesign, group_sequential
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.life_table import LifeTable
from causeway.statistics.moments import Moments
from causeway.statistics.multiple_testing import holm
from causeway.statistics.post_stratification import post_stratified_difference
from causeway.statistics.quantile import ArmQuantile, quantile_effect
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.regression_adjustment import adjusted_effect
from causeway.statistics.relative_effect import RelativeEffect, relative_effect
from causeway.statistics.sample_ratio import SampleRatio, sample_ratio_test
from causeway.statistics.sequential_sample_ratio import SequentialSampleRatio, sequential_sample_ratio_test
from causeway.statistics.time_to_event import event_probability_effect, restricted_mean_effect

__all__ = [
    "ArmQuantile",
    "Effect",
    "Futility",
    "Gate",
    "GroupSequentialDesign",
    "JointMoments",
    "LifeTable",
    "Moments",
    "RelativeEffect",
    "SampleRatio",
    "SequentialSampleRatio",
    "Spending",
    "Status",
    "TrialCounts",
    "adjusted_effect",
    "confidence_sequence",
    "cuped",
    "difference_in_means",
    "difference_in_ratios",
    "event_probability_effect",
    "group_sequential",
    "holm",
    "post_stratified_difference",
    "quantile_effect",
    "relative_effect",
    "restricted_mean_effect",
    "running_intersection",
    "sample_ratio_test",
    "sequential_sample_ratio_test",
    "trial_gates",
]
