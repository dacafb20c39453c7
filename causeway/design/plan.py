"""The plan of an experiment: for every metric the units, the days and the smallest effect, in numbers and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causeway.design.comparison import Clusters, Correction, alpha_of
from causeway.design.duration import EnrolmentCurve
from causeway.design.metric_plan import Circumstances, MetricQuestion, Reach, reach
from causeway.design.sequential_power import SequentialDesign

NAMES_OF_UNITS = {"relative": "%", "absolute": "", "hazard_ratio": "% of the hazard"}


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """One metric: plain is the difference in means, adjusted the one with the covariate, None where there is none.

    alpha: two-sided, after multiplicity. sentence: the plan in words.
    """

    key: str
    role: str
    alpha: float
    plain: Reach
    adjusted: Reach | None
    question: MetricQuestion
    sentence: str

    def as_document(self) -> dict[str, Any]:
        """The plan of the metric as JSON values."""
        baseline, replayed = self.question.baseline, self.question.replay
        return {
            "key": self.key,
            "role": self.role,
            "direction": self.question.direction,
            "alpha": self.alpha,
            "mean": baseline.mean if baseline else None,
            "variance": baseline.variance if baseline else None,
            "relevant_effect": self.question.relevant_effect,
            "margin": self.question.margin,
            "watch_days": self.question.watch_days,
            "variance_factor": self.question.variance_factor,
            "plain": self.plain.as_document(),
            "adjusted": self.adjusted.as_document() if self.adjusted else None,
            "replay": replayed.as_document() if replayed else None,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """The plan of an experiment.

    variant: the treated variant with the least weight, which needs the longest; every other shows more.
    correction: how alpha was shared out over the family. metrics: one plan each, in the order they were asked for.
    """

    experiment: str
    control: str
    variant: str
    weights: Mapping[str, float]
    alpha: float
    power: float
    correction: Correction
    days: int | None
    metrics: tuple[MetricPlan, ...]

    def as_document(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "experiment": self.experiment,
            "control": self.control,
            "variant": self.variant,
            "weights": dict(self.weights),
            "alpha": self.alpha,
            "power": self.power,
            "correction": self.correction,
            "days": self.days,
            "metrics": [metric.as_document() for metric in self.metrics],
        }


def plan_experiment(
    experiment: str,
    metrics: Sequence[MetricQuestion],
    *,
    weights: Mapping[str, float],
    control: str,
    alpha: float = 0.05,
    power: float = 0.8,
    correction: Correction = "holm",
    primary_share: float = 0.5,
    curve: EnrolmentCurve | None = None,
    days: int | None = None,
    clusters: Clusters | None = None,
    looks: Callable[[float, int], SequentialDesign] | None = None,
    units: float | None = None,
) -> ExperimentPlan:
    """Plan every metric of an experiment, without and with its covariate.

    weights: by variant, the control's among them; a variant of weight 0 is left out. alpha: two-sided, for the
    whole family, shared out by correction and primary_share as `alpha_of` says.
    curve: enrolment; without one there are sizes but no days. days: planned length; units: planned units of all
    variants together, where there is no curve.
    looks: from alpha and sides to the design of repeated looks; None for one look at the end.
    Raises ValueError without a treated variant, for a repeated metric, or for numbers out of range.

    >>> from causeway.design.baseline import Baseline
    >>> signup = MetricQuestion("signup", Baseline.of_proportion(0.1), relevant_effect=0.1, variance_factor=0.64)
    >>> plan = plan_experiment("new_form", [signup], weights={"off": 1, "on": 1}, control="off")
    >>> plan.metrics[0].sentence
    'signup: to see a change of 10.0 % with a chance of 80 %, 29,498 units are needed; with the covariate 18,880.'
    """
    treated = {name: weight for name, weight in weights.items() if name != control and weight > 0}
    if not treated or weights.get(control, 0) <= 0:
        raise ValueError(f"a control and a treated variant with weight are wanted: {dict(weights)}")
    keys = [metric.key for metric in metrics]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a metric is asked for twice: {keys}")
    variant = min(treated, key=lambda name: treated[name])
    total = sum(weight for weight in weights.values() if weight > 0)
    plans = []
    for metric in metrics:
        level = alpha_of(
            metric.role,
            [other.role for other in metrics],
            alpha=alpha,
            variants=len(treated),
            correction=correction,
            primary_share=primary_share,
        )
        around = Circumstances(
            alpha=level,
            power=power,
            control_share=weights[control] / total,
            treated_share=treated[variant] / total,
            curve=curve,
            days=days,
            clusters=clusters,
            looks=looks,
            units=units,
        )
        plain = reach(metric, around, adjusted=False)
        adjusted = reach(metric, around, adjusted=True) if metric.has_covariate else None
        sentence = _sentence(metric, plain, adjusted, around)
        plans.append(MetricPlan(metric.key, metric.role, level, plain, adjusted, metric, sentence))
    return ExperimentPlan(
        experiment=experiment,
        control=control,
        variant=variant,
        weights=dict(weights),
        alpha=alpha,
        power=power,
        correction=correction,
        days=days,
        metrics=tuple(plans),
    )


def _sentence(metric: MetricQuestion, plain: Reach, adjusted: Reach | None, around: Circumstances) -> str:
    parts = [_need(metric, plain, adjusted, around), _show(metric, plain, adjusted, around)]
    if metric.replay is not None and metric.replay.verdict != "valid":
        parts.append(metric.replay.sentence)
    said = " ".join(part for part in parts if part) or "No effect or margin is declared, and no days are planned."
    return f"{metric.key}: {said[0].lower()}{said[1:]}"


def _need(metric: MetricQuestion, plain: Reach, adjusted: Reach | None, around: Circumstances) -> str:
    size = metric.margin or metric.relevant_effect
    if size is None or plain.wanted is None:
        return ""
    what = (
        f"To show that there is no loss of {_measured(size, plain)} or more"
        if metric.margin is not None
        else f"To see a change of {_measured(size, plain)}"
    )
    if plain.units is None:
        reason = {
            "too_few_units": "the history has too few units",
            "zero_variance": "the history does not vary",
            "not_reachable": "it cannot be reached",
        }.get(plain.wanted.status, plain.wanted.status)
        return f"{what}: no size can be given, {reason}."
    needed = f"{plain.units:,.0f} units are needed{_lasting(plain)}"
    text = f"{what} with a chance of {100 * around.power:.3g} %, {needed}"
    if adjusted is not None and adjusted.units is not None:
        text += f"; with the covariate {adjusted.units:,.0f}{_lasting(adjusted)}"
    return f"{text}."


def _show(metric: MetricQuestion, plain: Reach, adjusted: Reach | None, around: Circumstances) -> str:
    if plain.smallest is None:
        return ""
    when = f"After {around.days} days" if around.curve is not None else f"With {around.units:,.0f} units"
    text = f"{when} {'a loss' if metric.margin is not None else 'a change'} of"
    text += f" {_measured(plain.smallest, plain)} can be {'ruled out' if metric.margin is not None else 'seen'}"
    if adjusted is not None and adjusted.smallest is not None:
        text += f", with the covariate {_measured(adjusted.smallest, adjusted)}"
    return f"{text}."


def _lasting(way: Reach) -> str:
    duration = way.duration
    if duration is None:
        return ""
    if duration.days is None:
        return f", more than the {duration.settings['horizon']} days looked ahead"
    if duration.days_high is None:
        return f", {duration.days} days ({duration.days_low} or more)"
    return f", {duration.days} days ({duration.days_low} to {duration.days_high})"


def _measured(size: float, way: Reach) -> str:
    if way.unit == "absolute":
        return f"{size:,.4g}"
    return f"{100 * size:.1f} {NAMES_OF_UNITS[way.unit]}"
