"""What a study's verdict says where it should be content, and where somebody made a well-known mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit

from benchmarks.causal_worlds import (
    COLUMNS,
    RANDOMISED,
    SMOOTH,
    Shape,
    World,
    cluster_randomised,
    clustered_and_confounded,
    draw,
    on_a_scale,
)
from causeway.declarations.study import StudyDeclaration
from causeway.effects.problem import Computing
from causeway.effects.studies.study import answer_study

UNITS = 800
MOSTLY, NEARLY_ALWAYS = 0.8, 0.95
"""Share of correct studies that have to be called credible, and of mistaken ones that must not be."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way to get data and to ask. wanted: verdicts that are right, at least in a share `least` of the runs.

    in_full: with attempts to refute, which take their time.
    """

    make: Callable[[np.random.Generator], tuple[pl.DataFrame, dict[str, Any]]]
    wanted: tuple[str, ...]
    least: float
    in_full: bool = False


def verdict_of(scenario: str, seed: int, rng: np.random.Generator) -> str:
    """One run of one of `SCENARIOS`."""
    asked = SCENARIOS[scenario]
    frame, declared = asked.make(rng)
    study = declared_study(**declared)
    return answer_study(frame, study, seed=seed, in_full=asked.in_full).answer.verdict


def declared_study(**declared: Any) -> StudyDeclaration:
    """Of the columns "treated" and "outcome" with the covariates, unless something else is declared."""
    usual: dict[str, Any] = {
        "kind": "study",
        "key": "simulated",
        "unit": "unit",
        "treatment": {"column": "treated", "values": {"control": 0, "treated": 1}},
        "outcome": {"column": "outcome"},
        "confounders": list(COLUMNS),
        "source": {"file": "simulated.csv"},
    }
    return StudyDeclaration.model_validate(usual | declared)


def document(frame: pl.DataFrame, study: StudyDeclaration, computing: Computing, *, in_full: bool) -> dict[str, Any]:
    """The whole answer, to be compared with itself."""
    return answer_study(frame, study, seed=11, computing=computing, in_full=in_full).answer.as_document()


def frame_of(world: World, **more: Any) -> pl.DataFrame:
    """One row a unit."""
    problem = world.problem
    columns = {name: problem.x[:, position] for position, name in enumerate(COLUMNS)}
    return pl.DataFrame({"treated": problem.treated.astype(int), "outcome": problem.outcome, **columns, **more})


def _randomised(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    return frame_of(draw(rng, RANDOMISED, seed=0, n=UNITS)), {"known_propensity": 0.5}


def _confounded(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    return frame_of(draw(rng, SMOOTH, seed=0, n=UNITS)), {}


def _valid_control(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    world = draw(rng, SMOOTH, seed=0, n=UNITS)
    before = world.problem.x[:, 0] + rng.normal(size=UNITS)
    return frame_of(world, before=before), {"negative_controls": {"outcomes": ["before"]}}


def _violated_control(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Somebody unseen moves treatment, outcome, and what was measured before the treatment."""
    x, hidden = rng.normal(size=(UNITS, 4)), rng.normal(size=UNITS)
    treated = rng.random(UNITS) < expit(SMOOTH.log_odds(x) + hidden)
    outcome = SMOOTH.control(x) + treated * SMOOTH.effect(x) + hidden + rng.normal(size=UNITS)
    before = x[:, 0] + hidden + rng.normal(size=UNITS)
    columns = {name: x[:, position] for position, name in enumerate(COLUMNS)}
    frame = pl.DataFrame({"treated": treated.astype(int), "outcome": outcome, "before": before, **columns})
    return frame, {"negative_controls": {"outcomes": ["before"]}}


def _declared_clusters(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    world = clustered_and_confounded(rng, seed=0)
    return frame_of(world, clinic=world.problem.clusters), {"clusters": "clinic"}


def _ignored_clusters(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    world = cluster_randomised(rng, seed=0)
    return frame_of(world, clinic=world.problem.clusters), {"known_propensity": 0.5, "segments": ["clinic"]}


def _without_overlap(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    apart = Shape(SMOOTH.control, SMOOTH.effect, lambda x: 5 * x[:, 0])
    return frame_of(draw(rng, apart, seed=0, n=UNITS)), {}


def _after_treatment(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    """What the treatment does within a week is declared as a confounder."""
    world = draw(rng, SMOOTH, seed=0, n=UNITS)
    week = 4.0 * world.problem.treated + rng.normal(size=UNITS)
    return frame_of(world, week=week), {"confounders": [*COLUMNS, "week"]}


def _after_treatment_by_graph(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
    """It hardly shows in the data, and the graph tells."""
    world = draw(rng, SMOOTH, seed=0, n=UNITS)
    week = 0.5 * world.problem.treated + rng.normal(size=UNITS)
    causes = [[name, end] for name in COLUMNS for end in ("treated", "outcome")]
    edges = [*causes, ["treated", "outcome"], ["treated", "week"], ["week", "outcome"]]
    return frame_of(world, week=week), {"confounders": [*COLUMNS, "week"], "graph": edges}


def _instrument(slope: float) -> Callable[[np.random.Generator], tuple[pl.DataFrame, dict[str, Any]]]:
    def make(rng: np.random.Generator) -> tuple[pl.DataFrame, dict[str, Any]]:
        drawn = on_a_scale(rng, slope=slope, n=UNITS)
        frame = pl.DataFrame(
            {
                "amount": drawn.treatment,
                "outcome": drawn.outcome,
                "lottery": drawn.instrument,
                "x0": drawn.x[:, 0],
                "x1": drawn.x[:, 1],
            }
        )
        asked = {"treatment": {"column": "amount"}, "confounders": ["x0", "x1"], "instruments": ["lottery"]}
        return frame, asked | {"target": "LATE"}

    return make


_FINE, _TOLD, _REFUSED = ("credible",), ("caution", "withheld"), ("withheld",)
SCENARIOS: Mapping[str, Scenario] = {
    "correct: randomised": Scenario(_randomised, _FINE, MOSTLY),
    "correct: confounded": Scenario(_confounded, _FINE, MOSTLY),
    "correct: confounded, every attempt to refute it": Scenario(_confounded, _FINE, MOSTLY, in_full=True),
    "correct: confounded, a valid negative control": Scenario(_valid_control, _FINE, MOSTLY),
    "correct: clusters declared": Scenario(_declared_clusters, _FINE, MOSTLY),
    "correct: a strong instrument": Scenario(_instrument(0.5), _FINE, MOSTLY),
    "no overlap, ATE": Scenario(_without_overlap, _REFUSED, NEARLY_ALWAYS),
    "a negative control shows an effect": Scenario(_violated_control, _TOLD, NEARLY_ALWAYS),
    "clusters randomised, and not declared": Scenario(_ignored_clusters, _TOLD, NEARLY_ALWAYS),
    "a weak instrument": Scenario(_instrument(0.08), _TOLD, NEARLY_ALWAYS),
    "a consequence of the treatment as a confounder": Scenario(_after_treatment, _TOLD, NEARLY_ALWAYS),
    "the same, weaker, with a graph": Scenario(_after_treatment_by_graph, _TOLD, NEARLY_ALWAYS),
}
