"""Several processes run the tests; what they share is made by one of them while the others wait."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Hold what has this name, on this machine, until the block is left."""
    name = sha256(f"{os.getuid()} {what}".encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"causeway-tests-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
