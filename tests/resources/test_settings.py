"""The environment is read once, every variable is listed, and what cannot be used is refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resources.settings import (
    BACKEND,
    BACKENDS,
    DATABASE_NAME,
    DATABASE_URL,
    HOME,
    JOBS,
    PASSWORDS,
    PROJECT_ROOT,
    ROLES,
    VARIABLES,
    DatabaseAddress,
    Settings,
    SettingsError,
)

EXTERNAL = "postgresql://admin:s%40cret@db.example:6432/postgres?sslmode=require"
SOCKET = "postgresql://postgres@/postgres?host=/var/run/postgresql"
PROJECT = Path(__file__).resolve().parents[2]


def test_an_empty_environment_means_the_embedded_database_below_the_project() -> None:
    settings = Settings.from_environment({DATABASE_URL: ""})
    assert settings.project_root == PROJECT
    assert settings.home == PROJECT / ".causeway"
    assert settings.admin is None
    with pytest.raises(SettingsError, match=DATABASE_URL):
        settings.url()


def test_what_computes_is_chosen_by_two_variables() -> None:
    usual = Settings.from_environment({})
    assert (usual.n_jobs, usual.backend) == (os.cpu_count(), "threading")
    chosen = Settings.from_environment({JOBS: " 3 ", BACKEND: "loky"})
    assert (chosen.n_jobs, chosen.backend) == (3, "loky")


def test_ray_means_all_of_the_cluster_and_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert Settings.from_environment({BACKEND: "ray"}).n_jobs == -1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'causeway\[ray\]'"):
        Settings.from_environment({BACKEND: "ray"})


@pytest.mark.parametrize(
    ("name", "value"), [(JOBS, "0"), (JOBS, "-1"), (JOBS, "many"), (JOBS, "1.5"), (BACKEND, "thread")]
)
def test_what_cannot_compute_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_the_backends_are_those_that_there_are() -> None:
    from causeway.effects.side_by_side import BACKENDS as OFFERED

    assert OFFERED == BACKENDS


def test_folders_are_taken_from_the_environment_and_need_not_exist_yet(tmp_path: Path) -> None:
    settings = Settings.from_environment({PROJECT_ROOT: str(tmp_path), HOME: str(tmp_path / "a" / "b")})
    assert settings.project_root == tmp_path
    assert settings.home == tmp_path / "a" / "b"


def test_each_role_has_its_own_url_in_each_database() -> None:
    settings = Settings.from_environment(
        {DATABASE_URL: EXTERNAL, DATABASE_NAME: "lab", **{name: f"{name}/1" for name in PASSWORDS.values()}}
    )
    urls = {settings.url(role, database) for role in ROLES for database in ("causeway", "dagster", "mlflow")}
    assert len(urls) == 12
    assert (
        settings.url("causeway_api", "mlflow")
        == "postgresql://causeway_api:CAUSEWAY_API_PASSWORD%2F1@db.example:6432/lab_mlflow?sslmode=require"
    )


@pytest.mark.parametrize(
    "url",
    [
        EXTERNAL,
        "postgresql://a:b@h:5432/d",
        "postgresql://a@[::1]:5432/d",
        "postgresql://%C3%A9:%3A%2F@h:1/x%20y",
        "postgresql://postgres@/postgres?host=/a%20b/c%25d&port=5433",
    ],
)
def test_an_address_written_as_a_url_reads_back_as_the_same_address(url: str) -> None:
    address = DatabaseAddress.from_url(url)
    assert DatabaseAddress.from_url(address.url) == address


def test_libpq_and_sqlalchemy_understand_the_urls_as_we_do() -> None:
    import psycopg.conninfo
    import sqlalchemy

    for url in (EXTERNAL, "postgresql://u@/d?host=/a%20b/c&port=5433"):
        address = DatabaseAddress.from_url(url)
        libpq = psycopg.conninfo.conninfo_to_dict(address.url)
        assert (libpq["user"], libpq["host"], str(libpq["port"])) == (
            address.user,
            address.host,
            str(address.port),
        )
        assert libpq.get("password") == address.password
        alchemy = sqlalchemy.make_url(address.sqlalchemy_url)
        assert (alchemy.username, alchemy.password) == (address.user, address.password)
        assert (alchemy.host or alchemy.query["host"]) == address.host


def test_a_socket_without_a_password_needs_none_and_everything_else_does() -> None:
    assert Settings.from_environment({DATABASE_URL: SOCKET}).missing_passwords() == ()
    assert Settings.from_environment({DATABASE_URL: SOCKET.replace("@", ":x@")}).needs_passwords
    external = Settings.from_environment({DATABASE_URL: EXTERNAL, PASSWORDS["causeway_api"]: "x"})
    assert external.missing_passwords() == (
        "CAUSEWAY_OWNER_PASSWORD",
        "CAUSEWAY_PIPELINE_PASSWORD",
        "CAUSEWAY_ANALYST_PASSWORD",
    )
    with pytest.raises(SettingsError, match="CAUSEWAY_PIPELINE_PASSWORD"):
        external.url("causeway_pipeline")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        (DATABASE_URL, "mysql://a@b/c", "postgresql://"),
        (DATABASE_URL, "db.example", "postgresql://"),
        (DATABASE_URL, "postgresql://a@b:port/c", "port"),
        (DATABASE_URL, "postgresql://a@/c?host=/x&port=many", "port"),
        (DATABASE_URL, "postgresql://a@/c", "host"),
        (DATABASE_URL, "postgresql://b/c", "user"),
        (DATABASE_NAME, "Lab", "lower-case"),
        (DATABASE_NAME, "x" * 56, "55"),
        (DATABASE_NAME, 'x"; drop database y', "lower-case"),
        (PROJECT_ROOT, "/nowhere/at/all", "not a folder"),
        (HOME, __file__, "not a folder"),
        ("CAUSEWAY_DATABSE_URL", EXTERNAL, "did you mean CAUSEWAY_DATABASE_URL"),
        ("CAUSEWAY_PIPLINE_PASSWORD", "x", "did you mean CAUSEWAY_PIPELINE_PASSWORD"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_one_line_that_names_the_variable(
    variable: str, value: str, why: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({variable: value})
    assert variable in str(refused.value)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_variables_of_other_rooms_are_not_taken_for_typing_errors() -> None:
    Settings.from_environment({"CAUSEWAY_API_DATABASE_URL": "x", "CAUSEWAY_REFERENCE_DATA": "x"})


def test_passwords_do_not_show_when_settings_are_printed_or_refused() -> None:
    environment = {DATABASE_URL: EXTERNAL, PASSWORDS["causeway_api"]: "hush"}
    settings = Settings.from_environment(environment)
    shown = f"{settings!r} {settings.admin} {settings.address('causeway_api')!r}"
    assert "s@cret" not in shown
    assert "hush" not in shown
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({DATABASE_URL: "postgresql://a:s3cret@h:port/x"})
    assert "s3cret" not in str(refused.value)


def test_every_variable_is_explained() -> None:
    assert set(PASSWORDS.values()) <= set(VARIABLES)
    assert all(VARIABLES.values())


def test_settings_and_migration_load_neither_dagster_nor_polars() -> None:
    code = (
        "import sys, resources.settings, resources.embedded_postgres, resources.migration;"
        "print([name for name in ('dagster', 'polars', 'sqlalchemy', 'alembic') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
