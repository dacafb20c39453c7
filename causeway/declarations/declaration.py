"""What every declaration has in common: its key, its canonical form, its hash, and the types its fields are
made of.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

Path = tuple[str | int, ...]

OF_A_FIELD, OF_A_MODEL = "field_rule", "model_rule"
"""Types of the errors that rules across fields raise: found while one field, or a whole model, was validated.
"""


def reject(problems: Sequence[tuple[Path, str]], found_in: str = OF_A_FIELD) -> None:
    """Raise one validation error that carries every (path, sentence), if there is any.

    Paths start at the model that the rule belongs to: the one around the field for OF_A_FIELD, the model
    itself for OF_A_MODEL.
    """
    if problems:
        summary = "; ".join(sentence for _, sentence in problems)
        raise PydanticCustomError(found_in, "{summary}", {"summary": summary, "problems": list(problems)})


def repeated(names: Sequence[str]) -> list[tuple[int, str]]:
    """(index, name) of every name that already stands earlier in the sequence."""
    return [(index, name) for index, name in enumerate(names) if name in names[:index]]


def _whole_number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _printable(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise PydanticCustomError("control_character", "has a control character in it")
    if not value.strip():
        raise PydanticCustomError("blank", "is blank; expected text")
    return value


def _without_null(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("null_character", "has a null character in it")
    return value


def _not_only_dots(value: str) -> str:
    # A key stands in URLs and file names, where "." and ".." mean something else.
    if not value.strip("."):
        raise PydanticCustomError("only_dots", "needs a letter or a digit")
    return value


def _date_or_iso_text(value: object) -> object:
    # Left to itself, pydantic takes the number 2024 for seconds since 1970.
    if value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("not_a_date", "{value} is not a date such as 2024-01-31", {"value": repr(value)})


Text = Annotated[
    str,
    Strict(),
    StringConstraints(min_length=1, max_length=1000),
    BeforeValidator(_whole_number_as_text),
    AfterValidator(_printable),
]
"""Text of 1 to 1,000 characters; a whole number is taken as its digits, so that a column or variant may be
called 0.
"""

Prose = Annotated[str, Strict(), StringConstraints(max_length=10_000), AfterValidator(_without_null)]

Key = Annotated[
    str,
    Strict(),
    StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$"),
    BeforeValidator(_whole_number_as_text),
    AfterValidator(_not_only_dots),
]

Tenant = Annotated[str, Strict(), StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

Number = Annotated[float, Strict(), AllowInfNan(False)]

WholeNumber = Annotated[int, Strict()]

Date = Annotated[dt.date, BeforeValidator(_date_or_iso_text)]


@dataclass(frozen=True)
class DeclaredAt:
    """The file a declaration was read from and the line of each of its paths.

    Where something was written down is no part of what it says: any two compare equal.
    """

    name: str = field(compare=False)
    lines: Mapping[Path, int] = field(compare=False)

    def line(self, path: Path) -> int:
        """Line (from 1) of `path`, or of the nearest thing around it that was written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class DeclaredPart(BaseModel):
    """A part of a declaration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Declaration(DeclaredPart):
    """A thing that a user declares, known by its tenant and key."""

    key: Key = Field(description="name of the declaration: letters, digits, '.', '_' and '-', at most 100")
    tenant: Tenant = Field(
        default="default",
        description="tenant that it belongs to: lower-case letters, digits and '_', at most 63",
    )

    _declared_at: DeclaredAt = PrivateAttr(default=DeclaredAt("", {}))

    @property
    def partition_key(self) -> str:
        """The partition of this declaration: ``tenant|key``."""
        return f"{self.tenant}|{self.key}"

    @property
    def declared_at(self) -> DeclaredAt:
        """Where it was written down; its name is empty for a declaration that was not read from text."""
        return self._declared_at

    def written_in(self, declared_at: DeclaredAt) -> None:
        """Note where this declaration was written down, for error messages about what it names."""
        self._declared_at = declared_at

    def document(self) -> dict[str, Any]:
        """The whole declaration as JSON values, with every default filled in."""
        return self.model_dump(mode="json")

    def canonical_json(self) -> str:
        """One text per meaning: keys sorted, no white space, what equals its default left out.

        Comments, formatting and the order of keys do not show in it; the order of lists does. Defaults are
        left out so that a key which a later version adds changes no declaration written before it.
        """
        return json.dumps(
            self.model_dump(mode="json", exclude_defaults=True),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )

    @property
    def declaration_hash(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()
