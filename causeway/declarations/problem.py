"""What is wrong with a declaration, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from causeway.declarations.declaration import Path

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def shown(value: object) -> str:
    """A value as it stands in a message: quoted, escaped, and never longer than a line."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def path_text(path: Path) -> str:
    """A path as people write it: ``metrics[1].type``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _WORD.fullmatch(part) and len(part) <= 100:
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: the path it is about ("" for the whole document), its line and column from 1,
    and a sentence.
    """

    path: str
    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}" if self.path else self.sentence


class DeclarationError(ValueError):
    """A declaration that cannot be used, with everything that is wrong about it, in the order of the text.

    ``str()`` has one line per problem, such as ``campaign.yaml:7: metrics[1].type: 'averge' is not a metric
    type; ...``. ``line``, ``column`` and ``message`` are those of the first problem.
    """

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(f"{name}:{problem.line}: {problem}" for problem in self.problems))

    @property
    def line(self) -> int:
        """Line of the first problem, from 1."""
        return self.problems[0].line

    @property
    def column(self) -> int:
        """Column of the first problem, from 1."""
        return self.problems[0].column

    @property
    def message(self) -> str:
        """Path and sentence of the first problem."""
        return str(self.problems[0])
