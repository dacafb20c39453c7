"""Routes under /v1/experiments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.answers import Answer, Question
from api.bodies import Key
from api.experiments import examples
from api.experiments.models import Experiment, ExperimentPage, ExperimentResults, ResultFilter
from api.experiments.queries import experiment_of, page_of_experiments, results_of
from api.pages import link_to_next
from api.sessions import AnswersOfApp, Reading

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

ExperimentKey = Annotated[Key, Path(description="Key of the experiment.", examples=["email_campaign"])]


@router.get("", response_model=ExperimentPage, responses=examples.PAGE)
async def list_experiments(
    session: Reading,
    response: Response,
    cursor: Annotated[str | None, Query(max_length=300, description="From the next of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ExperimentPage:
    """The tenant's declared experiments, in pages that stay whole while experiments come and go."""
    page = await page_of_experiments(session, cursor, limit)
    if page.next is not None:
        response.headers["Link"] = link_to_next("/v1/experiments", page.next, limit)
    return page


@router.get("/{key}", response_model=Experiment, responses=examples.EXPERIMENT)
async def get_experiment(session: Reading, key: ExperimentKey) -> Experiment:
    """One experiment, as declared, and where it stands."""
    return await experiment_of(session, key)


# Postgres builds the body and it goes out as it is: the model describes it, and a test holds it to the model.
@router.get("/{key}/results", response_model=ExperimentResults, responses=examples.RESULTS)
async def get_experiment_results(
    request: Request,
    session: Reading,
    answers: AnswersOfApp,
    key: ExperimentKey,
    chosen: Annotated[ResultFilter, Query()],
) -> Response:
    """The effects as they were last materialised, with the verdicts of the gates; nothing is computed now.

    The ETag changes with the body: send it back as If-None-Match to be told 304 while nothing has changed.
    """

    async def read() -> Answer:
        return Answer.to(request, await results_of(session, key, chosen))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)
