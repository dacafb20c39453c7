"""Simulated worlds that return the truth with the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from causeway.simulate.pharma import pharma_world
from causeway.simulate.planner import planner_world
from causeway.simulate.trial import SimulatedTrial, two_arm_trial
from causeway.simulate.truth import ExperimentTruth, SimulatedWorld, StudyTruth, TrueEffect, WorldTruth


class World(Protocol):
    """What a `simulate:` declaration can name: a seed and a scale in, a world out."""

    def __call__(self, seed: int = 1, scale: float = 1.0) -> SimulatedWorld: ...


WORLDS: Mapping[str, World] = {"pharma": pharma_world, "planner": planner_world}
"""The worlds by the name that a source declaration gives them."""

__all__ = [
    "WORLDS",
    "ExperimentTruth",
    "SimulatedTrial",
    "SimulatedWorld",
    "StudyTruth",
    "TrueEffect",
    "World",
    "WorldTruth",
    "pharma_world",
    "planner_world",
    "two_arm_trial",
]
