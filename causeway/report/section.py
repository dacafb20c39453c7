"""What a page is put together from: sections of sentences, charts, tables and checks."""

from __future__ import annotations

from dataclasses import dataclass

from causeway.report.chart import Chart


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with what is said below it in small letters. `is_name`: somebody gave it, at any length."""

    value: str
    more: str = ""
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns; the first cell of a row heads it. `is_folded`: shown on request, and on paper."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One rule and what was seen. kind: closed, warning or passed, with `badge` as its word."""

    name: str
    kind: str
    badge: str
    detail: str


@dataclass(frozen=True, slots=True)
class Checks:
    """Rules, the gravest first."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    facts: tuple[tuple[str, str], ...]
    is_mono: bool = False


Block = str | Chart | Table | Checks | Facts
"""A str is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page; `short` is its name among the links."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    short: str = ""
