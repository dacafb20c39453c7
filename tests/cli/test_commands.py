"""Commands that need no analysis, and the surroundings that they cannot work in."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from resources.settings import DATABASE_URL, PASSWORDS

if TYPE_CHECKING:
    from conftest import CommandLine


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("option", ["--dagster-port", "--api-port"])
def test_a_busy_port_is_named_with_the_option_that_chooses_another(
    causeway: CommandLine, busy_port: int, option: str
) -> None:
    ports = {"--dagster-port": free_port(), "--api-port": free_port(), option: busy_port}
    done = causeway("up", *(str(word) for pair in ports.items() for word in pair))
    assert done.code == 2
    assert f"port {busy_port} on 127.0.0.1 is busy" in done.line
    assert option in done.line


@pytest.mark.parametrize("command", [["status"], ["migrate"], ["assign", "e", "u"], ["reproduce", "p_1"]])
def test_an_unreachable_database_is_one_line_without_the_password(causeway: CommandLine, command: list[str]) -> None:
    port = free_port()
    done = causeway(
        *command,
        **{DATABASE_URL: f"postgresql://postgres:secret@127.0.0.1:{port}/postgres"},
        **dict.fromkeys(PASSWORDS.values(), "secret"),
    )
    assert done.code == 2
    assert f"Postgres cannot be reached at postgres@127.0.0.1:{port}/postgres" in done.line
    assert "secret" not in done.err + done.out


def test_missing_passwords_and_misspelt_variables_are_named(causeway: CommandLine) -> None:
    done = causeway("status", **{DATABASE_URL: "postgresql://postgres:secret@127.0.0.1:1/postgres"})
    assert done.code == 2
    assert "CAUSEWAY_PIPELINE_PASSWORD" in done.line
    misspelt = causeway("status", CAUSEWAY_DATABSE_URL="postgresql://")
    assert misspelt.code == 2
    assert "did you mean CAUSEWAY_DATABASE_URL?" in misspelt.line


def test_a_simulated_world_is_files_and_a_truth(causeway: CommandLine, tmp_path: Path) -> None:
    done = causeway("simulate", "planner", "--into", tmp_path, "--scale", "0.02", "--json")
    assert done.code == 0, done.err
    assert done.json["experiments"]
    assert pl.read_parquet(tmp_path / "events.parquet").height > 0
    assert pl.read_parquet(tmp_path / "assignments.parquet").height > 0
    again = causeway("simulate", "planner", "--into", tmp_path / "again", "--scale", "0.02", "--json")
    assert again.json == done.json
    assert (tmp_path / "again" / "events.parquet").read_bytes() == (tmp_path / "events.parquet").read_bytes()


def test_a_world_that_is_not_there_is_named_with_those_that_are(causeway: CommandLine, tmp_path: Path) -> None:
    done = causeway("simulate", "mars", "--into", tmp_path)
    assert done.code == 2
    assert "there is no world 'mars': pharma, planner" in done.line


def test_the_schema_of_declarations_is_json(causeway: CommandLine) -> None:
    done = causeway("schema")
    assert done.code == 0
    assert "$defs" in json.loads(done.out)


@pytest.mark.parametrize("arguments", [["analyse"], ["assign"], ["up", "--dagster-port", "many"]])
def test_a_command_that_is_used_wrongly_ends_with_two(causeway: CommandLine, arguments: list[str]) -> None:
    done = causeway(*arguments)
    assert done.code == 2
    assert "Traceback" not in done.err
