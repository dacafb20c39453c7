"""Routes under /v1/kpis."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.answers import Answer, Question
from api.bodies import Key
from api.kpis import examples
from api.kpis.models import KpiAllocation, KpiGaps, KpiRanking
from api.kpis.queries import allocation_of, gaps_of, ranking_of
from api.sessions import AnswersOfApp, Reading

router = APIRouter(prefix="/v1/kpis", tags=["kpis"])

KpiKey = Annotated[Key, Path(description="Key of the KPI.", examples=["initiation_value"])]


@router.get("/{key}/gaps", response_model=KpiGaps, responses=examples.GAPS)
async def get_kpi_gaps(request: Request, session: Reading, answers: AnswersOfApp, key: KpiKey) -> Response:
    """Of each segment the KPI as it is against the one that treatment could reach, in money."""

    async def read() -> Answer:
        return Answer.to(request, await gaps_of(session, key))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


@router.get("/{key}/ranking", response_model=KpiRanking, responses=examples.RANKING)
async def get_kpi_ranking(request: Request, session: Reading, answers: AnswersOfApp, key: KpiKey) -> Response:
    """Segments in order, with the places that the data leave open and the ties."""

    async def read() -> Answer:
        return Answer.to(request, await ranking_of(session, key))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


@router.get("/{key}/allocation", response_model=KpiAllocation, responses=examples.ALLOCATION)
async def get_kpi_allocation(request: Request, session: Reading, answers: AnswersOfApp, key: KpiKey) -> Response:
    """Who is to be treated with the declared budget and under the declared constraints, and what that brings."""

    async def read() -> Answer:
        return Answer.to(request, await allocation_of(session, key))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)
