"""Saved groups: texts and numbers, and nothing else."""

from __future__ import annotations

import pytest

from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration


def test_a_number_and_its_digits_are_different_members() -> None:
    declared = read_declaration("kind: saved_group\nkey: g\nvalues: [1, '1', a]\n", "g.yaml")
    assert declared.document()["values"] == [1, "1", "a"]


@pytest.mark.parametrize("value", ["true", "null", "[a]", "{a: 1}"])
def test_what_is_neither_is_refused_with_its_line(value: str) -> None:
    with pytest.raises(DeclarationError, match=r"g\.yaml:3: values\[1\]: "):
        read_declaration(f"kind: saved_group\nkey: g\nvalues: [a, {value}]\n", "g.yaml")
