"""Effects of units beside EconML's causal forest: seconds, error on fresh units, memory, and seconds of SHAP."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.figure import Figure
from causeway.effects.heterogeneity.cate import Cate, fit_cate
from causeway.effects.heterogeneity.drivers import drivers
from causeway.effects.heterogeneity.scores import Scores, scores_of
from causeway.effects.influence import Array, Flags
from causeway.effects.nuisances import fit_nuisances

_T = TypeVar("_T")

COLUMNS = 10
SIDE_BY_SIDE, LARGE, FRESH, EXPLAINED = 50_000, 1_000_000, 20_000, 10_000
FASTER_THAN_BOOSTED, FASTER_THAN_DEFAULTS = 5, 20
LARGE_SECONDS, LARGE_GIGABYTES, SHAP_SECONDS = 90.0, 8.0, 4.0
FOLDS, FOLDS_OF_LARGE = 3, 2


@dataclass(frozen=True)
class Units:
    """effect: the true one of each unit."""

    x: Array
    treated: Flags
    outcome: Array
    effect: Array


def draw(n: int, seed: int) -> Units:
    """Ten normal modifiers; treatment and outcome both depend on the first three, and the effect has a kink."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, COLUMNS))
    propensity = np.clip(1 / (1 + np.exp(-(0.6 * x[:, 0] + 0.4 * x[:, 1] - 0.4 * x[:, 2]))), 0.05, 0.95)
    treated = generator.random(n) < propensity
    effect = 1 + np.maximum(x[:, 0], 0) + 0.5 * x[:, 1]
    outcome = x[:, 0] + np.abs(x[:, 1]) + 0.5 * x[:, 2] * x[:, 3] + treated * effect + generator.normal(size=n)
    return Units(x, treated, outcome, effect)


def cate(report: Callable[[str], object]) -> list[Figure]:
    """Each side is timed from the data to effects, nuisances included, and with all cores."""
    units, fresh = draw(SIDE_BY_SIDE, 1), draw(FRESH, 2)
    # The first fit of a process pays for imports and threads.
    _ours(draw(2_000, 3), FOLDS)
    _forest(draw(2_000, 3), boosted=True)
    report(f"ours, {SIDE_BY_SIDE:,} rows")
    seconds, (found, splits) = _timed(lambda: _ours(units, FOLDS))
    error = _error(found.model.predict(fresh.x), fresh)
    report(f"  {seconds:.1f} s, RMSE {error:.3f}, {found.learner}")
    figures = []
    for name, boosted, times in (("boosted", True, FASTER_THAN_BOOSTED), ("defaults", False, FASTER_THAN_DEFAULTS)):
        report(f"CausalForestDML, {name}")
        theirs, forest = _timed(lambda boosted=boosted: _forest(units, boosted=boosted))
        their_error = _error(np.asarray(forest.effect(fresh.x)).ravel(), fresh)
        report(f"  {theirs:.1f} s, RMSE {their_error:.3f}")
        anchor = f"CausalForestDML, {'LightGBM nuisances' if boosted else 'all defaults'}"
        figures += [
            Figure(
                f"CATE of {SIDE_BY_SIDE:,} rows", seconds, "seconds", anchor, theirs,
                f"at least {times} times faster", theirs >= times * seconds,
            ),
            Figure(
                f"error of the CATE of {SIDE_BY_SIDE:,} rows", error, f"RMSE of {FRESH:,} fresh units", anchor,
                their_error, "no worse", error <= their_error,
            ),
        ]  # fmt: skip
    columns = [f"x{place}" for place in range(COLUMNS)]
    shap, explained = _timed(lambda: drivers(found, units.x, columns, splits, units=EXPLAINED))
    report(f"SHAP of {EXPLAINED:,} rows: {shap:.2f} s, {explained.status}, gap {explained.largest_gap}")
    figures.append(
        Figure(
            f"SHAP of {EXPLAINED:,} rows", shap, "seconds", "target", SHAP_SECONDS, f"within {SHAP_SECONDS:.0f} s",
            explained.status == "ok" and shap <= SHAP_SECONDS,
        )
    )  # fmt: skip
    report(f"ours, {LARGE:,} rows")
    # A process of its own: what the others have used must not count, and what it uses must be known.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        large_seconds, gigabytes, large_error = pool.submit(_large, LARGE).result()
    report(f"  {large_seconds:.1f} s, {gigabytes:.2f} GB, RMSE {large_error:.3f}")
    return [
        *figures,
        Figure(
            f"CATE of {LARGE:,} rows", large_seconds, "seconds", "target", LARGE_SECONDS,
            f"within {LARGE_SECONDS:.0f} s", large_seconds <= LARGE_SECONDS,
        ),
        Figure(
            f"CATE of {LARGE:,} rows, peak memory", gigabytes, "GB", "target", LARGE_GIGABYTES,
            f"within {LARGE_GIGABYTES:.0f} GB", gigabytes <= LARGE_GIGABYTES,
        ),
    ]  # fmt: skip


def _ours(units: Units, folds: int) -> tuple[Cate, list[Scores]]:
    """Nuisances, effects, and the test that they beat a constant."""
    n_jobs = os.cpu_count() or 1
    nuisances = fit_nuisances(
        outcome=units.outcome, treated=units.treated, x=units.x, seeds=(0,), n_folds=folds, n_jobs=n_jobs
    )
    scores = [scores_of(units.outcome, units.treated, nuisances[0])]
    average = float(scores[0].doubly_robust.mean())
    return fit_cate(units.x, units.treated, scores, constant=average, n_jobs=n_jobs), scores


def _forest(units: Units, *, boosted: bool):
    from econml.dml import CausalForestDML

    if not boosted:
        forest = CausalForestDML(discrete_treatment=True, random_state=1)
    else:
        from lightgbm import LGBMClassifier, LGBMRegressor

        forest = CausalForestDML(
            model_y=LGBMRegressor(verbose=-1), model_t=LGBMClassifier(verbose=-1), discrete_treatment=True,
            random_state=1,
        )  # fmt: skip
    return forest.fit(units.outcome, units.treated.astype(np.int64), X=units.x)


def _large(n: int) -> tuple[float, float, float]:
    """Seconds, peak gigabytes of the process (data included), and error on fresh units."""
    units = draw(n, 4)
    seconds, (found, _) = _timed(lambda: _ours(units, FOLDS_OF_LARGE))
    fresh = draw(FRESH, 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return seconds, peak, _error(found.model.predict(fresh.x), fresh)


def _error(predicted: Array, fresh: Units) -> float:
    return float(np.sqrt(np.mean((predicted - fresh.effect) ** 2)))


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found
