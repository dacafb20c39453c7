"""A folder of declarations comes into force wholly or not at all, after what is in force already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration
from resources.postgres_client import PostgresClient
from resources.registry import Registered, register, register_folder
from resources.registry_rows import REFERRING, restore, standing_of

PROJECT = Path(__file__).resolve().parents[2]

CHECKOUT = """\
kind: experiment
key: checkout
tenant: acme
unit: customer
control: old
variants: {old: 1, new: 1}
metrics: [{key: bought, type: conversion, event: purchase}]
"""
HOME = """\
kind: layer
key: home
tenant: acme
unit: customer
allocations: [{experiment: checkout, from: 0, to: 5000}]
"""
BANNER = """\
kind: flag
key: banner
tenant: acme
type: boolean
default: false
rules: [{id: some, experiment: checkout, values: {old: false, new: true}}]
"""
PURCHASE = """\
kind: event_type
key: purchase
tenant: acme
schema: {type: object}
"""
TABLES = ("experiments", "flags", "layers", "saved_groups", "event_types", "sources", "studies", "kpis", "features")


@pytest.fixture(autouse=True)
def empty(postgres: PostgresClient) -> Iterator[None]:
    yield
    for table in TABLES:
        postgres.execute(f"DELETE FROM registry.{table}")


class Folder:
    """Declarations that are written and registered."""

    def __init__(self, path: Path, client: PostgresClient) -> None:
        self.path, self.client = path, client

    def register(self, **files: str) -> Registered:
        """Write the files, each under its name, and register all that there are."""
        for name, text in files.items():
            (self.path / f"{name}.yaml").write_text(text)
        return register_folder(self.client, self.path)

    def refusal(self, **files: str) -> str:
        """Why the folder cannot be registered."""
        before = self.state()
        with pytest.raises(DeclarationError) as raised:
            self.register(**files)
        assert self.state() == before
        return str(raised.value)

    def state(self) -> list[Any]:
        return [self.client.fetch_all(f"SELECT * FROM registry.{table} ORDER BY 1, 2") for table in TABLES]

    def one(self, query: str) -> Any:
        (row,) = self.client.fetch_all(query)
        return row[0] if len(row) == 1 else row


@pytest.fixture
def folder(tmp_path: Path, postgres: PostgresClient) -> Folder:
    return Folder(tmp_path, postgres)


def life_cycle(client: PostgresClient, key: str) -> list[tuple[Any, ...]]:
    return client.fetch_all(
        "SELECT status, version, by FROM registry.life_cycle WHERE experiment = %s ORDER BY at", (key,)
    )


def test_declarations_that_name_each_other_come_into_force_together(folder: Folder) -> None:
    registered = folder.register(
        a_flag=BANNER, b_layer=HOME, c_experiment=CHECKOUT + "layer: home\n", d_event_type=PURCHASE
    )
    assert registered.total == 4
    assert set(registered.changed) == {
        ("flag", "acme|banner"),
        ("layer", "acme|home"),
        ("experiment", "acme|checkout"),
        ("event_type", "acme|purchase"),
    }
    with folder.client.transaction() as transaction:
        standing = standing_of(transaction, "acme")
    assert list(standing.flags) == ["banner"]
    assert standing.layers["home"].buckets_of("checkout") == ((0, 5000),)
    assert list(standing.event_types) == [("purchase", 1)]
    kinds = folder.client.fetch_all("SELECT DISTINCT kind FROM registry.declaration_versions ORDER BY 1")
    assert {kind for (kind,) in kinds} >= {"flag", "layer", "experiment", "event_type"}


def test_registering_again_changes_nothing(folder: Folder) -> None:
    folder.register(flag=BANNER, layer=HOME, experiment=CHECKOUT + "layer: home\n", event_type=PURCHASE)
    before = folder.state()
    assert folder.register().changed == ()
    assert folder.state() == before


def test_every_declaration_of_the_project_comes_into_force(postgres: PostgresClient) -> None:
    registered = register_folder(postgres, PROJECT / "declarations")
    assert {kind for kind, _ in registered.changed} >= {"experiment", "flag", "layer", "saved_group", "event_type"}
    assert register_folder(postgres, PROJECT / "declarations").changed == ()


class TestRefused:
    def test_weights_of_a_running_experiment(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT)
        changed = CHECKOUT.replace("new: 1}", "new: 3}")
        assert folder.refusal(checkout=changed) == (
            "checkout.yaml:6: variants: cannot change while the experiment is running;"
            " raise version above 1 to do it all the same"
        )
        assert folder.register(checkout=changed + "version: 2\n").changed == (("experiment", "acme|checkout"),)

    def test_a_status_that_does_not_follow(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT + "status: stopped\n")
        assert folder.refusal(checkout=CHECKOUT).startswith(
            "checkout.yaml:1: status: cannot go from stopped to running"
        )

    def test_a_circle_through_two_files(self, folder: Folder) -> None:
        circle = CHECKOUT + "prerequisites: [{flag: banner}]\n"
        message = folder.refusal(banner=BANNER, checkout=circle)
        assert message in (
            "checkout.yaml:8: prerequisites[0].flag: goes round in a circle: checkout -> banner -> checkout",
            "banner.yaml:6: rules[0].experiment: goes round in a circle: banner -> checkout -> banner",
        )

    def test_a_layer_that_is_not_there(self, folder: Folder) -> None:
        assert folder.refusal(checkout=CHECKOUT + "layer: home\n") == (
            "checkout.yaml:8: layer: there is no layer 'home'"
        )

    def test_another_schema_of_the_same_version(self, folder: Folder) -> None:
        folder.register(purchase=PURCHASE)
        assert folder.refusal(purchase=PURCHASE.replace("object", "array")).startswith("purchase.yaml:4: schema: is an")

    def test_the_same_key_in_two_files(self, folder: Folder) -> None:
        assert folder.refusal(a=CHECKOUT, b=CHECKOUT) == (
            "b.yaml:2: key: a.yaml declares experiment 'checkout' of acme already"
        )

    def test_one_declaration_by_itself(self, postgres: PostgresClient) -> None:
        with postgres.transaction() as transaction:
            register(transaction, read_declaration(CHECKOUT, "a.yaml"), Path("a.yaml"))
        changed = read_declaration(CHECKOUT.replace("control: old", "control: new"), "a.yaml")
        with (
            pytest.raises(DeclarationError, match=r"a.yaml:5: control: cannot change"),
            postgres.transaction() as again,
        ):
            register(again, changed, Path("a.yaml"))


class TestEventTypes:
    def test_every_version_stays(self, folder: Folder) -> None:
        folder.register(purchase=PURCHASE)
        folder.register(purchase=PURCHASE.replace("object", "array") + "version: 2\n")
        rows = folder.client.fetch_all(
            "SELECT version, declaration -> 'schema' ->> 'type' FROM registry.event_types ORDER BY version"
        )
        assert rows == [(1, "object"), (2, "array")]

    def test_versions_may_be_declared_side_by_side(self, folder: Folder) -> None:
        folder.register(v1=PURCHASE, v2=PURCHASE + "version: 2\n")
        assert folder.register().changed == ()
        assert folder.one("SELECT count(*) FROM registry.event_types") == 2

    def test_retention_changes_in_place(self, folder: Folder) -> None:
        folder.register(purchase=PURCHASE)
        assert folder.register(purchase=PURCHASE + "retention_days: 30\n").changed == (("event_type", "acme|purchase"),)
        assert folder.one("SELECT declaration -> 'retention_days' FROM registry.event_types") == 30


class TestLifeCycle:
    def test_every_step_is_kept_with_its_file(self, folder: Folder) -> None:
        for more in ("status: draft\n", "", "", "name: Checkout\n", "version: 2\n", "version: 2\nstatus: paused\n"):
            folder.register(checkout=CHECKOUT.replace("checkout", "steps") + more)
        assert life_cycle(folder.client, "steps") == [
            ("draft", 1, "checkout.yaml"),
            ("running", 1, "checkout.yaml"),
            ("running", 2, "checkout.yaml"),
            ("paused", 2, "checkout.yaml"),
        ]

    def test_an_experiment_from_before_there_was_a_history_gets_its_first_line(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT.replace("checkout", "old"))
        # The owner alone may take a line back: here it stands for a database that was made without the table.
        with folder.client.transaction() as transaction:
            transaction.execute(
                "INSERT INTO registry.life_cycle (tenant_id, experiment, status, version, by)"
                " VALUES ('acme', 'old', 'draft', 1, 'x')"
            )
        folder.register()
        assert life_cycle(folder.client, "old")[-1] == ("running", 1, "checkout.yaml")


class TestFile:
    def file(self, folder: Folder) -> str | None:
        name: str | None = folder.one("SELECT declared_in FROM registry.experiments WHERE key = 'checkout'")
        return name

    def test_is_kept_and_follows_the_declaration(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT)
        assert self.file(folder) == "checkout.yaml"
        before = folder.one("SELECT declared_at, declaration_hash FROM registry.experiments")
        (folder.path / "checkout.yaml").rename(folder.path / "moved.yaml")
        assert folder.register().changed == ()
        assert self.file(folder) == "moved.yaml"
        assert folder.one("SELECT declared_at, declaration_hash FROM registry.experiments") == before

    def test_that_is_gone_declares_nothing_any_more(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT)
        (folder.path / "checkout.yaml").unlink()
        folder.register()
        assert self.file(folder) is None
        assert folder.one("SELECT count(*) FROM registry.experiments") == 1

    def test_takes_over_what_was_declared_over_http(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT)
        folder.client.execute("UPDATE registry.experiments SET declared_in = NULL")
        assert folder.register().changed == ()
        assert self.file(folder) == "checkout.yaml"


class TestUpgrade:
    """A database from before keys with defaults were added: its declarations are the same, so nothing is stale."""

    @pytest.fixture(autouse=True)
    def older(self, folder: Folder) -> None:
        folder.register(checkout=CHECKOUT)
        folder.client.execute(
            "UPDATE registry.experiments SET declaration_hash = 'of the whole document',"
            " declaration = declaration - 'hasher' - 'sticky' - 'status', declared_at = '2025-01-01'"
        )

    def test_the_version_in_force_stays(self, folder: Folder) -> None:
        assert folder.register().changed == ()
        assert folder.one("SELECT declaration_hash, declared_at::date::text FROM registry.experiments") == (
            "of the whole document",
            "2025-01-01",
        )

    def test_the_document_gains_the_new_keys(self, folder: Folder) -> None:
        folder.register()
        assert folder.one("SELECT declaration ->> 'hasher' FROM registry.experiments") == "growthbook_v2"

    def test_an_edit_is_seen_all_the_same(self, folder: Folder) -> None:
        changed = folder.register(checkout=CHECKOUT + "segments: [country]\n").changed
        assert changed == (("experiment", "acme|checkout"),)
        assert folder.one("SELECT declaration_hash FROM registry.experiments") != "of the whole document"


def test_a_row_that_no_longer_validates_keeps_nobody_from_declaring(folder: Folder) -> None:
    folder.client.execute(
        "INSERT INTO registry.flags (tenant_id, key, declaration, declaration_hash) VALUES ('acme', 'x', '{}', 'h')"
    )
    assert folder.register(checkout=CHECKOUT).changed == (("experiment", "acme|checkout"),)


def test_all_that_is_evaluated_is_read_back(postgres: PostgresClient) -> None:
    register_folder(postgres, PROJECT / "declarations")
    with postgres.transaction() as transaction:
        standing = standing_of(transaction, "planner")
        rows = {
            table: transaction.fetch_one(f"SELECT count(*) FROM registry.{table} WHERE tenant_id = 'planner'")
            for table in REFERRING
        }
    assert {table: (len(getattr(standing, table)),) for table in REFERRING} == rows
    # It asks no observational question.
    assert {table for table, count in rows.items() if count == (0,)} == {"studies", "kpis"}


def test_a_scratch_copy_holds_what_was_in_force_at_a_time(folder: Folder) -> None:
    # The history of acme is full of what other tests declared.
    event_type, experiment, layer, flag = (
        text.replace("acme", "globex") for text in (PURCHASE, CHECKOUT + "layer: home\n", HOME, BANNER)
    )
    folder.register(v1=event_type, experiment=experiment, layer=layer, flag=flag)
    then = folder.one("SELECT clock_timestamp()")
    folder.register(v2=event_type + "version: 2\n", flag=flag + "enabled: false\n")
    scratch = folder.client.with_prefix("then_")
    scratch.create_scratch()
    try:
        with scratch.transaction() as transaction:
            restore(transaction, "globex", then)
            standing = standing_of(transaction, "globex")
    finally:
        scratch.drop_scratch()
    assert list(standing.event_types) == [("purchase", 1)]
    assert standing.flags["banner"].enabled
    assert (list(standing.experiments), list(standing.layers)) == (["checkout"], ["home"])
