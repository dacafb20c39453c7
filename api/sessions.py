"""What an endpoint may ask for in its signature: a session that reads, one that writes, the kept answers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from api.answers import Answers
from api.authentication import principal_of
from api.database import Database, ReadSession, WriteSession


class Writer(NamedTuple):
    """Opens transactions of one tenant."""

    database: Database
    tenant: str

    def transaction(self) -> AbstractAsyncContextManager[WriteSession]:
        """A transaction, committed at the end of the block."""
        return self.database.write(self.tenant)


# Coroutines although they await nothing: FastAPI would run plain functions in a thread.
async def _reading(request: Request) -> ReadSession:
    database: Database = request.app.state.database
    return database.read(principal_of(request).tenant)


async def _writing(request: Request) -> Writer:
    return Writer(request.app.state.database, principal_of(request).tenant)


async def _answers(request: Request) -> Answers:
    answers: Answers = request.app.state.answers
    return answers


Reading = Annotated[ReadSession, Depends(_reading)]
Writing = Annotated[Writer, Depends(_writing)]
AnswersOfApp = Annotated[Answers, Depends(_answers)]
