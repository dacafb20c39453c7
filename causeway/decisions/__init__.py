"""Machine-readable decisions about experiments, with the reasons a person needs."""

from causeway.decisions.guardrails import Guardrail
from causeway.decisions.headline import Headline, RunTime
from causeway.decisions.rule import Condition, Decision, DecisionRule, decide

__all__ = ["Condition", "Decision", "DecisionRule", "Guardrail", "Headline", "RunTime", "decide"]
