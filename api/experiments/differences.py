"""What a change of a declaration would change, as the API tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.experiments.models import Difference
from causeway.declarations import differences as documents


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every value that is another, in the order of the paths; null where there is none. Lists differ as a whole."""
    return [
        Difference(path=each.path, before=each.before, after=each.after)
        for each in documents.differences(before, after)
    ]
