"""Load on the API from a process of its own: ``python -m benchmarks.closed_loop`` with a ``Load`` as JSON on stdin.

A fixed number of kept-alive connections, each of which sends its next request when it has read the last answer
("closed loop"), over bare asyncio protocols: a client that did more than that would measure itself. Paths take turns,
round by round, so that what else happens on the machine meets all of them. Prints a ``Latency`` by path.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
# Where a body has this, every request has a number of its own.
NUMBER = "{n}"


@dataclass(frozen=True)
class Load:
    """``requests`` a path, over all rounds, after ``warm_up`` that are not counted; paths by the names of figures.

    A path is asked for with GET, or posted the JSON in ``bodies`` to, in which ``{n}`` is another number every time.
    """

    port: int
    key: str
    paths: Mapping[str, str]
    connections: int = 16
    requests: int = 20_000
    warm_up: int = 2_000
    rounds: int = 5
    bodies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the request's first byte to the answer's last, over ``requests`` answers with status 200."""

    requests: int
    bytes: int
    per_second: float
    p50: float
    p99: float
    highest: float


def measure(load: Load, python_path: Path) -> dict[str, Latency]:
    """Put ``load`` on 127.0.0.1 from another process; RuntimeError if an answer is not 200 or does not come."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.closed_loop"],
        input=json.dumps(asdict(load)),
        cwd=python_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr.strip().splitlines()[-1:]}")
    return {name: Latency(**numbers) for name, numbers in json.loads(done.stdout).items()}


class _Connection(asyncio.Protocol):
    """Sends a request ``times`` times, each when the answer before is complete, and notes how long each took."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._received = 0
        self._expected = 0
        self._begin = 0.0
        self._left = 0
        self._request: Callable[[], bytes] = bytes
        self._done: asyncio.Future[None] | None = None
        self.seconds: list[float] = []
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    async def send(self, request: Callable[[], bytes], times: int) -> list[float]:
        self.seconds, self._left, self._request = [], times, request
        self._done = asyncio.get_running_loop().create_future()
        self._next()
        await self._done
        return self.seconds

    def _next(self) -> None:
        self._received = self._expected = 0
        request = self._request()
        self._begin = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._expected:
            # A server writes an answer's head at once; one in pieces would be an error here, and no wrong time.
            head, found, _ = data.partition(_END_OF_HEAD)
            if not found or not head.startswith(b"HTTP/1.1 200"):
                self._fail(f"not an answer with status 200: {data[:200]!r}")
                return
            at = head.lower().find(_LENGTH) + len(_LENGTH)
            self._expected = len(head) + len(_END_OF_HEAD) + int(head[at:].partition(b"\r\n")[0])
        self._received += len(data)
        if self._received < self._expected:
            return
        self.seconds.append(time.perf_counter() - self._begin)
        self.bytes = self._expected
        self._left -= 1
        if self._left:
            self._next()
        elif self._done is not None:
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the server closed the connection: {exc}")

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(why))


async def run(load: Load) -> dict[str, Latency]:
    """Measure in this process."""
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(_Connection, "127.0.0.1", load.port))[1] for _ in range(load.connections)
    ]

    numbers = itertools.count()

    async def all_send(name: str, requests: int) -> list[float]:
        request = _request(load, name, numbers)
        each = -(-requests // load.connections)
        taken = await asyncio.gather(*(connection.send(request, each) for connection in connections))
        return [seconds for one in taken for seconds in one]

    seconds: dict[str, list[float]] = {name: [] for name in load.paths}
    elapsed = dict.fromkeys(load.paths, 0.0)
    size: dict[str, int] = {}
    for name in load.paths:
        await all_send(name, load.warm_up)
    # Pauses of this process's own collector would be counted as the server's.
    gc.collect()
    gc.disable()
    for _ in range(load.rounds):
        for name in load.paths:
            begin = time.perf_counter()
            seconds[name] += await all_send(name, -(-load.requests // load.rounds))
            elapsed[name] += time.perf_counter() - begin
            size[name] = connections[0].bytes
    for connection in connections:
        connection.transport.close()
    return {name: _latency(taken, elapsed[name], size[name]) for name, taken in seconds.items()}


def _request(load: Load, name: str, numbers: itertools.count[int]) -> Callable[[], bytes]:
    """Makes the bytes of the next request. A number is written in nine digits, so that every body is as long."""
    head = f"{load.paths[name]} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nAuthorization: Bearer {load.key}\r\n"
    if name not in load.bodies:
        get = f"GET {head}\r\n".encode()
        return lambda: get
    parts = load.bodies[name].encode().split(NUMBER.encode())
    length = len(("0" * 9).encode().join(parts))
    start = f"POST {head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
    return lambda: start + (b"%09d" % next(numbers)).join(parts)


def _latency(seconds: list[float], elapsed: float, size: int) -> Latency:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(len(ordered), size, len(ordered) / elapsed, at(0.5), at(0.99), 1000 * ordered[-1])


if __name__ == "__main__":
    latencies = uvloop.run(run(Load(**json.load(sys.stdin))))
    json.dump({name: asdict(latency) for name, latency in latencies.items()}, sys.stdout)
