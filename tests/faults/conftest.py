"""A house of its own for tests that break it."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeway.declarations.reading import read_declaration
from resources import embedded_postgres
from resources.migration import migrate, new_key
from resources.postgres_client import PostgresClient
from resources.registry import register
from resources.settings import HOME, Settings
from tests.faults.house import ApiProcess, FaultyHouse

TENANT = "acme"

EXPERIMENT = """
kind: experiment
key: checkout
tenant: acme
unit: customer
control: old
variants: {old: 1, new: 1}
metrics: [{key: paid, type: conversion, event: order}]
"""


@pytest.fixture(scope="module")
def house() -> Iterator[FaultyHouse]:
    """A Postgres of the module's own with one tenant and one experiment."""
    # Not below pytest's own folder: as root, the server's system user could not reach it.
    home = Path(tempfile.mkdtemp(prefix="causeway-faults-"))
    try:
        settings = Settings.from_environment({HOME: str(home)}).with_admin_url(embedded_postgres.start(home))
        migrate(settings, tenants=[TENANT])
        with PostgresClient(settings).transaction() as transaction:
            register(transaction, read_declaration(EXPERIMENT, "checkout.yaml"), Path("checkout.yaml"))
        yield FaultyHouse(home, settings)
    finally:
        embedded_postgres.stop(home)
        shutil.rmtree(home)


@pytest.fixture
def api(house: FaultyHouse) -> Iterator[ApiProcess]:
    """The API of the house, not yet started; whatever of it is left is ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = ApiProcess(house.settings, new_key(house.settings, TENANT).key, port)
    try:
        yield process
    finally:
        process.stop()
