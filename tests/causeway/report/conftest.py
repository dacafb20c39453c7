"""A browser for the pages of this folder, and the pages as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.browser.chromium import Tab, program, running


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if program() is None:
        pytest.skip("there is no Chromium, and only root can install one")
    with running(tmp_path_factory.mktemp("profile")) as browser:
        yield browser.tab()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, str]], dict[str, Path]]:
    """Files of pages by name."""

    def write(pages: Mapping[str, str]) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("pages")
        files = {name: folder / f"{name.replace(' ', '_')}.html" for name in pages}
        for name, file in files.items():
            file.write_text(pages[name], encoding="utf-8")
        return files

    return write
