"""YAML into plain values, each with the line and column it was written at, and every oddity named instead of
guessed at.

Scalars follow YAML 1.2 for numbers (``010``, ``1:30`` and ``1_000`` are text, ``1e-3`` is a number) and YAML
1.1 for truth (``no`` and ``on`` are booleans), because the first cannot be meant otherwise and the second is
what every other reader of the same file sees.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from causeway.declarations.declaration import Path
from causeway.declarations.problem import Problem, path_text, shown

MAX_CHARACTERS = 262_144
MAX_DEPTH = 20
MAX_VALUES = 20_000

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_TRUTH = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_NOTHING = {"", "~", "null", "Null", "NULL"}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEXT_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge", "seq", "map")
}


@dataclass(frozen=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int

    @classmethod
    def of(cls, mark: yaml.Mark) -> Position:
        return cls(mark.line + 1, mark.column + 1)


@dataclass
class YamlValues:
    """A document as plain values, with what is wrong about its writing.

    ``values`` and ``keys`` say where each path's value and key stand, ``plain`` what an unquoted scalar looks
    like in the text, and ``broken`` which paths already have a problem, so that nobody complains about them
    twice.
    """

    root: Any = None
    problems: list[Problem] = field(default_factory=list)
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    plain: dict[Path, str] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)

    def position(self, path: Path) -> Position:
        """Where the value at `path`, or the nearest thing around it, was written."""
        if path in self.values:
            return self.values[path]
        while path:
            path = path[:-1]
            if path in self.keys or path in self.values:
                return self.keys.get(path) or self.values[path]
        return Position(1, 1)


class _TooDeep(yaml.MarkedYAMLError):
    """Lists or mappings inside each other beyond what any declaration needs."""


class _ShallowLoader(yaml.SafeLoader):
    """Composes nodes and stops before deep nesting exhausts the interpreter's stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.get_mark()
            raise _TooDeep(problem=f"is nested more than {MAX_DEPTH} levels deep", problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_yaml(text: str) -> YamlValues:
    """Read one YAML document. Never raises on bad text: what is wrong is listed in ``problems``."""
    found = YamlValues()
    if len(text) > MAX_CHARACTERS:
        found.problems.append(
            Problem("", 1, 1, f"has {len(text):,} characters; a declaration has at most {MAX_CHARACTERS:,}")
        )
        return found
    documents = _compose(text, found)
    if found.problems:
        return found
    if not documents:
        found.problems.append(Problem("", 1, 1, "the document is empty; expected a declaration that starts with kind:"))
    elif len(documents) > 1:
        second = Position.of(documents[1].start_mark)
        found.problems.append(
            Problem("", second.line, second.column, "a second document starts here; a file holds one declaration")
        )
    else:
        found.root = _Converter(found).convert(documents[0], ())
    return found


def _compose(text: str, found: YamlValues) -> list[yaml.Node]:
    nodes: list[yaml.Node] = []
    loader: _ShallowLoader | None = None
    try:
        loader = _ShallowLoader(text)
        while len(nodes) < 2 and loader.check_node():
            node = loader.get_node()
            # An empty document beside a real one (a leading or trailing ---) says nothing.
            if node is not None and not (isinstance(node, yaml.ScalarNode) and not node.style and node.value == ""):
                nodes.append(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        found.problems.append(Problem("", line, column, f"the character U+{code:04X} is not allowed in YAML"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position.of(mark) if mark is not None else Position(1, 1)
        found.problems.append(Problem("", at.line, at.column, _syntax_sentence(error)))
    except (ValueError, OverflowError) as error:
        # PyYAML passes on what chr() and int() say about escapes and directives that they cannot take.
        at = Position.of(loader.get_mark()) if loader is not None else Position(1, 1)
        found.problems.append(Problem("", at.line, at.column, f"is not valid YAML: {error}"))
    return nodes


def _syntax_sentence(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if isinstance(error, _TooDeep):
        return problem
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    context = f" {error.context}:" if error.context else ""
    return f"is not valid YAML:{context} {problem}"


class _Converter:
    """Turns nodes into values, counting them, so that aliases cannot make a small text large."""

    def __init__(self, found: YamlValues) -> None:
        self.found = found
        self.count = 0

    def convert(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        at = Position.of(node.start_mark)
        self.found.values[path] = at
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            if self.count <= MAX_VALUES or self.count == MAX_VALUES + 1:
                self._complain(path, at, "aliases make this declaration too large, or contain themselves")
                self.count = MAX_VALUES + 1
            return None
        if node.tag not in _PLAIN_TAGS:
            self._complain(path, at, f"the tag {shown(node.tag)} is not allowed; write a plain value")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        value = _scalar(node)
        if isinstance(value, _NotADay):
            self._complain(path, at, f"{node.value} is not a day of the calendar")
            return None
        if not isinstance(value, str):
            self.found.plain[path] = node.value
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            at = Position.of(key_node.start_mark)
            if self.count > MAX_VALUES:
                break
            if not isinstance(key_node, yaml.ScalarNode):
                sentence = "a key must be one word or a quoted text, not a list or a mapping"
                self.found.problems.append(Problem(path_text(path), at.line, at.column, sentence))
                continue
            key = key_node.value
            key_path = (*path, key)
            meaning = _scalar(key_node)
            if key in first_line:
                self._complain(key_path, at, f"this key already stands in line {first_line[key]}")
                continue
            first_line[key] = at.line
            self.found.keys[key_path] = at
            if key == "<<" and not key_node.style:
                self._complain(key_path, at, "the merge key << is not supported; write the keys out")
                continue
            if not isinstance(meaning, str) and type(meaning) is not int:
                self._complain(
                    key_path,
                    at,
                    f"YAML reads the key {shown_plain(key)} as {reading_of(meaning)}; {quote(key)}",
                )
            mapping[key] = self.convert(value_node, key_path)
        return mapping

    def _complain(self, path: Path, at: Position, sentence: str) -> None:
        self.found.broken.add(path)
        self.found.problems.append(Problem(path_text(path), at.line, at.column, sentence))


class _NotADay:
    """Text that looks like a day, on a day that no calendar has."""


def _scalar(node: yaml.ScalarNode) -> Any:  # noqa: PLR0911 - one return per kind of scalar
    text: str = node.value
    # A number such as 1e-3, which YAML 1.2 knows, is text to PyYAML's YAML 1.1 rules.
    if node.style or (node.tag == _TEXT_TAG and not _DECIMAL.fullmatch(text)):
        return text
    if text in _NOTHING:
        return None
    if text.lower() in _TRUTH and text in (text.lower(), text.upper(), text.capitalize()):
        return _TRUTH[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    if _DAY.fullmatch(text):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            return _NotADay()
    return text


def quote(text: str) -> str:
    """The advice to put a word in quotes."""
    return f'write "{shown_plain(text)}" in quotes to mean the text'


def shown_plain(text: str) -> str:
    """Text as it can be shown in a message without quotes around it."""
    return repr(text[:80])[1:-1] if text else '""'


def reading_of(value: object) -> str:
    """What YAML made of a plain scalar, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, dt.date):
        return "a date"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    return "something else than text"
