"""The plan of an experiment from its history: every metric in each way of analysing it, and how honest that way is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from causeway.design.comparison import Correction, Role, alpha_of
from causeway.design.duration import EnrolmentCurve
from causeway.design.history import CLUSTER, OUTCOME, SEEN, Covariate, MetricHistory
from causeway.design.lifts import HazardRatio, multiply
from causeway.design.looks import Looks
from causeway.design.metric_plan import MetricQuestion, Reach, SimulatedEffect
from causeway.design.plan import MetricPlan, plan_experiment
from causeway.design.replay import Replay, replay, replay_difference_in_means, replay_looks
from causeway.design.simulated_power import Simulation
from causeway.statistics.look_plan import IntervalKind

# Beyond that many units a replay or a simulated experiment tells nothing more, and costs as much again.
MOST_REPLAYED, MOST_SIMULATED = 50_000, 4_000
LARGEST_FALL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class PlannedMetric:
    """A metric as it is declared, with its history.

    relevant_effect, margin: relative sizes above 0, or None; of a time to an event a change of the hazard.
    watch_days: days until a unit's value is complete. unplannable: why there can be no plan, None if there can.
    """

    key: str
    history: MetricHistory
    role: Role = "secondary"
    direction: Literal["increase", "decrease"] = "increase"
    relevant_effect: float | None = None
    margin: float | None = None
    watch_days: int = 0
    unplannable: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """What all metrics of an experiment share.

    weights: by variant, the control's among them. alpha: two-sided, of the whole family. curve: None where nothing is
    known of enrolment; units: planned units of all variants then. covariate: what effects are adjusted for.
    looks: None for an experiment that is looked at once. runs, replays, seed: of what is simulated.
    """

    experiment: str
    weights: Mapping[str, float]
    control: str
    alpha: float = 0.05
    power: float = 0.8
    correction: Correction = "holm"
    primary_share: float = 0.5
    curve: EnrolmentCurve | None = None
    days: int | None = None
    units: float | None = None
    covariate: Covariate = "none"
    looks: Looks | None = None
    runs: int = 300
    replays: int = 1_000
    seed: int = 0

    @property
    def treated(self) -> dict[str, float]:
        """The variants other than the control that units are dealt."""
        return {name: weight for name, weight in self.weights.items() if name != self.control and weight > 0}

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of all units of the control, and of the treated variant with the least weight."""
        total = sum(weight for weight in self.weights.values() if weight > 0)
        return self.weights[self.control] / total, min(self.treated.values()) / total

    @property
    def treated_share(self) -> float:
        """Share of the treated variant in the two arms of one comparison."""
        control, treated = self.shares
        return treated / (control + treated)

    @property
    def units_compared(self) -> float | None:
        """Planned units of the two arms of one comparison."""
        units = self.units
        if self.curve is not None and self.days is not None:
            units = self.curve.units(min(self.days, self.curve.paths.shape[1]))[0]
        return None if units is None else units * sum(self.shares)


@dataclass(frozen=True, slots=True)
class WayPlan:
    """One metric, analysed in one way: with one kind of interval and one covariate.

    status: "ok", or why there is no answer, which `reason` says in words. alpha: after multiplicity. reach: what is
    needed and what is seen; None without an answer. replay: of that way on the history, None with `unreplayed` as
    the reason. method: formula, paths (repeated looks) or resampled history (no formula).
    """

    metric: PlannedMetric
    interval: IntervalKind
    covariate: Covariate
    status: str
    reason: str | None
    alpha: float
    method: Literal["formula", "simulation"]
    reach: Reach | None
    replay: Replay | None
    unreplayed: str | None
    sentence: str
    settings: dict[str, Any]


def plan_from_history(
    design: Design, metrics: Sequence[PlannedMetric], *, said: Callable[[str], None] = lambda line: None
) -> tuple[WayPlan, ...]:
    """Every metric, with a fixed horizon and as it will be looked at, each without and with its covariate.

    said: told what is being simulated. The answers are those of `plan_experiment`, `Simulation` and `replay` on the
    values of the units, with the methods that will analyse the experiment. Replays are at the design's alpha.
    """
    questions = {metric.key: _question(design, metric, _level(design, metric, metrics), said) for metric in metrics}
    found: list[WayPlan] = []
    for looks in (None, design.looks) if design.looks else (None,):
        said(
            "power and duration" if looks is None else f"power and duration with {looks.method.replace('_', ' ')} looks"
        )
        plan = plan_experiment(
            design.experiment,
            list(questions.values()),
            weights=design.weights,
            control=design.control,
            alpha=design.alpha,
            power=design.power,
            correction=design.correction,
            primary_share=design.primary_share,
            curve=design.curve,
            days=design.days,
            units=design.units,
            looks=looks.design if looks else None,
        )
        for metric, planned in zip(metrics, plan.metrics, strict=True):
            for covariate, reach in (("none", planned.plain), (design.covariate, planned.adjusted)):
                if reach is not None:
                    found.append(_way(design, metric, planned, reach, looks=looks, covariate=covariate, said=said))
    order = {metric.key: place for place, metric in enumerate(metrics)}
    return tuple(sorted(found, key=lambda way: order[way.metric.key]))


def _level(design: Design, metric: PlannedMetric, metrics: Sequence[PlannedMetric]) -> float:
    return alpha_of(
        metric.role,
        [other.role for other in metrics],
        alpha=design.alpha,
        variants=len(design.treated),
        correction=design.correction,
        primary_share=design.primary_share,
    )


def _question(design: Design, metric: PlannedMetric, alpha: float, said: Callable[[str], None]) -> MetricQuestion:
    history = metric.history
    baseline = history.baseline
    # A relative effect on a mean of zero is none.
    relative = baseline.mean != 0 or history.kind == "time_to_event"
    shared: dict[str, Any] = {
        "role": metric.role,
        "direction": metric.direction,
        "relevant_effect": metric.relevant_effect if relative else None,
        "margin": metric.margin if relative else None,
        "watch_days": metric.watch_days,
        "clusters": history.clusters,
    }
    simulated = None
    if not history.has_formula and history.is_measured and metric.unplannable is None:
        said(f"{metric.key}: simulating {design.runs} experiments for each power")
        simulated = _simulated(design, metric, alpha)
    if simulated is not None:
        return MetricQuestion(metric.key, simulated=simulated, **shared)
    factor = None if design.covariate == "none" else history.variance_factor(design.covariate)
    return MetricQuestion(metric.key, baseline, variance_factor=factor, **shared)


def _simulated(design: Design, metric: PlannedMetric, alpha: float) -> SimulatedEffect | None:
    """The smallest relative change that is found, in the wanted direction; of a time to an event that of its hazard."""
    history = metric.history
    hazard = history.kind == "time_to_event"
    if not hazard and history.baseline.mean == 0:
        return None
    kept = (OUTCOME, SEEN) if hazard else (OUTCOME,)
    alone = replace(history, columns={name: history.columns[name] for name in kept})
    # Times grow where the hazard falls.
    up = (metric.direction == "increase") != hazard
    both = min(design.units_compared or history.n, MOST_SIMULATED)
    n_treated = max(2, math.ceil(design.treated_share * both))
    n_control = max(2, math.ceil(both) - n_treated)
    found = Simulation(
        alone.rows,
        alone.estimate("none", alpha),
        HazardRatio(alone.rows) if hazard else multiply,
        runs=design.runs,
        seed=design.seed,
    ).minimum_detectable_lift(
        n_treated=n_treated,
        n_control=n_control,
        power=design.power,
        start=0.2 if up else -0.2,
        largest=100.0 if up else LARGEST_FALL,
    )
    if found.value is None or found.low is None or found.high is None or not found.value:
        return None
    low, high = sorted((abs(found.low), abs(found.high)))
    return SimulatedEffect(
        abs(found.value), low, high, "hazard_ratio" if hazard else "relative", float(n_treated + n_control)
    )


def _way(
    design: Design,
    metric: PlannedMetric,
    planned: MetricPlan,
    reach: Reach,
    *,
    looks: Looks | None,
    covariate: Covariate,
    said: Callable[[str], None],
) -> WayPlan:
    sentence, is_simulated = planned.sentence, planned.question.simulated is not None
    interval: IntervalKind = "fixed_horizon" if looks is None else looks.method
    status, reason = _status(metric, reach, looks, is_simulated=is_simulated)
    replayed, unreplayed = None, None
    if metric.unplannable is None and metric.history.is_measured:
        said(f"{metric.key}: replaying the history {design.replays:,} times ({interval}, {covariate})")
        replayed, unreplayed = _replay(design, metric.history, looks, covariate)
    if replayed is not None and replayed.verdict != "valid" and status == "ok":
        sentence = f"{sentence} {replayed.sentence}"
    settings = {
        "n_history": metric.history.n,
        **({"clusters": _clusters(metric.history)} if metric.history.clusters else {}),
    }
    return WayPlan(
        metric=metric,
        interval=interval,
        covariate=covariate,
        status=status,
        reason=reason,
        alpha=planned.alpha,
        method="formula" if metric.history.has_formula and looks is None else "simulation",
        reach=reach if status == "ok" else None,
        replay=replayed,
        unreplayed=unreplayed,
        sentence=sentence if status == "ok" else f"{metric.key}: {reason}",
        settings=settings,
    )


def _clusters(history: MetricHistory) -> dict[str, float] | None:
    found = history.clusters
    if found is None:
        return None
    return {
        "mean_size": found.mean_size,
        "size_cv": found.size_cv,
        "correlation": found.correlation,
        "design_effect": found.design_effect,
    }


def _status(  # noqa: PLR0911 - one line a reason
    metric: PlannedMetric, reach: Reach, looks: Looks | None, *, is_simulated: bool
) -> tuple[str, str | None]:
    history = metric.history
    if metric.unplannable is not None:
        return "not_estimable", metric.unplannable
    if history.n < 2:
        return "too_few_units", f"the history has {history.n} units with a value"
    if not history.is_measured:
        return "not_estimable", "the denominator is zero throughout the history"
    if history.has_formula and history.baseline.variance == 0:
        return "zero_variance", "every unit of the history has the same value"
    if not history.has_formula and looks is not None:
        return "not_estimable", "power is simulated for one look at the end; repeated looks need more units"
    if not history.has_formula and not is_simulated:
        return "not_reachable", "no change that was simulated is found with the wanted power"
    if reach.wanted is not None and reach.wanted.status != "ok":
        return reach.wanted.status, "no number of units shows the effect that is wanted"
    return "ok", None


def _replay(
    design: Design, history: MetricHistory, looks: Looks | None, covariate: Covariate
) -> tuple[Replay | None, str | None]:
    wanted: dict[str, Any] = {
        "alpha": design.alpha,
        "runs": design.replays,
        "treated_share": design.treated_share,
        "seed": design.seed,
    }
    clusters = history.columns.get(CLUSTER)
    if looks is not None:
        if not history.has_formula:
            return None, "repeated looks are replayed for means and ratios"
        if clusters is not None:
            return None, "repeated looks are replayed where units are randomised, not clusters"
        if history.day is None:
            return None, "the history has no days to look at"
        return replay_looks(
            history.residuals(covariate),
            history.day,
            looks.critical_values(design.alpha),
            burn_in=looks.may_look,
            **wanted,
        ), None
    size = min(history.n, MOST_REPLAYED, max(2, math.ceil(design.units_compared or history.n)))
    units = None if clusters is not None or size == history.n else size
    if history.kind == "mean" and covariate == "none" and clusters is None:
        return replay_difference_in_means(history.values, units=units, **wanted), None
    estimate = history.estimate(covariate, design.alpha)
    return replay(history.rows, estimate, clusters=clusters, units=units, **wanted), None
