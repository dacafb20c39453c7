"""What work costs in a process of its own: what others have used must not count, what it uses must be known."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Spent:
    """seconds: on the wall. cpu_seconds: of all threads and of processes that have ended, whoever else is busy.
    gigabytes: the most that the process ever held, data and libraries included.
    """

    seconds: float
    cpu_seconds: float
    gigabytes: float


def spend(work: Callable[[], _T]) -> tuple[Spent, _T]:
    """Do it here, and tell what it cost."""
    start, cpu = time.perf_counter(), _cpu_seconds()
    found = work()
    return Spent(time.perf_counter() - start, _cpu_seconds() - cpu, _peak_gigabytes()), found


def alone(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do it in a fresh process, which ends with it. `work` and all that goes in and out can be pickled."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def _cpu_seconds() -> float:
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in of)


def _peak_gigabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands ru_maxrss down to a spawned process, so that it would count what the parent held.
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 1024**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**3 if sys.platform == "darwin" else 1024**2)
