"""Stored assignments: a unit that was given a variant keeps it, whatever weights and targeting say later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple


class StickyRecord(NamedTuple):
    """What is stored of one unit: variants by `assignment_key`. Kept under `record_key`, as GrowthBook does."""

    attribute: str
    value: str
    assignments: Mapping[str, str]

    @property
    def key(self) -> str:
        """Where this record is kept."""
        return record_key(self.attribute, self.value)


def record_key(attribute: str, value: str) -> str:
    """Where the stored assignments of a unit are kept: `<attribute>||<value>`."""
    return f"{attribute}||{value}"


def assignment_key(experiment: str, bucket_version: int, window_start: datetime | None = None) -> str:
    """Where a unit's variant stands in its record: `<experiment>__<bucket version>`, and in a switchback
    `<experiment>__<bucket version>__<start of the window in UTC>`.
    """
    if window_start is None:
        return f"{experiment}__{bucket_version}"
    return f"{experiment}__{bucket_version}__{window_start.astimezone(UTC).isoformat()}"


def is_blocked(record: StickyRecord, experiment: str, min_bucket_version: int) -> bool:
    """Whether the unit was assigned under a bucket version below the minimum: then it is in the experiment no
    longer.
    """
    prefix = f"{experiment}__"
    for key in record.assignments:
        version = key.removeprefix(prefix).partition("__")[0]
        if version != key and version.isascii() and version.isdigit() and int(version[:9]) < min_bucket_version:
            return True
    return False
