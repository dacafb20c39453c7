"""A unit is erased by name, and a misspelt tenant is told."""

from __future__ import annotations

import pytest

from resources.postgres_client import PostgresClient
from resources.settings import Settings
from tests.cli.conftest import CommandLine


@pytest.fixture(scope="module")
def causeway(database: Settings) -> CommandLine:
    """The command in the module's own house."""
    return CommandLine(database)


def test_what_was_deleted_is_told_and_who_asked_is_on_record(causeway: CommandLine, postgres: PostgresClient) -> None:
    postgres.execute(
        "INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at)"
        " SELECT 'acme', 's', n::text, 't', 'u', now() FROM generate_series(1, 3) AS n"
    )
    answer = causeway("erase", "acme", "u", "--by", "dpo", "--reason", "asked", "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {
        "tenant": "acme",
        "unit": "u",
        "erased": {"raw.events": 3, "raw.assignments": 0, "raw.sticky_assignments": 0, "raw.quarantine": 0},
    }
    assert postgres.fetch_all("SELECT unit_id, reason, erased_by FROM raw.erasures") == [("u", "asked", "dpo")]


def test_a_tenant_that_is_not_there_is_the_callers_mistake(causeway: CommandLine) -> None:
    answer = causeway("erase", "acne", "u")
    assert answer.code == 2
    assert "there is no tenant 'acne'" in answer.line
