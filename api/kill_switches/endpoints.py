"""Routes under /v1/kill_switches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from api.bodies import Key
from api.kill_switches import examples
from api.kill_switches.models import KillSwitch, KillSwitchList, KillSwitchRequest
from api.kill_switches.queries import engage, release, switches_of
from api.sessions import FlagsOfApp, Reading, Writing

router = APIRouter(prefix="/v1/kill_switches", tags=["kill switches"])

SwitchedKey = Annotated[Key, Path(description="Key of the flag or experiment.", examples=["checkout"])]


@router.get("", response_model=KillSwitchList, responses=examples.SWITCHES)
async def list_kill_switches(session: Reading) -> KillSwitchList:
    """Everything that is switched off now."""
    return await switches_of(session)


@router.put("/{key}", response_model=KillSwitch, responses=examples.SWITCH)
async def put_kill_switch(
    writer: Writing,
    flags: FlagsOfApp,
    key: SwitchedKey,
    request: Annotated[KillSwitchRequest, Body(openapi_examples=examples.REQUEST)],
) -> KillSwitch:
    """Switch a flag or an experiment off, also one that a file declares; asking again changes nothing.

    Every process of the API knows at once: the flag answers its default and the experiment its control, to every unit.
    """
    switch = await engage(writer, key, request.reason)
    flags.changed(writer.tenant)
    return switch


@router.delete("/{key}", status_code=204, responses={204: {"description": "It is on again."}})
async def delete_kill_switch(writer: Writing, flags: FlagsOfApp, key: SwitchedKey) -> Response:
    """Switch it on again: what its declaration says holds, and units find the variants that they had."""
    await release(writer, key)
    flags.changed(writer.tenant)
    return Response(status_code=204)
