"""Open a connection to Postgres, or say in one line why that is not possible."""

from typing import Any

import psycopg

from resources.settings import DatabaseAddress

MINIMUM_SERVER_VERSION = 16

# Row text takes part in content hashes, so whatever shapes text is fixed here and not by the server's
# administrator.
_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
_INVALID_PASSWORD = "28P01"
_INVALID_AUTHORIZATION = "28000"
_UNKNOWN_DATABASE = "3D000"


class DatabaseProblem(RuntimeError):
    """The database cannot be used as it is; the message is one line and says what to do."""


def connect(
    address: DatabaseAddress,
    *,
    tenant: str | None = None,
    autocommit: bool = False,
    minimum_version: int = MINIMUM_SERVER_VERSION,
    timeout_seconds: int = 10,
) -> psycopg.Connection[Any]:
    """Connect as ``address.user``; with a tenant, row-level security shows that tenant's rows for the whole
    session.

    Raises DatabaseProblem when the server cannot be reached, refuses the login, lacks the database or is
    older than ``minimum_version`` (a major version).
    """
    session = {**_SESSION, **({} if tenant is None else {"app.tenant_id": tenant})}
    try:
        connection = psycopg.connect(
            address.url,
            autocommit=True,
            connect_timeout=timeout_seconds,
            application_name="causeway",
            client_encoding="UTF8",  # an administrator's database may be SQL_ASCII, whose text comes as bytes
            keepalives_idle=30,
        )
    except psycopg.OperationalError as error:
        raise DatabaseProblem(_why_not(address, error)) from error
    try:
        require_version(connection, address, minimum_version)
        for name, value in session.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def require_version(
    connection: psycopg.Connection[Any], address: DatabaseAddress, minimum: int = MINIMUM_SERVER_VERSION
) -> None:
    """DatabaseProblem if the server's major version is below ``minimum``."""
    found = connection.info.server_version
    if found // 10_000 < minimum:
        raise DatabaseProblem(
            f"Postgres {minimum} or newer is needed, this is {found // 10_000}.{found % 10_000}: {address}"
        )


def _why_not(address: DatabaseAddress, error: psycopg.OperationalError) -> str:
    text = " ".join(str(error).split())
    # libpq reports a refused login without a SQLSTATE, so its words are read where the code is missing.
    if error.sqlstate in {_INVALID_PASSWORD, _INVALID_AUTHORIZATION} or "password" in text:
        return f"Postgres refused the login of {address}: the password is wrong or missing ({text})"
    if error.sqlstate == _UNKNOWN_DATABASE or ("database" in text and "does not exist" in text):
        return f"there is no database {address.database!r} at {address}: run `causeway migrate`"
    if "role" in text and "does not exist" in text:
        return f"there is no role {address.user!r} at {address}: run `causeway migrate`"
    return f"Postgres cannot be reached at {address}: {text}"
