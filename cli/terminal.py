"""What a person sees in the terminal."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from causeway.declarations.problem import DeclarationError
from causeway.landing.error import LandingError
from resources.connection import DatabaseProblem
from resources.settings import SettingsError


class WrongInput(ValueError):
    """The caller asked for something that cannot be done; the message says what to do instead."""


_EXPECTED = (DeclarationError, LandingError, SettingsError, DatabaseProblem, WrongInput, FileNotFoundError)


def explain(error: BaseException) -> str | None:
    """The line for a mistake that is the caller's, None for one that is ours."""
    return str(error) if isinstance(error, _EXPECTED) else None


def console(as_json: bool = False) -> Console:
    """Standard output, or standard error where standard output belongs to JSON."""
    made = Console(stderr=as_json, highlight=False)
    if not made.is_terminal:
        # A pipe has no width of its own, and a table squeezed into eighty columns cannot be read.
        made.width = 180
    return made


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str, allow_nan=False)
    sys.stdout.write("\n")


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash for one that is not there."""
    return "-" if value is None else f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """An effect for people."""
    return "-" if value is None else f"{value:+,.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """A confidence interval for people."""
    return "-" if low is None or high is None else f"[{low:+,.{digits}f}, {high:+,.{digits}f}]".replace("[", "\\[")


def table(title: str, *columns: str, text: int = 1) -> Table:
    """A table whose first ``text`` columns are text and whose others are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < text else "right", overflow="fold")
    return made


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    def __str__(self) -> str:
        return f"{time.perf_counter() - self._begin:.1f} s"
