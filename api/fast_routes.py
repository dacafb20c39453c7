"""Routes that are asked all the time: matched by a look-up and answered without FastAPI's machinery.

What FastAPI would have derived for the description is written out beside each of them, as its OpenAPI operation.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem, problem_of, problem_response

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FastRoute:
    """One method of one path, whose last segment may be a parameter: ``/ofrep/v1/evaluate/flags/{key}``.

    ``operation`` is its OpenAPI operation, which may refer to the schemas of ``models`` as
    ``#/components/schemas/<class name>``; what every route may answer (401, 403, 422, 500, 503, and of one with a body
    400, 413, 415) is added to it.
    """

    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]
    operation: Mapping[str, Any]
    models: tuple[type[BaseModel], ...] = ()


class FastRoutesMiddleware:
    """Answers the requests for its routes and passes on the others. It stands behind authentication."""

    def __init__(self, app: ASGIApp, routes: Sequence[FastRoute]) -> None:
        self._app = app
        self._exact: dict[str, dict[str, FastRoute]] = {}
        self._below: dict[str, tuple[str, dict[str, FastRoute]]] = {}
        for route in routes:
            parent, _, last = route.path.rpartition("/")
            if last.startswith("{"):
                self._below.setdefault(parent, (last.strip("{}"), {}))[1][route.method] = route
            else:
                self._exact.setdefault(route.path, {})[route.method] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        methods = self._exact.get(scope["path"])
        if methods is None:
            parent, _, last = scope["path"].rpartition("/")
            name, methods = self._below.get(parent, ("", None))
            if methods is None or not last:
                await self._app(scope, receive, send)
                return
            scope["path_params"] = {name: last}
        route = methods.get(scope["method"])
        if route is None:
            allowed = ", ".join(sorted(methods))
            refused = Problem(405, "method-not-allowed", "Method Not Allowed", headers={"Allow": allowed})
            route = next(iter(methods.values()))
            response = problem_response(refused, scope)
        else:
            response = await _answered(route, scope, receive, send)
        scope["answered_by"] = route.path
        await response(scope, receive, send)


async def _answered(route: FastRoute, scope: Scope, receive: Receive, send: Send) -> Response:
    try:
        return await route.answer(Request(scope, receive, send))
    except ClientDisconnect:
        # Nobody is there to read it; the status is what the metrics count.
        return Response(status_code=400)
    except Exception as error:
        problem = problem_of(error)
        if problem.status == 500:
            logger.exception("%s %s failed", route.method, route.path)
        return problem_response(problem, scope)
