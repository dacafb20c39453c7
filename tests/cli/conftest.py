"""The ``causeway`` command as a process, in a house of its own on the session's server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from resources.connection import connect
from resources.postgres_client import PostgresClient
from resources.settings import DATABASE_NAME, DATABASE_URL, HOME, Settings
from tests.cli.forked import run_forked


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON document."""
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of a mistake that is the caller's."""
        (line,) = self.err.strip().splitlines()
        assert line.startswith("causeway: ")
        assert "Traceback" not in self.err
        return line


@dataclass(frozen=True)
class CommandLine:
    """Runs ``causeway`` in one house."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        """What names the house."""
        return {
            HOME: str(self.settings.home),
            DATABASE_URL: self.settings.admin_address().url,
            DATABASE_NAME: self.settings.database_name,
        }

    def __call__(self, *arguments: str | Path, **environment: str) -> Answer:
        whole = {**os.environ, **self.environment, **environment}
        done = run_forked(list(map(str, arguments)), whole, seconds=300)
        return Answer(done.code, done.out, done.err)


@pytest.fixture(scope="session")
def causeway(postgres_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    settings = replace(postgres_server, database_name="test_cli", home=tmp_path_factory.mktemp("home"))
    command = CommandLine(settings)
    # What is done once for a house is reported line by line; the tests look at what comes after.
    migrated = command("migrate")
    assert migrated.code == 0, migrated.err
    yield command
    with connect(postgres_server.admin_address(), autocommit=True) as admin:
        for name in map(settings.name_of, ("causeway", "dagster", "mlflow")):
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def client(causeway: CommandLine) -> PostgresClient:
    """The database of the house, as causeway_pipeline."""
    return PostgresClient(causeway.settings)
