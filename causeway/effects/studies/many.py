"""A study's further outcomes and segments, and many studies at once: what they share is computed once.

Questions about the same units with the same covariates share folds and propensities, and their outcomes' models are
fitted beside each other. That changes no bit of any answer. Pieces of such work run side by side, on whatever joblib
runs on; what travels back from them is answers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from causeway.declarations.study import Outcome, StudyDeclaration
from causeway.effects.problem import ALONE, Computing
from causeway.effects.side_by_side import LIGHT, side_by_side, workers
from causeway.effects.studies.answer import StudyAnswer
from causeway.effects.studies.fitted_together import fit_together
from causeway.effects.studies.frame_columns import FrameColumns
from causeway.effects.studies.segments_of import Level, segments_of
from causeway.effects.studies.study import Studied, answer_units, refused
from causeway.effects.studies.unit_columns import unit_columns
from causeway.effects.studies.units import Refusal, read_units

Report = Callable[[int, int], None]

MOST_TOGETHER = 16
TOGETHER = 2_000_000
"""Units times outcomes whose predictions are held at a time by one worker, some hundred megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One study about one outcome, of everybody or of a level of a segment. in_full: with attempts to refute, effects
    of units, and DoWhy's opinion. told: for the record of the answer's diagnostics; JSON values only.
    """

    frame: pl.DataFrame
    study: StudyDeclaration
    segment: Level | None = None
    in_full: bool = True
    told: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answer, and of a question in full that asks for them the columns of its units (`unit_columns`)."""

    answer: StudyAnswer
    units: Mapping[str, Any] | None = None


def questions_of(frame: pl.DataFrame, study: StudyDeclaration) -> list[Question]:
    """The declared outcome first, then the further ones, then each again in the levels of every segment.

    The record of the segments, with the levels beyond the 50 largest, stands in the first answer's diagnostics.
    """
    outcomes = [study, *(_about(study, column) for column in study.outcomes)]
    segments = segments_of(frame, study)
    told = {"segments": {each.column: each.as_document() for each in segments}} if segments else None
    found = [Question(frame, each, in_full=False) for each in outcomes]
    found[0] = Question(frame, study, told=told)
    levels = [level for each in segments for level in each.answered]
    return found + [Question(frame, each, level, in_full=False) for level in levels for each in outcomes]


def answer_all(
    questions: Sequence[Question], *, seed: int = 0, computing: Computing = ALONE, report: Report | None = None
) -> list[Answered]:
    """An answer each, in their order: the same to the last bit as that of each alone, and under any `computing`.

    Frames are neither changed nor copied, but for the rows of the segments that are under way. report: is told how many
    pieces of the work are done, of how many; a piece is up to 16 questions about the same rows.
    """
    n = workers(computing.n_jobs, computing.backend)
    light = computing.backend in LIGHT
    few_in_full = n > 1 and sum(each.in_full for each in questions) < 2 * n
    pieces = _pieces(questions, n, apart=few_in_full)
    # What is alone, or large and rare, has all workers for its parts; everything else has one worker a piece.
    wide = [piece for piece in pieces if len(pieces) == 1 or (light and few_in_full and questions[piece[0]].in_full)]
    narrow = [piece for piece in pieces if piece not in wide]
    inner = computing if light else Computing(min(n, os.cpu_count() or 1))
    answers: dict[int, Answered] = {}

    def keep(piece: Sequence[int], found: Sequence[Answered]) -> None:
        answers.update(zip(piece, found, strict=True))

    def tell(done: int) -> None:
        if report is not None:
            report(done, len(pieces))

    for done, piece in enumerate(wide, 1):
        keep(piece, _answer_piece(*_as_sent(questions, piece), seed, inner))
        tell(done)
    found = side_by_side(
        _answer_piece,
        ((*_as_sent(questions, piece), seed, ALONE) for piece in narrow),
        n_jobs=computing.n_jobs,
        backend=computing.backend,
        report=lambda done: tell(len(wide) + done),
    )
    for piece, some in zip(narrow, found, strict=True):
        keep(piece, some)
    return [answers[position] for position in range(len(questions))]


def _about(study: StudyDeclaration, column: str) -> StudyDeclaration:
    return study.model_copy(update={"outcome": Outcome(column=column), "outcomes": ()})


def _pieces(questions: Sequence[Question], n: int, *, apart: bool) -> list[list[int]]:
    """Positions of questions about the same rows, those that may share nuisances together; apart: each one in full on
    its own.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    alone: list[list[int]] = []
    for position, each in enumerate(questions):
        if apart and each.in_full:
            alone.append([position])
            continue
        study = each.study
        same = (study.treatment, study.confounders, study.clusters, study.weights, study.blocks, study.target)
        key = (id(each.frame), each.segment, str(same), str(study.graph), str(study.known_propensity))
        groups.setdefault(key, []).append(position)
    a_worker = math.ceil(sum(map(len, groups.values())) / n)
    pieces = list(alone)
    for group in groups.values():
        rows = questions[group[0]].frame.height
        size = max(1, min(MOST_TOGETHER, TOGETHER // max(1, rows), a_worker))
        pieces += [group[start : start + size] for start in range(0, len(group), size)]
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A question without its frame."""

    study: StudyDeclaration
    segment: str | None
    in_full: bool
    told: Mapping[str, Any] | None


def _as_sent(questions: Sequence[Question], piece: Sequence[int]) -> tuple[pl.DataFrame, list[_Asked]]:
    """The rows and columns that the piece needs, and what is asked."""
    some = [questions[position] for position in piece]
    frame, level = some[0].frame, some[0].segment
    named = {column for each in some for column in each.study.columns}
    frame = frame.select([name for name in frame.columns if name in named])
    asked = [
        _Asked(each.study, None if level is None else level.name, each.in_full, each.told)
        for each in some
    ]  # fmt: skip
    return (frame if level is None else level.among(frame)), asked


def _answer_piece(frame: pl.DataFrame, asked: Sequence[_Asked], seed: int, computing: Computing) -> list[Answered]:
    columns = FrameColumns(frame)
    read = [read_units(columns, each.study) for each in asked]
    shared = fit_together(
        [(each.study, units) for each, units in zip(asked, read, strict=True)], seed=seed, computing=computing
    )
    answers = []
    for position, (each, units) in enumerate(zip(asked, read, strict=True)):
        if isinstance(units, Refusal):
            found = Studied(refused(each.study, units))
        else:
            found = answer_units(
                each.study, units, seed=seed, computing=computing, in_full=each.in_full, shared=shared.get(position)
            )
        told = {**found.answer.diagnostics, **(each.told or {})}
        answer = replace(found.answer, segment=each.segment, diagnostics=told)
        answers.append(Answered(answer, unit_columns(found) if each.in_full else None))
    return answers
