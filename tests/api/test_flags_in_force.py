"""The flags of a tenant: read once, read anew on notice, and still there when Postgres is not."""

from __future__ import annotations

import asyncio

import pytest

from api.database import DatabaseUnavailable
from api.flags_in_force import FlagsInForce

LIFETIME, RETRY = 5.0, 1.0


class Registry:
    """Declares one flag with a default; stands for the database, and counts how often it is read."""

    def __init__(self) -> None:
        self.default = "first"
        self.reads = 0
        self.is_there = True
        self.during = lambda: None

    def read(self, tenant):
        self.tenant = tenant
        return self

    async def fetch_row(self, query):
        self.reads += 1
        if not self.is_there:
            raise DatabaseUnavailable("gone")
        flag = f'["f", {{"kind": "flag", "key": "f", "tenant": "{self.tenant}", "type": "string", '
        row = ([], [flag + f'"default": "{self.default}"}}]'], [], [], [])
        await asyncio.sleep(0)
        self.during()
        return row


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def scenario(work):
    async def run():
        registry, clock = Registry(), Clock()
        flags = FlagsInForce(registry, LIFETIME, RETRY, clock)
        await work(flags, registry, clock)
        await flags.close()

    asyncio.run(run())


def default_of(flag_set):
    return flag_set.flags["f"].default


async def refreshed() -> None:
    await asyncio.sleep(0.05)


def test_many_who_ask_at_once_share_one_reading():
    async def work(flags, registry, clock):
        sets = await asyncio.gather(*(flags.of("acme") for _ in range(20)))
        assert registry.reads == 1
        assert all(each is sets[0] for each in sets)

    scenario(work)


def test_a_change_is_in_the_next_answer():
    async def work(flags, registry, clock):
        assert default_of(await flags.of("acme")) == "first"
        registry.default = "second"
        assert default_of(await flags.of("acme")) == "first"
        flags.changed("acme")
        assert default_of(await flags.of("acme")) == "second"

    scenario(work)


def test_a_change_of_one_tenant_leaves_the_others():
    async def work(flags, registry, clock):
        theirs = await flags.of("globex")
        await flags.of("acme")
        flags.changed("acme")
        assert await flags.of("globex") is theirs
        await flags.of("acme")
        assert registry.reads == 3

    scenario(work)


def test_a_change_during_the_reading_is_read_again():
    """Read before the change and kept after it, the old set would be served for its whole lifetime."""

    async def work(flags, registry, clock):
        def change():
            registry.during = lambda: None
            registry.default = "second"
            flags.changed("acme")

        await flags.of("acme")
        registry.during = change
        flags.changed("acme")
        assert default_of(await flags.of("acme")) == "second"

    scenario(work)


def test_when_its_time_is_up_the_set_is_read_anew_and_nobody_waits():
    async def work(flags, registry, clock):
        await flags.of("acme")
        registry.default = "second"
        clock.now = LIFETIME + 1
        assert default_of(await flags.of("acme")) == "first"
        await refreshed()
        assert default_of(await flags.of("acme")) == "second"

    scenario(work)


def test_equal_declarations_give_the_very_same_set():
    async def work(flags, registry, clock):
        before = await flags.of("acme")
        flags.changed("acme")
        assert await flags.of("acme") is before
        assert registry.reads == 2

    scenario(work)


def test_without_postgres_the_last_set_is_served_and_asked_for_again_after_a_while():
    async def work(flags, registry, clock):
        before = await flags.of("acme")
        registry.is_there = False
        flags.changed("acme")
        assert await flags.of("acme") is before
        reads = registry.reads
        assert await flags.of("acme") is before
        assert registry.reads == reads
        registry.is_there, registry.default = True, "second"
        clock.now += RETRY + 0.1
        await flags.of("acme")
        await refreshed()
        assert default_of(await flags.of("acme")) == "second"

    scenario(work)


def test_a_link_that_comes_back_makes_everything_be_read_again():
    async def work(flags, registry, clock):
        await flags.of("acme")
        registry.default = "second"
        flags.linked(False)
        assert default_of(await flags.of("acme")) == "first"
        flags.linked(True)
        assert default_of(await flags.of("acme")) == "second"

    scenario(work)


def test_a_tenant_whose_flags_were_never_read_has_none_without_postgres():
    async def work(flags, registry, clock):
        registry.is_there = False
        with pytest.raises(DatabaseUnavailable):
            await flags.of("acme")
        registry.is_there = True
        assert default_of(await flags.of("acme")) == "first"

    scenario(work)


def test_a_spoilt_declaration_is_left_out_and_the_others_are_served(acme, world):
    world.insert("registry.flags", tenant_id="acme", key="spoilt", declaration={"secret": 1}, declaration_hash="h")
    world.put({"kind": "flag", "key": "sound", "tenant": "acme", "type": "string", "default": "here"})
    answer = acme.post("/ofrep/v1/evaluate/flags/sound", json={"context": {}})
    assert answer.json()["value"] == "here"
    assert acme.post("/ofrep/v1/evaluate/flags/spoilt", json={"context": {}}).status_code in {404, 500}
