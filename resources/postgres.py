"""The Postgres resource of the Dagster code location; what it does is in resources/postgres_client.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from resources.embedded_postgres import ensure_database
from resources.postgres_client import KeptOpenClient, PostgresClient
from resources.settings import Settings


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Gives assets a ``PostgresClient`` as causeway_pipeline on the database that the environment names."""

    schema_prefix: str = Field(
        default="",
        description="Goes before every stage schema, so that a run writes into a scratch copy.",
    )

    known_at: str = Field(
        default="",
        description="Records that arrived later are not there; empty: everything that is settled when a run begins.",
    )

    def client(self) -> PostgresClient:
        """A client for all tenants; starts the embedded Postgres if the environment names no server."""
        return PostgresClient(ensure_database(Settings.from_environment()), schema_prefix=self.schema_prefix)


@dataclass(frozen=True)
class KeptOpen:
    """In the place of a ``PostgresResource``: the same, on one connection."""

    schema_prefix: str
    known_at: str
    opened: KeptOpenClient

    def client(self) -> PostgresClient:
        """The one client."""
        return self.opened


@contextmanager
def kept_open(postgres: PostgresResource) -> Iterator[KeptOpen]:
    """The resource for a run of thousands of short transactions."""
    client = KeptOpenClient(ensure_database(Settings.from_environment()), schema_prefix=postgres.schema_prefix)
    try:
        yield KeptOpen(postgres.schema_prefix, postgres.known_at, client)
    finally:
        client.close()
