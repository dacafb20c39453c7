"""Machine-readable decisions about experiments, with the reasons a person needs."""

from causeway.decisions.rule import Decision, DecisionRule, decide

__all__ = ["Decision", "DecisionRule", "decide"]
