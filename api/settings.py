"""What the API is told by its environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DATABASE_URL = "CAUSEWAY_API_DATABASE_URL"


class SettingsError(ValueError):
    """The environment lacks what the API must know; the message fits in one line and says what to do."""


@dataclass(frozen=True)
class Settings:
    """How the API reaches Postgres, and how long it believes what it has read (all times in seconds)."""

    database_url: str
    read_connections: int = 8
    write_connections: int = 6
    append_connections: int = 3
    connect_timeout: float = 3.0
    acquire_timeout: float = 3.0
    statement_timeout: float = 5.0
    lock_timeout: float = 2.0
    # A revoked key keeps working for at most this long.
    key_lifetime: float = 30.0
    # Answers are dropped when the pipeline notifies; this is how stale one may be if a notification is lost.
    answer_lifetime: float = 5.0
    # As with answers: flags are read again on notice, or when they are this old.
    flags_lifetime: float = 5.0
    listen_retry: float = 1.0
    # Requests for an assignment that may wait at one time; the next is told to come again.
    assignments_waiting: int = 512
    # Events that may be in memory at one time, some two kilobytes each, before senders are told to come again.
    events_waiting: int = 20_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from ``environment``; SettingsError if the database is not named or not a Postgres URL."""
        url = environment.get(DATABASE_URL, "").strip()
        if not url:
            raise SettingsError(
                f"{DATABASE_URL} is not set: give it the URL with which causeway_api reaches Postgres, "
                "such as postgresql://causeway_api:PASSWORD@127.0.0.1:5432/causeway"
            )
        if not url.startswith(("postgresql://", "postgres://")):
            raise SettingsError(f"{DATABASE_URL} must begin with postgresql://")
        return cls(database_url=url)
