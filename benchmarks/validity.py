"""How often every method is wrong where nothing happens, and right where something does: simulation, no database."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.validity_methods import (
    ALWAYS_VALID,
    DAYS,
    FAR_QUANTILE,
    FEW_UNITS,
    GROUP_SEQUENTIAL,
    METHODS,
    METRICS,
    PEEKING,
    UNDEFINED,
    UNITS,
    Trials,
    fixed_effects,
    looks_of,
    small_tail,
    trials,
    variance_factors,
)
from causeway.simulate.daily_looks import DailyLooks
from causeway.simulate.randomness import Streams
from causeway.statistics.effect import Effect
from causeway.statistics.group_sequential import GroupSequentialDesign
from causeway.statistics.normal_mixture import critical_value, tuned_rho

RUNS, QUICK_RUNS = 4_000, 400
CHUNK = 100
SEED = 20_240_201
ALPHA = 0.05
LEAST_COVER, MOST_COVER = 0.94, 0.96
PLANNED_LOOKS = 5
RHOS = (0.3, 0.5, 0.7, 0.9)
_JUDGED = len(METRICS) * (len(METHODS) - 1) - len(UNDEFINED) + 1
ERRORS = float(stats.norm.isf(0.01 / (2 * (_JUDGED + len(RHOS)))))
"""Monte-Carlo errors that a rate may lie beyond its target, 3.8: of a hundred benches in which every rate is exactly at
its target, one misses somewhere. With three errors about one in ten would."""

Progress = Callable[[int, int, str], object]


@dataclass(frozen=True)
class Cell:
    """A metric type with a method, or why the two do not go together (then there are no numbers).

    n: units in each arm, and of runs that many were made. looks: how often the data were looked at. false_positives:
    share of runs without an effect that were significant at any look. covered: share of runs with an effect whose
    intervals held it at all looks. error, cover_error: Monte-Carlo errors of these. met: None where nothing is claimed.
    """

    metric: str
    method: str
    note: str = ""
    n: int | None = None
    looks: int | None = None
    runs: int | None = None
    false_positives: float | None = None
    error: float | None = None
    covered: float | None = None
    cover_error: float | None = None
    target: str = "not defined"
    met: bool | None = None


@dataclass(frozen=True)
class Factor:
    """CUPED's variance beside that of the plain difference, over runs, and what it should be."""

    rho: float
    runs: int
    n: int
    factor: float
    error: float
    expected: float
    met: bool


@dataclass(frozen=True)
class Validity:
    seed: int
    cells: tuple[Cell, ...]
    factors: tuple[Factor, ...]

    @property
    def met(self) -> bool:
        return all(each.met is not False for each in (*self.cells, *self.factors))

    def as_documents(self) -> list[dict[str, Any]]:
        rates = [{"kind": "error rates", "seed": self.seed, **asdict(cell)} for cell in self.cells]
        factors = [{"kind": "variance factor", "seed": self.seed, **asdict(factor)} for factor in self.factors]
        return rates + factors


@dataclass
class _Count:
    """Runs without an effect, of which significant; runs with one, of which the truth was inside."""

    null: int = 0
    significant: int = 0
    real: int = 0
    inside: int = 0


def validity(progress: Progress, *, runs: int = RUNS, seed: int = SEED) -> Validity:
    """Every cell, in chunks of runs. The same seed gives the same numbers, whatever is drawn beside them."""
    pairs = [(metric, method) for metric in METRICS for method in METHODS]
    counts = {pair: _Count() for pair in pairs if pair not in UNDEFINED}
    tail = _Count()
    chunks = [min(CHUNK, runs - first) for first in range(0, runs, CHUNK)]
    total, done = len(chunks) * (len(METRICS) + 1), 0
    for number, size in enumerate(chunks):
        for metric in METRICS:
            progress(done, total, metric)
            rng = Streams(seed)[f"{metric} {number}"]
            for lifted in (False, True):
                _observe(counts, metric, trials(metric, rng, size, lifted=lifted))
            done += 1
        progress(done, total, "small tails")
        rng = Streams(seed)[f"small tail {number}"]
        for lifted in (False, True):
            _fixed(tail, *small_tail(rng, size, lifted=lifted), lifted)
        done += 1
    progress(total, total, "variance factors")
    cells = [_cell(*pair, counts.get(pair)) for pair in pairs]
    return Validity(seed, (*cells, _small_tail(tail)), tuple(_factor(seed, runs, rho) for rho in RHOS))


def _observe(counts: Mapping[tuple[str, str], _Count], metric: str, drawn: Trials) -> None:
    for method, effects in fixed_effects(drawn):
        _fixed(counts[metric, method], effects, drawn.truth, drawn.lifted)
    for of_cuped, looks in looks_of(drawn):
        for interval, bound in _bounds(looks.n).items():
            if (metric, interval + of_cuped) in counts:
                _sequential(counts[metric, interval + of_cuped], looks, bound, drawn.truth, drawn.lifted)


def _fixed(count: _Count, effects: Sequence[Effect], truth: float, lifted: bool) -> None:
    for effect in effects:
        if effect.p_value is None or effect.ci_low is None or effect.ci_high is None:
            # The trials are large enough for every method: a status is an error of the bench.
            raise RuntimeError(f"no interval: {effect}")
        if lifted:
            count.real += 1
            count.inside += effect.ci_low <= truth <= effect.ci_high
        else:
            count.null += 1
            count.significant += effect.p_value < ALPHA


def _sequential(count: _Count, looks: DailyLooks, bound: NDArray[np.float64], truth: float, lifted: bool) -> None:
    """Whether the boundary was crossed at any look; bound: infinite where there is no look."""
    crossed = (np.abs(looks.z(truth)) > bound).any(axis=1)
    if lifted:
        count.real += len(crossed)
        count.inside += int((~crossed).sum())
    else:
        count.null += len(crossed)
        count.significant += int(crossed.sum())


def _bounds(n: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Critical values at the daily looks at arms of n units each."""
    both, step = 2 * n, len(n) // PLANNED_LOOKS
    planned = np.arange(step - 1, len(n), step)
    of_planned = np.full(len(n), math.inf)
    of_planned[planned] = GroupSequentialDesign(alpha=ALPHA).bounds((n[planned] / n[-1]).tolist())
    return {
        ALWAYS_VALID: critical_value(both, rho=tuned_rho(int(both[-1]), alpha=ALPHA), alpha=ALPHA),
        GROUP_SEQUENTIAL: of_planned,
        PEEKING: np.asarray(stats.t.isf(ALPHA / 2, both - 2)),
    }


def _cell(metric: str, method: str, count: _Count | None) -> Cell:
    if count is None:
        return Cell(metric, method, UNDEFINED[metric, method])
    looks = 1
    if method.startswith((ALWAYS_VALID, PEEKING)):
        looks = DAYS
    elif method.startswith(GROUP_SEQUENTIAL):
        looks = PLANNED_LOOKS
    if method == PEEKING:
        return _judged(Cell(metric, method, "what daily looks at the fixed interval would do", UNITS, looks), count)
    covers = (LEAST_COVER, MOST_COVER) if looks == 1 else (1 - ALPHA, 1.0)
    return _judged(Cell(metric, method, "", UNITS, looks), count, covers)


def _small_tail(count: _Count) -> Cell:
    beyond = FEW_UNITS * (1 - FAR_QUANTILE)
    note = f"{beyond:.0f} values lie beyond the quantile: the interval spans a stretch of the tail, and is wide"
    cell = Cell(f"quantile (unit), p{100 * FAR_QUANTILE:.0f}", "difference, few units", note, FEW_UNITS, 1)
    return _judged(cell, count, (LEAST_COVER, 1.0))


def _judged(cell: Cell, count: _Count, covers: tuple[float, float] | None = None) -> Cell:
    """The cell with its rates; covers: bounds of the share of intervals that hold the truth, None for no claim."""
    false_positives, covered = count.significant / count.null, count.inside / count.real
    # Errors as they would be at the target: a rate of 0 in few runs is not certain.
    error = math.sqrt(ALPHA * (1 - ALPHA) / count.null)
    cover_error = math.sqrt(ALPHA * (1 - ALPHA) / count.real)
    found = replace(
        cell,
        runs=count.null,
        false_positives=false_positives,
        error=error,
        covered=covered,
        cover_error=cover_error,
        target="none",
    )
    if covers is None:
        return found
    least, most = covers
    met = (
        false_positives <= ALPHA + ERRORS * error
        and least - ERRORS * cover_error <= covered <= most + ERRORS * cover_error
    )
    upper = f" to {most:.0%}" if most < 1 else " or more"
    return replace(found, target=f"{ALPHA:.0%} at most; covers {least:.0%}{upper}", met=met)


def _factor(seed: int, runs: int, rho: float) -> Factor:
    units = 400
    factor, error = variance_factors(Streams(seed)[f"variance factor {rho}"], runs, rho, units)
    expected = 1 - rho**2
    return Factor(rho, runs, units, factor, error, expected, abs(factor - expected) <= ERRORS * error)
