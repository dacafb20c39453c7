"""Group commit: who waits together is stored together; too many are told to come again."""

from __future__ import annotations

import asyncio

import pytest

from api.assignments.committer import Committer
from api.database import DatabaseUnavailable
from api.problems import Problem


class Work:
    """Answers each item with itself; a group waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[object]]] = []
        self.may_go = asyncio.Event()

    async def __call__(self, tenant, items):
        self.groups.append((tenant, list(items)))
        await self.may_go.wait()
        return [items_answer(item) for item in items]


def items_answer(item):
    return ValueError(item) if item == "refused" else item


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_waits_while_a_group_is_under_way_is_the_next_group():
    async def scenario():
        work = Work()
        committer = Committer(work, most_waiting=100, groups=1)
        first = [asyncio.create_task(committer.submit("acme", n)) for n in range(3)]
        await settled()
        later = [asyncio.create_task(committer.submit("acme", n)) for n in range(3, 8)]
        await settled()
        assert work.groups == [("acme", [0, 1, 2])]
        work.may_go.set()
        assert await asyncio.gather(*first, *later) == list(range(8))
        assert work.groups[1:] == [("acme", [3, 4, 5, 6, 7])]

    asyncio.run(scenario())


def test_a_group_is_of_one_tenant_and_of_bounded_size():
    async def scenario():
        work = Work()
        work.may_go.set()
        committer = Committer(work, most_waiting=100, largest_group=4, groups=1)
        asked = [committer.submit(tenant, n) for n in range(6) for tenant in ("acme", "globex")]
        await asyncio.gather(*asked)
        assert sorted(work.groups) == [
            ("acme", [0, 1, 2, 3]),
            ("acme", [4, 5]),
            ("globex", [0, 1, 2, 3]),
            ("globex", [4, 5]),
        ]

    asyncio.run(scenario())


def test_one_too_many_is_told_when_to_come_again_and_the_others_are_answered():
    async def scenario():
        work = Work()
        committer = Committer(work, most_waiting=3)
        waiting = [asyncio.create_task(committer.submit("acme", n)) for n in range(3)]
        await settled()
        with pytest.raises(Problem) as refused:
            await committer.submit("globex", 3)
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        work.may_go.set()
        assert await asyncio.gather(*waiting) == [0, 1, 2]
        assert await committer.submit("globex", 3) == 3

    asyncio.run(scenario())


def test_an_item_that_is_refused_does_not_befall_its_group():
    async def scenario():
        work = Work()
        work.may_go.set()
        committer = Committer(work, most_waiting=100)
        asked = (committer.submit("acme", item) for item in ("a", "refused", "b"))
        a, refused, b = await asyncio.gather(*asked, return_exceptions=True)
        assert (a, b) == ("a", "b")
        assert isinstance(refused, ValueError)

    asyncio.run(scenario())


def test_what_befalls_a_group_because_of_one_befalls_that_one_alone():
    """Postgres refuses a statement as a whole: each is tried again by itself."""

    async def scenario():
        async def work(tenant, items):
            if "poison" in items:
                raise RuntimeError("the statement was refused")
            return list(items)

        committer = Committer(work, most_waiting=100)
        asked = (committer.submit("acme", item) for item in ("a", "poison", "b"))
        a, poisoned, b = await asyncio.gather(*asked, return_exceptions=True)
        assert (a, b) == ("a", "b")
        assert isinstance(poisoned, RuntimeError)

    asyncio.run(scenario())


def test_without_a_database_everybody_is_told_and_the_next_group_is_tried():
    async def scenario():
        tried = []

        async def work(tenant, items):
            tried.append(list(items))
            if len(tried) == 1:
                raise DatabaseUnavailable("gone")
            return list(items)

        committer = Committer(work, most_waiting=3)
        gone = await asyncio.gather(*(committer.submit("acme", n) for n in range(3)), return_exceptions=True)
        assert [type(error) for error in gone] == [DatabaseUnavailable] * 3
        assert await committer.submit("acme", 4) == 4
        assert tried == [[0, 1, 2], [4]]

    asyncio.run(scenario())


def test_a_caller_that_goes_away_takes_nobody_along():
    async def scenario():
        work = Work()
        committer = Committer(work, most_waiting=3)
        gone, stays = (asyncio.create_task(committer.submit("acme", n)) for n in range(2))
        await settled()
        gone.cancel()
        await settled()
        work.may_go.set()
        assert await stays == 1
        # Its place is free again.
        assert await asyncio.gather(*(committer.submit("acme", n) for n in range(3))) == [0, 1, 2]

    asyncio.run(scenario())
