"""The road has one direction and every room its name: what no single module could tell about the whole."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from definitions import defs

PROJECT = Path(__file__).resolve().parents[1]
ROAD = ("raw", "events", "experiments", "features", "models", "twins", "design", "estimates", "decisions", "serving")
# What users declare lies beside the road, where it begins.
PLACES = ("registry", *ROAD)
GRAPH = defs.resolve_asset_graph()
MADE = sorted(GRAPH.materializable_asset_keys)
ORCHESTRATED = ("assets", "jobs", "sensors")
CODE = (*ORCHESTRATED, "api", "causeway", "cli", "resources", "migrations", "benchmarks", "tests")
HEAVY = ("econml", "dowhy", "great_expectations", "mlflow", "sklearn", "shap", "xgboost")


def stage(key: dg.AssetKey) -> str:
    return key.path[0]


def back_edges(graph: AssetGraph) -> list[str]:
    """Every edge that leads from a stage to one on its left, or to or from a stage that is not on the road."""
    wrong = []
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            here, there = stage(key), stage(parent)
            if here not in PLACES or there not in PLACES or PLACES.index(there) > PLACES.index(here):
                wrong.append(f"{key.to_user_string()} reads {parent.to_user_string()}")
    return wrong


def test_no_asset_reads_from_a_stage_to_its_right() -> None:
    assert back_edges(GRAPH) == []


def test_the_walk_sees_edges_of_python_and_of_dbt() -> None:
    """A walker that saw no edge would find no back edge either."""
    edges = {
        (parent.to_user_string(), key.to_user_string())
        for key in GRAPH.get_all_asset_keys()
        for parent in GRAPH.get(key).parent_keys
    }
    assert ("raw/events", "events/events") in edges
    assert ("experiments/sufficient_statistics", "experiments/health") in edges
    assert ("estimates/adjusted_effects", "serving/experiment_results") in edges


@pytest.mark.parametrize("there", ["serving", "elsewhere"])
def test_the_walk_finds_a_back_edge_and_a_stage_that_is_not_on_the_road(there: str) -> None:
    @dg.asset(key=[there, "shortcut"])
    def shortcut() -> None: ...

    @dg.asset(key=["features", "tempted"], deps=[[there, "shortcut"]])
    def tempted() -> None: ...

    found = back_edges(dg.Definitions(assets=[shortcut, tempted]).resolve_asset_graph())
    assert found == [f"features/tempted reads {there}/shortcut"]


@pytest.mark.parametrize("name", ROAD)
def test_every_stage_makes_something(name: str) -> None:
    assert [key for key in MADE if stage(key) == name]


def test_stages_are_the_folders_of_assets_and_of_dbt() -> None:
    folders = {path.name for path in (PROJECT / "assets").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(PLACES)
    assert {path.name for path in (PROJECT / "dbt_project" / "models").iterdir() if path.is_dir()} <= set(ROAD)


@pytest.mark.parametrize("key", MADE, ids=lambda key: key.to_user_string())
def test_every_asset_says_what_it_is_who_owns_it_and_its_grain(key: dg.AssetKey) -> None:
    node = GRAPH.get(key)
    assert node.group_name == stage(key)
    assert node.kinds
    assert node.owners
    assert node.code_version
    sentences = re.split(r"(?<=\.)\s+", (node.description or "").partition("\n\n")[0].strip())
    assert re.fullmatch(r"One row per .+\.", sentences[-1]), node.description


@pytest.mark.parametrize(
    "key", sorted(set(GRAPH.get_all_asset_keys()) - set(MADE)), ids=lambda key: key.to_user_string()
)
def test_what_lies_outside_the_graph_is_described_with_its_grain_too(key: dg.AssetKey) -> None:
    node = GRAPH.get(key)
    assert node.group_name == stage(key)
    assert re.search(r"One row per [^.]+\.$", node.description or ""), node.description


@pytest.mark.parametrize(
    "key", [key for key in MADE if "dbt" not in GRAPH.get(key).kinds], ids=lambda key: key.to_user_string()
)
def test_a_python_asset_lies_in_the_file_of_its_name(key: dg.AssetKey) -> None:
    folder = PROJECT / "assets" / stage(key)
    made_together = {each.path[1] for each in GRAPH.get(key).assets_def.keys}
    assert [name for name in sorted(made_together) if (folder / f"{name}.py").is_file()]


def test_partitioned_assets_and_their_checks_share_their_partitions() -> None:
    for check_key in GRAPH.asset_check_keys:
        asset = GRAPH.get(check_key.asset_key)
        assert GRAPH.get(check_key).partitions_def == asset.partitions_def, check_key


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", python_files(*ORCHESTRATED), ids=lambda path: str(path.relative_to(PROJECT)))
def test_annotations_stay_types_where_dagster_reads_them(path: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in imports if node.module == "__future__"] == []


def test_no_file_is_called_by_a_name_that_says_nothing() -> None:
    silent = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [path for path in python_files(*CODE) if path.stem in silent or silent & set(path.parent.parts)] == []


def test_definitions_list_things_and_import_no_estimator() -> None:
    """Each of these takes seconds, which every run, every code location and every command would pay."""
    code = f"import definitions, json, sys; print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    command = str(program) if program.exists() else shutil.which("lint-imports")
    assert command, "import-linter is a development dependency; install it"
    done = subprocess.run(
        [command, "--no-cache"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", python_files("assets"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_file_of_assets_fits_in_one_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300
