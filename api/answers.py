"""Answers that are kept until what they were made from is published anew."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

CHANNEL = "serving_changed"

_BYTES_KEPT = 64 * 1024 * 1024
_BYTES_PER_ANSWER = 1024 * 1024


class Question(NamedTuple):
    """What was asked for, by whom: requests that are equal in this get the same answer."""

    tenant: str
    path: str
    query: bytes

    @classmethod
    def of(cls, scope: Scope) -> Question:
        """The question of an authenticated request."""
        return cls(scope["principal"].tenant, scope["path"], scope["query_string"])


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a body, their strong ETag, the template of the route that gave them, and what they are."""

    body: bytes
    etag: str
    route: str
    media_type: str = "application/json"

    @classmethod
    def to(cls, request: Request, text: str, media_type: str = "application/json") -> Answer:
        """The answer to ``request`` whose body is ``text``; equal bodies have equal ETags."""
        body = text.encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', request.scope["route"].path, media_type)

    def response(self, headers: Headers) -> Response:
        """200 with the body, or 304 without one if If-None-Match in the request's ``headers`` names it."""
        own = {"ETag": self.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key"}
        if _names(headers.get("if-none-match"), self.etag):
            return Response(status_code=304, headers=own)
        return Response(self.body, headers=own, media_type=self.media_type)


class Answers:
    """A cache of answers.

    It keeps nothing while nobody could tell it of a publication (``linked(False)``). An answer that was being
    read while somebody published is given to its caller and not kept, for it may be the old one.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._kept: dict[Question, tuple[Answer, float]] = {}
        self._bytes = 0
        self._linked = False
        self._publications = 0

    @property
    def is_linked(self) -> bool:
        """Whether publications can be heard, so that answers may be kept."""
        return self._linked

    def linked(self, is_linked: bool) -> None:
        """Hear publications from now on, or no longer; either way nothing older is trusted."""
        self._linked = is_linked
        self.published("")

    def published(self, tenant: str) -> None:
        """Forget what ``tenant`` was told; an empty name forgets all."""
        self._publications += 1
        for question in [question for question in self._kept if tenant in ("", question.tenant)]:
            self._forget(question)

    def kept(self, question: Question) -> Answer | None:
        """The answer to ``question``, if it was given lately and nothing was published since."""
        answer, until = self._kept.get(question, (None, 0.0))
        return answer if self._clock() < until else None

    async def read(self, question: Question, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer that ``read`` gives, which is kept if it can be."""
        before = self._publications
        answer = await read()
        if self._linked and before == self._publications and len(answer.body) <= _BYTES_PER_ANSWER:
            self._forget(question)
            self._kept[question] = (answer, self._clock() + self._lifetime)
            self._bytes += len(answer.body)
            while self._bytes > _BYTES_KEPT:
                self._forget(next(iter(self._kept)))
        return answer

    def _forget(self, question: Question) -> None:
        answer, _ = self._kept.pop(question, (None, 0.0))
        if answer is not None:
            self._bytes -= len(answer.body)


class AnswersMiddleware:
    """Gives a kept answer without going any further. It stands behind authentication."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and "principal" in scope:
            answer = self._answers.kept(Question.of(scope))
            if answer is not None:
                scope["answered_by"] = answer.route
                await answer.response(Headers(scope=scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _names(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
