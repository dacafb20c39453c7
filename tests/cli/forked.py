"""Processes that run the ``causeway`` command without each of them importing the same libraries anew.

A server that has imported them is forked for every command. It has started no thread and opened no file: what a command
does is its own from there on. That ``python -m cli.main`` starts by itself is for tests of that.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "cli.main", "jobs", "definitions", "great_expectations", "dbt.cli.main", "dowhy", "sklearn.linear_model",
    "xgboost", "scipy.stats", "causeway.effects.studies.many",
)  # fmt: skip

FORKED = "forked"

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(list(IMPORTED))


@dataclass(frozen=True)
class Ended:
    """What a process printed and how it ended."""

    code: int
    out: str
    err: str


def run_forked(arguments: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> Ended:
    """Run the command to its end; TimeoutError, and the process killed, when that takes longer than `seconds`."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        for file in (out, err):
            file.touch()
        given = (list(arguments), dict(environment), str(out), str(err))
        # By its path: some library brings a package called tests, and a server that starts anew finds that one.
        run_this = {"init_globals": {"GIVEN": given}, "run_name": FORKED}
        process = _server.Process(target=runpy.run_path, args=(__file__,), kwargs=run_this)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"causeway {' '.join(arguments)} took longer than {seconds} s: {err.read_text()}")
        return Ended(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _command(arguments: Sequence[str], environment: Mapping[str, str], out: str, err: str) -> None:
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in ((1, out), (2, err)):
        file = os.open(name, os.O_WRONLY)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["causeway", *arguments]
    from cli.main import run

    try:
        run()
    finally:
        # A forked process ends without what an interpreter does at its end.
        atexit._run_exitfuncs()


if __name__ == FORKED:
    _command(*globals()["GIVEN"])
