"""What an endpoint may ask for in its signature: a session that reads, one that writes, what is kept in memory."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from api.answers import Answers
from api.authentication import principal_of
from api.database import Database, ReadSession, WriteSession
from api.flags_in_force import FlagsInForce


class Writer(NamedTuple):
    """Opens transactions of one tenant. ``actor`` is the public part of the caller's key."""

    database: Database
    tenant: str
    actor: str

    def transaction(self) -> AbstractAsyncContextManager[WriteSession]:
        """A transaction, committed at the end of the block."""
        return self.database.write(self.tenant)


# Coroutines although they await nothing: FastAPI would run plain functions in a thread.
async def _reading(request: Request) -> ReadSession:
    database: Database = request.app.state.database
    return database.read(principal_of(request).tenant)


async def _writing(request: Request) -> Writer:
    principal = principal_of(request)
    return Writer(request.app.state.database, principal.tenant, principal.key_id)


async def _answers(request: Request) -> Answers:
    answers: Answers = request.app.state.answers
    return answers


async def _flags(request: Request) -> FlagsInForce:
    flags: FlagsInForce = request.app.state.flags
    return flags


Reading = Annotated[ReadSession, Depends(_reading)]
Writing = Annotated[Writer, Depends(_writing)]
AnswersOfApp = Annotated[Answers, Depends(_answers)]
FlagsOfApp = Annotated[FlagsInForce, Depends(_flags)]
