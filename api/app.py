"""The application, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

import api.assignments.endpoints
import api.decisions.endpoints
import api.events.endpoints
import api.experiments.endpoints
import api.kill_switches.endpoints
import api.kpis.endpoints
import api.operations.endpoints
import api.studies.endpoints
from api import answers as kept_answers
from api import flags_in_force, problems
from api.answers import Answers, AnswersMiddleware
from api.assignments.assigning import Assigning
from api.assignments.batch_endpoint import Batch
from api.assignments.endpoints import Assignments
from api.assignments.tables import Tables
from api.authentication import AuthenticationMiddleware, Authenticator
from api.bodies import BodyMiddleware
from api.database import Database
from api.description import VERSION, describe
from api.events.ingestion import Ingestion
from api.fast_routes import FastRoutesMiddleware
from api.flags_in_force import FlagsInForce
from api.growthbook.endpoints import GrowthBook
from api.ofrep.endpoints import Ofrep
from api.ofrep.evaluating import Evaluating
from api.operations.metrics import Metrics, MetricsMiddleware
from api.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The API over the Postgres of ``settings``. It starts without one and answers 503 until it is there."""
    database = Database(settings)
    answers = Answers(settings.answer_lifetime)
    flags = FlagsInForce(database, settings.flags_lifetime, settings.listen_retry)
    ingestion = Ingestion(database, lifetime=settings.flags_lifetime, most_waiting=settings.events_waiting)
    assigning = Assigning(database, flags, ingestion.event_types)
    assignments = Assignments(assigning, settings.assignments_waiting)
    evaluating = Evaluating(database, assigning, assignments.committer, settings.assignments_waiting)
    tables = Tables(database)
    batch = Batch(assigning, tables)
    fast_routes = (*assignments.routes, *batch.routes, *Ofrep(evaluating).routes, *GrowthBook(flags).routes)
    metrics = Metrics(answers, lambda: assignments.committer.waiting)

    def linked(is_linked: bool) -> None:
        answers.linked(is_linked)
        flags.linked(is_linked)
        ingestion.event_types.linked(is_linked)

    def declared(tenant: str) -> None:
        flags.changed(tenant)
        ingestion.event_types.changed(tenant)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await database.open()
        heard = {kept_answers.CHANNEL: answers.published, flags_in_force.CHANNEL: declared}
        listening = asyncio.create_task(database.listen(heard, on_link=linked))
        try:
            yield
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            await assignments.committer.close()
            await evaluating.reading.close()
            tables.close()
            await flags.close()
            await database.close()

    app = FastAPI(
        title="Causeway",
        version=VERSION,
        summary="Results of experiments and studies as materialised, assignments, and events.",
        lifespan=lifespan,
        # Pages of documentation load their scripts from elsewhere; the description is at /openapi.json.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.database = database
    app.state.answers = answers
    app.state.flags = flags
    app.state.ingestion = ingestion
    app.state.metrics = metrics
    # The last one added sees a request first: it is counted, authenticated, and given what was kept for it.
    app.add_middleware(FastRoutesMiddleware, routes=fast_routes)
    app.add_middleware(BodyMiddleware)
    app.add_middleware(AnswersMiddleware, answers=answers)
    app.add_middleware(AuthenticationMiddleware, authenticator=Authenticator(database, settings.key_lifetime))
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    problems.install(app)
    routers = [
        domain.endpoints.router
        for domain in (
            api.experiments,
            api.decisions,
            api.studies,
            api.kpis,
            api.assignments,
            api.events,
            api.kill_switches,
            api.operations,
        )
    ]
    for router in routers:
        app.include_router(router)
    describe(app, routers, fast_routes)
    return app
