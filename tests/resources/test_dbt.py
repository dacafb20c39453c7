"""dbt is told about a database that the project was not parsed for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resources import dbt

WHEN_IT_WAS_PARSED = {"created_at", "build_path"}


def nodes_of(parsed: Any) -> dict[str, dict[str, Any]]:
    return {
        node.unique_id: {name: value for name, value in node.to_dict().items() if name not in WHEN_IT_WAS_PARSED}
        for node in (*parsed.nodes.values(), *parsed.sources.values())
    }


@pytest.mark.parametrize("prefix", ["", "again_", "events"])
def test_what_was_parsed_once_is_what_would_be_parsed_for_another_database_and_other_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("CAUSEWAY_DBT_DATABASE", "elsewhere")
    monkeypatch.setenv("CAUSEWAY_DBT_PORT", "5433")
    variables = json.dumps({"schema_prefix": prefix, "known_at": "2024-01-01", "partition": "acme|lift"})
    parse = ["parse", "--no-partial-parse", "--no-write-json", "--target-path", str(tmp_path), "--vars", variables]
    expected = nodes_of(dbt._invoke(parse, None))
    kept = nodes_of(dbt._at("elsewhere", prefix))
    assert kept.keys() == expected.keys()
    assert {key: (kept[key], each) for key, each in expected.items() if kept[key] != each} == {}
    assert {node["database"] for node in expected.values()} == {"elsewhere"}


def test_only_what_was_received_is_not_copied() -> None:
    parsed = dbt._at("elsewhere", "again_")
    assert "again_experiments" in {node.schema for node in parsed.nodes.values()}
    outside = {node.schema for node in (*parsed.nodes.values(), *parsed.sources.values())}
    assert {schema for schema in outside if not schema.startswith("again_")} == {"raw"}


def test_a_copy_leaves_what_was_parsed_as_it_is() -> None:
    before = nodes_of(dbt._at("one", ""))
    dbt._at("two", "again_")
    assert nodes_of(dbt._at("one", "")) == before
