"""The route under /api/features, which GrowthBook's SDKs ask."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer
from api.fast_routes import FastRoute
from api.flags_in_force import FlagsInForce
from api.growthbook import description
from causeway.assignment.flags import ExperimentRule, FlagSet
from causeway.assignment.growthbook.payload import Payload, payload_of
from causeway.declarations.assignment import TARGETING_KEY

PATH = "/api/features/{client_key}"
# What their users call the unit.
NAMES = {TARGETING_KEY: "id"}
_TENANTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    """A payload as bytes, the flags that it was made of, and the moment at which a ramp makes it another."""

    flags: FlagSet
    until: datetime
    answer: Answer


class GrowthBook:
    """Answers with a tenant's flags in force, in the form that GrowthBook's SDKs evaluate by themselves."""

    def __init__(self, flags: FlagsInForce) -> None:
        self._flags = flags
        self._kept: dict[str, _Kept] = {}
        self.routes = (FastRoute("GET", PATH, self.features, description.FEATURES, description.MODELS),)

    async def features(self, request: Request) -> Response:
        """The payload, or 304 if the caller has it; the key in the path has opened the route already."""
        tenant: str = request.scope["principal"].tenant
        flags = await self._flags.of(tenant)
        at = datetime.now(UTC)
        kept = self._kept.get(tenant)
        if kept is None or kept.flags is not flags or kept.until <= at:
            kept = _Kept(flags, _next_step(flags, at), _answer(payload_of(flags, at, names=NAMES)))
            self._kept.pop(tenant, None)
            self._kept[tenant] = kept
            while len(self._kept) > _TENANTS_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return kept.answer.response(request.headers)


def _next_step(flags: FlagSet, at: datetime) -> datetime:
    experiments = [
        rule.experiment for flag in flags.flags.values() for rule in flag.rules if isinstance(rule, ExperimentRule)
    ]
    steps = [step.at for experiment in experiments for step in experiment.ramp if step.at > at]
    return min(steps, default=datetime.max.replace(tzinfo=UTC))


def _answer(payload: Payload) -> Answer:
    body = orjson.dumps({"status": 200, **payload.body, "left_out": payload.left_out})
    return Answer(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', PATH)
