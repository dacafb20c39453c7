"""What the pages for people say exists: commands, options, files, keys, variables."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from typer.main import get_command

from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration, ExperimentSource
from causeway.declarations.feature import FeatureDeclaration
from causeway.declarations.flag import FlagDeclaration, FlagRule
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.metric import Cap, Exclusion, Metric, MetricDeclaration
from causeway.declarations.plan import Eligible, History, HistoryPlan, Simulated
from causeway.declarations.reading import read_declaration
from causeway.declarations.saved_group import SavedGroupDeclaration
from causeway.declarations.source import Simulation, SourceDeclaration
from causeway.declarations.study import NegativeControls, StudyDeclaration
from causeway.declarations.study_rules import StudyRules
from cli.main import app
from resources.settings import VARIABLES

PROJECT = Path(__file__).resolve().parents[1]
README = PROJECT / "README.md"
PAGES = [README, PROJECT / "CONTRIBUTING.md", PROJECT / "landing" / "README.md", *sorted(PROJECT.glob("docs/**/*.md"))]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(page.read_text()) if found == language]


def commands(page: Path, program: str) -> list[list[str]]:
    """The lines of fenced bash blocks that run ``program``, inside a container or not."""
    found = []
    for line in (line for block in blocks(page, "bash") for line in block.splitlines()):
        inside = line.partition("migrate causeway ")
        text = f"causeway {inside[2]}" if inside[1] else line
        if text.split(" ")[0] == program:
            found.append(shlex.split(text, comments=True)[1:])
    return found


def cases(program: str) -> list[object]:
    return [
        pytest.param(words, id=f"{name_of(page)}: {program} {' '.join(words)}")
        for page in PAGES
        for words in commands(page, program)
    ]


def test_the_readme_shows_the_two_commands_and_keeps_its_place_for_the_answer() -> None:
    shown = commands(README, "make")
    assert ["demo"] in shown and ["test"] in shown
    text = README.read_text()
    assert re.search(r"<!-- demo -->\n```text\n.*?```\n<!-- /demo -->", text, re.DOTALL)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("words", cases("make"))
def test_make_knows_the_target(words: list[str]) -> None:
    done = subprocess.run(["make", "--dry-run", *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", cases("causeway"))
def test_causeway_has_the_command_with_its_options_and_arguments(words: list[str]) -> None:
    redirected = words[: words.index(">")] if ">" in words else words
    group = get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands[redirected[0]]
    # Parses as the shell would, and fails for an unknown option or a missing argument; nothing is run.
    command.make_context(redirected[0], redirected[1:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_declaration_that_a_page_shows_can_be_read(page: Path) -> None:
    for text in blocks(page, "yaml"):
        read_declaration(text, name_of(page))


def test_the_readme_shows_a_spec() -> None:
    (spec,) = blocks(README, "yaml")
    assert isinstance(read_declaration(spec, "README.md"), ExperimentDeclaration)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("first-analysis.md, declarations.md", ExperimentDeclaration),
        ("declarations.md", FlagDeclaration),
        ("declarations.md", FlagRule),
        ("declarations.md", LayerDeclaration),
        ("declarations.md", EventTypeDeclaration),
        ("declarations.md", SavedGroupDeclaration),
        ("first-analysis.md, declarations.md", Metric),
        ("declarations.md", MetricDeclaration),
        ("declarations.md", Cap),
        ("declarations.md", Exclusion),
        ("first-analysis.md", ExperimentSource),
        ("declarations.md", HistoryPlan),
        ("declarations.md", History),
        ("declarations.md", Eligible),
        ("declarations.md", Simulated),
        ("declarations.md", StudyDeclaration),
        ("declarations.md", NegativeControls),
        ("declarations.md", StudyRules),
        *(("declarations.md", type(rule)) for _, rule in StudyRules()),
        ("declarations.md", FeatureDeclaration),
        ("declarations.md", SourceDeclaration),
        ("declarations.md", Simulation),
    ],
)
def test_every_key_of_a_declaration_is_explained(page: str, model: type[BaseModel]) -> None:
    text = "".join((PROJECT / "docs" / name).read_text() for name in page.split(", "))
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_environment_variable_is_explained() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text()
    assert [name for name in VARIABLES if f"`{name}`" not in text] == []


def test_every_decision_record_is_short_and_has_its_three_parts() -> None:
    for page in (PROJECT / "docs" / "decisions").glob("*.md"):
        lines = page.read_text().splitlines()
        assert lines[0].startswith(f"# {page.name[:4]}: ")
        assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
        assert len(lines) <= 60, f"{page.name} is longer than a page"
