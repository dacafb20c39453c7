"""The route under /api/features, which GrowthBook's SDKs ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer
from api.fast_routes import FastRoute
from api.flags_in_force import FlagsInForce
from api.growthbook import description
from causeway.assignment.flags import FlagSet
from causeway.assignment.growthbook import payload_of

PATH = "/api/features/{client_key}"
_TENANTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Payload:
    """A payload as bytes, and the flags that it was made of."""

    flags: FlagSet
    answer: Answer


class GrowthBook:
    """Answers with a tenant's flags in force, in the form that GrowthBook's SDKs evaluate by themselves."""

    def __init__(self, flags: FlagsInForce) -> None:
        self._flags = flags
        self._kept: dict[str, _Payload] = {}
        self.routes = (FastRoute("GET", PATH, self.features, description.FEATURES, description.MODELS),)

    async def features(self, request: Request) -> Response:
        """The payload, or 304 if the caller has it; the key in the path has opened the route already."""
        tenant: str = request.scope["principal"].tenant
        flags = await self._flags.of(tenant)
        kept = self._kept.get(tenant)
        if kept is None or kept.flags is not flags:
            kept = _Payload(flags, _answer(payload_of(flags)))
            self._kept.pop(tenant, None)
            self._kept[tenant] = kept
            while len(self._kept) > _TENANTS_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return kept.answer.response(request.headers)


def _answer(payload: Mapping[str, Any]) -> Answer:
    body = orjson.dumps({"status": 200, **payload})
    return Answer(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', PATH)
