"""``causeway up``: Dagster's webserver and daemon, and the API, until interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Annotated

import typer

from cli.house import open_house
from cli.terminal import WrongInput, console


def up(
    dagster_port: Annotated[int, typer.Option(help="Port of Dagster's UI on 127.0.0.1.")] = 3000,
    api_port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1.")] = 8000,
) -> None:
    """Serve Dagster's UI and the API on this machine."""
    terminal = console()
    for name, port in (("--dagster-port", dagster_port), ("--api-port", api_port)):
        require_free(port, name)
    house = open_house(terminal.print)
    root = house.settings.project_root
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dagster",
                "dev",
                "-w",
                "workspace.yaml",
                "-h",
                "127.0.0.1",
                "-p",
                str(dagster_port),
                "--log-level",
                "warning",
            ],
            cwd=root,
            env=environment,
        ),
        subprocess.Popen(
            [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(api_port)], cwd=root, env=environment
        ),
    ]
    terminal.print(f"Dagster on http://127.0.0.1:{dagster_port}, API on http://127.0.0.1:{api_port}; Ctrl-C ends both")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        terminal.print("stopping")
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def require_free(port: int, option: str) -> None:
    """WrongInput if something listens on ``port`` of 127.0.0.1 already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise WrongInput(
                f"port {port} on 127.0.0.1 is busy: stop what holds it, or choose another with {option}"
            ) from None
