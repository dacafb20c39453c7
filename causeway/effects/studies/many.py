"""A study's further outcomes and segments, and many studies at once: what they share is computed once.

Questions about the same units with the same covariates share folds and propensities, and the outcomes' models are
fitted beside each other. Groups of such questions are independent and run side by side, on whatever joblib runs on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from causeway.declarations.study import Outcome, StudyDeclaration
from causeway.effects.nuisances import CLIP, Nuisances, Target, TooFewToSplit, cross_fit, folds_of, usual_folds
from causeway.effects.problem import ALONE, Computing, Problem
from causeway.effects.studies.study import Studied, answer_units, identified, refused
from causeway.effects.studies.two_arms import problem_of
from causeway.effects.studies.units import Refusal, StudyUnits, read_units

MOST_LEVELS = 50
"""Levels of a segment that are answered, the largest first; a column with more is no segment."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One study about one outcome, of everybody or of the units `rows` (frame's rows) of a `segment` such as
    "region=north". in_full: with attempts to refute and effects of units.
    """

    frame: pl.DataFrame
    study: StudyDeclaration
    segment: str | None = None
    in_full: bool = True


def questions_of(frame: pl.DataFrame, study: StudyDeclaration) -> list[Question]:
    """The declared outcome first, then the further ones, then each again in every level of every segment."""
    outcomes = [study, *(_about(study, column) for column in study.outcomes)]
    found = [Question(frame, each, None, position == 0) for position, each in enumerate(outcomes)]
    for name in study.segments:
        if name not in frame.columns:
            # The answer about everybody says so.
            continue
        levels = (
            frame.get_column(name)
            .drop_nulls()
            .cast(pl.String)
            .alias("level")
            .value_counts(name="units")
            .sort(["units", "level"], descending=[True, False])
        )
        # A level with too few units is told to be one.
        for level in levels.get_column("level").to_list()[:MOST_LEVELS]:
            some = frame.filter(pl.col(name).cast(pl.String) == level)
            found += [Question(some, each, f"{name}={level}", False) for each in outcomes]
    return found


def answer_all(questions: Sequence[Question], *, seed: int = 0, computing: Computing = ALONE) -> list[Studied]:
    """An answer each, in their order, the same to the last bit under any `computing`."""
    from joblib import Parallel, delayed

    groups = _groups(questions)
    alone = len(groups) == 1
    inner = computing if alone else Computing()
    tasks = [[questions[position] for position in group] for group in groups]
    if alone:
        pieces = [_answer_group(tasks[0], seed, inner)]
    else:
        pieces = Parallel(n_jobs=computing.n_jobs, backend=computing.backend)(
            delayed(_answer_group)(task, seed, inner) for task in tasks
        )
    answers: dict[int, Studied] = {}
    for group, piece in zip(groups, pieces, strict=True):
        answers |= dict(zip(group, piece, strict=True))
    return [answers[position] for position in range(len(questions))]


def _about(study: StudyDeclaration, column: str) -> StudyDeclaration:
    return study.model_copy(update={"outcome": Outcome(column=column), "outcomes": ()})


def _groups(questions: Sequence[Question]) -> list[list[int]]:
    """Positions of questions that may share nuisances: the same rows and everything the same but the outcome."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, each in enumerate(questions):
        study = each.study
        same = (study.treatment, study.confounders, study.clusters, study.weights, study.blocks, study.target)
        key = (id(each.frame), each.segment, str(same), str(study.graph), str(study.known_propensity))
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def _answer_group(questions: Sequence[Question], seed: int, computing: Computing) -> list[Studied]:
    read = [read_units(each.frame, each.study) for each in questions]
    shared = _shared_nuisances(questions, read, seed, computing)
    answers = []
    for position, (question, units) in enumerate(zip(questions, read, strict=True)):
        if isinstance(units, Refusal):
            found = Studied(refused(question.study, units))
        else:
            found = answer_units(
                question.study, units,
                seed=seed, computing=computing, in_full=question.in_full, nuisances=shared.get(position),
            )  # fmt: skip
        answers.append(replace(found, answer=replace(found.answer, segment=question.segment)))
    return answers


def _shared_nuisances(
    questions: Sequence[Question], read: Sequence[StudyUnits | Refusal], seed: int, computing: Computing
) -> Mapping[int, tuple[Nuisances, ...]]:
    """By position, for questions about the very same units of two arms; nothing where one stands alone."""
    problems: dict[bytes, dict[int, Problem]] = {}
    for position, (question, units) in enumerate(zip(questions, read, strict=True)):
        if isinstance(units, Refusal) or units.treated is None or units.instruments.shape[1]:
            continue
        identification = identified(question.study)
        if not identification.identified:
            continue
        problem = problem_of(question.study, units, identification, seed=seed, computing=computing)
        problems.setdefault(units.positions.tobytes(), {})[position] = problem
    shared: dict[int, tuple[Nuisances, ...]] = {}
    for same in problems.values():
        if len(same) > 1:
            # Where there are too few to be split, each answer says so.
            with suppress(TooFewToSplit):
                shared |= dict(_fit_together(same))
    return shared


def _fit_together(problems: Mapping[int, Problem]) -> Iterator[tuple[int, tuple[Nuisances, ...]]]:
    """As `fit_nuisances` fits each alone, to the last bit, with one propensity for all."""
    one = next(iter(problems.values()))
    folds = folds_of(one.treated, one.seeds, usual_folds(one.n), one.clusters)
    targets = []
    if one.known_propensity is None:
        targets.append(Target("propensity", "probability", one.treated.astype(np.float64)))
    for position, problem in problems.items():
        targets.append(Target(f"outcome_control {position}", "regression", problem.outcome, ~problem.treated))
        targets.append(Target(f"outcome_treated {position}", "regression", problem.outcome, problem.treated))
    predicted, told = cross_fit(
        targets, one.x, folds, one.seeds,
        weights=one.weights, n_jobs=one.computing.n_jobs, backend=one.computing.backend,
    )  # fmt: skip
    for position in problems:
        names = {f"outcome_control {position}": "outcome_control", f"outcome_treated {position}": "outcome_treated"}
        of_problem = {
            names.get(name, name): record for name, record in told.items() if name in names or name == "propensity"
        }
        yield (
            position,
            tuple(
                Nuisances(
                    own,
                    np.clip(split["propensity"], CLIP, 1 - CLIP)
                    if one.known_propensity is None
                    else one.known_propensity,
                    split[f"outcome_control {position}"],
                    split[f"outcome_treated {position}"],
                    of_problem,
                )
                for own, split in zip(folds, predicted, strict=True)
            ),
        )
