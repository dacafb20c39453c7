"""A KPI: what a study's effect is worth in each segment, what treating costs, and what may be spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from causeway.declarations.declaration import (
    OF_A_MODEL,
    Declaration,
    Key,
    Number,
    Path,
    Prose,
    Text,
    WholeNumber,
    reject,
    repeated,
)

MOST_SEGMENT_COLUMNS = 2
MOST_STUDIES = 10

NotNegative = Annotated[Number, Field(ge=0)]
Units = Annotated[WholeNumber, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]


def _column_or_cost(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        # A whole number would be taken for the name of a column.
        return float(value)
    raise PydanticCustomError("not_a_cost", "expected a column of the study, or one cost of treating a unit, 0 or more")


class KpiDeclaration(Declaration):
    """A KPI as declared under ``kind: kpi``."""

    kind: Literal["kpi"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    description: Prose | None = Field(default=None, description="what it means, and what it does not")
    study: Key | None = Field(default=None, description="the study whose outcome the KPI is")
    studies: Annotated[tuple[Key, ...], Field(max_length=MOST_STUDIES)] = Field(
        default=(), description="studies of competing interventions on one outcome, in place of study"
    )
    value: Number = Field(description="worth of one unit of the outcome, in money; negative where less is better")
    cost: Annotated[Text | NotNegative, BeforeValidator(_column_or_cost)] = Field(
        description="of treating one unit, in money: a number, or a column of the study"
    )
    segments: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MOST_SEGMENT_COLUMNS)] = Field(
        description="columns of the study whose levels, together, make the segments"
    )
    budget: NotNegative | None = Field(
        default=None, description="most that may be spent, in money; no limit when left out"
    )
    headcount: Units | None = Field(default=None, description="most units that may be treated in all")
    capacity: Units | dict[Text, Units] | None = Field(
        default=None, description="most units that may be treated, of every segment, or by segment"
    )
    fixed_cost: NotNegative | dict[Text, NotNegative] = Field(
        default=0.0, description="of treating anybody in a segment at all, of every segment or by segment"
    )
    minimum_share: Share | dict[Text, Share] = Field(
        default=0.0, description="of a segment's units not treated today, how many must be"
    )
    maximum_share: Share | dict[Text, Share] = Field(
        default=1.0, description="of a segment's units not treated today, how many may be"
    )
    objective: Literal["expected", "conservative"] = Field(
        default="expected",
        title="objective",
        description="count with the expected effect, or the low end of its interval",
    )

    @property
    def interventions(self) -> tuple[str, ...]:
        """Keys of the studies, whichever way they are named."""
        return self.studies or (() if self.study is None else (self.study,))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the study that the KPI reads besides treatment and outcome."""
        return (*self.segments, *((self.cost,) if isinstance(self.cost, str) else ()))

    @property
    def named_segments(self) -> Mapping[str, Path]:
        """Segments that are named by level, with the path of the first mention."""
        named: dict[str, Path] = {}
        for field in ("capacity", "fixed_cost", "minimum_share", "maximum_share"):
            declared = getattr(self, field)
            for level in declared if isinstance(declared, dict) else ():
                named.setdefault(level, (field, level))
        return named

    @model_validator(mode="after")
    def _holds_together(self) -> KpiDeclaration:
        problems: list[tuple[Path, str]] = []
        if (self.study is None) == (not self.studies):
            problems.append(((), "a KPI needs exactly one of study and studies"))
        for field in ("studies", "segments"):
            problems += [((field, index), f"{name!r} is named twice") for index, name in repeated(getattr(self, field))]
        if self.value == 0:
            problems.append((("value",), "an outcome that is worth nothing gives nothing to decide"))
        levels = {"", *self.named_segments}
        for level in sorted(levels):
            low, high = (
                _of(bound, level, default) for bound, default in ((self.minimum_share, 0), (self.maximum_share, 1))
            )
            if low > high:
                where: Path = ("minimum_share", level) if isinstance(self.minimum_share, dict) else ("minimum_share",)
                problems.append((where, f"{low:g} is above maximum_share, {high:g}"))
        reject(problems, OF_A_MODEL)
        return self


def _of(declared: float | dict[str, float], level: str, default: float) -> float:
    return declared.get(level, default) if isinstance(declared, dict) else declared
