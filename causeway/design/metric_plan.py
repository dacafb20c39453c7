"""What one metric of an experiment needs, and what it can show: without and with a covariate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from causeway.design.baseline import Baseline
from causeway.design.comparison import Clusters, Comparison, Role
from causeway.design.duration import Duration, EnrolmentCurve, ReachableEffect, days_until, reachable_effects
from causeway.design.power import PowerAnswer, minimum_detectable_effect, power, sample_size
from causeway.design.replay import Replay
from causeway.design.sequential_power import SequentialDesign

Unit = Literal["relative", "absolute", "hazard_ratio"]


@dataclass(frozen=True, slots=True)
class SimulatedEffect:
    """The smallest lift that `Simulation.minimum_detectable_lift` found, and at how many units.

    lift: its size, above 0; low, high: its Monte-Carlo interval. unit: what it is measured in: "hazard_ratio"
    is the ratio less 1. units: treated and control together. Other sizes are answered by the square-root rule:
    four times the units, half the lift. Of a guardrail it stands for the margin, as if a fall were found like a rise.
    """

    lift: float
    low: float
    high: float
    unit: Unit
    units: float

    def __post_init__(self) -> None:
        if not (self.lift > 0 and self.units > 0):
            raise ValueError(f"a simulated lift has a size above 0, and units: {self}")


@dataclass(frozen=True, slots=True)
class MetricQuestion:
    """A metric with its history, and what is wanted of it.

    baseline: of a metric with a formula; simulated, simulated_adjusted: of one without (quantile, time to
    event), without and with the covariate. Exactly one of baseline and simulated is given.
    variance_factor: what the covariate, such as the twin's score, leaves of the variance (`variance_left`); None
    where there is none.
    relevant_effect: the smallest effect worth knowing of, as a share of the baseline mean (of a simulated
    metric in its own unit). margin: the loss that is tolerated in the same measure; with it the metric is tested
    for non-inferiority and relevant_effect is not looked at.
    watch_days: days a unit is watched before its value is complete. replay: of the method on this history.
    clusters: with the correlation of this metric; those of the circumstances if None.
    """

    key: str
    baseline: Baseline | None = None
    role: Role = "secondary"
    direction: Literal["increase", "decrease"] = "increase"
    variance_factor: float | None = None
    relevant_effect: float | None = None
    margin: float | None = None
    watch_days: int = 0
    simulated: SimulatedEffect | None = None
    simulated_adjusted: SimulatedEffect | None = None
    replay: Replay | None = None
    clusters: Clusters | None = None

    def __post_init__(self) -> None:
        if (self.baseline is None) == (self.simulated is None):
            raise ValueError(f"metric {self.key}: either a baseline or a simulated effect is wanted")
        for name, size in (("relevant_effect", self.relevant_effect), ("margin", self.margin)):
            if size is not None and not 0 < size < math.inf:
                raise ValueError(f"metric {self.key}: {name} is a size above 0, its direction is declared: {size}")
        if self.variance_factor is not None and not 0 < self.variance_factor <= 1:
            raise ValueError(f"metric {self.key}: a covariate leaves a share of the variance: {self.variance_factor}")

    @property
    def has_covariate(self) -> bool:
        """Whether anything is known of what a covariate would change."""
        return self.simulated_adjusted is not None or (self.baseline is not None and self.variance_factor is not None)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What all metrics of an experiment share.

    alpha: of this comparison, two-sided, after multiplicity; power: the wanted chance.
    control_share, treated_share: of all units, for the control and for the variant that is planned for.
    curve: None where no history of enrolment is known. days: planned length. clusters: of the randomisation.
    units: of all variants together that are planned for where there is no curve.
    looks: from alpha and sides to the design of the looks; None for one look at the end.
    """

    alpha: float
    power: float
    control_share: float
    treated_share: float
    curve: EnrolmentCurve | None = None
    days: int | None = None
    clusters: Clusters | None = None
    looks: Callable[[float, int], SequentialDesign] | None = None
    units: float | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What one way of analysing a metric needs, and shows.

    wanted: the answer to "how many units for the relevant effect (or for the margin)"; None where neither is
    declared. units: the same over all variants together. duration: until then.
    smallest: smallest effect after the planned days, in `unit`; of a guardrail the smallest margin that would be
    proved were there no effect. chance: the power for the relevant effect (or the margin) after these days.
    by_day: the smallest effect after each number of days, after each week where looks are repeated.
    """

    unit: Unit
    variance_factor: float
    wanted: PowerAnswer | None
    units: float | None
    duration: Duration | None
    smallest: float | None
    chance: float | None
    by_day: tuple[ReachableEffect, ...]

    def as_document(self) -> dict[str, Any]:
        """The reach as JSON values."""
        duration = self.duration
        return {
            "unit": self.unit,
            "variance_factor": self.variance_factor,
            "status": self.wanted.status if self.wanted else None,
            "units": self.units,
            "n_treated": self.wanted.n_treated if self.wanted else None,
            "n_control": self.wanted.n_control if self.wanted else None,
            "effect": self.wanted.effect if self.wanted else None,
            "relative_effect": self.wanted.relative_effect if self.wanted else None,
            "settings": self.wanted.settings if self.wanted else {},
            "duration": None
            if duration is None
            else {
                "status": duration.status,
                "days": duration.days,
                "days_low": duration.days_low,
                "days_high": duration.days_high,
                "last_day": duration.last_day.isoformat() if duration.last_day else None,
                "settings": duration.settings,
            },
            "smallest_effect": self.smallest,
            "power": self.chance,
            "by_day": [
                {"day": r.day, "units": r.units, "effect": r.effect, "low": r.effect_low, "high": r.effect_high}
                for r in self.by_day
            ],
        }


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of analysing a metric: from units of all variants to the smallest effect, and back."""

    question: MetricQuestion
    around: Circumstances
    adjusted: bool

    @property
    def simulated(self) -> SimulatedEffect | None:
        return self.question.simulated_adjusted if self.adjusted else self.question.simulated

    @property
    def unit(self) -> Unit:
        if self.simulated is not None:
            return self.simulated.unit
        return "relative" if self.question.baseline and self.question.baseline.mean != 0 else "absolute"

    @property
    def scale(self) -> float:
        """The absolute size of 1 in `unit`."""
        return abs(self.question.baseline.mean) if self.question.baseline and self.unit == "relative" else 1.0

    @property
    def factor(self) -> float:
        plain, adjusted = self.question.simulated, self.question.simulated_adjusted
        if not self.adjusted:
            return 1.0
        if plain is not None and adjusted is not None:
            return (adjusted.lift / plain.lift) ** 2 * adjusted.units / plain.units
        return self.question.variance_factor or 1.0

    def comparison(self, *, margin: float = 0.0) -> Comparison:
        """The comparison; a guardrail looks at one bound of the two-sided interval."""
        one_sided = self.question.margin is not None
        return Comparison(
            alpha=self.around.alpha / 2 if one_sided else self.around.alpha,
            sides=1 if one_sided else 2,
            direction=self.question.direction,
            margin=margin,
            allocation=self.around.treated_share / self.around.control_share,
            variance_factor=self.factor,
            clusters=self.question.clusters or self.around.clusters,
        )

    def looks(self, comparison: Comparison) -> SequentialDesign | None:
        return self.around.looks(comparison.alpha, comparison.sides) if self.around.looks else None

    def smallest(self, units: float) -> float | None:
        """The smallest effect (or margin), as a size above 0 in `unit`."""
        if self.simulated is not None:
            return self._simulated_lift(units)
        if self.question.baseline is None or units <= 0:
            return None
        comparison = self.comparison()
        ask = looks.minimum_detectable_effect if (looks := self.looks(comparison)) else minimum_detectable_effect
        answer = ask(self.question.baseline, comparison, **self._arms(units), power=self.around.power)
        return None if answer.effect is None else abs(answer.effect) / self.scale

    def wanted(self) -> PowerAnswer | None:
        size = self.question.margin or self.question.relevant_effect
        if size is None:
            return None
        if self.simulated is not None:
            found = self.simulated
            control = found.units * (found.lift / size) ** 2 / (1 + self.comparison().allocation)
            n_treated, n_control = math.ceil(self.comparison().allocation * control), math.ceil(control)
            settings = {**self.comparison().settings(), "method": "resampled history, square-root rule"}
            relative = size if self.unit == "relative" else None
            effect = size if self.unit == "absolute" else None
            return PowerAnswer("ok", self.around.power, effect, relative, n_treated, n_control, settings)
        if self.question.baseline is None:
            return None
        comparison, aim = self._aim(size)
        ask = looks.sample_size if (looks := self.looks(comparison)) else sample_size
        return ask(self.question.baseline, comparison, effect=aim, power=self.around.power)

    def chance(self, units: float) -> float | None:
        """The power for the relevant effect, or for the margin where there is no effect."""
        size = self.question.margin or self.question.relevant_effect
        if size is None or self.question.baseline is None:
            return None
        comparison, effect = self._aim(size)
        ask = looks.power if (looks := self.looks(comparison)) else power
        return ask(self.question.baseline, comparison, effect=effect, **self._arms(units)).power

    def _aim(self, size: float) -> tuple[Comparison, float]:
        absolute = size * self.scale
        if self.question.margin is not None:
            return self.comparison(margin=absolute), 0.0
        comparison = self.comparison()
        return comparison, comparison.sign * absolute

    def _arms(self, units: float) -> dict[str, float]:
        return {"n_treated": self.around.treated_share * units, "n_control": self.around.control_share * units}

    def _simulated_lift(self, units: float) -> float | None:
        found, both = self.simulated, (self.around.treated_share + self.around.control_share) * units
        return found.lift * math.sqrt(found.units / both) if found is not None and both > 0 else None


def reach(question: MetricQuestion, around: Circumstances, *, adjusted: bool) -> Reach:
    """What the metric needs and shows, with the covariate or without."""
    way = _Way(question, around, adjusted)
    wanted, curve = way.wanted(), around.curve
    units = None
    if wanted is not None and wanted.n_control is not None and wanted.n_treated is not None:
        units = float(math.ceil(max(wanted.n_control / around.control_share, wanted.n_treated / around.treated_share)))
    by_day: tuple[ReachableEffect, ...] = ()
    duration, planned = None, around.units if curve is None else None
    if curve is not None:
        # Repeated looks are simulated, which is dear: a week is fine enough a step for them.
        days = range(7, curve.paths.shape[1] + question.watch_days + 1, 7) if around.looks else None
        by_day = reachable_effects(curve, way.smallest, watch_days=question.watch_days, days=days)
        duration = None if units is None else days_until(curve, units, watch_days=question.watch_days)
        if around.days is not None and 1 <= around.days - question.watch_days <= curve.paths.shape[1]:
            planned = curve.units(around.days - question.watch_days)[0]
    return Reach(
        unit=way.unit,
        variance_factor=way.factor,
        wanted=wanted,
        units=units,
        duration=duration,
        smallest=None if planned is None else way.smallest(planned),
        chance=None if planned is None else way.chance(planned),
        by_day=by_day,
    )
