"""Open the house before working in it: database up, migrated, Dagster's instance at hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causeway.declarations.problem import DeclarationError
from resources.embedded_postgres import ensure_database
from resources.migration import MigrationReport, migrate
from resources.postgres_client import PostgresClient
from resources.registry import declared_in
from resources.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

Report = Callable[[str], Any]


@dataclass(frozen=True)
class House:
    """A migrated database and how to reach it."""

    settings: Settings
    client: PostgresClient
    migration: MigrationReport


def open_house(report: Report = lambda line: None) -> House:
    """Start the embedded Postgres if the environment names no other, and migrate what is not up to date.

    Raises SettingsError or DatabaseProblem, each in one line that says what to do.
    """
    settings = ensure_database(Settings.from_environment())
    migration = migrate(settings, report, _tenants(settings))
    for made in migration.new_keys:
        report(f"API key of tenant {made.tenant}, shown this once: {made.key}")
    prepare_environment(settings)
    return House(settings, PostgresClient(settings), migration)


def _tenants(settings: Settings) -> list[str]:
    """Every tenant that a readable declaration names; mistakes are reported where declarations are registered."""
    tenants = {"default"}
    with suppress(DeclarationError):
        for declaration, _ in declared_in(settings.project_root / "declarations"):
            tenants.add(declaration.tenant)
    return sorted(tenants)


def prepare_environment(settings: Settings) -> None:
    """What Dagster, its subprocesses and MLflow read from the environment."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(settings.project_root / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["CAUSEWAY_DAGSTER_URL"] = settings.url("causeway_pipeline", "dagster")
    os.environ["CAUSEWAY_API_DATABASE_URL"] = settings.url("causeway_api")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """The instance that DAGSTER_HOME describes, with Dagster's chatter turned down to what a person needs."""
    import logging
    import warnings

    import dagster as dg

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with dg.DagsterInstance.get() as instance:
        # As it comes, every look into its storage opens a connection of its own: hundreds of them in one command.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=300, max_overflow=20)
        yield instance


def definitions() -> dg.Definitions:
    """The code location; imported late, for it is the heaviest thing in the house."""
    import warnings

    warnings.simplefilter("ignore")
    from definitions import defs

    return defs
