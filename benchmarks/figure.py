"""One measured figure beside the anchor that it is held against."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """``value`` and ``anchor_value`` share ``unit`` and were measured in the same run; ``ratio`` is value over anchor.

    ``target`` says in words what ``met`` was judged by.
    """

    name: str
    value: float
    unit: str
    anchor: str
    anchor_value: float
    target: str
    met: bool

    @property
    def ratio(self) -> float:
        return self.value / self.anchor_value

    def as_document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}
