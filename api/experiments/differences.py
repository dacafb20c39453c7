"""What differs between two JSON documents, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.experiments.models import Difference
from causeway.declarations.declaration import Path
from causeway.declarations.problem import path_text


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every value that is another, in the order of the paths; null where there is none. Lists differ as a whole."""
    found = _differences((), before, after)
    return sorted(found, key=lambda difference: difference.path)


def _differences(path: Path, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            yield from _differences((*path, name), before.get(name), after.get(name))
    elif before != after:
        yield Difference(path=path_text(path), before=before, after=after)
