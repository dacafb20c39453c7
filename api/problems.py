"""Errors as RFC 9457 problem documents: one shape for every failure, with nothing of the inside in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from api.database import DatabaseUnavailable, NotMaterialised, TextRefused

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
OFREP = "/ofrep/"

logger = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    location: list[str | int] = Field(examples=[["body", "unit_id"]])
    code: str = Field(examples=["missing"])
    message: str = Field(examples=["Field required"])


class ProblemDocument(BaseModel):
    """The body of every answer that is not a success (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:causeway:problem:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no experiment 'email_campaign'.",
                    "instance": "/v1/experiments/email_campaign",
                    "errors": [],
                }
            ]
        }
    )

    type: str = Field(description="Stable name of the kind of problem.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    errors: list[FieldError] = Field(description="What is wrong, field by field; empty if no field is to blame.")


class Problem(Exception):
    """A failure that the caller is told about. ``kind`` ends the problem's type and never changes.

    ``members`` are what a protocol of its own wants to find in the document beside the others.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def not_found(what: str, name: str) -> Problem:
    """404 for a thing that is absent, or another tenant's: the caller cannot tell which."""
    return Problem(404, "not-found", f"There is no {what} {name!r}.")


def problem_response(problem: Problem, scope: Scope) -> Response:
    """``problem`` as a response to the request of ``scope``."""
    document = ProblemDocument(
        type=f"urn:causeway:problem:{problem.kind}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        instance=scope["path"],
        errors=list(problem.errors),
    )
    members = document.model_dump() | problem.members
    media_type = MEDIA_TYPE
    if scope["path"].startswith(OFREP):
        # Whoever speaks OFREP looks for these two, in plain JSON; the problem's own members stand beside them.
        members = {"errorCode": "GENERAL", "errorDetails": problem.detail} | members
        media_type = "application/json"
    # Escaped to ASCII, because a detail may quote text that has no UTF-8 form (a lone surrogate).
    return Response(json.dumps(members, ensure_ascii=True), problem.status, problem.headers, media_type)


def problem_of(error: Exception) -> Problem:
    """The problem to answer with when ``error`` ended a request; an unforeseen error becomes a bare 500."""
    match error:
        case Problem():
            return error
        case DatabaseUnavailable():
            logger.warning("database: %s", error)
            return _unavailable("database-unavailable", "The database cannot be reached at the moment; try again.")
        case NotMaterialised():
            return _unavailable(
                "not-materialised",
                "The serving tables are not there yet: materialise the graph (make demo), then try again.",
            )
        case TextRefused() | RecursionError():
            return Problem(422, "invalid-request", "The request holds what cannot be stored.")
        case RequestValidationError() | HTTPException():
            return _of_framework(error)
    return Problem(500, "internal", "Something went wrong on our side; the log has the cause.")


def install(app: FastAPI) -> None:
    """Make every failure of ``app`` a problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(problem_of(error), request.scope)

    for kind in (
        Problem,
        DatabaseUnavailable,
        NotMaterialised,
        TextRefused,
        RecursionError,
        RequestValidationError,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


def _unavailable(kind: str, detail: str) -> Problem:
    return Problem(503, kind, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _of_framework(error: RequestValidationError | HTTPException) -> Problem:
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return Problem(error.status_code, kind, str(error.detail), headers=error.headers)


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    fields = [FieldError(location=list(e["loc"]), code=e["type"], message=e["msg"]) for e in errors]
    if any(field.code == "json_invalid" for field in fields):
        return Problem(400, "bad-request", "The body is not JSON.", errors=fields)
    return Problem(422, "invalid-request", "The request is not as described by /openapi.json.", errors=fields)
