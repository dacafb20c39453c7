"""The flags of each tenant as they are evaluated: read from the registry once, kept in memory, dropped on notice.

A set is read again when the registry says that it changed, and after a short lifetime in case that word was lost.
While Postgres is away the last set goes on being served: an evaluation that needs nothing stored goes on as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from api.database import Database, DatabaseUnavailable, as_tenant
from causeway.assignment.declared import flag_set
from causeway.assignment.flags import FlagSet
from causeway.declarations.declaration import Declaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.saved_group import SavedGroupDeclaration

CHANNEL = "registry_changed"

_TENANTS_KEPT = 256

# One statement, so that an experiment and its layer are seen as of the same moment.
DECLARED = as_tenant(
    """
    select
        (select coalesce(array_agg(json_build_array(key, declaration)::text order by key), '{}')
            from registry.experiments where tenant_id = $1) as experiments,
        (select coalesce(array_agg(json_build_array(key, declaration)::text order by key), '{}')
            from registry.flags where tenant_id = $1) as flags,
        (select coalesce(array_agg(json_build_array(key, declaration)::text order by key), '{}')
            from registry.layers where tenant_id = $1) as layers,
        (select coalesce(array_agg(json_build_array(key, declaration)::text order by key), '{}')
            from registry.saved_groups where tenant_id = $1) as saved_groups,
        (select coalesce(array_agg(key order by key), '{}')
            from registry.kill_switches where tenant_id = $1) as killed
    """
)

D = TypeVar("D", bound=Declaration)

logger = logging.getLogger(__name__)


Rows = tuple[list[str], list[str], list[str], list[str], list[str]]
"""The columns of DECLARED: [key, declaration] of each kind as JSON text, and the keys whose kill switch is engaged."""


@dataclass(slots=True)
class _Kept:
    """The set of one tenant, the rows that it was made from, and until when it is believed."""

    flags: FlagSet
    spoilt: frozenset[str]
    made_from: Rows
    until: float


@dataclass(slots=True)
class _Tenant:
    kept: _Kept | None = None
    changes: int = 0
    is_outdated: bool = False
    loading: asyncio.Task[FlagSet] | None = field(default=None, repr=False)


class FlagsInForce:
    """The flag set of each tenant. Equal declarations give the very same object, so what is made of it can be kept."""

    def __init__(
        self, database: Database, lifetime: float, retry: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._retry = retry
        self._clock = clock
        self._tenants: dict[str, _Tenant] = {}

    async def of(self, tenant: str) -> FlagSet:
        """The flags of ``tenant``: as they are declared now, or were when Postgres was last there.

        DatabaseUnavailable if they were never read and cannot be now.
        """
        known = self._tenants.get(tenant)
        if known is None or known.kept is None:
            return await self._load(tenant)
        if self._clock() < known.kept.until:
            return known.kept.flags
        if known.is_outdated:
            return await self._load(tenant)
        # Only its time is up, which says nothing: whoever asks is not made to wait for the reading.
        self._begin(tenant)
        return known.kept.flags

    def spoilt(self, tenant: str) -> frozenset[str]:
        """Keys of ``tenant`` that are declared and yet not in its set: what is stored of them does not validate."""
        known = self._tenants.get(tenant)
        return frozenset() if known is None or known.kept is None else known.kept.spoilt

    def version(self, tenant: str) -> str | None:
        """Version of the set of ``tenant`` that is kept now; None if it is none, or known to be an old one."""
        known = self._tenants.get(tenant)
        return None if known is None or known.kept is None or known.is_outdated else known.kept.flags.version

    def changed(self, tenant: str) -> None:
        """What ``tenant`` declares has changed: nobody is given the old set any more, if Postgres is there."""
        known = self._tenants.get(tenant)
        if known is None:
            return
        known.changes += 1
        if known.kept is not None:
            known.kept.until = 0.0
            known.is_outdated = True
            self._begin(tenant)

    def linked(self, is_linked: bool) -> None:
        """Changes can be heard from now on, or no longer; some may have gone unheard."""
        if is_linked:
            for tenant in list(self._tenants):
                self.changed(tenant)

    async def close(self) -> None:
        """End what is being read."""
        tasks = [known.loading for known in self._tenants.values() if known.loading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, tenant: str) -> FlagSet:
        # Whoever asks meanwhile waits for the same reading, which outlives a caller that goes away.
        return await asyncio.shield(self._begin(tenant))

    def _begin(self, tenant: str) -> asyncio.Task[FlagSet]:
        known = self._tenants.setdefault(tenant, _Tenant())
        if known.loading is None:
            known.loading = asyncio.create_task(self._read(tenant, known))
            known.loading.add_done_callback(lambda task: self._ended(tenant, known, task))
        return known.loading

    def _ended(self, tenant: str, known: _Tenant, task: asyncio.Task[FlagSet]) -> None:
        known.loading = None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DatabaseUnavailable):
            logger.error("the flags of tenant %s cannot be made", tenant, exc_info=error)
        if known.kept is None:
            self._tenants.pop(tenant, None)
        while len(self._tenants) > _TENANTS_KEPT:
            self._tenants.pop(next(iter(self._tenants)))

    async def _read(self, tenant: str, known: _Tenant) -> FlagSet:
        while True:
            before = known.changes
            try:
                row = await self._database.read(tenant).fetch_row(DECLARED)
            except DatabaseUnavailable:
                if known.kept is None:
                    raise
                logger.warning("the flags of tenant %s cannot be read; the last ones known stay in force", tenant)
                # The link that comes back says that everything may have changed: until then nobody need wait.
                known.kept.until = self._clock() + self._retry
                known.is_outdated = False
                return known.kept.flags
            assert row is not None, "a query of aggregates has one row"
            experiments, flags, layers, saved_groups, killed = row
            rows: Rows = (experiments, flags, layers, saved_groups, killed)
            if known.kept is None or known.kept.made_from != rows:
                # Thousands of declarations take a while; other requests go on.
                known.kept = _Kept(*await asyncio.to_thread(made_of, rows, tenant), rows, 0.0)
            if before == known.changes:
                known.kept.until = self._clock() + self._lifetime
                known.is_outdated = False
                return known.kept.flags


def made_of(rows: Rows, tenant: str) -> tuple[FlagSet, frozenset[str]]:
    """The flag set that ``rows`` declare, and the keys that are left out of it.

    Left out and logged is a declaration that no longer validates, which is our fault: the others are served.
    """
    experiments, flags, layers, saved_groups, killed = rows
    spoilt: set[str] = set()
    made = flag_set(
        _valid(ExperimentDeclaration, experiments, tenant, spoilt),
        _valid(FlagDeclaration, flags, tenant, spoilt),
        _valid(LayerDeclaration, layers, tenant, spoilt),
        _valid(SavedGroupDeclaration, saved_groups, tenant, spoilt),
        killed=frozenset(killed),
    )
    return made, frozenset(spoilt)


def _valid(kind: type[D], rows: list[str], tenant: str, spoilt: set[str]) -> list[D]:
    valid = []
    for key, declaration in map(json.loads, rows):
        try:
            valid.append(kind.model_validate_json(json.dumps(declaration)))
        except ValidationError:
            logger.exception("tenant %s has a stored declaration of %r that does not validate", tenant, key)
            spoilt.add(key)
    return valid
