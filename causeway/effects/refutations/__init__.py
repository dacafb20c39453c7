"""Attempts to break an estimate, each true to a design that is known: a low p-value reads "problem found".

DoWhy 0.14's refuters are not used: its estimators write the propensity into the caller's frame, and refuters take the
stale column for their own (py-why/dowhy#1728).
"""

from causeway.effects.refutations.refutation import PROBLEM_ALPHA, Refutation

__all__ = ["PROBLEM_ALPHA", "Refutation"]
