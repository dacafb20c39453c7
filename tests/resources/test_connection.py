"""When the database cannot be used, one line says why."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from resources.connection import DatabaseProblem, connect
from resources.settings import DatabaseAddress, Settings


def refusal(address: DatabaseAddress, minimum_version: int = 16) -> str:
    with pytest.raises(DatabaseProblem) as refused:
        connect(address, timeout_seconds=2, minimum_version=minimum_version).close()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_server_that_is_not_there_is_said_to_be_unreachable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tcp = DatabaseAddress(user="u", database="d", host="127.0.0.1", port=port, password="hush")
    assert refusal(tcp).startswith(f"Postgres cannot be reached at u@127.0.0.1:{port}/d: ")
    assert "hush" not in refusal(tcp)
    assert "cannot be reached" in refusal(DatabaseAddress(user="u", database="d", host=str(tmp_path)))


def test_a_missing_database_or_role_is_answered_with_the_command_that_makes_it(database: Settings) -> None:
    address = database.address()
    assert refusal(replace(address, database="nowhere")).startswith("there is no database 'nowhere'")
    assert "causeway migrate" in refusal(replace(address, database="nowhere"))
    assert refusal(replace(address, user="nobody")).startswith("there is no role 'nobody'")


def test_a_server_older_than_is_needed_is_named_with_its_version(database: Settings) -> None:
    said = refusal(database.address(), minimum_version=99)
    assert said.startswith("Postgres 99 or newer is needed, this is 18.")
    assert database.database_name in said


def test_a_session_writes_times_and_numbers_the_same_way_on_every_server(database: Settings) -> None:
    with connect(database.address()) as connection:
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        row = connection.execute(
            "SELECT timestamptz '2024-07-01 12:00+02'::text, 0.1::float8::text, (1/3.0)::float8::text,"
            " 'B' < 'a', current_setting('max_parallel_workers_per_gather')"
        ).fetchone()
    assert row == ("2024-07-01 10:00:00+00", "0.1", "0.3333333333333333", True, "0")
