"""Effects of units beside EconML's causal forest: seconds, error on fresh units, memory, and seconds of SHAP."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.alone import Spent, alone, spend
from benchmarks.figure import Figure
from causeway.effects.heterogeneity.cate import Cate, fit_cate
from causeway.effects.heterogeneity.drivers import drivers
from causeway.effects.heterogeneity.scores import Scores, scores_of
from causeway.effects.influence import Array, Flags
from causeway.effects.nuisances import fit_nuisances

COLUMNS = 10
SIDE_BY_SIDE, LARGE, FRESH, EXPLAINED = 50_000, 1_000_000, 20_000, 10_000
FASTER_THAN_BOOSTED, FASTER_THAN_DEFAULTS = 5, 20
LARGE_SECONDS, LARGE_GIGABYTES, SHAP_SECONDS = 90.0, 8.0, 4.0
FOLDS, FOLDS_OF_LARGE = 3, 2
# The first fit of a process pays for imports and threads.
WARM_UP, WARM_UP_OF_THEIRS = 2_000, 500


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


@dataclass(frozen=True)
class Measured:
    """error: root mean squared error of the effects of fresh units. of: what was fitted."""

    spent: Spent
    error: float
    of: str

    @property
    def told(self) -> str:
        return (
            f"{self.spent.seconds:.1f} s ({self.spent.cpu_seconds:.1f} CPU s, {self.spent.gigabytes:.2f} GB),"
            f" RMSE {self.error:.3f}, {self.of}"
        )


def cate(report: Callable[[str], object], n: int = SIDE_BY_SIDE, large: int = LARGE) -> list[Figure]:
    """Each side in a fresh process, timed from the data to effects, nuisances included, and with all cores."""
    ours, shap = alone(measure_ours, n, FOLDS)
    report(f"CATE of {n:,} rows: {ours.told}")
    figures = []
    for name, times in (("LightGBM nuisances", FASTER_THAN_BOOSTED), ("all defaults", FASTER_THAN_DEFAULTS)):
        theirs = alone(measure_forest, n, boosted=times == FASTER_THAN_BOOSTED)
        report(f"  CausalForestDML, {name}: {theirs.told}")
        figures += _beside(ours, theirs, f"CausalForestDML, {name}", n, times)
    line = alone(measure_line, n)
    report(f"  LinearDML, LightGBM nuisances: {line.told}")
    figures += _beside(ours, line, "LinearDML, LightGBM nuisances", n, None)
    report(f"SHAP of {min(n, EXPLAINED):,} rows: {shap.seconds:.2f} s ({shap.cpu_seconds:.2f} CPU s)")
    figures.append(
        Figure(
            f"SHAP of {min(n, EXPLAINED):,} rows ({shap.cpu_seconds:.2f} CPU s)", shap.seconds, "seconds", "target",
            SHAP_SECONDS, f"within {SHAP_SECONDS:.0f} s", shap.seconds <= SHAP_SECONDS,
        )
    )  # fmt: skip
    most, _ = alone(measure_ours, large, FOLDS_OF_LARGE, explain=False)
    report(f"CATE of {large:,} rows: {most.told}")
    return [
        *figures,
        Figure(
            f"CATE of {large:,} rows, RMSE {most.error:.3f} ({most.spent.cpu_seconds:.1f} CPU s)", most.spent.seconds,
            "seconds", "target", LARGE_SECONDS, f"within {LARGE_SECONDS:.0f} s", most.spent.seconds <= LARGE_SECONDS,
        ),
        Figure(
            f"CATE of {large:,} rows, peak memory", most.spent.gigabytes, "GB", "target", LARGE_GIGABYTES,
            f"within {LARGE_GIGABYTES:.0f} GB", most.spent.gigabytes <= LARGE_GIGABYTES,
        ),
    ]  # fmt: skip


def _beside(ours: Measured, theirs: Measured, anchor: str, n: int, times: int | None) -> list[Figure]:
    seconds, their_seconds = ours.spent.seconds, theirs.spent.seconds
    return [
        Figure(
            f"CATE of {n:,} rows ({ours.spent.cpu_seconds:.1f} CPU s)", seconds, "seconds",
            f"{anchor} ({theirs.spent.cpu_seconds:.1f} CPU s)", their_seconds,
            f"at least {times} times faster" if times else "none: its effects are linear",
            not times or their_seconds >= times * seconds,
        ),
        Figure(
            f"error of the CATE of {n:,} rows", ours.error, f"RMSE of {FRESH:,} fresh units", anchor, theirs.error,
            "no worse", ours.error <= theirs.error,
        ),
    ]  # fmt: skip


def measure_ours(n: int, folds: int, explain: bool = True) -> tuple[Measured, Spent]:
    """Nuisances, effects and the test that they beat a constant; and SHAP of some units, if wanted."""
    units, fresh = draw(n, 1), draw(FRESH, 2)
    _ours(draw(WARM_UP, 3), folds)
    spent, (found, splits) = spend(lambda: _ours(units, folds))
    shap = Spent(0.0, 0.0, 0.0)
    if explain:
        columns = [f"x{place}" for place in range(COLUMNS)]
        shap, explained = spend(lambda: drivers(found, units.x, columns, splits, units=EXPLAINED))
        # A constant has nothing to explain, which would be quick.
        assert explained.status == "ok" or not found.beats_constant, explained.status
    return Measured(spent, _error(found.model.predict(fresh.x), fresh), found.learner), shap


def measure_forest(n: int, *, boosted: bool) -> Measured:
    from econml.dml import CausalForestDML

    def fit(units: Units) -> Any:
        nuisances = boosted_nuisances() if boosted else {}
        forest = CausalForestDML(**nuisances, discrete_treatment=True, random_state=1)
        return forest.fit(units.outcome, units.treated.astype(np.int64), X=units.x)

    return _measure_theirs(fit, n)


def measure_line(n: int) -> Measured:
    from econml.dml import LinearDML

    def fit(units: Units) -> Any:
        model = LinearDML(**boosted_nuisances(), discrete_treatment=True, random_state=1)
        return model.fit(units.outcome, units.treated.astype(np.int64), X=units.x)

    return _measure_theirs(fit, n)


def boosted_nuisances() -> dict[str, Any]:
    """LightGBM with its own defaults."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    return {"model_y": LGBMRegressor(verbose=-1), "model_t": LGBMClassifier(verbose=-1)}


def _measure_theirs(fit: Callable[[Units], Any], n: int) -> Measured:
    # Of what libraries below EconML will do in their next versions.
    warnings.simplefilter("ignore", FutureWarning)
    units, fresh = draw(n, 1), draw(FRESH, 2)
    # With LightGBM's threads; the forests of the defaults need no warming up that would tell.
    fit(draw(WARM_UP_OF_THEIRS, 3))
    spent, model = spend(lambda: fit(units))
    return Measured(spent, _error(np.asarray(model.effect(fresh.x)).ravel(), fresh), type(model).__name__)


def _ours(units: Units, folds: int) -> tuple[Cate, list[Scores]]:
    n_jobs = os.cpu_count() or 1
    nuisances = fit_nuisances(
        outcome=units.outcome, treated=units.treated, x=units.x, seeds=(0,), n_folds=folds, n_jobs=n_jobs
    )
    scores = [scores_of(units.outcome, units.treated, nuisances[0])]
    average = float(scores[0].doubly_robust.mean())
    return fit_cate(units.x, units.treated, scores, constant=average, n_jobs=n_jobs), scores


def _error(predicted: Array, fresh: Units) -> float:
    return float(np.sqrt(np.mean((predicted - fresh.effect) ** 2)))
