"""Routes under /ofrep/v1, which OpenFeature's providers ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer
from api.assignments.lookups import Reach
from api.fast_routes import FastRoute
from api.ofrep import description
from api.ofrep.answers import Refused, answer_of, failure_of
from api.ofrep.contexts import context_of
from api.ofrep.evaluating import Asked, Evaluating
from api.problems import Problem
from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import FlagSet

PATH = "/ofrep/v1/evaluate/flags"


class Ofrep:
    """Answers OFREP's two routes from the flags in force and what is stored of the unit."""

    def __init__(self, evaluating: Evaluating) -> None:
        self._evaluating = evaluating
        self.routes = (
            FastRoute("POST", PATH + "/{key}", self.evaluate_flag, description.SINGLE, description.MODELS),
            FastRoute("POST", PATH, self.evaluate_flags, description.BULK, description.MODELS),
        )

    async def evaluate_flag(self, request: Request) -> Response:
        """The value of one flag; Problem 400 or 404 with OFREP's members if there is none."""
        key: str = request.path_params["key"]
        tenant: str = request.scope["principal"].tenant
        reach = await self._evaluating.flags(tenant)
        flags = reach.flags
        flag = flags.flags.get(key)
        if flag is None:
            raise _no_flag(key)
        try:
            asked = Asked((key,), context_of(await request.body()), datetime.now(UTC))
            evaluations, headers = await self._evaluated(request, tenant, reach, asked)
            answer = answer_of(flag, evaluations[0], tenant, flags)
        except Refused as refused:
            raise _refusal(refused, key=key) from None
        return _response(request, answer, headers)

    async def evaluate_flags(self, request: Request) -> Response:
        """The value of every flag; Problem 400 with OFREP's members if the context cannot be used."""
        tenant: str = request.scope["principal"].tenant
        reach = await self._evaluating.flags(tenant)
        flags = reach.flags
        try:
            asked = Asked(sorted(flags.flags), context_of(await request.body()), datetime.now(UTC))
            evaluations, headers = await self._evaluated(request, tenant, reach, asked)
        except Refused as refused:
            raise _refusal(refused) from None
        answers = [_answer_or_failure(evaluation, tenant, flags) for evaluation in evaluations]
        whole = {"flags": answers, "metadata": {"flagSetId": tenant, "version": flags.version}}
        return _response(request, whole, headers)

    async def _evaluated(
        self, request: Request, tenant: str, reach: Reach, asked: Asked
    ) -> tuple[list[Evaluation], dict[str, str]]:
        evaluations = await self._evaluating.evaluate(tenant, reach, asked)
        if not _prefers_exposure(request):
            return evaluations, {}
        await self._evaluating.expose(tenant, asked, evaluations)
        # What is answered is what was stored, should somebody else have been first.
        return await self._evaluating.evaluate(tenant, reach, asked), {"Preference-Applied": "exposure=log"}


def _response(request: Request, answer: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    # The ETag is of the body: whatever changes what a unit is told, a stored assignment too, changes it.
    body = orjson.dumps(answer)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response = Answer(body, etag, PATH).response(request.headers)
    response.headers.update(headers)
    return response


def _prefers_exposure(request: Request) -> bool:
    preferences = request.headers.get("prefer")
    if preferences is None:
        return False
    return "exposure=log" in (part.partition(";")[0].strip().lower() for part in preferences.split(","))


def _answer_or_failure(evaluation: Evaluation, tenant: str, flags: FlagSet) -> Mapping[str, Any]:
    try:
        return answer_of(flags.flags[evaluation.flag], evaluation, tenant, flags)
    except Refused as refused:
        return failure_of(evaluation.flag, refused)


def _no_flag(key: str) -> Problem:
    details = f"There is no flag {key!r}."
    return Problem(404, "not-found", details, members={"key": key, "errorCode": "FLAG_NOT_FOUND"})


def _refusal(refused: Refused, **members: str) -> Problem:
    members["errorCode"] = refused.code
    return Problem(400, "evaluation-failed", refused.details, members=members)
