"""Group commit: the requests that wait at one moment are stored together; each is answered after the commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from api.database import DatabaseUnavailable, Locked
from api.problems import Problem

T = TypeVar("T")
A = TypeVar("A")

RETRY_AFTER_SECONDS = 1


@dataclass(slots=True)
class _Queue(Generic[T, A]):
    """The requests of one tenant that wait, and how many groups of that tenant are under way."""

    waiting: deque[tuple[T, asyncio.Future[A]]] = field(default_factory=deque)
    under_way: int = 0


class Committer(Generic[T, A]):
    """Gathers what is submitted into groups of one tenant and gives each group to ``work``.

    While a group is with the database the next one gathers; up to ``groups`` of a tenant are under way at a time. One
    is best: two of half the size cost the database, and this process, more than they save in waiting.
    ``work`` answers each item, in order, with its answer or with the exception that is its alone. What it raises
    itself befalls the whole group; if that need not be everybody's fault, each item is tried once more by itself:
    something cannot be stored, or a transaction that is long under way holds what one of them needs.
    """

    def __init__(
        self,
        work: Callable[[str, Sequence[T]], Awaitable[Sequence[A | Exception]]],
        *,
        most_waiting: int,
        largest_group: int = 256,
        groups: int = 1,
    ) -> None:
        self._work = work
        self._most_waiting = most_waiting
        self._largest_group = largest_group
        self._groups = groups
        self._queues: dict[str, _Queue[T, A]] = {}
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many are not answered yet."""
        return self._waiting

    async def submit(self, tenant: str, item: T) -> A:
        """The answer to ``item``; Problem 429 at once if too many wait already."""
        if self._waiting >= self._most_waiting:
            raise Problem(
                429,
                "too-many-requests",
                "More requests wait than can be stored at the moment; try again.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = _Queue()
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        queue.waiting.append((item, answer))
        self._waiting += 1
        if queue.under_way < self._groups:
            queue.under_way += 1
            task = asyncio.create_task(self._store(tenant, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def close(self) -> None:
        """End what is under way; whoever still waits is not answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _store(self, tenant: str, queue: _Queue[T, A]) -> None:
        try:
            while queue.waiting:
                group = [queue.waiting.popleft() for _ in range(min(len(queue.waiting), self._largest_group))]
                try:
                    answers = await self._answers(tenant, [item for item, _ in group])
                    for (_, future), answer in zip(group, answers, strict=True):
                        _settle(future, answer)
                finally:
                    self._waiting -= len(group)
                    for _, future in group:
                        future.cancel()
        finally:
            queue.under_way -= 1
            if not queue.under_way and not queue.waiting:
                self._queues.pop(tenant, None)

    async def _answers(self, tenant: str, items: Sequence[T]) -> Sequence[A | Exception]:
        try:
            return await self._work(tenant, items)
        except Exception as error:
            is_everybodys = isinstance(error, DatabaseUnavailable | Problem) and not isinstance(error, Locked)
            if is_everybodys or len(items) == 1:
                return [error] * len(items)
        # It is one of them; the others are not to suffer for it.
        return [answer for item in items for answer in await self._answers(tenant, [item])]


def _settle(future: asyncio.Future[A], answer: A | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
