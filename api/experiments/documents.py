"""Declarations that come as JSON: the same model and the same words about mistakes as in YAML files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from api.problems import FieldError, Problem
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.explanation import problems_of
from causeway.declarations.yaml_values import Position, YamlValues

KIND = "experiment"
MAX_VALUES = 20_000

_FIRST = Position(1, 1)


def declared(document: object, tenant: str) -> ExperimentDeclaration:
    """The experiment that ``document`` declares for ``tenant``; Problem 422 with every mistake in it, by its path.

    Kind and tenant may be left out: the route says the one, the key of the request the other.
    """
    if not isinstance(document, Mapping):
        raise refused([FieldError(location=["body"], code="not_an_object", message="expected a JSON object")])
    whole = {"kind": KIND, "tenant": tenant, **document}
    errors = []
    if whole["tenant"] != tenant:
        errors.append(_error("tenant", "other_tenant", f"the key of this request is of tenant {tenant!r}"))
    if document.get("source") is not None:
        sentence = "a table is landed from a declaration in a file; leave it out to measure the event stream"
        errors.append(_error("source", "not_over_http", sentence))
    values = _values(whole)
    try:
        declaration = ExperimentDeclaration.model_validate(whole)
    except ValidationError as error:
        found = problems_of(error, ExperimentDeclaration, values)
        raise refused([*errors, *(_error(each.path, "invalid", each.sentence) for each in found)]) from None
    if errors:
        raise refused(errors)
    return declaration


def refused(errors: list[FieldError]) -> Problem:
    """422 for a declaration with mistakes."""
    return Problem(422, "invalid-declaration", "The declaration cannot be used as it is.", errors=errors)


def _error(path: str, code: str, message: str) -> FieldError:
    return FieldError(location=["body", path] if path else ["body"], code=code, message=message)


def _values(document: Mapping[str, Any]) -> YamlValues:
    """``document`` with its paths, which is what mistakes are placed by; one line is as good as another here."""
    text = YamlValues(root=document)
    for count, path in enumerate(_paths(document)):
        if count > MAX_VALUES:
            sentence = f"has more than {MAX_VALUES:,} values"
            raise refused([FieldError(location=["body"], code="too_large", message=sentence)])
        text.values[path] = text.keys[path] = _FIRST
    return text


def _paths(document: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        yield path
        # Paths as deep as these are nowhere allowed, and those of a deeper one would only take memory.
        if len(path) > 40:
            continue
        if isinstance(value, Mapping):
            waiting.extend(((*path, name), each) for name, each in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, index), each) for index, each in enumerate(value))
