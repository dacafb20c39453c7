"""JSON that can be read in one way only: UTF-8, and every member of an object there once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.problems import FieldError, Problem

M = TypeVar("M", bound=BaseModel)


def read_json(body: bytes) -> Any:
    """The value of ``body``. Problem 400 if it is not JSON, 422 if one member is there twice: which one was meant?

    NaN and infinities are read, so that whoever checks the members can say which of them is not a number.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_each_once)
    except _TwiceThere as twice:
        field = FieldError(location=["body"], code="duplicate_member", message=str(twice))
        raise Problem(422, "invalid-request", "The body can be read in more than one way.", errors=[field]) from None
    except (ValueError, RecursionError):
        raise Problem(400, "bad-request", "The body is not JSON.") from None


def validated(model: type[M], document: object, where: str = "body") -> M:
    """``document``, found ``where`` in the request, as ``model``; the same error as from FastAPI if it is not one."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        errors = [{**each, "loc": (where, *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(errors) from None


class _TwiceThere(Exception):
    """An object has two members of one name."""


def _each_once(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceThere(f"the member {twice[:100]!r} is there twice")
    return found
