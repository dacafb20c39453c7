"""Where the project keeps its files and how each role reaches each database, read from the environment once.

Nothing here connects to anything or imports a driver, so that the command line may read its settings in
milliseconds.
"""

import difflib
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

Role = Literal["causeway_owner", "causeway_pipeline", "causeway_api", "causeway_analyst"]
Database = Literal["causeway", "dagster", "mlflow"]

ROLES: tuple[Role, ...] = get_args(Role)
DATABASES: tuple[Database, ...] = get_args(Database)

PROJECT_ROOT = "CAUSEWAY_PROJECT_ROOT"
HOME = "CAUSEWAY_HOME"
DATABASE_URL = "CAUSEWAY_DATABASE_URL"
DATABASE_NAME = "CAUSEWAY_DATABASE_NAME"
JOBS = "CAUSEWAY_JOBS"
BACKEND = "CAUSEWAY_BACKEND"
Backend = Literal["threading", "loky", "multiprocessing", "ray"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
PASSWORDS: Mapping[Role, str] = {
    "causeway_owner": "CAUSEWAY_OWNER_PASSWORD",
    "causeway_pipeline": "CAUSEWAY_PIPELINE_PASSWORD",
    "causeway_api": "CAUSEWAY_API_PASSWORD",
    "causeway_analyst": "CAUSEWAY_ANALYST_PASSWORD",
}
VARIABLES: Mapping[str, str] = {
    PROJECT_ROOT: "folder that holds definitions.py and declarations/; default: the folder of this code",
    HOME: "folder for everything the project writes on this machine; default: <project root>/.causeway",
    DATABASE_URL: "admin URL of a Postgres 16 or newer; unset: an embedded Postgres under CAUSEWAY_HOME",
    DATABASE_NAME: "name of the data database, beside <name>_dagster and <name>_mlflow; default: causeway",
    JOBS: "how many workers a study is computed with; default: the number of cores, of the whole cluster with ray",
    BACKEND: f"where they work: {', '.join(BACKENDS)}; default: threading",
    PASSWORDS["causeway_owner"]: "password of the role that migrates; needed with CAUSEWAY_DATABASE_URL",
    PASSWORDS["causeway_pipeline"]: "password of the role that assets use; needed with CAUSEWAY_DATABASE_URL",
    PASSWORDS["causeway_api"]: "password of the role that the API uses; needed with CAUSEWAY_DATABASE_URL",
    PASSWORDS["causeway_analyst"]: "password of the role that dashboards use; needed with CAUSEWAY_DATABASE_URL",
}

_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,54}")
_DEFAULT_PORT = 5432


class SettingsError(ValueError):
    """An environment variable is missing or cannot be used; the message names it and fits in one line."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """How to reach one database as one role. ``host`` is a name, an address, or the folder of a unix
    socket.
    """

    user: str
    database: str
    host: str
    port: int = _DEFAULT_PORT
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_url(cls, url: str, variable: str = DATABASE_URL) -> "DatabaseAddress":
        """Read a ``postgresql://`` URL; SettingsError (naming ``variable``, never the password) if it is not
        one.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgres"}:
            raise SettingsError(
                f"{variable} must look like postgresql://user:password@host:5432/postgres"
                f" (it starts with {parts.scheme or url.partition('@')[0][:12]!r})"
            )
        try:
            port = parts.port
        except ValueError:
            raise SettingsError(f"{variable} has a port that is not a number between 1 and 65535") from None
        options = dict(parse_qsl(parts.query))
        host = options.pop("host", None) or unquote(parts.hostname or "")
        port_option = options.pop("port", None)
        if port_option is not None and not port_option.isdigit():
            raise SettingsError(f"{variable} has a port that is not a number between 1 and 65535")
        if not host:
            raise SettingsError(f"{variable} names no host: postgresql://user:password@host:5432/postgres")
        if not parts.username:
            raise SettingsError(f"{variable} names no user: postgresql://user:password@host:5432/postgres")
        user = unquote(parts.username)
        return cls(
            user=user,
            password=unquote(parts.password) if parts.password else None,
            host=host,
            port=port or int(port_option or _DEFAULT_PORT),
            database=unquote(parts.path.lstrip("/")) or user,
            options=tuple(sorted(options.items())),
        )

    @property
    def is_socket(self) -> bool:
        """Whether the server is reached through a unix socket of this machine."""
        return self.host.startswith("/")

    @property
    def url(self) -> str:
        """The libpq URL, which psycopg, psycopg2, Dagster and SQLAlchemy all accept. Holds the password."""
        secret = "" if self.password is None else ":" + quote(self.password, safe="")
        options = dict(self.options)
        if self.is_socket:
            # A folder cannot stand in the authority part of a URL, so libpq takes it as a parameter.
            place, options = "", {"host": self.host, "port": str(self.port), **options}
        else:
            place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        query = "?" + urlencode(options, quote_via=quote, safe="/") if options else ""
        return f"postgresql://{quote(self.user, safe='')}{secret}@{place}/{quote(self.database, safe='')}{query}"

    @property
    def sqlalchemy_url(self) -> str:
        """The same address for SQLAlchemy, with psycopg 3 named as the driver."""
        return self.url.replace("postgresql://", "postgresql+psycopg://", 1)

    def __str__(self) -> str:
        place = self.host if self.is_socket else f"{self.host}:{self.port}"
        return f"{self.user}@{place}/{self.database}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The project's folders and databases. Make it with ``Settings.from_environment()``."""

    project_root: Path
    home: Path
    database_name: str = "causeway"
    jobs: int | None = None
    backend: Backend = "threading"
    admin: DatabaseAddress | None = None
    passwords: Mapping[Role, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the variables listed in ``VARIABLES``; an empty one counts as unset.

        Raises SettingsError for a value that cannot be used and for a CAUSEWAY_ variable that is nearly, but
        not quite, one of the list: a typing error must not quietly start an embedded database.
        """
        environment = os.environ if environment is None else environment
        _refuse_misspelt(environment)
        given = {name: environment[name] for name in VARIABLES if environment.get(name, "").strip()}

        project_root = Path(given.get(PROJECT_ROOT) or Path(__file__).resolve().parents[1]).expanduser().absolute()
        if not project_root.is_dir():
            raise SettingsError(f"{PROJECT_ROOT} is not a folder: {project_root}")
        home = Path(given.get(HOME) or project_root / ".causeway").expanduser().absolute()
        if home.exists() and not home.is_dir():
            raise SettingsError(f"{HOME} is not a folder: {home}")
        database_name = given.get(DATABASE_NAME, "causeway")
        if not _DATABASE_NAME.fullmatch(database_name):
            raise SettingsError(
                f"{DATABASE_NAME} must be at most 55 lower-case letters, digits and _,"
                f" beginning with a letter, not {database_name!r}"
            )
        return cls(
            project_root=project_root,
            home=home,
            database_name=database_name,
            jobs=_jobs(given[JOBS]) if JOBS in given else None,
            backend=_backend(given[BACKEND]) if BACKEND in given else "threading",
            admin=DatabaseAddress.from_url(given[DATABASE_URL]) if DATABASE_URL in given else None,
            passwords={role: given[variable] for role, variable in PASSWORDS.items() if variable in given},
        )

    def with_admin_url(self, url: str) -> "Settings":
        """The same settings, reaching the server at ``url``."""
        return replace(self, admin=DatabaseAddress.from_url(url))

    @property
    def n_jobs(self) -> int:
        """How many workers a study is computed with: all cores, of the cluster where there is one, if not declared."""
        if self.jobs is not None:
            return self.jobs
        return -1 if self.backend == "ray" else os.cpu_count() or 1

    @property
    def needs_passwords(self) -> bool:
        """Whether roles log in with a password: not on a unix socket whose administrator needs none."""
        return self.admin is not None and (not self.admin.is_socket or self.admin.password is not None)

    def missing_passwords(self) -> tuple[str, ...]:
        """The names of the password variables that this server needs and the environment lacks."""
        if not self.needs_passwords:
            return ()
        return tuple(variable for role, variable in PASSWORDS.items() if role not in self.passwords)

    def name_of(self, database: Database) -> str:
        """The name that ``database`` has on the server."""
        return self.database_name if database == "causeway" else f"{self.database_name}_{database}"

    def admin_address(self, database: str | None = None) -> DatabaseAddress:
        """The administrator's address, in ``database`` (a name on the server) if one is given."""
        if self.admin is None:
            raise SettingsError(
                f"{DATABASE_URL} is not set and the embedded Postgres was not started:"
                " call resources.embedded_postgres.ensure_database first"
            )
        return self.admin if database is None else replace(self.admin, database=database)

    def address(self, role: Role = "causeway_pipeline", database: Database = "causeway") -> DatabaseAddress:
        """How ``role`` reaches ``database``; SettingsError if the role's password is needed and not set."""
        if role not in ROLES:
            raise SettingsError(f"there is no role {role!r}: {', '.join(ROLES)}")
        admin = self.admin_address()
        if self.needs_passwords and role not in self.passwords:
            raise SettingsError(f"{PASSWORDS[role]} is not set: {role} needs a password at {admin.host}")
        password = self.passwords[role] if self.needs_passwords else None
        return replace(admin, user=role, password=password, database=self.name_of(database))

    def url(self, role: Role = "causeway_pipeline", database: Database = "causeway") -> str:
        """``address(role, database)`` as a libpq URL."""
        return self.address(role, database).url


def _jobs(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text.strip()):
        raise SettingsError(f"{JOBS} must be a whole number from 1 to 9999, not {text!r}")
    return int(text)


def _backend(text: str) -> Backend:
    found = next((each for each in BACKENDS if each == text.strip()), None)
    if found is None:
        raise SettingsError(f"{BACKEND} must be one of {', '.join(BACKENDS)}, not {text!r}")
    if found == "ray" and importlib.util.find_spec("ray") is None:
        raise SettingsError(f"{BACKEND} is ray, which is an extra that is not installed: pip install 'causeway[ray]'")
    return found


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    for name in environment:
        if name.startswith("CAUSEWAY_") and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.94)
            if near:
                raise SettingsError(f"{name} is not a variable of Causeway; did you mean {near[0]}?")
