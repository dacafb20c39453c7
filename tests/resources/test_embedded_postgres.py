"""The embedded Postgres starts anywhere, once, for everybody who needs it, and stops after the last of
them.
"""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resources import embedded_postgres
from resources.connection import DatabaseProblem, connect
from resources.settings import DATABASE_URL, HOME, DatabaseAddress, Settings

PROJECT = Path(__file__).resolve().parents[2]

# Starts the server of the folder given, says its process id and URL, waits for a line, and ends.
HOLD = """
import pathlib, sys
from resources import embedded_postgres
from resources.connection import connect
from resources.settings import Settings
settings = embedded_postgres.ensure_database(Settings.from_environment())
with connect(settings.admin_address()) as connection:
    row = connection.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'").fetchone()
process_id = (pathlib.Path(row[0]) / "postmaster.pid").read_text().splitlines()[0]
print(process_id, settings.admin.url, flush=True)
sys.stdin.readline()
"""


class Holder:
    """A process that holds the server of ``home`` until it is let go."""

    def __init__(self, home: Path, user: str | None = None, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name != DATABASE_URL}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env={**inherited, HOME: str(home), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            cwd=PROJECT,
            user=user,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.server = 0
        self.url = ""

    def ready(self) -> "Holder":
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert len(line) == 2, self.complaint()
        self.server, self.url = int(line[0]), line[1]
        return self

    def complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def let_go(self) -> None:
        _, complaint = self.process.communicate("\n", timeout=60)
        assert complaint == ""
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


def runs(server: int) -> bool:
    return psutil.pid_exists(server) and psutil.Process(server).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for a server; not pytest's own, below which another user could not go."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="causeway-embedded-"))
    yield folder / "home"
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or []):
            process.kill()
    shutil.rmtree(folder)


def test_one_server_serves_processes_that_start_at_once_and_stops_after_the_last(home: Path) -> None:
    holders = [Holder(home) for _ in range(3)]
    servers = {holder.ready().server for holder in holders}
    assert len(servers) == 1
    server = servers.pop()
    for holder in holders[:-1]:
        holder.let_go()
        assert runs(server)
    holders[-1].let_go()
    assert not runs(server)


def test_a_killed_process_keeps_no_hold(home: Path) -> None:
    killed = Holder(home).ready()
    killed.kill()
    assert runs(killed.server)
    following = Holder(home).ready()
    assert following.server == killed.server
    following.let_go()
    assert not runs(killed.server)


def test_a_child_process_is_told_of_the_server_and_takes_no_hold_of_its_own(home: Path) -> None:
    parent = Holder(home).ready()
    child = Holder(home, **{DATABASE_URL: parent.url}).ready()
    assert child.server == parent.server
    parent.let_go()
    assert not runs(parent.server)
    child.let_go()


def test_data_outlive_a_server_that_was_killed(home: Path) -> None:
    first = Holder(home).ready()
    with connect(DatabaseAddress.from_url(first.url), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    os.kill(first.server, signal.SIGQUIT)
    first.kill()
    while runs(first.server):
        time.sleep(0.05)
    second = Holder(home).ready()
    with connect(DatabaseAddress.from_url(second.url)) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    second.let_go()


@pytest.mark.parametrize(
    "name", ["x" * 200, 'My Projects/it\'s "$HOME", é'], ids=["a long path", "a path that a shell would read"]
)
def test_the_folder_may_have_any_path(home: Path, name: str) -> None:
    holder = Holder(home / name).ready()
    folder = Path(DatabaseAddress.from_url(holder.url).host)
    assert len(os.fsencode(folder)) < 90
    assert folder.stat().st_mode & 0o077 == 0, "whoever reaches the socket is administrator"
    holder.let_go()
    assert not runs(holder.server)
    assert not folder.exists() or folder == home / name / "postgres"
    assert (home / name / "postgres" / "PG_VERSION").exists()


def test_the_server_is_the_same_on_every_machine_even_with_a_locale_that_was_never_generated(
    home: Path,
) -> None:
    holder = Holder(home, LANG="xx_XX.UTF-8", LC_ALL="xx_XX.UTF-8").ready()
    with connect(DatabaseAddress.from_url(holder.url)) as connection:
        names = [
            "shared_buffers",
            "jit",
            "synchronous_commit",
            "listen_addresses",
            "server_encoding",
            "TimeZone",
        ]
        found = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
    assert found == [("256MB",), ("off",), ("on",), ("",), ("UTF8",), ("UTC",)]
    holder.let_go()


def test_the_same_process_joins_its_own_server_and_may_stop_it_twice(home: Path) -> None:
    settings = Settings.from_environment({HOME: str(home)})
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(DATABASE_URL, raising=False)
        first = embedded_postgres.ensure_database(settings)
        assert os.environ[DATABASE_URL] == first.admin_address().url
        assert embedded_postgres.ensure_database(settings) == first
        assert embedded_postgres.ensure_database(first) is first
        embedded_postgres.stop(home)
        embedded_postgres.stop(home)
        with pytest.raises(DatabaseProblem, match="cannot be reached"):
            connect(first.admin_address())
        assert embedded_postgres.start(home) == first.admin_address().url
        embedded_postgres.stop(home)


def test_an_interrupted_first_start_is_begun_again(home: Path) -> None:
    (home / "postgres" / "base").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("18\n")
    (home / "postgres.unfinished").touch()
    Holder(home).ready().let_go()
    assert not (home / "postgres.unfinished").exists()


def test_data_of_another_major_version_are_left_alone(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseProblem, match="version 18 but found version 16") as refused:
        embedded_postgres.start(home)
    assert "\n" not in str(refused.value)


def test_a_server_that_cannot_come_up_is_reported_with_its_own_complaint(home: Path) -> None:
    Holder(home).ready().let_go()
    (home / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(DatabaseProblem, match=r"did not come up: .*postgresql\.conf") as refused:
        embedded_postgres.start(home)
    assert "\n" not in str(refused.value)


class TestAsAnOrdinaryUser:
    @pytest.fixture
    def user(self, home: Path) -> str:
        if os.geteuid() != 0:
            pytest.skip("the other tests ran as an ordinary user already")
        try:
            account = pwd.getpwnam("nobody")
            subprocess.run([sys.executable, "-c", "import psycopg"], user="nobody", check=True, capture_output=True)
        except (KeyError, OSError, subprocess.SubprocessError):
            pytest.skip("no ordinary user here may run this Python")
        home.parent.chmod(0o755)
        home.mkdir()
        os.chown(home, account.pw_uid, account.pw_gid)
        return "nobody"

    def test_the_server_starts_and_stops(self, home: Path, user: str) -> None:
        holder = Holder(home, user=user).ready()
        assert psutil.Process(holder.server).username() == user
        holder.let_go()
        assert not runs(holder.server)

    def test_a_folder_of_somebody_else_is_refused_in_one_line(self, home: Path, user: str) -> None:
        os.chown(home, 0, 0)
        holder = Holder(home, user=user)
        assert holder.process.wait(timeout=30) == 1
        assert "set CAUSEWAY_HOME to a folder that belongs to this user" in holder.complaint().splitlines()[-1]
