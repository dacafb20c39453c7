"""What all pages of reports share: their frame, their style, and what they forbid the browser."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from causeway.plots.effect_over_time import day_in_words
from causeway.plots.svg import CHART_STYLE, Drawing, cleaned
from causeway.report.chart import Chart
from causeway.report.numbers import p_value
from causeway.report.section import Checks, Facts
from causeway.report.words import said


def page_of(template: str, *, title: str, headline: str, **values: Any) -> str:
    """The page that a template makes of plain values, every text escaped."""
    return (
        _environment()
        .get_template(template)
        .render(title=title, headline=headline, style=Markup(_style()), policy=content_security_policy(), **values)
    )


@cache
def content_security_policy() -> str:
    """What the page allows itself, for its own meta element and for the header of whoever serves it."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def _style() -> str:
    source, _, _ = _loader().get_source(_environment(), "page.css")
    return f"{source}{CHART_STYLE}"


@cache
def _loader() -> PackageLoader:
    return PackageLoader("causeway.report", "")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=lambda value: cleaned(value) if type(value) is str else value,
    )
    environment.filters |= {"day": day_in_words, "moment": moment_in_words, "said": said, "drawn": _drawn, "p": p_value}
    environment.tests |= {
        "chart": lambda block: isinstance(block, Chart),
        "checks": lambda block: isinstance(block, Checks),
        "facts": lambda block: isinstance(block, Facts),
    }
    return environment


def _drawn(drawing: Drawing) -> Markup:
    return Markup(drawing.markup())


def moment_in_words(moment: datetime) -> str:
    """The moment as it is said, with its zone where it has one."""
    zone = moment.tzname() or ""
    return f"{day_in_words(moment.date())}, {moment:%H:%M}{f' {zone}' if zone else ''}"
