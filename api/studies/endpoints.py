"""Routes under /v1/studies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from api.answers import Answer, Question
from api.bodies import Key
from api.sessions import AnswersOfApp, Reading
from api.studies import examples
from api.studies.models import StudyResults
from api.studies.queries import page_of, results_of
from causeway.report.study_page import render_study
from causeway.report.study_report import StudyReport

router = APIRouter(prefix="/v1/studies", tags=["studies"])


@router.get("/{key}/results", response_model=StudyResults, responses=examples.RESULTS)
async def get_study_results(
    request: Request,
    session: Reading,
    answers: AnswersOfApp,
    key: Annotated[Key, Path(description="Key of the study.", examples=["engagement_initiation"])],
) -> Response:
    """The effects of an observational study as last materialised, with the attempts to refute them."""

    async def read() -> Answer:
        return Answer.to(request, await results_of(session, key))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


@router.get("/{key}/report", response_class=HTMLResponse, responses=examples.REPORT)
async def get_study_report(
    request: Request,
    session: Reading,
    answers: AnswersOfApp,
    key: Annotated[Key, Path(description="Key of the study.", examples=["engagement_initiation"])],
) -> Response:
    """The study on one HTML page that needs no other file: verdict, effect in words, rules, methods, graph, balance,
    overlap, refutations, sensitivity, differences between units, policy, rows left out.

    It is the page as it was last published; of a withheld study it says why, and shows no number of the effect.
    """

    async def read() -> Answer:
        page = await page_of(session, key)
        if not page:
            page = render_study(StudyReport(key, tenant=request.scope["principal"].tenant))
        return Answer.to(request, page, "text/html")

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)
