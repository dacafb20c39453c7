"""Nuisances of several questions about the very same units, fitted in one go: one propensity serves all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.effects.nuisances import CLIP, Nuisances, Target, TooFewToSplit, cross_fit, folds_of, usual_folds
from causeway.effects.problem import Computing, Problem
from causeway.effects.studies.identifying import identified
from causeway.effects.studies.two_arms import Shared, problem_of
from causeway.effects.studies.units import Refusal, StudyUnits


def fit_together(
    asked: Sequence[tuple[StudyDeclaration, StudyUnits | Refusal]], *, seed: int, computing: Computing
) -> dict[int, Shared]:
    """By position among those asked, what they share, to the last bit what each would fit alone.

    Shared is among questions whose rows, arms, covariates, weights, clusters, design and target are the same; the
    adjustment set, too, for a graph may have another one for another outcome. Nothing where one stands alone.
    """
    problems: dict[tuple[object, ...], dict[int, Problem]] = {}
    for position, (study, units) in enumerate(asked):
        if isinstance(units, Refusal) or units.treated is None or units.instruments.shape[1]:
            continue
        identification = identified(study, ask_dowhy=False)
        if not identification.identified:
            continue
        problem = problem_of(study, units, identification, seed=seed, computing=computing)
        design = (study.treatment, study.weights, study.clusters, study.blocks, study.known_propensity, study.target)
        key = (units.positions.tobytes(), problem.columns, str(design), study.negative_controls.outcomes)
        problems.setdefault(key, {})[position] = problem
    shared: dict[int, Shared] = {}
    for same in problems.values():
        if len(same) > 1:
            controls: dict[str, dict[str, object]] = {}
            # Where there are too few to be split, each answer says so.
            with suppress(TooFewToSplit):
                shared |= {position: Shared(nuisances, controls) for position, nuisances in _fit(same)}
    return shared


def _fit(problems: Mapping[int, Problem]) -> Iterator[tuple[int, tuple[Nuisances, ...]]]:
    """As `fit_nuisances` fits each alone: the same folds, the same seeds, and no fit knows of another."""
    one = next(iter(problems.values()))
    folds = folds_of(one.treated, one.seeds, usual_folds(one.n), one.clusters)
    targets = []
    for position, problem in problems.items():
        targets.append(Target(f"outcome_control {position}", problem.outcome, ~problem.treated))
        targets.append(Target(f"outcome_treated {position}", problem.outcome, problem.treated))
    if one.known_propensity is None:
        targets.append(Target("propensity", one.treated.astype(np.float64)))
    predicted, told = cross_fit(
        targets, one.x, folds, one.seeds,
        weights=one.weights, n_jobs=one.computing.n_jobs, backend=one.computing.backend,
    )  # fmt: skip
    for position in problems:
        names = {"outcome_control": f"outcome_control {position}", "outcome_treated": f"outcome_treated {position}"}
        if one.known_propensity is None:
            names["propensity"] = "propensity"
        yield (
            position,
            tuple(
                Nuisances(
                    own,
                    np.clip(split["propensity"], CLIP, 1 - CLIP)
                    if one.known_propensity is None
                    else one.known_propensity,
                    split[names["outcome_control"]],
                    split[names["outcome_treated"]],
                    {name: told[of_all] for name, of_all in names.items()},
                )
                for own, split in zip(folds, predicted, strict=True)
            ),
        )
