"""Do the intervals of effects hold the truth, are they nearly as narrow as they can be, and are verdicts right?

Simulation, no database. Every run has its seed, so the numbers are the same however many processes share the work.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.causal_methods import WORLDS, Seen, observe
from benchmarks.causal_verdicts import SCENARIOS, declared_study, document, frame_of, verdict_of
from benchmarks.causal_worlds import SMOOTH, draw
from causeway.effects.problem import Computing
from causeway.simulate.randomness import Streams

RUNS, QUICK_RUNS = 500, 50
SEED = 20_240_301
LEVEL = 0.95
MOST_WIDTH = 0.25
MOST_BIAS = 0.05
NO_CLAIM: Mapping[str, str] = {
    "confounded: partially_linear, as if it were the ATE": "it is the ATO: another truth",
    "clusters randomised, and ignored: difference_in_means": "what ignoring clusters does",
    "weak overlap: aipw, not trimmed": "what trimming is for",
    "sampling weights, and ignored: aipw": "what ignoring sampling weights does",
    "weak instrument: the usual interval of 2sls": "what a weak instrument does",
    "both are wrong: ATE": "what no estimator survives",
    "both are wrong: ATT": "what no estimator survives",
}
"""Rows for contrast."""
NOT_EFFICIENT = ("confounded: ipw", "confounded: matching, ATE", "confounded: matching, ATT")
"""Rows whose method is not meant to be as narrow as it could be: only their coverage has a target."""
_JUDGED = 20
ERRORS = float(stats.norm.isf(0.01 / (2 * _JUDGED)))
"""Monte-Carlo errors that a coverage may lie beyond 95 %, 3.5: of a hundred benches of exact methods one misses
somewhere. With three errors about one in twenty would."""

WAYS = {"again": Computing(), "over two threads": Computing(2), "over two processes": Computing(2, "loky")}
"""Ways to compute an answer that must not change it."""

Progress = Callable[[int, int, str], object]


@dataclass(frozen=True)
class Row:
    """One method in one world. covered, oracle_covered: shares of runs whose interval held the truth; error: the
    Monte-Carlo error of such a share. width: mean width over the oracle's. bias: mean estimate less truth, in standard
    deviations of the outcome, with its Monte-Carlo error. target: what is claimed. met: None where nothing is.
    """

    row: str
    runs: int
    bias: float
    bias_error: float
    covered: float | None
    error: float | None
    width: float | None
    oracle_covered: float | None
    target: str
    met: bool | None
    note: str = ""


@dataclass(frozen=True)
class Verdicts:
    """Shares of runs with each verdict, and the share that was right."""

    scenario: str
    runs: int
    credible: float
    caution: float
    withheld: float
    right: float
    target: str
    met: bool


@dataclass(frozen=True)
class Same:
    """Whether the whole answer of a study is the same to the last bit when it is computed in another way."""

    computed: str
    met: bool


@dataclass(frozen=True)
class CausalValidity:
    seed: int
    rows: tuple[Row, ...]
    verdicts: tuple[Verdicts, ...]
    determinism: tuple[Same, ...]

    @property
    def met(self) -> bool:
        return all(each.met is not False for each in (*self.rows, *self.verdicts, *self.determinism))

    def as_documents(self) -> list[dict[str, Any]]:
        kinds = {"causal rates": self.rows, "verdicts": self.verdicts, "determinism": self.determinism}
        return [
            {"kind": kind, "seed": self.seed, **asdict(each)}
            for kind, members in kinds.items()
            for each in members  # type: ignore[attr-defined]
        ]


Task = tuple[str, str, int, int]
"""rates or verdicts, world or scenario, seed of the bench, number of the run."""


def causal_validity(
    progress: Progress,
    *,
    runs: int = RUNS,
    seed: int = SEED,
    worlds: Sequence[str] = tuple(WORLDS),
    scenarios: Sequence[str] = tuple(SCENARIOS),
    ways: Sequence[str] = tuple(WAYS),
    workers: int | None = None,
) -> CausalValidity:
    """Every row. workers: processes, as many as cores if not given; 0 for none but this one. They change no number."""
    tasks = [("rates", world, seed, run) for run in range(runs) for world in worlds]
    tasks += [("verdicts", each, seed, run) for each in scenarios for run in range(verdict_runs(each, runs))]
    seen: dict[str, list[Seen]] = {}
    verdicts: dict[str, list[str]] = {each: [] for each in scenarios}
    for done, (task, found) in enumerate(zip(tasks, _answers(tasks, workers), strict=True)):
        progress(done, len(tasks), task[1])
        if isinstance(found, str):
            verdicts[task[1]].append(found)
        else:
            for each in found:
                seen.setdefault(each.row, []).append(each)
    progress(len(tasks), len(tasks), "determinism")
    return CausalValidity(
        seed,
        tuple(row_of(row, members) for row, members in seen.items()),
        tuple(verdicts_of(scenario, given) for scenario, given in verdicts.items()),
        determinism(ways),
    )


def verdict_runs(scenario: str, runs: int) -> int:
    """A tenth of the runs; fewer where everything is tried."""
    return max(4, runs // (50 if SCENARIOS[scenario].in_full else 10))


def run(task: Task) -> list[Seen] | str:
    """One task. The same task gives the same numbers, whatever runs beside it."""
    kind, name, seed, number = task
    rng = Streams(seed)[f"{name} {number}"]
    return observe(name, number, rng) if kind == "rates" else verdict_of(name, number, rng)


def _answers(tasks: Sequence[Task], workers: int | None) -> Iterator[list[Seen] | str]:
    if workers == 0:
        yield from map(run, tasks)
        return
    # A fresh process each: polars and OpenMP do not survive a fork with their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool:
        yield from pool.map(run, tasks, chunksize=8)


def row_of(row: str, seen: Sequence[Seen]) -> Row:
    """The runs of one row, judged."""
    errors = np.array([each.error for each in seen])
    runs, bias = len(seen), float(errors.mean())
    bias_error = float(errors.std(ddof=1)) / math.sqrt(runs)
    note = NO_CLAIM.get(row, "")
    covered, error = _share(each.covered for each in seen), math.sqrt(LEVEL * (1 - LEVEL) / runs)
    oracle_covered = _share(each.oracle_covered for each in seen)
    widths = [each.width for each in seen if each.width is not None]
    width = sum(widths) / sum(each.oracle_width or 0.0 for each in seen) if widths else None
    if covered is None:
        target, met = f"bias at most {MOST_BIAS:g} sd", abs(bias) <= MOST_BIAS
        return Row(row, runs, bias, bias_error, None, None, None, None, *_claimed(note, target, met), note)
    target, met = f"covers {LEVEL:.0%}", abs(covered - LEVEL) <= ERRORS * error
    if width is not None and row not in NOT_EFFICIENT:
        target += f"; width within {MOST_WIDTH:.0%}"
        met = met and abs(width - 1) <= MOST_WIDTH
    return Row(row, runs, bias, bias_error, covered, error, width, oracle_covered, *_claimed(note, target, met), note)


def _claimed(note: str, target: str, met: bool) -> tuple[str, bool | None]:
    return ("none", None) if note else (target, met)


def _share(flags: Iterable[bool | None]) -> float | None:
    known = [flag for flag in flags if flag is not None]
    return sum(known) / len(known) if known else None


def verdicts_of(scenario: str, given: Sequence[str]) -> Verdicts:
    """Rates of the verdicts, and whether they are right often enough."""
    asked, counts, runs = SCENARIOS[scenario], Counter(given), len(given)
    right = sum(counts[verdict] for verdict in asked.wanted) / runs
    # A share near its limit, in few runs, may lie two Monte-Carlo errors below.
    slack = 2 * math.sqrt(asked.least * (1 - asked.least) / runs)
    target = f"{' or '.join(asked.wanted)}, {asked.least:.0%} or more"
    credible, caution, withheld = (counts[verdict] / runs for verdict in ("credible", "caution", "withheld"))
    return Verdicts(scenario, runs, credible, caution, withheld, right, target, right >= asked.least - slack)


def determinism(ways: Sequence[str]) -> tuple[Same, ...]:
    """One study with all that is computed of it, again and over threads and processes."""
    frame = frame_of(draw(np.random.default_rng(5), SMOOTH, seed=0, n=400))
    study = declared_study(effect_modifiers=["x0", "x1"])

    def digest(computing: Computing) -> str:
        answer = document(frame, study, computing, in_full=True)
        return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()

    first = digest(Computing()) if ways else ""
    return tuple(Same(way, digest(WAYS[way]) == first) for way in ways)
