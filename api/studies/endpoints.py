"""Routes under /v1/studies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.answers import Answer, Question
from api.bodies import Key
from api.sessions import AnswersOfApp, Reading
from api.studies import examples
from api.studies.models import StudyResults
from api.studies.queries import results_of

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
