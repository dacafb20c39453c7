"""What the routes of operations give."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """The process can do its work: Postgres answers it."""

    status: Literal["ready"] = "ready"
