"""What an attempt to break an estimate came to."""

from __future__ import annotations

from dataclasses import dataclass

PROBLEM_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Refutation:
    """A check that tries to break an estimate. `problem_found` is None when it could not be carried out;
    `detail` is for reading.
    """

    name: str
    method: str
    new_effect: float | None
    p_value: float | None
    problem_found: bool | None
    detail: str

    @classmethod
    def judged(cls, name: str, method: str, new_effect: float, p_value: float, detail: str) -> Refutation:
        """A problem by its p-value."""
        return cls(name, method, new_effect, p_value, p_value < PROBLEM_ALPHA, detail)

    @classmethod
    def impossible(cls, name: str, method: str, reason: str) -> Refutation:
        """It could not be carried out."""
        return cls(name, method, None, None, None, reason)

    def without_numbers(self) -> Refutation:
        """For an estimate that is withheld: whether a problem was found, and nothing that gives the effect away."""
        found = (
            "not carried out"
            if self.problem_found is None
            else "problem found"
            if self.problem_found
            else "no problem found"
        )
        return Refutation(self.name, self.method, None, None, self.problem_found, found)
