"""A project folder of the test's own, an ephemeral Dagster instance, and the real registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from resources.postgres import PostgresResource
from resources.postgres_client import PostgresClient
from resources.settings import PROJECT_ROOT

EXPERIMENT = """\
kind: experiment
key: {key}
tenant: acme
unit: user
control: off_
variants: {{off_: 1, on_: 1}}
metrics: [{{key: bought, type: conversion, event: purchase}}]
"""
TABLES = ("experiments", "studies", "features", "sources", "declaration_versions")


@dataclass(frozen=True)
class Project:
    """The folder that sensors look into, and the instance they report to."""

    folder: Path
    client: PostgresClient
    instance: dg.DagsterInstance
    resources: dict[str, PostgresResource]

    def write(self, name: str, content: str) -> Path:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def declare(self, key: str) -> Path:
        """An experiment on the event stream."""
        return self.write(f"declarations/experiments/{key}.yaml", EXPERIMENT.format(key=key))

    def partitions(self, name: str) -> set[str]:
        """The dynamic partitions that there are."""
        return set(self.instance.get_dynamic_partitions(name))


@pytest.fixture
def project(postgres: PostgresClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / "declarations").mkdir()
    monkeypatch.setenv(PROJECT_ROOT, str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path, postgres, instance, {"postgres": PostgresResource()})
    with postgres.transaction() as transaction:
        for table in TABLES[:-1]:
            transaction.execute(f"DELETE FROM registry.{table}")
