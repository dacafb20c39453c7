"""A layer: one space of buckets that experiments share, so that no unit is in two of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from causeway.declarations.declaration import (
    OF_A_MODEL,
    Declaration,
    DeclaredPart,
    Key,
    Path,
    Prose,
    Text,
    WholeNumber,
    reject,
)

BUCKETS = 10_000

Bucket = Annotated[WholeNumber, Field(ge=0, le=BUCKETS)]


class Allocation(DeclaredPart):
    """A half-open range of buckets that belongs to one experiment."""

    model_config = ConfigDict(serialize_by_alias=True)

    experiment: Key = Field(description="the experiment whose buckets these are")
    start: Bucket = Field(alias="from", description="first bucket, from 0")
    end: Bucket = Field(alias="to", description="the bucket after the last one, at most 10000")

    @model_validator(mode="after")
    def _has_a_bucket(self) -> Allocation:
        if self.end <= self.start:
            reject([(("to",), f"must be above from, {self.start}; the range is half-open")], OF_A_MODEL)
        return self


class LayerDeclaration(Declaration):
    """A layer as declared under ``kind: layer``."""

    kind: Literal["layer"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    unit: Text = Field(description="what is hashed into buckets, such as customer: the unit of its experiments")
    salt: Text | None = Field(default=None, description="text mixed into the hash of buckets; the key when left out")
    version: Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)] = Field(
        default=1, description="raised when buckets of a running experiment change"
    )
    allocations: tuple[Allocation, ...] = Field(default=(), description="which buckets belong to which experiment")

    @property
    def bucketing_salt(self) -> str:
        """The text that is hashed with a unit's id."""
        return self.key if self.salt is None else self.salt

    def buckets_of(self, experiment: str) -> tuple[tuple[int, int], ...]:
        """The half-open ranges of one experiment, in order, touching ones made one."""
        ranges: list[tuple[int, int]] = []
        for start, end in sorted((each.start, each.end) for each in self.allocations if each.experiment == experiment):
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((start, end))
        return tuple(ranges)

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that have buckets, each once."""
        return tuple(dict.fromkeys(each.experiment for each in self.allocations))

    @field_validator("allocations")
    @classmethod
    def _buckets_have_one_owner(cls, allocations: tuple[Allocation, ...]) -> tuple[Allocation, ...]:
        problems: list[tuple[Path, str]] = []
        in_order = sorted(range(len(allocations)), key=lambda index: (allocations[index].start, index))
        last: Allocation | None = None
        for index in in_order:
            each = allocations[index]
            if last is not None and each.start < last.end:
                sentence = f"overlaps the buckets {last.start} to {last.end} of {last.experiment!r}"
                problems.append((("allocations", index), sentence))
            if last is None or each.end > last.end:
                last = each
        reject(problems)
        return allocations
