"""QR decomposition of a design that is made a run of rows at a time, so that it never lies in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from causeway.effects.influence import Array

ROWS_AT_ONCE = 2**17


def runs(n: int) -> Iterator[slice]:
    """The rows 0 to n, in order, at most ROWS_AT_ONCE at a time."""
    for start in range(0, n, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, n))


def triangle(n: int, rows: Callable[[slice], Array]) -> Array:
    """The upper triangle R, (k, k) or (n, k) where n < k, of the (n, k) matrix that `rows` gives by runs.

    Each run is decomposed together with what the runs before it came to (Demmel, Grigori, Hoemmen & Langou 2012, SIAM
    J. Sci. Comput. 34, A206-A239, sec. 3.2), so that it is as accurate as in one piece; signs of rows may differ.

    >>> matrix = np.array([[3.0, 1.0], [4.0, 2.0]])
    >>> np.abs(triangle(2, lambda run: matrix[run])).round(6).tolist()
    [[5.0, 2.2], [0.0, 0.4]]
    """
    found: Array | None = None
    for run in runs(n):
        block = rows(run)
        found = np.asarray(np.linalg.qr(block if found is None else np.vstack([found, block]), mode="r"))
    if found is None:
        raise ValueError("a matrix without rows has no decomposition")
    return found
