"""Pydantic's validation errors, said so that the writer of a declaration knows what to write instead."""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from causeway.declarations.declaration import OF_A_FIELD, OF_A_MODEL, Path
from causeway.declarations.problem import Problem, path_text, shown
from causeway.declarations.suggestion import did_you_mean
from causeway.declarations.yaml_values import Position, YamlValues, quote, reading_of

_EXPECTED = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a mapping such as {a: 1, b: 1}",
    "model_type": "a mapping such as {key: value}",
    "model_attributes_type": "a mapping such as {key: value}",
}
_SENTENCES = {
    "string_too_short": "is empty; expected text",
    "string_unicode": "is not valid Unicode text",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}


def problems_of(error: ValidationError, model: type[BaseModel], text: YamlValues) -> list[Problem]:
    """Every problem of a validation error, at its place in the text; paths that `text` already complains
    about are left out.
    """
    found: dict[tuple[str, str], Problem] = {}
    for details in error.errors(include_url=False):
        for path, at, sentence in _explain(details, model, text):
            complained = any(path[: len(broken)] == broken for broken in text.broken)
            if not complained:
                problem = Problem(path_text(path), at.line, at.column, sentence)
                found.setdefault((problem.path, sentence), problem)
    return list(found.values())


def _explain(details: ErrorDetails, model: type[BaseModel], text: YamlValues) -> Iterator[tuple[Path, Position, str]]:
    kind = details["type"]
    path = _written_path(details["loc"], text, keep_last=kind == "missing")
    if kind == "missing":
        parent, name = path[:-1], str(path[-1])
        field = _field(model, path)
        hint = f": {field.description}" if field is not None and field.description else ""
        at = text.keys.get(parent) or text.position(parent)
        yield parent, at, f"missing key {name!r}{hint}"
    elif kind == "extra_forbidden":
        parent, name = path[:-1], str(path[-1])
        owner = _model(model, parent)
        expected = list(_written_fields(owner)) if owner is not None else []
        if path not in text.broken:
            at = text.keys.get(path) or text.position(path)
            yield (
                parent,
                at,
                f"unknown key {shown(name)}; {_one_of(name, expected)}",
            )
    elif kind in (OF_A_FIELD, OF_A_MODEL):
        # A rule of a field speaks of paths from the model around it; a field that was left out is not in the
        # path.
        named = details["loc"][-1:] == path[-1:]
        base = path[:-1] if kind == OF_A_FIELD and named else path
        for relative, sentence in details["ctx"]["problems"]:
            absolute = (*base, *relative)
            yield absolute, text.position(absolute), sentence
    else:
        yield path, _at(path, details, text), _sentence(details, model, path, text)


def _at(path: Path, details: ErrorDetails, text: YamlValues) -> Position:
    if details["loc"] and details["loc"][-1] == "[key]":
        return text.keys.get(path) or text.position(path)
    return text.position(path)


def _sentence(  # noqa: PLR0911 - one return per kind of error
    details: ErrorDetails, model: type[BaseModel], path: Path, text: YamlValues
) -> str:
    kind, value = details["type"], details["input"]
    if value is None:
        return f"is empty; expected {_EXPECTED.get(kind, 'a value')}"
    if kind == "literal_error":
        field = _field(model, path)
        expected = [str(word) for word in _literals(field)]
        title = field.title if field is not None and field.title else "value that is known here"
        article = "an" if title[0] in "aeiou" else "a"
        return f"{shown(value)} is not {article} {title}; {_one_of(str(value), expected)}"
    if kind == "string_type" and path in text.plain:
        return f"YAML reads {text.plain[path]} as {reading_of(value)}; {quote(text.plain[path])}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {_described(value)}"
    if kind in _BOUNDS:
        limit, words = _BOUNDS[kind]
        return f"must be {words} {details['ctx'][limit]:g}, got {value!r}"
    if kind == "string_pattern_mismatch":
        field = _field(model, path)
        meaning = f", the {field.description}" if field is not None and field.description else ""
        return f"{shown(value)} does not fit {details['ctx']['pattern']}{meaning}"
    if kind == "string_too_long":
        return f"has more than {details['ctx']['max_length']:,} characters"
    return _SENTENCES.get(kind, details["msg"])


def _one_of(written: str, expected: list[str]) -> str:
    return f"expected one of {', '.join(expected)}{did_you_mean(written, expected)}"


def _described(value: object) -> str:
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dt.date):
        return f"the date {value}"
    return reading_of(value)


def _written_path(loc: tuple[int | str, ...], text: YamlValues, keep_last: bool) -> Path:
    """`loc` without the parts that pydantic adds for keys and unions, which stand nowhere in the text."""
    path: Path = ()
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if (*path, part) in text.values or (*path, part) in text.keys or (keep_last and last):
            path = (*path, part)
    return path


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation may stand for, without the Annotated and Optional around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _parts(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(part for option in get_args(annotation) for part in _parts(option))
    return (annotation,)


def _written_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that they are written by."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _step(annotation: Any, part: str | int) -> tuple[Any, FieldInfo | None]:
    for option in _parts(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            field = _written_fields(option).get(str(part))
            if field is not None:
                return field.annotation, field
        arguments = get_args(option)
        if get_origin(option) is tuple and isinstance(part, int) and arguments:
            return arguments[0], None
        if get_origin(option) is dict and arguments:
            return arguments[1], None
    return None, None


def _walk(model: type[BaseModel], path: Path) -> tuple[Any, FieldInfo | None]:
    annotation: Any = model
    field: FieldInfo | None = None
    for part in path:
        annotation, field = _step(annotation, part)
    return annotation, field


def _field(model: type[BaseModel], path: Path) -> FieldInfo | None:
    return _walk(model, path)[1]


def _model(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    for option in _parts(_walk(model, path)[0]):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _literals(field: FieldInfo | None) -> tuple[Any, ...]:
    if field is None:
        return ()
    for option in _parts(field.annotation):
        if get_origin(option) is Literal:
            return get_args(option)
    return ()
