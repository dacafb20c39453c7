"""What differs between two JSON documents, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from causeway.declarations.declaration import Path
from causeway.declarations.problem import path_text


@dataclass(frozen=True)
class Difference:
    """One value that is another; None where there is none. path: as people write it, such as ``variants.on``."""

    path: str
    before: Any
    after: Any


def differences(before: Mapping[str, Any], after: Mapping[str, Any], *, in_detail: bool = False) -> list[Difference]:
    """Every value that is another, in the order of the paths. Lists differ as a whole.

    in_detail: lists of documents with a ``key`` each are compared key by key, whatever their order, and of a document
    that is new or gone every value is told.

    >>> differences({"window": {"days": 7}}, {"window": {"days": 14}})
    [Difference(path='window.days', before=7, after=14)]
    """
    found = [Difference(path_text(path), *values) for path, *values in _differences((), before, after, in_detail)]
    return sorted(found, key=lambda difference: difference.path)


def _differences(path: Path, before: Any, after: Any, in_detail: bool) -> Iterator[tuple[Any, ...]]:
    if in_detail and isinstance(before, list) and isinstance(after, list):
        before, after = _by_key(before), _by_key(after)
    if in_detail and {type(before), type(after)} == {dict, type(None)}:
        before, after = before or {}, after or {}
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            yield from _differences((*path, name), before.get(name), after.get(name), in_detail)
    elif before != after:
        yield path, before, after


def _by_key(documents: list[Any]) -> Any:
    keys = [each.get("key") if isinstance(each, Mapping) else None for each in documents]
    distinct = None not in keys and len(set(keys)) == len(keys)
    return dict(zip(keys, documents, strict=True)) if keys and distinct else documents
