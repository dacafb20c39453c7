"""Graphs written in DOT (graphviz.org/doc/info/lang.html), as far as it says what causes what.

Read are `digraph`s with chains (`a -> b -> c`), groups (`a -> {b c}`, subgraphs), quoted names and attributes.
`a <-> b`, which is DAGitty's and not DOT's, and DOT's own `a -> b [dir=both]` are an unmeasured common cause.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from causeway.effects.graph.edges import Edge, both_ways, check_size

_TOKEN = re.compile(
    r"""(?P<space>\s+ | //[^\n]* | \#[^\n]* | /\*.*?\*/ | \\\n)
    | (?P<both><->) | (?P<arrow>->) | (?P<undirected>--(?=[\s"{\w])) | (?P<mark>[{}\[\];,=:+])
    | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<word>(?:[\w.]|[+-](?=[\w.]))+)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = ("node", "edge", "graph")
_WRITTEN_IN_DOT = "the graph must be written in DOT and start with: digraph {"


def read_dot(text: str) -> tuple[Edge, ...]:
    """The edges of a directed graph in DOT: `digraph { a -> b; "two words" -> b -> c }`, each once, in the order in
    which they are written. Attributes and lone nodes are skipped.

    Raises ValueError, with line and column, for anything else: undirected graphs, arrows drawn backwards
    (`dir=back`), names with spaces that are not quoted, other languages;
    GraphTooLarge, which is one, above the limits in `edges`.

    >>> read_dot('digraph { age -> {drug "blood pressure"}; drug -> "blood pressure" [label="?"] }')
    (('age', 'drug'), ('age', 'blood pressure'), ('drug', 'blood pressure'))
    """
    reader = _Reader(_tokens(text.removeprefix("\ufeff")))
    reader.header()
    reader.statements(closing=True)
    if not reader.at_end():
        raise reader.error("the graph goes on after its last brace")
    if not reader.edges:
        raise ValueError("the graph has no arrows")
    return tuple(dict.fromkeys(reader.edges))


def read_statements(text: str) -> tuple[Edge, ...]:
    """The edges of what may stand between the braces of a graph.

    >>> read_statements("a <-> b")
    (('an unmeasured common cause of a and b', 'a'), ('an unmeasured common cause of a and b', 'b'))
    """
    reader = _Reader(_tokens(text))
    reader.statements(closing=False)
    if not reader.edges:
        raise ValueError("there is no arrow")
    return tuple(dict.fromkeys(reader.edges))


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is arrow, both, undirected, mark, quoted, word or end; line and column count from one."""

    kind: str
    text: str
    line: int
    column: int

    def is_mark(self, mark: str) -> bool:
        return self.kind == "mark" and self.text == mark

    def is_keyword(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def _tokens(text: str) -> list[_Token]:
    check_size(length=len(text))
    tokens: list[_Token] = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        column = position - line_start + 1
        if match is None:
            found = text[position : position + 20]
            raise ValueError(f"the graph cannot be read at line {line}, column {column}: {found!r}")
        kind = match.lastgroup or "space"
        if kind != "space":
            found = match.group(kind)
            # A backslash at the end of a line continues the text on the next one; other escapes are Graphviz's.
            written = found.replace("\\\n", "").replace('\\"', '"') if kind == "quoted" else found
            tokens.append(_Token(kind, written, line, column))
        breaks = text.count("\n", position, match.end())
        if breaks:
            line, line_start = line + breaks, text.rindex("\n", position, match.end()) + 1
        position = match.end()
    tokens.append(_Token("end", "", line, len(text) - line_start + 1))
    return tokens


class _Reader:
    """Reads statements one after the other (a recursive descent) and collects `edges`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self.edges: list[Edge] = []

    @property
    def _now(self) -> _Token:
        return self._tokens[self._place]

    def at_end(self) -> bool:
        return self._now.kind == "end"

    def error(self, words: str) -> ValueError:
        token = self._now
        at = "its end" if token.kind == "end" else repr(token.text)
        return ValueError(f"{words} (the graph at line {token.line}, column {token.column}: {at})")

    def _take(self) -> _Token:
        token = self._now
        self._place += token.kind != "end"
        return token

    def header(self) -> None:
        if self._now.is_keyword("strict"):
            self._take()
        if not self._now.is_keyword("digraph"):
            raise self.error(_WRITTEN_IN_DOT)
        self._take()
        if self._now.kind in ("word", "quoted"):
            self._take()
        if not self._now.is_mark("{"):
            raise self.error(_WRITTEN_IN_DOT)
        self._take()

    def statements(self, *, closing: bool) -> list[str]:
        """Statements up to the closing brace, or to the end; the names in them, each once."""
        names: dict[str, None] = {}
        while not (self.at_end() or self._now.is_mark("}")):
            if self._now.is_mark(";") or self._now.is_mark(","):
                self._take()
                continue
            names.update(dict.fromkeys(self._statement()))
        if closing and not self._now.is_mark("}"):
            raise self.error("the graph needs a closing brace")
        if not closing and not self.at_end():
            raise self.error("there is no opening brace to this one")
        self._take()
        return list(names)

    def _statement(self) -> list[str]:
        if self._now.is_keyword(*_KEYWORDS):
            if not self._tokens[self._place + 1].is_mark("["):
                raise self.error(f"{self._now.text!r} is a word of DOT: as a name it has to stand in quotes")
            self._take()
            self._attributes()
            return []
        if self._now.kind in ("arrow", "both"):
            raise self.error("an arrow in the graph has no beginning")
        names = tail = self._end_of_arrow()
        if self._now.is_mark("="):
            self._take()
            if self._now.kind not in ("word", "quoted"):
                raise self.error("a value is missing in the graph")
            self._take()
            return []
        drawn: list[tuple[list[str], list[str], str]] = []
        while self._now.kind in ("arrow", "both"):
            kind = self._take().kind
            if self._now.kind not in ("word", "quoted") and not self._now.is_mark("{"):
                raise self.error("an arrow in the graph has no end")
            head = self._end_of_arrow()
            drawn.append((tail, head, kind))
            names, tail = [*names, *head], head
        if self._now.kind == "undirected":
            raise self.error("the graph has a line without a direction")
        self._add(drawn, self._direction())
        self._no_name_follows()
        return names

    def _end_of_arrow(self) -> list[str]:
        """A name, or the names of a group."""
        if self._now.is_keyword("subgraph"):
            self._take()
            if self._now.kind in ("word", "quoted"):
                self._take()
            if not self._now.is_mark("{"):
                raise self.error("a subgraph in the graph needs braces")
        if self._now.is_mark("{"):
            self._take()
            self._depth += 1
            if self._depth > 50:
                raise self.error("the graph has more than fifty groups inside each other")
            names = self.statements(closing=True)
            self._depth -= 1
            return names
        if self._now.is_keyword(*_KEYWORDS):
            raise self.error(f"{self._now.text!r} is a word of DOT: as a name it has to stand in quotes")
        if self._now.kind not in ("word", "quoted"):
            raise self.error("a name is missing in the graph")
        token = self._take()
        name = token.text
        while token.kind == "quoted" and self._now.is_mark("+"):
            self._take()
            token = self._take()
            if token.kind != "quoted":
                raise self.error("only texts in quotes can be joined in the graph")
            name += token.text
        if self._now.is_mark(":"):
            raise self.error(f"ports are not read: put a name with a colon into quotes, like {name + ':…'!r}")
        if not name.strip():
            raise self.error("the graph has an empty name")
        return [name]

    def _direction(self) -> str:
        attributes = self._attributes() if self._now.is_mark("[") else {}
        return attributes.get("dir", "forward").lower()

    def _attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self._now.is_mark("["):
            self._take()
            words: list[str] = []
            while not self._now.is_mark("]"):
                if self.at_end():
                    raise self.error("the graph has a bracket without its end")
                token = self._take()
                words.append(token.text)
            self._take()
            for place, word in enumerate(words[1:-1], 1):
                if word == "=":
                    found[words[place - 1].lower()] = words[place + 1]
        return found

    def _add(self, drawn: list[tuple[list[str], list[str], str]], direction: str) -> None:
        if drawn and direction not in ("forward", "both"):
            raise self.error(f"an arrow of the graph has dir={direction}: write it from cause to effect")
        for tails, heads, kind in drawn:
            check_size(n_edges=len(self.edges) + len(tails) * len(heads))
            for tail in tails:
                for head in heads:
                    both = kind == "both" or direction == "both"
                    self.edges.extend(both_ways(tail, head) if both else [(tail, head)])

    def _no_name_follows(self) -> None:
        """DOT lets a space end a statement; but two words on one line are more likely a name with a space."""
        before, token = self._tokens[self._place - 1], self._now
        if self._depth == 0 and token.kind in ("word", "quoted") and before.line == token.line:
            if before.kind not in ("word", "quoted") or token.is_keyword("subgraph", *_KEYWORDS):
                return
            raise self.error(f"put {before.text + ' ' + token.text!r} into quotes, or a semicolon between the two")
