"""Independent pieces of work, one after the other or side by side, on whatever joblib runs on."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from causeway.twins.learners import one_thread

Result = TypeVar("Result")
Report = Callable[[int], None]

RAY = "ray"
BACKENDS = ("threading", "loky", "multiprocessing", RAY)
"""Those that are offered: threads, processes in two manners, and the cluster that Ray knows (`RAY_ADDRESS`, or a local
one). joblib takes any other that was registered with it."""


LIGHT = ("threading", "loky")
"""Those whose workers stay, so that small pieces are worth sending; the others start theirs anew each time."""


class BackendMissing(RuntimeError):
    """The backend is not installed; the message says how to install it."""


def side_by_side(
    function: Callable[..., Result],
    pieces: Iterable[tuple[Any, ...]],
    *,
    n_jobs: int,
    backend: str,
    report: Report | None = None,
) -> list[Result]:
    """`function` of each piece, in their order; numeric libraries use one thread each, wherever they run.

    pieces: taken as they are needed, two a worker, so that what is made for them is not all there at once. report: is
    told how many are done, from whatever thread ended one.

    Raises BackendMissing for "ray" without Ray, and ValueError for a backend that joblib does not know.
    """
    from joblib import Parallel, delayed, wrap_non_picklable_objects

    check_backend(backend)

    class Reporting(Parallel):  # type: ignore[misc]
        told = 0

        def print_progress(self) -> None:
            """joblib calls this whenever something is done."""
            done = self.n_completed_tasks
            if report is not None and done > self.told:
                self.told = done
                report(done)

    caller = os.getpid()
    used: Any = backend
    work: Callable[..., Result] = function
    if backend == "multiprocessing":
        # Not forked from here: polars' threads would not come along, and what waits for them waits for ever.
        used = multiprocessing.get_context("forkserver")
        # The standard pickle knows no closures, which loky's and Ray's does.
        made, work = pieces, _call
        pieces = ((wrap_non_picklable_objects(partial(function, *piece)),) for piece in made)
    # The limit is the process's: threads that set and lift it for themselves would lift it for each other.
    with one_thread():
        found: list[Result] = Reporting(n_jobs=n_jobs, backend=used, batch_size=1)(
            delayed(_on_one_thread)(work, piece, caller) for piece in pieces
        )
    return found


def workers(n_jobs: int, backend: str) -> int:
    """How many pieces are worked on at a time; -1 is all that there are."""
    from joblib import effective_n_jobs, parallel_config

    check_backend(backend)
    if n_jobs > 0:
        return n_jobs
    if backend == RAY:
        return _cpus_of_ray()
    with parallel_config(backend=backend):
        return int(effective_n_jobs(n_jobs))


def check_backend(backend: str) -> None:
    """Make the backend known to joblib, or say why that cannot be."""
    if backend != RAY:
        return
    try:
        from ray.util.joblib import register_ray
    except ImportError:
        raise BackendMissing("the backend ray needs Ray, which is an extra: pip install 'causeway[ray]'") from None
    register_ray()  # type: ignore[no-untyped-call]


def _cpus_of_ray() -> int:
    import ray

    if not ray.is_initialized():
        ray.init()
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


def _call(work: Callable[[], Result]) -> Result:
    return work()


def _on_one_thread(function: Callable[..., Result], piece: tuple[Any, ...], caller: int) -> Result:
    # In a process of its own the caller's limit does not hold; to look for libraries takes milliseconds.
    if os.getpid() == caller:
        return function(*piece)
    with one_thread():
        return function(*piece)
