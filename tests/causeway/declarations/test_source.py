"""Sources: one world or one file, never both and never neither."""

from __future__ import annotations

import pytest

from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration
from causeway.declarations.source import SourceDeclaration

HEAD = "kind: source\nkey: events\n"


def source(text: str) -> SourceDeclaration:
    declaration = read_declaration(HEAD + text, "source.yaml")
    assert isinstance(declaration, SourceDeclaration)
    return declaration


def test_a_world_has_defaults_for_seed_and_scale() -> None:
    world = source("simulate: {world: planner}").simulate
    assert world is not None
    assert (world.world, world.seed, world.scale) == ("planner", 1, 1.0)


def test_a_file_is_appended_unless_it_is_a_snapshot() -> None:
    assert source("file: events.ndjson").mode == "append"
    assert source("file: events.ndjson\nmode: snapshot").mode == "snapshot"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "source.yaml:1: a source needs exactly one of simulate and file"),
        (
            "simulate: {world: pharma}\nfile: x.csv",
            "source.yaml:1: a source needs exactly one of simulate and file",
        ),
        (
            "simulate: {world: farma}",
            "source.yaml:3: simulate.world: 'farma' is not a world; expected one of pharma, planner",
        ),
        ("simulate: {world: pharma, scale: 0}", "source.yaml:3: simulate.scale: must be above 0, got 0"),
        (
            "simulate: {world: pharma, seed: 1.5}",
            "source.yaml:3: simulate.seed: expected a whole number, got the number 1.5",
        ),
        ("simulate: {world: pharma}\nmode: snapshot", "source.yaml:4: mode: mode is about files"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        source(text)
    assert message in str(raised.value)
