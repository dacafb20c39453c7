"""The API as a process of its own, on a free port, for as long as it is needed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cli.terminal import WrongInput
from resources.settings import Settings

READY_SECONDS = 20.0


@dataclass(frozen=True)
class ServingApi:
    """A running API."""

    url: str

    def get(self, path: str, key: str) -> Any:
        """The JSON body of an authenticated GET."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def serving_api(settings: Settings) -> Iterator[ServingApi]:
    """Start the API on a free port of 127.0.0.1, wait until it is ready, and stop it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(port)],
        cwd=settings.project_root,
        env={**os.environ, "CAUSEWAY_API_DATABASE_URL": settings.url("causeway_api")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process)
        yield ServingApi(url)
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise WrongInput(f"the API did not become ready at {url}; run `python -m api` to see why")
