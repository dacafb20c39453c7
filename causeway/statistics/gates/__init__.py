"""The gates of a declared trial: what must hold before any of its numbers may be shown. One file a gate, or a few."""

from causeway.statistics.gates.gate import THRESHOLD, TOLERANCE, Gate
from causeway.statistics.gates.sample_ratio import (
    Enrolment,
    sequential_srm_gate,
    srm_by_day_gate,
    srm_cluster_gate,
    srm_gate,
    srm_segment_gates,
)
from causeway.statistics.gates.trial import TrialCounts, crossover_gate, trial_gates

__all__ = [
    "THRESHOLD",
    "TOLERANCE",
    "Enrolment",
    "Gate",
    "TrialCounts",
    "crossover_gate",
    "sequential_srm_gate",
    "srm_by_day_gate",
    "srm_cluster_gate",
    "srm_gate",
    "srm_segment_gates",
    "trial_gates",
]
