"""``python -m api``: light, quick to start, and plain about what keeps it from starting."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from api.__main__ import main
from api.settings import DATABASE_URL

PROJECT = Path(__file__).resolve().parents[2]
HEAVY = (
    "dagster",
    "assets",
    "resources",
    "econml",
    "dowhy",
    "sklearn",
    "pandas",
    "polars",
    "numpy",
    "scipy",
    "mlflow",
)


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv(DATABASE_URL, "postgresql://causeway_api@127.0.0.1:1/causeway")


def run(capsys, *arguments):
    """The exit code and the lines on stderr."""
    code = main(arguments)
    return code, capsys.readouterr().err.splitlines()


def test_it_imports_neither_the_graph_nor_an_estimator():
    program = "import sys, api.__main__, api.app, uvicorn; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in modules.stdout.split()}
    assert {"api", "causeway", "fastapi"} <= loaded
    assert not loaded & set(HEAVY)


def test_a_busy_port_is_one_line_that_says_what_to_do(environment, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, lines = run(capsys, "--port", str(port))
    assert code == 2
    assert len(lines) == 1
    assert f"port {port}" in lines[0] and "--port" in lines[0]


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--host", "192.0.2.1"), ("--host", "no.such.host.invalid")]
)
def test_an_address_that_cannot_be_listened_on_is_one_line(environment, capsys, arguments):
    code, lines = run(capsys, *arguments)
    assert (code, len(lines)) == (2, 1)
    assert arguments[0] in lines[0]


@pytest.mark.parametrize("url", [None, "", "mysql://x"])
def test_a_database_that_is_not_named_is_one_line(monkeypatch, capsys, url):
    monkeypatch.delenv(DATABASE_URL, raising=False)
    if url is not None:
        monkeypatch.setenv(DATABASE_URL, url)
    code, lines = run(capsys)
    assert (code, len(lines)) == (2, 1)
    assert DATABASE_URL in lines[0]


def test_it_starts_within_seconds_without_a_database_and_stops_when_told():
    """The target is 2 s on an idle machine; the bound here only keeps a heavy import from slipping in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, DATABASE_URL: "postgresql://causeway_api@127.0.0.1:1/causeway"}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port)],
        cwd=PROJECT,
        env=environment,
        stderr=subprocess.PIPE,
    )
    try:
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() - begun < 8
                time.sleep(0.02)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 503
    finally:
        process.terminate()
        process.communicate(timeout=15)
    assert process.returncode in {0, -15}
