"""What an address says about experiments: variants forced by its query, pages that an experiment is on, and the
page that a variant leads to. Source: GrowthBook's JavaScript SDK, `util.ts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from causeway.assignment.patterns import NotLinearError, linear_search


def query_string_override(experiment: str, url: str, variants: int) -> int | None:
    """The index of the variant that an address asks for, as in `?my-test=1`; None if it asks for none.

    >>> query_string_override("my-test", "https://example.com/?my-test=1", 2)
    1
    """
    asked = dict(reversed(_query(url))).get(experiment, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        return None
    return int(asked) if int(asked) < variants else None


def is_on_page(url: str, patterns: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an experiment with these url patterns runs on a page: on every page if it has none, else where an
    including pattern matches (if there are any) and no excluding one does.
    """
    targets = list(patterns)
    including = [each for each in targets if each.get("include") is not False]
    if any(_matches(url, each) for each in targets if each.get("include") is False):
        return False
    return not including or any(_matches(url, each) for each in including)


def redirect_with_query(url: str, target: str) -> str:
    """The target with the parameters of the page that was left, save those that it has itself."""
    parts = _split(target)
    own = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in own}
    query = own + [(name, value) for name, value in _query(url) if name not in names]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(_split(url).query, keep_blank_values=True)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _matches(url: str, target: Mapping[str, Any]) -> bool:
    kind, pattern = target.get("type"), str(target.get("pattern"))
    if kind == "simple":
        return _matches_simply(_split(url), pattern)
    if kind != "regex":
        return False
    try:
        search = linear_search(pattern)
        return search(url) or search(urlunsplit(_split(url)._replace(scheme="", netloc="")))
    except NotLinearError:
        return False


def _matches_simply(actual: SplitResult, pattern: str) -> bool:
    """Host, path, fragment and every parameter of the pattern must agree; * stands for anything."""
    expected = _split(pattern if "//" in pattern or pattern.startswith("/") else f"//{pattern}")
    if expected.netloc and not _wildcard(expected.netloc.lower(), actual.netloc.lower()):
        return False
    if not _wildcard(expected.path.strip("/"), actual.path.strip("/")):
        return False
    if expected.fragment and not _wildcard(expected.fragment, actual.fragment):
        return False
    given = dict(parse_qsl(actual.query, keep_blank_values=True))
    wanted = parse_qsl(expected.query, keep_blank_values=True)
    return all(_wildcard(value, given.get(name, "")) for name, value in wanted)


def _wildcard(pattern: str, text: str) -> bool:
    escaped = ".*".join(re.escape(part) for part in unquote(pattern).split("*"))
    return linear_search(f"(?s)^{escaped}$", any_case=True)(unquote(text))
