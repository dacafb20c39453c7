"""What a simulated world knows about itself: the true effects that an analysis of its data should find.

Every effect of an experiment is a *sample average effect of expectations*. With units i = 1..n, their traits
and their times of enrolment fixed, and mu_i(v) the expected metric of unit i under variant v, the effect of v
against control c is

    (1 / n) * sum_i (mu_i(v) - mu_i(c)),    mean_control = (1 / n) * sum_i mu_i(c)

over all units of the experiment (or of the segment). mu_i comes from the closed form of the simulated
process, not from drawn outcomes. Under random assignment this is exactly what the difference in means of the
landed data estimates without bias: its expected value over assignment and outcomes, given the units and that
no arm is empty (Imbens and Rubin 2015, Causal Inference for Statistics, Social, and Biomedical Sciences,
chapter 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrueEffect:
    """The effect of `variant` against `control` on one metric.

    `segment` is written as in results, "channel=Phone", and None for everybody; `effect` and `mean_control`
    are in the unit of the metric.
    """

    metric: str
    segment: str | None
    variant: str
    control: str
    effect: float
    mean_control: float

    @property
    def relative_effect(self) -> float | None:
        """Effect over the control mean; None where the control mean is zero and the ratio undefined."""
        return None if self.mean_control == 0 else self.effect / self.mean_control


@dataclass(frozen=True)
class ExperimentTruth:
    """All true effects of one experiment.

    `log_is_complete` is False where rows of the assignment log were lost on purpose: the effects are then
    those of the trial as it was run, and the difference in means of what landed is not an unbiased estimate
    of them.
    """

    effects: tuple[TrueEffect, ...]
    log_is_complete: bool = True

    def find(self, metric: str, variant: str, segment: str | None = None) -> TrueEffect:
        """Return the one effect with these keys; KeyError if the world does not have it."""
        for effect in self.effects:
            if (effect.metric, effect.variant, effect.segment) == (metric, variant, segment):
                return effect
        raise KeyError(f"no true effect for metric {metric!r}, variant {variant!r}, segment {segment!r}")


@dataclass(frozen=True)
class StudyTruth:
    """The truth of an observational question, given the units and their chance e_i of being treated.

    ate, att: average effect over all units, and over the treated (each unit weighted by e_i).
    naive_bias: what the unadjusted difference of the treated and the untreated mean adds to `ate`; computed
    from expectations as sum(e y1) / sum(e) - sum((1 - e) y0) / sum(1 - e) - ate (a ratio of expectations,
    exact up to O(1/n)).
    treated_share: the mean of e_i.
    """

    ate: float
    att: float
    naive_bias: float
    treated_share: float

    @property
    def naive_difference(self) -> float:
        """Expected unadjusted difference of means."""
        return self.ate + self.naive_bias


@dataclass(frozen=True)
class WorldTruth:
    """The truth of a whole world, by the keys under which its experiments and studies are declared."""

    experiments: Mapping[str, ExperimentTruth]
    studies: Mapping[str, StudyTruth]


@dataclass(frozen=True)
class SimulatedWorld:
    """Raw records of one tenant and the truth behind them.

    events: source, event_id, type, unit_id, occurred_at, sent_at, properties (JSON text); one row per event.
    assignments: source, event_id, type, unit_id, occurred_at, sent_at, experiment, variant, properties; one
    row per unit and experiment. Both are sorted by occurred_at; times are UTC with microseconds.
    """

    tenant: str
    events: pl.DataFrame
    assignments: pl.DataFrame
    truth: WorldTruth


def average_effects(
    metric: str,
    control: tuple[str, NDArray[np.float64]],
    variants: Mapping[str, NDArray[np.float64]],
    segments: Mapping[str, pl.Series],
) -> tuple[TrueEffect, ...]:
    """Average expected outcomes into true effects, for everybody and for each level of each segment.

    control: its key and mu_i(c), shape (n,); variants: key to mu_i(v), shape (n,); segments: name to the
    level of each unit, length n. Units without a level belong to no segment.
    """
    control_key, control_mean = control
    effects = []
    for variant, variant_mean in variants.items():
        units = pl.DataFrame({"effect": variant_mean - control_mean, "control": control_mean, **segments})
        rows = [(None, units)] + [
            (f"{name}={level}", group)
            for name in segments
            for (level,), group in sorted(units.drop_nulls(name).partition_by(name, as_dict=True).items())
        ]
        effects += [
            TrueEffect(metric, segment, variant, control_key, _mean(rows_of["effect"]), _mean(rows_of["control"]))
            for segment, rows_of in rows
        ]
    return tuple(effects)


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean())
