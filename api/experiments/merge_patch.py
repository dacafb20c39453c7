"""JSON merge patch (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` applied to it; neither is changed.

    An object is merged member by member, where null takes a member away; anything else takes the target's place.

    >>> merged({"weights": {"off": 1, "on": 1}, "owner": "growth"}, {"weights": {"on": 3}, "owner": None})
    {'weights': {'off': 1, 'on': 3}}
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
