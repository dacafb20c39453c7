"""The page for a backend developer's first use: every command and snippet on it is run, in order, against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.serving_client import serving_api
from resources.migration import ensure_tenant, new_key
from resources.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "quickstart_backend.md"
ENVIRONMENT = ("CAUSEWAY_URL", "CAUSEWAY_KEY")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every fenced block, in the order of the page."""
    found = _BLOCK.findall(PAGE.read_text())
    assert len(found) * 2 == PAGE.read_text().count("```"), "a block is not as this test reads it"
    return found


def is_run(language: str, text: str) -> bool:
    """Whether a block is a step: the others show what steps print, or set up what this test sets up by itself."""
    return language in {"bash", "python"} and not text.startswith(("causeway ", "export "))


def run(language: str, text: str, environment: dict[str, str], folder: Path) -> str:
    """What a block prints; the test fails with what it complained of if it fails."""
    command = [sys.executable, "-c", text] if language == "python" else ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(database: Settings) -> Iterator[dict[str, str]]:
    """A server, and the environment in which the page's reader has it."""
    if shutil.which("curl") is None:
        pytest.fail("curl is not installed, and the page's first commands are curl's")
    ensure_tenant(database, "shop")
    with serving_api(database) as api:
        yield {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "CAUSEWAY_URL": api.url,
            "CAUSEWAY_KEY": new_key(database, "shop").key,
        }


@pytest.fixture(scope="module")
def printed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """Every step's language and text, and what it printed; run in order, as a reader would."""
    folder = tmp_path_factory.mktemp("quickstart")
    steps = [(language, text) for language, text in blocks() if is_run(language, text)]
    return [(language, text, run(language, text, environment, folder)) for language, text in steps]


def test_every_command_and_snippet_of_the_page_works(printed: list[tuple[str, str, str]]) -> None:
    languages = [language for language, _, _ in printed]
    assert languages.count("bash") >= 4
    snippets = [text for language, text, _ in printed if language == "python"]
    assert len(snippets) == 2
    assert "openfeature" in snippets[0] and "growthbook" in snippets[1]


def test_what_the_page_shows_is_what_is_printed(printed: list[tuple[str, str, str]]) -> None:
    outputs = {text: output for _, text, output in printed}
    shown = 0
    for (_, text), (language, expected) in zip(blocks(), blocks()[1:], strict=False):
        if language == "text":
            assert outputs[text] == expected
            shown += 1
        elif language == "json":
            assert_like(json.loads(expected), json.loads(outputs[text]))
            shown += 1
    assert shown == 3


def test_the_steps_do_what_the_page_says(printed: list[tuple[str, str, str]]) -> None:
    declared, assigned, _, _, stored, changed, switched = (output for _, _, output in printed)
    assert json.loads(declared)["status"] == "running"
    assert json.loads(assigned)["in_experiment"] is True
    assert json.loads(stored)["accepted"] == 1
    assert json.loads(changed)["declaration"]["coverage"] == 0.5
    off, evaluated = (json.loads(line) for line in re.split(r"(?<=\})(?=\{)", switched))
    assert off["key"] == "new_checkout"
    assert (evaluated["value"], evaluated["reason"]) == (False, "DISABLED")


def test_the_page_says_what_it_expects_of_the_environment() -> None:
    text = PAGE.read_text()
    assert set(re.findall(r"\bCAUSEWAY_\w+", text)) == set(ENVIRONMENT)


def assert_like(expected: Any, found: Any) -> None:
    """Equal, but for texts written as "...", which are others in every run."""
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        if value == "...":
            assert isinstance(found[name], str) and found[name], name
        else:
            assert found[name] == value, name
