"""Processes that a test may kill: an embedded Postgres, and the API as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from api.settings import DATABASE_URL
from resources import embedded_postgres
from resources.connection import connect
from resources.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0


@dataclass
class ApiProcess:
    """``python -m api`` on one port, started and killed as often as a test likes."""

    settings: Settings
    key: str
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it is ready."""
        environment = {**os.environ, DATABASE_URL: self.settings.url("causeway_api"), "PYTHONPATH": str(PROJECT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api", "--port", str(self.port)],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the API ended instead of becoming ready"
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise AssertionError("the API did not become ready")

    def kill(self) -> None:
        """SIGKILL: it can put nothing in order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self) -> None:
        """End it if it is there."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=20)


@dataclass(frozen=True)
class FaultyHouse:
    """A migrated Postgres that may be stopped, and how to reach it."""

    home: Path
    settings: Settings

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What causeway_pipeline, which sees every tenant, reads."""
        with connect(self.settings.address("causeway_pipeline")) as pipeline:
            return pipeline.execute(query.encode(), parameters or None).fetchall()

    def connections(self) -> list[tuple[str, str | None]]:
        """State and last statement of every connection of the API, as the administrator sees them."""
        query = (
            "SELECT coalesce(state, ''), query FROM pg_stat_activity"
            " WHERE application_name = 'causeway api' AND backend_type = 'client backend'"
        )
        with psycopg.connect(self.settings.admin_address().url, autocommit=True) as admin:
            return admin.execute(query).fetchall()

    def stop_postgres(self) -> None:
        """Stop the server as an operator would: sessions are closed, what was committed stays."""
        embedded_postgres.stop(self.home)

    def start_postgres(self) -> None:
        """Start it again, where it was."""
        embedded_postgres.start(self.home)
