"""Routes under /v1/experiments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.answers import Answer, Question
from api.bodies import Key
from api.decisions.queries import newest_decision
from api.experiments import description, examples
from api.experiments.findings import Findings, findings_of
from api.experiments.merge_patch import merged
from api.experiments.models import (
    Experiment,
    ExperimentLooks,
    ExperimentPage,
    ExperimentResults,
    LookFilter,
    Plan,
    RegisteredExperiment,
    ResultFilter,
)
from api.experiments.queries import experiment_of, looks_of, metrics_used_by, page_of_experiments, results_of
from api.experiments.registering import (
    Change,
    change,
    create,
    etag_of,
    plan_of_change,
    plan_of_creation,
)
from api.experiments.report import report_of
from api.flags_in_force import FlagsInForce
from api.idempotency import IdempotencyKey, Repeatable
from api.json_text import read_json
from api.pages import link_to_next
from api.problems import Problem
from api.sessions import AnswersOfApp, FlagsOfApp, Reading, Writer, Writing
from causeway.report.page import render

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

ExperimentKey = Annotated[Key, Path(description="Key of the experiment.", examples=["email_campaign"])]
DryRun = Annotated[bool, Query(description="Answer 200 with the plan: what would be done, and what is in its way.")]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="The ETag that the experiment had when it was read, so that nobody's change is lost; * for any.",
        examples=['"0d5f5c6a41b2c3d4e5f60718293a4b5c"'],
    ),
]


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


@router.post(
    "",
    status_code=201,
    response_model=RegisteredExperiment,
    responses=examples.CREATED,
    openapi_extra=description.DECLARATION,
)
async def post_experiment(
    request: Request,
    writer: Writing,
    flags: FlagsOfApp,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response:
    """Declare an experiment: the body says what a YAML file under declarations/ would, and is held to the same rules.

    It is in force for every process of the API at once, and a partition in Dagster like one from a file.
    """
    body = await request.body()
    if dry_run:
        return _planned(await plan_of_creation(writer, read_json(body)))
    repeatable = None if idempotency_key is None else Repeatable.of("POST /v1/experiments", idempotency_key, body)
    answered = await create(writer, read_json(body), repeatable)
    flags.changed(writer.tenant)
    return answered.response()


@router.get("/{key}", response_model=Experiment, responses=examples.EXPERIMENT)
async def get_experiment(session: Reading, response: Response, key: ExperimentKey) -> Experiment:
    """One experiment, as declared, and where it stands.

    The ETag changes with the declaration: it is what a change of it is to be sent with, as If-Match.
    """
    experiment = await experiment_of(session, key)
    response.headers["ETag"] = etag_of(experiment.declaration_hash)
    return experiment


@router.put(
    "/{key}",
    response_model=RegisteredExperiment | Plan,
    responses=examples.CHANGED,
    openapi_extra=description.DECLARATION,
)
async def put_experiment(
    request: Request,
    writer: Writing,
    flags: FlagsOfApp,
    key: ExperimentKey,
    *,
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> Response:
    """Declare an experiment anew, as a whole: what the body leaves out gets its default.

    While it is running or paused, weights, salt, hasher and the like change only with a higher version.
    """
    document = read_json(await request.body())
    return await _changed(writer, flags, key, lambda _: document, if_match=if_match, dry_run=dry_run)


@router.patch(
    "/{key}",
    response_model=RegisteredExperiment | Plan,
    responses=examples.CHANGED,
    openapi_extra=description.PATCH,
)
async def patch_experiment(
    request: Request,
    writer: Writing,
    flags: FlagsOfApp,
    key: ExperimentKey,
    *,
    if_match: IfMatch = None,
    dry_run: DryRun = False,
) -> Response:
    """Change parts of an experiment's declaration by a JSON merge patch (RFC 7396): null takes a part away.

    So {"status": "paused"} closes it to new units, and {"enabled": false} gives everybody the control.
    """
    patch = read_json(await request.body())

    def make(document: Mapping[str, Any]) -> object:
        return merged(document, patch)

    return await _changed(writer, flags, key, make, if_match=if_match, dry_run=dry_run)


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


@router.get("/{key}/looks", response_model=ExperimentLooks, responses=examples.LOOKS)
async def get_experiment_looks(
    request: Request,
    session: Reading,
    answers: AnswersOfApp,
    key: ExperimentKey,
    chosen: Annotated[LookFilter, Query()],
) -> Response:
    """Every effect as it stood at the end of each day, with the interval that holds at all looks together.

    The ETag changes with the body: send it back as If-None-Match to be told 304 while nothing has changed.
    """

    async def read() -> Answer:
        return Answer.to(request, await looks_of(session, key, chosen.metric))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


@router.get("/{key}/findings", response_model=Findings, responses=examples.FINDINGS)
async def get_experiment_findings(
    request: Request, session: Reading, answers: AnswersOfApp, key: ExperimentKey
) -> Response:
    """What was found of the experiment unasked: segments in which its effects differ, experiments that it meets.

    Of an experiment whose gate is closed, here or on the other side of a pair, there is no number.
    """

    async def read() -> Answer:
        return Answer.to(request, await findings_of(session, request.scope["principal"].tenant, key))

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


@router.get("/{key}/report", response_class=HTMLResponse, responses=examples.REPORT)
async def get_experiment_report(
    request: Request, session: Reading, answers: AnswersOfApp, key: ExperimentKey
) -> Response:
    """The experiment on one HTML page that needs no other file: decision, effects, arms, health, segments, provenance.

    It shows what the results say, in words where there is no number. The ETag changes with the page.
    """

    async def read() -> Answer:
        experiment = await experiment_of(session, key)
        served = ExperimentResults.model_validate_json(await results_of(session, key, ResultFilter()))
        looks = ExperimentLooks.model_validate_json(await looks_of(session, key))
        declared = await metrics_used_by(session, experiment)
        decided = await newest_decision(session, key)
        page = await asyncio.to_thread(render, report_of(experiment, served, declared, looks.looks, decided))
        return Answer.to(request, page, "text/html")

    answer = await answers.read(Question.of(request.scope), read)
    return answer.response(request.headers)


async def _changed(
    writer: Writer, flags: FlagsInForce, key: str, make: Change, *, if_match: str | None, dry_run: bool
) -> Response:
    if if_match is None:
        detail = "Send the ETag that the experiment had when you read it as If-Match, or * to change it as it is."
        raise Problem(428, "precondition-required", detail)
    if dry_run:
        return _planned(await plan_of_change(writer, key, if_match, make))
    answered = await change(writer, key, if_match, make)
    flags.changed(writer.tenant)
    return answered.response()


def _planned(plan: Plan) -> Response:
    return Response(plan.model_dump_json(), media_type="application/json")
