"""``causeway assign``: units by name and by table, against what is declared and what is stored."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import FlagSet
from resources.flags_in_force import flags_in_force
from resources.postgres_client import PostgresClient
from resources.registry import register_folder

if TYPE_CHECKING:
    from conftest import CommandLine

DECLARED = """\
kind: experiment
key: checkout
tenant: shop
unit: customer
control: old
variants: {old: 1, new: 1}
configs: {old: {steps: 3}, new: {steps: 1}}
metrics: [{key: orders, type: count, event: order}]
targeting: {country: {$in: [DE, AT]}}
forced: {"007": new}
layer: page
"""
LAYER = """\
kind: layer
key: page
tenant: shop
unit: customer
allocations: [{experiment: checkout, from: 0, to: 9000}]
"""


@pytest.fixture(scope="module")
def flags(client: PostgresClient, tmp_path_factory: pytest.TempPathFactory) -> FlagSet:
    folder = tmp_path_factory.mktemp("declared")
    (folder / "checkout.yaml").write_text(DECLARED)
    (folder / "page.yaml").write_text(LAYER)
    client.execute("INSERT INTO registry.tenants (tenant_id) VALUES ('shop') ON CONFLICT DO NOTHING")
    register_folder(client, folder)
    client.execute(
        "INSERT INTO raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
        " VALUES ('shop', 'checkout', 0, 'kept', 'new', 'api') ON CONFLICT DO NOTHING"
    )
    with client.transaction() as transaction:
        return flags_in_force(transaction, "shop")


def said(flags: FlagSet, unit: str, country: str | None) -> dict[str, Any]:
    context = {"targetingKey": unit, **({} if country is None else {"country": country})}
    found = evaluate(flags, "checkout", context, at=datetime.now(UTC))
    return {name: getattr(found, name) for name in ("variant", "status", "bucket", "layer", "policy_version")}


def test_units_by_name_are_evaluated_with_their_context_and_what_is_stored(
    causeway: CommandLine, flags: FlagSet
) -> None:
    done = causeway("assign", "checkout", "c1", "kept", "--tenant", "shop", "--context", '{"country": "DE"}', "--json")
    assert done.code == 0, done.err
    first, kept = done.json
    assert {name: first[name] for name in said(flags, "c1", "DE")} == said(flags, "c1", "DE")
    assert (kept["variant"], kept["status"], kept["config"], kept["sticky"]) == ("new", "sticky", {"steps": 1}, True)


def test_an_explanation_names_the_rule_and_why(causeway: CommandLine, flags: FlagSet) -> None:
    done = causeway("assign", "checkout", "c1", "--tenant", "shop", "--context", '{"country": "FR"}', "--explain")
    assert done.code == 0, done.err
    assert "not_targeted" in done.out
    assert "the unit's attributes do not meet the condition" in done.out
    assert "not matched" in done.out
    in_json = causeway("assign", "checkout", "c1", "--tenant", "shop", "--explain", "--json").json[0]
    assert in_json["steps"][0]["flag"] == "checkout"


UNITS = [("c1", "DE"), ("007", None), ("kept", None), ("42", "AT"), ("ä", "FR"), *((f"u{n}", "DE") for n in range(50))]


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("customer", "country"), *UNITS])


def table() -> pa.Table:
    return pa.table({"customer": [unit for unit, _ in UNITS], "country": [country for _, country in UNITS]})


WRITERS: dict[str, Callable[[Path], object]] = {
    ".csv": write_csv,
    ".parquet": lambda path: pa.parquet.write_table(table(), path),
    ".arrow": lambda path: pa.feather.write_feather(table(), str(path), compression="uncompressed"),
    ".ndjson": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in table().to_pylist())),
}
READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".csv": lambda path: list(csv.DictReader(path.open())),
    ".parquet": lambda path: pa.parquet.read_table(path).to_pylist(),
    ".arrow": lambda path: pa.feather.read_table(str(path)).to_pylist(),
    ".ndjson": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
}


@pytest.mark.parametrize(
    ("read", "write"), [(".csv", ".ndjson"), (".parquet", ".csv"), (".arrow", ".parquet"), (".ndjson", ".arrow")]
)
def test_a_file_of_units_becomes_a_file_of_assignments(
    causeway: CommandLine, flags: FlagSet, tmp_path: Path, read: str, write: str
) -> None:
    units, out = tmp_path / f"units{read}", tmp_path / f"out{write}"
    WRITERS[read](units)
    done = causeway(
        "assign", "checkout", "--units", units, "--unit-column", "customer", "--out", out, "--tenant", "shop", "--json"
    )
    assert done.code == 0, done.err
    rows = READERS[write](out)
    assert [row["unit_id"] for row in rows] == [unit for unit, _ in UNITS]
    for row, (unit, country) in zip(rows, UNITS, strict=True):
        expected = {"variant": "new", "status": "sticky"} if unit == "kept" else said(flags, unit, country)
        # CSV cannot tell nothing from an empty text.
        assert (row["variant"] or None, row["status"]) == (expected["variant"], expected["status"])
    config = rows[1]["config"]
    assert (config if isinstance(config, dict) else json.loads(config)) == {"steps": 1}
    assert done.json["units"] == len(UNITS)
    assert sum(row["units"] for row in done.json["counts"] if row["status"] == "forced") == 1


def test_a_table_of_counts_is_printed(causeway: CommandLine, flags: FlagSet, tmp_path: Path) -> None:
    write_csv(tmp_path / "units.csv")
    done = causeway(
        "assign", "checkout", "--tenant", "shop", "--units", tmp_path / "units.csv", "--unit-column", "customer",
        "--out", tmp_path / "out.parquet",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "not_targeted" in done.out
    assert "forced" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name units, or a file of them"),
        (["c1", "--units", "units.csv", "--out", "out.csv"], "name units, or a file of them"),
        (["--units", "units.csv"], "where to write"),
        (["--units", "units.xlsx", "--out", "out.csv"], "units.xlsx has no form that can be read: .csv"),
        (["--units", "units.csv", "--out", "out.xlsx"], "out.xlsx has no form that can be written: .csv"),
        (["--units", "nothing.csv", "--out", "out.csv"], "there is no file"),
        (["--units", "units.csv", "--out", "nowhere/out.csv"], "there is no folder"),
        (["--units", "units.csv", "--out", "out.csv"], "no column 'unit_id'; it has customer, country"),
        (["--units", "broken.parquet", "--out", "out.csv"], "broken.parquet cannot be read"),
        (["c1", "--context", "[1]"], "--context must be a JSON object"),
        (["c1", "--at", "noon"], "--at 'noon' is no time"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_expected(
    causeway: CommandLine, flags: FlagSet, tmp_path: Path, arguments: list[str], words: str
) -> None:
    write_csv(tmp_path / "units.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    named = [
        str(tmp_path / word) if before in ("--units", "--out") else word
        for before, word in zip(["", *arguments], arguments, strict=False)
    ]
    done = causeway("assign", "checkout", "--tenant", "shop", *named)
    assert done.code == 2
    assert words in done.line
    assert not (tmp_path / "out.csv").exists()


def test_an_experiment_that_is_not_there_is_named(causeway: CommandLine, flags: FlagSet) -> None:
    done = causeway("assign", "chekout", "c1", "--tenant", "shop")
    assert done.code == 2
    assert "tenant shop has no experiment 'chekout'" in done.line
