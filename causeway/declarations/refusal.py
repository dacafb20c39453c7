"""Why a declaration cannot come into force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causeway.declarations.declaration import Path
from causeway.declarations.problem import path_text

Code = Literal["transition", "frozen", "version", "taken", "reference", "cycle", "unit", "type", "condition"]
"""In one word: a status that does not follow; a part that is frozen while units hold variants; a version that must go
up; a name that is taken; something named that is not there or does not fit; a circle; another unit; another type; a
condition that cannot be evaluated.
"""

_CONFLICTS: tuple[Code, ...] = ("transition", "frozen", "version", "taken")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason: the path that it is about (() for the whole declaration), a sentence, and one word for machines."""

    path: Path
    sentence: str
    code: Code

    @property
    def is_conflict(self) -> bool:
        """Whether the declaration is fine by itself, but not after what is in force."""
        return self.code in _CONFLICTS

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.sentence}" if self.path else self.sentence
