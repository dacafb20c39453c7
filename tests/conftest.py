"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest

from resources import embedded_postgres
from resources.connection import connect
from resources.migration import create_database, migrate
from resources.postgres_client import PostgresClient
from resources.settings import DATABASE_NAME, DATABASE_URL, HOME, Settings

# Of the server whose data no test wants after a crash of the machine.
NOT_KEPT = ("fsync", "full_page_writes")

REFERENCE_DATA_VARIABLE = "CAUSEWAY_REFERENCE_DATA"
PROJECT = Path(__file__).resolve().parents[1]

# A busy machine is slow without being wrong: examples are bounded in number, not in time.
hypothesis.settings.register_profile("causeway", deadline=None)
hypothesis.settings.load_profile("causeway")


# Files go to workers whole, in this order, then all others: one that takes minutes must not be the last to begin.
LONGEST = ("tests/test_demo.py", "tests/cli/", "tests/pipeline/", "tests/faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first; otherwise as collected."""

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(PROJECT).as_posix()
        return next((at for at, prefix in enumerate(LONGEST) if name.startswith(prefix)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder of real data with published answers; none of it belongs in the repository."""
    declared = os.environ.get(REFERENCE_DATA_VARIABLE)
    folder = Path(declared) if declared else PROJECT.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    if declared:
        pytest.fail(f"{REFERENCE_DATA_VARIABLE} names {folder}, which is not a folder")
    pytest.skip(f"no reference data: set {REFERENCE_DATA_VARIABLE} to their folder")


@pytest.fixture(scope="session")
def conformance_data(reference_data: Path) -> Path:
    """Folder of outside suites, which lies beside the reference data."""
    folder = reference_data.parent / "conformance"
    if not folder.is_dir():
        pytest.fail(f"{folder}, the outside suites beside the reference data, is not there")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Settings]:
    """One embedded Postgres for the whole run, migrated, with the tenants default, acme and globex."""
    # Not below pytest's own folder: as root, the server's system user could not reach it.
    home = Path(tempfile.mkdtemp(prefix="causeway-test-"))
    try:
        settings = Settings.from_environment({HOME: str(home)}).with_admin_url(embedded_postgres.start(home))
        with connect(settings.admin_address(), autocommit=True) as admin:
            for name in NOT_KEPT:
                admin.execute(f"ALTER SYSTEM SET {name} = off".encode())
            admin.execute("SELECT pg_reload_conf()")
        migrate(settings, tenants=["default", "acme", "globex"])
        yield settings
    finally:
        embedded_postgres.stop(home)
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def database(postgres_server: Settings, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh, migrated data database of the module's own; the environment names it as well.

    Dagster's and MLflow's databases beside it are made by a test that needs them, with ``create_database``.
    """
    settings = replace(postgres_server, database_name=f"test_{abs(hash(request.node.nodeid)):x}")
    with connect(postgres_server.admin_address(), autocommit=True) as admin:
        create_database(admin, settings, "causeway", template=postgres_server.database_name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(HOME, str(settings.home))
        environment.setenv(DATABASE_URL, settings.admin_address().url)
        environment.setenv(DATABASE_NAME, settings.database_name)
        yield settings
    with connect(postgres_server.admin_address(), autocommit=True) as admin:
        for name in map(settings.name_of, ("causeway", "dagster", "mlflow")):
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="module")
def postgres(database: Settings) -> PostgresClient:
    """A client of the module's database, as causeway_pipeline."""
    return PostgresClient(database)
