"""What a tenant declared about its events: schemas by type and version, how long they are kept, sources of files."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jsonschema_rs

from api.database import Database, as_tenant
from causeway.declarations.event_type import SEVEN_YEARS, properties_validator

DECLARED = as_tenant(
    """
    select
        (
            select coalesce(json_agg(json_build_array(key, version, declaration_hash, declaration)), '[]')::text
            from registry.event_types where tenant_id = $1
        ) as event_types,
        (select coalesce(array_agg(key), '{}') from registry.sources where tenant_id = $1) as sources
    """
)

_TENANTS_KEPT = 256

Validator = jsonschema_rs.Draft202012Validator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of events: the validator of each version, the newest version, and for how many days they are kept."""

    validators: Mapping[int, Validator]
    newest: int
    retention_days: int = SEVEN_YEARS


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The event types of one tenant, and the sources that are landed from files."""

    types: Mapping[str, EventType] = field(default_factory=dict)
    landed: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Kept:
    catalogue: Catalogue
    until: float


class EventTypes:
    """The catalogue of each tenant, read from the registry when it says that it changed, or after a short while."""

    def __init__(self, database: Database, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._lifetime = lifetime
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._changes = 0
        # A schema takes longer to compile than a thousand events to validate, and seldom changes.
        self._compiled: dict[str, Validator] = {}

    async def of(self, tenant: str) -> Catalogue:
        """The catalogue of ``tenant`` as it is declared; DatabaseUnavailable if it cannot be read."""
        kept = self._kept.get(tenant)
        if kept is not None and self._clock() < kept.until:
            return kept.catalogue
        async with self._reading.setdefault(tenant, asyncio.Lock()):
            kept = self._kept.get(tenant)
            if kept is None or self._clock() >= kept.until:
                before = self._changes
                catalogue = await self._read(tenant)
                # What changed while it was read may not be in it: it serves this once.
                until = self._clock() + self._lifetime if before == self._changes else 0.0
                kept = self._kept[tenant] = _Kept(catalogue, until)
        while len(self._kept) > _TENANTS_KEPT:
            oldest = next(iter(self._kept))
            self._kept.pop(oldest)
            self._reading.pop(oldest, None)
        return kept.catalogue

    def changed(self, tenant: str) -> None:
        """What ``tenant`` declares has changed; an empty name means that anybody's may have."""
        self._changes += 1
        for name in [tenant] if tenant else list(self._kept):
            self._kept.pop(name, None)

    def linked(self, is_linked: bool) -> None:
        """Changes can be heard from now on, or no longer; some may have gone unheard."""
        self.changed("")

    async def _read(self, tenant: str) -> Catalogue:
        row = await self._database.read(tenant).fetch_row(DECLARED)
        assert row is not None, "a query of aggregates has one row"
        versions: dict[str, dict[int, Validator]] = {}
        kept_for: dict[str, dict[int, int]] = {}
        for key, version, declaration_hash, declaration in json.loads(row["event_types"]):
            validator = self._validator(tenant, key, declaration_hash, declaration.get("schema", {}))
            if validator is not None:
                versions.setdefault(key, {})[version] = validator
                kept_for.setdefault(key, {})[version] = declaration.get("retention_days", SEVEN_YEARS)
        types = {key: EventType(each, max(each), kept_for[key][max(each)]) for key, each in versions.items()}
        return Catalogue(types, frozenset(row["sources"]))

    def _validator(self, tenant: str, key: str, declaration_hash: str, schema: object) -> Validator | None:
        known = self._compiled.get(declaration_hash)
        if known is not None:
            return known
        try:
            made = properties_validator(schema if isinstance(schema, dict) else {})
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError):
            # It was checked when it was declared, so this is our fault: its events are taken, unlike their schema.
            logger.exception("tenant %s has a stored schema of %r that does not compile", tenant, key)
            return None
        if len(self._compiled) > 10 * _TENANTS_KEPT:
            self._compiled.clear()
        self._compiled[declaration_hash] = made
        return made
