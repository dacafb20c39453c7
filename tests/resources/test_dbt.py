"""dbt is told about a database that the project was not parsed for."""

from __future__ import annotations

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


def test_what_was_parsed_for_one_database_is_what_would_be_parsed_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSEWAY_DBT_DATABASE", "elsewhere")
    monkeypatch.setenv("CAUSEWAY_DBT_PORT", "5433")
    anew = dbt._invoke(["parse", "--no-partial-parse", "--no-write-json", "--target-path", str(tmp_path)], None)
    kept = nodes_of(dbt._parsed("", 0.0, "elsewhere"))
    expected = nodes_of(anew)
    assert kept.keys() == expected.keys()
    assert {key: (kept[key], each) for key, each in expected.items() if kept[key] != each} == {}
    assert {node["database"] for node in expected.values()} == {"elsewhere"}


def test_stages_of_a_scratch_copy_have_its_prefix() -> None:
    schemas = {node.schema for node in dbt._parsed("again_", 0.0, "elsewhere").nodes.values()}
    assert "again_experiments" in schemas
    assert not {schema for schema in schemas if not schema.startswith("again_")}
