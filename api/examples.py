"""How the example answers of a route are written down for its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shown(examples: Mapping[str, Any], media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that answers 200 as in ``examples``, which are named for people."""
    named = {name.replace(" ", "_"): {"summary": name, "value": value} for name, value in examples.items()}
    return {200: {"content": {media_type: {"examples": named}}}}
