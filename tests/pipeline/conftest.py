"""Small named worlds, declared in YAML and CSV, brought up to date by the real graph on a real Postgres.

One house is shared by the whole folder, because a partition costs seconds. A test that changes something works on a
partition of its own, or leaves the house as it found it: up to date, with the declarations of ``worlds``.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from jobs.observe import observe
from jobs.plan import Work, next_work
from jobs.refresh import Ran, refresh
from resources.connection import connect
from resources.migration import create_database
from resources.mlflow import MlflowResource
from resources.postgres_client import PostgresClient
from resources.registry import register_folder
from resources.settings import DATABASE_NAME, DATABASE_URL, HOME, Settings
from tests.pipeline.shoppers import LOOKED_AT, shoppers

Rows = list[dict[str, Any]]


@dataclass
class House:
    """A database, an ephemeral Dagster instance and a folder of declarations, worked like ``causeway refresh`` does."""

    settings: Settings
    client: PostgresClient
    instance: dg.DagsterInstance
    defs: dg.Definitions
    folder: Path
    first_runs: list[Ran] = field(default_factory=list)

    def write(self, name: str, content: str) -> Path:
        """A file in the folder of declarations."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def declare(self, kind: str, key: str, **body: Any) -> Path:
        """One declaration as YAML."""
        document = {"kind": kind, "key": key, "tenant": "acme", **body}
        return self.write(f"{document['tenant']}_{key}.yaml", yaml.safe_dump(document, sort_keys=False))

    def table(self, name: str, rows: Rows) -> Path:
        """A CSV file with the columns of the first row."""
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return self.write(name, text.getvalue())

    def pending(self) -> tuple[Work, ...]:
        """What would be run next, after everything declared has been registered."""
        register_folder(self.client, self.folder)
        observe(self.instance, self.client)
        return next_work(self.instance, self.defs.resolve_asset_graph())

    def refresh(self, only: Callable[[Work], bool] = lambda _: True) -> list[Ran]:
        """Register what is declared and run what is stale; a step that fails without being a gate fails the test."""
        register_folder(self.client, self.folder)
        ran = list(refresh(self.defs, self.instance, lambda: observe(self.instance, self.client), only=only))
        assert [failure for each in ran for failure in each.failures] == []
        return ran

    def rows(self, query: str, *parameters: Any) -> Rows:
        """A query of causeway_pipeline, which sees every tenant; rows by column name."""
        with self.client.transaction() as transaction:
            cursor = transaction.connection.execute(query.encode(), parameters or None)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def served(self, partition: str) -> Rows:
        """The served results of one experiment."""
        return self.rows(
            "SELECT * FROM serving.experiment_results WHERE tenant_id || '|' || experiment = %s"
            " ORDER BY position, segment NULLS FIRST, variant, method, interval",
            partition,
        )

    def served_one(self, partition: str, metric: str, method: str, variant: str = "on") -> dict[str, Any]:
        """The served effect on everybody, with its fixed-horizon interval."""
        wanted = (metric, method, variant, None, "fixed_horizon")
        (row,) = (
            row
            for row in self.served(partition)
            if (row["metric"], row["method"], row["variant"], row["segment"], row["interval"]) == wanted
        )
        return row

    def gates(self, partition: str) -> dict[str, dict[str, Any]]:
        """The served gates of one experiment, by name."""
        found = self.rows(
            "SELECT * FROM serving.experiment_health WHERE tenant_id || '|' || experiment = %s", partition
        )
        return {row["check_name"]: row for row in found}

    def as_administrator(self, *statements: str) -> None:
        """What only the server's administrator may do, with triggers off: the role of somebody who tampers."""
        with connect(self.settings.admin_address(self.settings.database_name), autocommit=True) as admin:
            admin.execute("SET session_replication_role = replica")
            for statement in statements:
                admin.execute(statement.encode())


@contextmanager
def _built(server: Settings, name: str, folder: Path) -> Iterator[House]:
    settings = replace(server, database_name=name)
    with connect(server.admin_address(), autocommit=True) as admin:
        create_database(admin, settings, "causeway", template=server.database_name)
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in _environment(settings).items():
            environment.setenv(variable, value)
        from definitions import defs

    quiet = dg.Definitions(
        assets=defs.assets,
        jobs=defs.jobs,
        # The store of models has tests of its own and takes a quarter of a minute to start.
        resources={**(defs.resources or {}), "mlflow": MlflowResource(enabled=False)},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(settings, PostgresClient(settings), instance, quiet, folder)
    with connect(server.admin_address(), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{settings.database_name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def empty_house(postgres_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with _built(postgres_server, "test_pipeline", tmp_path_factory.mktemp("declarations")) as house:
        yield house


@pytest.fixture(scope="module")
def own_house(
    postgres_server: Settings, tmp_path_factory: pytest.TempPathFactory, _reachable_by_resources: None
) -> Iterator[House]:
    """A house that the module has for itself, with nothing in it."""
    with (
        _built(postgres_server, "test_own_house", tmp_path_factory.mktemp("own_declarations")) as house,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in _environment(house.settings).items():
            environment.setenv(name, value)
        yield house


@pytest.fixture(scope="module", autouse=True)
def _reachable_by_resources(empty_house: House) -> Iterator[None]:
    """Dagster's resources find the database by the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _environment(empty_house.settings).items():
            environment.setenv(name, value)
        yield


def _environment(settings: Settings) -> dict[str, str]:
    return {
        HOME: str(settings.home),
        DATABASE_URL: settings.admin_address().url,
        DATABASE_NAME: settings.database_name,
    }


@pytest.fixture(scope="session")
def house(empty_house: House) -> House:
    """The house after one refresh of all worlds."""
    for declare in WORLDS:
        declare(empty_house)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _environment(empty_house.settings).items():
            environment.setenv(name, value)
        empty_house.first_runs = empty_house.refresh()
    return empty_house


def customers(count: int, seed: int = 7) -> Rows:
    """Units, half of them ``on``; spend depends on history, on the arm (+5) and, for the web, a little more (+2)."""
    dice = random.Random(seed)
    rows = []
    for number in range(count):
        history, on, web = round(dice.gauss(50, 10), 3), number % 2, (number // 2) % 2
        spend = 0.5 * history + (5 + 2 * web) * on + dice.gauss(0, 3)
        rows.append(
            {
                "customer": f"c{number:04}",
                "arm": "on" if on else "off",
                "channel": "web" if web else "phone",
                "history": history,
                "spend": round(spend, 4),
                "visit": int(dice.random() < 0.3 + 0.2 * on),
            }
        )
    return rows


TRIAL: dict[str, Any] = {
    "unit": "customer",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": [{"key": "spend", "type": "mean", "column": "spend", "role": "primary"}],
}


def source(file: str) -> dict[str, str]:
    """The source of a table of customers."""
    return {"file": file, "unit_id": "customer", "variant": "arm"}


def world_with_lift(house: House) -> None:
    """240 units, +6 on average, more on the web."""
    house.table("lift.csv", customers(240))
    house.declare(
        "experiment",
        "lift",
        **TRIAL | {"metrics": [*TRIAL["metrics"], {"key": "visit", "type": "conversion", "column": "visit"}]},
        covariates=["history"],
        segments=["channel"],
        source=source("lift.csv"),
    )


def world_with_srm(house: House) -> None:
    """A trial whose log lost half of the variant: 80 units against 40."""
    rows = customers(160)
    kept = [row for number, row in enumerate(rows) if row["arm"] == "off" or number % 4 == 1]
    house.table("srm.csv", kept)
    house.declare("experiment", "srm", **TRIAL, covariates=["history"], source=source("srm.csv"))


def world_to_be_mended(house: House) -> None:
    """The same trial once more, for tests that find the lost half and that edit the declaration."""
    rows = customers(160)
    house.table("mended.csv", [row for number, row in enumerate(rows) if row["arm"] == "off" or number % 4 == 1])
    house.declare("experiment", "mended", **TRIAL, source=source("mended.csv"))


def world_with_a_broken_log(house: House) -> None:
    """60 units; 2 of them in both variants, 2 in a variant that nobody declared, 2 rows twice, and outcomes lost in
    one arm alone."""
    rows = customers(60)
    rows += [dict(rows[0], arm="on"), dict(rows[1], arm="off")]
    rows += [dict(rows[2]), dict(rows[3])]
    rows[4]["arm"] = rows[5]["arm"] = "onn"
    for row in rows[6:60]:
        if row["arm"] == "on" and int(row["customer"][1:]) % 3:
            row["spend"] = ""
    house.table("broken_log.csv", rows)
    # Such rows are quarantined, and a landing of this size may have three of them.
    house.declare("experiment", "broken_log", **TRIAL, source=source("broken_log.csv"))


def world_of_odd_arms(house: House) -> None:
    """200 units in two good arms, one in ``lonely``, none in ``empty``; a metric that never varies; a few outcomes
    missing alike in both arms."""
    rows = [{**row, "flag": 1} for row in customers(200)]
    rows.append({**rows[0], "customer": "alone", "arm": "lonely"})
    for row in rows[10:14]:
        row["spend"] = ""
    house.table("odd_arms.csv", rows)
    house.declare(
        "experiment",
        "odd_arms",
        **TRIAL
        | {
            "variants": {"off": 100, "on": 100, "lonely": 1, "empty": 1},
            "metrics": [*TRIAL["metrics"], {"key": "flag", "type": "conversion", "column": "flag"}],
        },
        source=source("odd_arms.csv"),
    )


def world_with_gaps(house: House) -> None:
    """140 customers, of every seventh of whom nobody knows the history."""
    rows = customers(140)
    for row in rows[::7]:
        row["history"] = ""
    house.table("gaps.csv", rows)
    house.declare("experiment", "gaps", **TRIAL, covariates=["history", "channel"], source=source("gaps.csv"))


def world_of_towns(house: House) -> None:
    """24 towns, every second one ``on``; those have three times as many customers, as no draw of customers would."""
    dice, rows = random.Random(3), []
    for town in range(24):
        level = dice.gauss(50, 5)
        for number in range(30 if town % 2 else 10):
            arm, spend = "on" if town % 2 else "off", round(level + dice.gauss(0, 2), 3)
            rows.append({"customer": f"t{town}-{number}", "arm": arm, "town": f"town {town}", "spend": spend})
    house.table("towns.csv", rows)
    house.declare("experiment", "towns", **TRIAL, cluster="town", source=source("towns.csv"))


def world_with_unreadable_rows(house: House) -> None:
    """100 customers and below them: a row without an id, one without an arm, and one with a cell too many."""
    path = house.table("unreadable.csv", customers(100))
    path.write_text(path.read_text() + ",on,web,50,30,1\nc9001,,web,50,30,1\nc9002,on,web,50,30,1,surplus\n")
    house.declare("experiment", "unreadable", **TRIAL, source=source("unreadable.csv"))


def world_that_is_refused(house: House) -> None:
    """Ten customers, two of them without an id: more than one row in twenty cannot be used."""
    rows = customers(10)
    rows[0]["customer"] = rows[1]["customer"] = ""
    house.table("refused.csv", rows)
    house.declare("experiment", "refused", **TRIAL, source=source("refused.csv"))


def world_in_time(house: House) -> None:
    """Three units of tenant globex; u1 was exposed on 10 March at noon, and its events lie around that moment."""
    events: Rows = []

    def event(kind: str, unit: str, at: str, **rest: Any) -> None:
        events.append(
            {"event_id": f"e{len(events)}", "type": kind, "unit_id": unit, "occurred_at": f"2024-{at}:00Z", **rest}
        )

    for unit, variant in (("u1", "off"), ("u2", "off"), ("u3", "on")):
        event("assignment", unit, "03-10T12:00", experiment="timing", variant=variant)
    event("assignment", "u1", "03-12T12:00", experiment="timing", variant="off")
    for unit in ("u1", "u2", "u3"):
        event("assignment", unit, "03-01T12:00", experiment="shown", variant="on")
    event("exposure", "u1", "03-10T12:00", experiment="shown", variant="on")
    event("exposure", "u1", "03-11T12:00", experiment="shown", variant="on")
    event("exposure", "u2", "03-10T12:00", experiment="timing", variant="on")
    event("exposure", "u3", "03-10T12:00", experiment="shown")
    for at in ("02-09T11:59", "02-09T12:00", "03-10T11:59", "03-10T12:00", "03-11T12:00"):
        event("visit", "u1", at)  # the second and the third lie in the thirty days before the exposure
    for at, plan in (("03-01T00:00", "basic"), ("03-09T00:00", "family"), ("03-10T12:01", "pro")):
        event("profile", "u1", at, plan=plan)
    for at, amount in (("03-10T11:59", 1), ("03-10T12:00", 10), ("03-17T11:59", 100), ("03-17T12:00", 1000)):
        event("purchase", "u1", at, amount=amount)  # the middle two lie in the seven days after it
    house.write("events.ndjson", "".join(json.dumps(each) + "\n" for each in events))
    house.declare("source", "globex_events", tenant="globex", file="events.ndjson", mode="snapshot")
    house.declare(
        "feature", "visits_before", tenant="globex", unit="user", event="visit", aggregation="count", lookback_days=30
    )
    house.declare(
        "experiment",
        "timing",
        tenant="globex",
        unit="user",
        control="off",
        variants={"off": 2, "on": 1},
        metrics=[
            {"key": "revenue", "type": "sum", "event": "purchase", "column": "amount", "window_days": 7},
            {"key": "purchases", "type": "count", "event": "purchase", "window_days": 7},
            {"key": "bought", "type": "conversion", "event": "purchase"},
        ],
        covariates=["visits_before", "plan"],
    )
    house.declare(
        "experiment",
        "shown",
        tenant="globex",
        unit="user",
        control="off",
        variants={"off": 1, "on": 1},
        metrics=[{"key": "purchases", "type": "count", "event": "purchase"}],
        exposure="logged",
    )


def world_looked_at_daily(house: House) -> None:
    """Tenant initech: 1,200 shoppers in two experiments that read the same events, one looked at every day and one at
    three planned moments."""
    house.write("shoppers.ndjson", "".join(json.dumps(each) + "\n" for each in shoppers()))
    house.declare("source", "initech_events", tenant="initech", file="shoppers.ndjson", mode="snapshot")
    house.declare(
        "experiment",
        "looked_at",
        **LOOKED_AT,
        analysis={
            "sequential": {"planned_units": 2000},
            "prior": {"mean": 0.0, "sd": 0.2},
            "contrasts": {"dose": {"high": 1, "low": -1}, "any": {"high": 0.5, "low": 0.5, "off": -1}},
        },
    )
    house.declare(
        "experiment",
        "planned_looks",
        **LOOKED_AT,
        analysis={"sequential": {"method": "group_sequential", "planned_units": 1200, "looks": 3}},
    )


def world_with_a_question(house: House) -> None:
    """An observational study of 300 people: the treated are older, and treatment adds 2 to the outcome."""
    dice = random.Random(11)
    rows = []
    for number in range(300):
        age = round(dice.gauss(50, 10), 2)
        treated = int(dice.random() < (0.7 if age > 50 else 0.3))
        rows.append(
            {
                "person": f"p{number}",
                "age": age,
                "side": "north" if number % 2 else "south",
                "treated": treated,
                "outcome": round(0.3 * age + 2 * treated + dice.gauss(0, 1), 4),
            }
        )
    house.table("question.csv", rows)
    house.declare(
        "study",
        "question",
        unit="person",
        treatment={"column": "treated", "values": {"control": 0, "treated": 1}},
        outcome={"column": "outcome"},
        confounders=["age"],
        effect_modifiers=["age"],
        segments=["side"],
        source={"file": "question.csv", "unit_id": "person"},
    )
    house.declare("kpi", "worth", study="question", value=10, cost=1, segments=["side"], budget=100)


WORLDS: tuple[Callable[[House], None], ...] = (
    world_with_lift,
    world_with_srm,
    world_to_be_mended,
    world_with_a_broken_log,
    world_of_odd_arms,
    world_with_gaps,
    world_of_towns,
    world_with_unreadable_rows,
    world_that_is_refused,
    world_in_time,
    world_looked_at_daily,
    world_with_a_question,
)
