"""Who is calling: one key per principal, and no route that answers without one but those of ``operations``.

A key reads ``cw_<tenant>_<key_id>_<secret>``. The registry holds the sha256 of the whole key, under the
row-level security of that tenant, so that a key can only ever open the tenant that it names.

A key of role ``developer`` opens every route. One of role ``client`` may be published, as a key inside an app that is
shipped to customers is: it opens the few routes that such an app needs, none of which reads what others have stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.database import Database, DatabaseUnavailable, NotMaterialised, as_tenant
from api.problems import Problem, problem_of, problem_response

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

# What a published key opens: methods with a path, or, ending in a slash, with all paths below.
CLIENT_MAY = (
    ("POST", "/ofrep/"),
    ("GET", "/api/features/"),
    ("POST", "/v1/events"),
    ("POST", "/v1/assignments"),
)
# Here the key is the path's last segment: the vendor's clients send no header.
_KEY_IN_PATH = "/api/features/"

# A tenant's name may hold underscores; the parts behind it may not, so the key is read from the right.
_KEY = re.compile(r"cw_(?P<tenant>[a-z][a-z0-9_]{0,62})_(?P<key_id>[A-Za-z0-9-]{1,64})_(?P<secret>[A-Za-z0-9-]{1,128})")
_KEYS_REMEMBERED = 1024

PRINCIPAL = as_tenant("select key_hash, role, expires_at from registry.principals where tenant_id = $1 and key_id = $2")


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key."""

    tenant: str
    key_id: str
    role: str

    def may(self, method: str, path: str) -> bool:
        """Whether the key's role opens a route; a role that is not known opens none."""
        if self.role == "developer":
            return True
        return self.role == "client" and any(
            method == allowed and (path == route or (route.endswith("/") and path.startswith(route)))
            for allowed, route in CLIENT_MAY
        )


def principal_of(request: Request) -> Principal:
    """The principal of an authenticated request."""
    principal: Principal = request.scope["principal"]
    return principal


class Authenticator:
    """Knows the keys it has seen lately, by their hash; the registry is asked about the others."""

    def __init__(self, database: Database, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._lifetime = lifetime
        self._clock = clock
        self._known: dict[str, tuple[Principal, float]] = {}

    async def __call__(self, scope: Scope) -> Principal:
        """The principal whose key the request has; Problem 401 if it is missing, unknown or expired."""
        key = _key_in(scope)
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        remembered = self._known.get(digest)
        if remembered is not None and self._clock() < remembered[1]:
            return remembered[0]
        self._known.pop(digest, None)
        principal, seconds_left = await self._look_up(key, digest)
        if len(self._known) >= _KEYS_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = (principal, self._clock() + min(self._lifetime, seconds_left))
        return principal

    async def _look_up(self, key: str, digest: str) -> tuple[Principal, float]:
        parts = _KEY.fullmatch(key)
        if parts is None:
            raise _unauthorized("The key is not known.")
        tenant, key_id = parts["tenant"], parts["key_id"]
        row = await self._database.read(tenant).fetch_row(PRINCIPAL, key_id)
        # The comparison is made even when there is nothing to compare with: its time tells nothing.
        matches = hmac.compare_digest(digest, "" if row is None else row["key_hash"])
        if row is None or not matches:
            raise _unauthorized("The key is not known.")
        seconds_left = float("inf")
        if row["expires_at"] is not None:
            seconds_left = (row["expires_at"] - datetime.now(UTC)).total_seconds()
        if seconds_left <= 0:
            raise _unauthorized("The key has expired.")
        return Principal(tenant, key_id, row["role"]), seconds_left


class AuthenticationMiddleware:
    """Lets no request pass without a principal, whatever its path: a new route cannot forget to ask."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                principal = await self._authenticator(scope)
                if not principal.may(scope["method"], scope["path"]):
                    raise Problem(403, "forbidden", f"A key of role {principal.role!r} does not open this route.")
            except (Problem, DatabaseUnavailable, NotMaterialised) as error:
                await problem_response(problem_of(error), scope)(scope, receive, send)
                return
            scope["principal"] = principal
        await self._app(scope, receive, send)


def _key_in(scope: Scope) -> str:
    if scope["path"].startswith(_KEY_IN_PATH):
        key: str = scope["path"].removeprefix(_KEY_IN_PATH)
        return key
    headers = Headers(scope=scope)
    authorization = headers.get("authorization")
    if authorization is None:
        key = headers.get("x-api-key", "")
    else:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("Authorization must be 'Bearer <key>'.")
    key = key.strip()
    if not key:
        raise _unauthorized("A key is needed: Authorization: Bearer <key>, or X-API-Key: <key>.")
    return key


def _unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="causeway"'})
