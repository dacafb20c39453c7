"""What is measured of a unit: declared once and used by any experiment, or written into one experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from causeway.declarations.declaration import (
    OF_A_MODEL,
    Declaration,
    DeclaredPart,
    Key,
    Number,
    Path,
    Prose,
    Text,
    reject,
)
from causeway.declarations.event_filter import EventFilter

OUTCOME_EVENT = "outcome"
"""A metric's event when it names none; for a table that is the record of the unit."""

MetricType = Literal["conversion", "count", "sum", "mean", "ratio", "retention", "funnel", "quantile", "time_to_event"]
NOT_MEANS: tuple[MetricType, ...] = ("ratio", "quantile", "time_to_event")
"""Types whose effect is no difference between means over units."""

Direction = Literal["increase", "decrease"]
Role = Literal["primary", "secondary", "guardrail"]

Days = Annotated[Number, Field(ge=0, le=36_500)]
Quantile = Annotated[Number, Field(gt=0, lt=1)]

_NEEDS_A_COLUMN = ("mean", "sum", "quantile")
_OF_ONE_TYPE: Mapping[str, tuple[MetricType, ...]] = {
    "denominator": ("ratio",),
    "from_day": ("retention",),
    "to_day": ("retention",),
    "steps": ("funnel",),
    "quantile": ("quantile",),
    "level": ("quantile",),
    "cap": ("count", "sum", "mean", "ratio", "quantile"),
    "exclude": ("count", "sum", "mean", "ratio", "quantile"),
}
_OF_EVENTS = ("retention", "funnel", "time_to_event")
_MOST_STEPS = 20


class Denominator(DeclaredPart):
    """What the outcome of a ratio is divided by: both are summed per unit first."""

    event: Text = Field(default=OUTCOME_EVENT, description="type of the event that is counted or summed")
    column: Text | None = Field(default=None, description="property that is summed; events are counted without one")
    where: EventFilter = Field(default={}, description="what a property of the event must be, such as {country: DE}")


class Step(DeclaredPart):
    """One step of a funnel."""

    event: Text = Field(description="type of the event that completes the step")
    where: EventFilter = Field(default={}, description="what a property of the event must be, such as {page: cart}")


class Cap(DeclaredPart):
    """Values beyond a bound count as the bound, so that a few units do not decide everything."""

    lower: Number | None = Field(default=None, description="smallest value of a unit")
    upper: Number | None = Field(default=None, description="largest value of a unit")
    lower_quantile: Quantile | None = Field(
        default=None, description="the same as a quantile of the experiment's units, such as 0.01"
    )
    upper_quantile: Quantile | None = Field(
        default=None, description="the same as a quantile of the experiment's units, such as 0.99"
    )
    ignore_zeros: bool = Field(
        default=False, strict=True, description="true: the quantiles are those of the units whose value is not zero"
    )

    @model_validator(mode="after")
    def _has_bounds(self) -> Cap:
        problems: list[tuple[Path, str]] = []
        for side in ("lower", "upper"):
            if getattr(self, side) is not None and getattr(self, f"{side}_quantile") is not None:
                problems.append(((f"{side}_quantile",), f"{side} is given as a value as well; give one of the two"))
        if self.lower is None and self.upper is None and self.lower_quantile is None and self.upper_quantile is None:
            problems.append(((), "a cap needs a bound: lower, upper, lower_quantile or upper_quantile"))
        for low, high in (("lower", "upper"), ("lower_quantile", "upper_quantile")):
            smallest, largest = getattr(self, low), getattr(self, high)
            if smallest is not None and largest is not None and smallest >= largest:
                problems.append(((low,), f"must be below {high}, {largest:g}"))
        reject(problems, OF_A_MODEL)
        return self


class Exclusion(DeclaredPart):
    """Units beyond a bound are left out and counted, as those of robots or of tests."""

    below: Number | None = Field(default=None, description="units with a smaller value are left out")
    above: Number | None = Field(default=None, description="units with a larger value are left out")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Exclusion:
        if self.below is None and self.above is None:
            reject([((), "an exclusion needs a bound: below or above")], OF_A_MODEL)
        return self


class Definition(DeclaredPart):
    """What a metric measures, whoever uses it."""

    direction: Direction = Field(default="increase", title="direction", description="which way is better")
    column: Text | None = Field(default=None, description="column of the file, or property of the event")
    event: Text = Field(default=OUTCOME_EVENT, description="type of the event that is measured")
    where: EventFilter = Field(default={}, description="what a property of the event must be, such as {country: DE}")
    denominator: Denominator | None = Field(default=None, description="what a ratio is divided by")
    steps: Annotated[tuple[Step, ...], Field(max_length=_MOST_STEPS)] = Field(
        default=(), description="steps of a funnel, in their order"
    )
    from_day: Days | None = Field(default=None, description="first day after exposure on which a unit must be seen")
    to_day: Days | None = Field(default=None, description="day after exposure before which it must be seen")
    quantile: Quantile | None = Field(default=None, description="which quantile, such as 0.95")
    level: Literal["unit", "event"] | None = Field(
        default=None, title="level", description="quantile of the units' sums, or of all events"
    )
    window_days: Annotated[Number, Field(gt=0, le=36_500)] | None = Field(
        default=None, description="days after first exposure that count"
    )
    delay_days: Days = Field(default=0.0, description="days after first exposure that do not count yet")
    lookback_days: Annotated[Number, Field(gt=0, le=36_500)] | None = Field(
        default=None, description="days before first exposure whose value adjusts the effect (CUPED)"
    )
    cap: Cap | None = Field(default=None, description="bounds of a unit's value")
    exclude: Exclusion | None = Field(default=None, description="units that are left out for their value")
    non_inferiority_margin: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        default=None, description="relative loss that is still tolerable, 0.02 being two per cent"
    )
    min_effect: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="smallest relative effect of interest, 0.01 being one per cent"
    )


class MetricDeclaration(Declaration, Definition):
    """A metric as declared under ``kind: metric``."""

    kind: Literal["metric"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    description: Prose | None = Field(default=None, description="what it means, and what it does not")
    unit: Text = Field(description="what it is measured of, such as customer")
    type: MetricType = Field(title="metric type", description="how a unit's value is made")

    @model_validator(mode="after")
    def _definition_fits_its_type(self) -> MetricDeclaration:
        reject(list(problems_of_definition(self.type, self)), OF_A_MODEL)
        return self


def _named(value: object) -> object:
    return {"metric": value} if isinstance(value, str) else value


class _Use(DeclaredPart):
    """What an experiment says of a metric, whatever that measures."""

    key: Key = Field(default_factory=str, description="name of the metric, unique in the experiment")
    metric: Key | None = Field(default=None, description="name of the declared metric that is used")
    type: MetricType | None = Field(default=None, title="metric type", description="how a unit's value is made")
    role: Role = Field(default="secondary", title="metric role", description="primary, secondary or guardrail")


class Metric(Definition, _Use):
    """A metric of one experiment: a declared one, by its name, or one that is defined here."""

    @model_validator(mode="before")
    @classmethod
    def _is_called_as_what_it_uses(cls, value: Any) -> Any:
        if isinstance(value, dict) and "key" not in value and isinstance(value.get("metric"), str | int):
            return {**value, "key": value["metric"]}
        return value

    @model_validator(mode="after")
    def _defined_once(self) -> Metric:
        if self.metric is None:
            problems: list[tuple[Path, str]] = []
            if not self.key:
                problems.append(((), "missing key 'key': name of the metric, or metric: name of a declared one"))
            if self.type is None:
                problems.append(((), "missing key 'type': how a unit's value is made"))
            else:
                problems += problems_of_definition(self.type, self)
        else:
            problems = [
                ((name,), f"is part of what metric {self.metric!r} declares; leave it out, or leave metric out")
                for name in sorted(self.model_fields_set & {"type", *Definition.model_fields})
                if getattr(self, name) != type(self).model_fields[name].default
            ]
        reject(problems, OF_A_MODEL)
        return self

    def defined_by(self, declared: MetricDeclaration) -> Metric:
        """This use of a declared metric with everything that the declaration says."""
        definition = {name: getattr(declared, name) for name in ("type", *Definition.model_fields)}
        return Metric.model_construct(key=self.key, metric=self.metric, role=self.role, **definition)

    @property
    def is_mean(self) -> bool:
        """Whether its effect is a difference between means over units."""
        return self.type not in NOT_MEANS

    @property
    def columns(self) -> tuple[str, ...]:
        """Properties or columns that its values are taken from."""
        named = (self.column, None if self.denominator is None else self.denominator.column)
        return tuple(column for column in named if column is not None)


UsedMetric = Annotated[Metric, BeforeValidator(_named)]
"""A metric of an experiment; the name of a declared one stands for its use."""


def problems_of_definition(type_: MetricType, metric: Definition) -> Iterator[tuple[Path, str]]:
    """What does not fit together in a definition of this type."""
    if metric.column is None and type_ in _NEEDS_A_COLUMN:
        yield (), f"a {type_} metric needs a column to take its values from"
    for name, types in _OF_ONE_TYPE.items():
        default = type(metric).model_fields[name].default
        if type_ not in types and getattr(metric, name) != default:
            yield (name,), f"is for metrics of type {' or '.join(types)}, not {type_}"
    if type_ == "ratio" and metric.denominator is None:
        yield (), "a ratio needs a denominator, such as {event: visit}"
    if type_ == "quantile" and metric.quantile is None:
        yield (), "a quantile metric needs its quantile, such as 0.95"
    if type_ == "quantile" and metric.level == "event":
        for name in ("cap", "exclude"):
            if getattr(metric, name) is not None:
                yield (name,), "bounds the value of a unit, and level: event compares those of events"
    if type_ == "funnel":
        yield from _problems_of_funnel(metric)
    if type_ == "retention":
        yield from _problems_of_retention(metric)
    if type_ == "time_to_event" and metric.window_days is None:
        yield (), "a time_to_event metric needs window_days, up to which the time is counted"
    if metric.window_days is not None and metric.delay_days >= metric.window_days:
        yield ("delay_days",), f"must be below window_days, {metric.window_days:g}"


def _problems_of_funnel(metric: Definition) -> Iterator[tuple[Path, str]]:
    if len(metric.steps) < 2:
        yield ("steps",), "a funnel needs at least two steps; one step is a conversion"
    for name in ("event", "column", "where"):
        if getattr(metric, name) != type(metric).model_fields[name].default:
            yield (name,), "belongs to the steps of a funnel"


def _problems_of_retention(metric: Definition) -> Iterator[tuple[Path, str]]:
    if metric.from_day is None or metric.to_day is None:
        yield (), "retention needs from_day and to_day, such as 7 and 14"
    elif metric.from_day >= metric.to_day:
        yield ("from_day",), f"must be below to_day, {metric.to_day:g}"
    if metric.window_days is not None or metric.delay_days:
        yield (), "the window of retention is from_day to to_day; leave window_days and delay_days out"


def problems_of_table_metric(metric: Metric, taken: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """What keeps a metric from being one of a table with one row per unit; ``taken``: columns of other things."""
    if metric.type in _OF_EVENTS or metric.level == "event":
        yield (), f"a {metric.type} metric is made of events, and a table has one row per unit"
        return
    columns: list[tuple[Path, str | None]] = [((), metric.column)]
    if metric.denominator is not None:
        columns.append((("denominator",), metric.denominator.column))
    for path, column in columns:
        if column is None:
            yield path, "a metric of a table needs a column"
        elif column in taken:
            yield (*path, "column"), f"{column!r} is the column of the {taken[column]}"
    if metric.event != OUTCOME_EVENT:
        yield ("event",), "a table's metrics are columns of the unit's record; leave event out"
    if metric.denominator is not None and metric.denominator.event != OUTCOME_EVENT:
        yield ("denominator", "event"), "a table's metrics are columns of the unit's record; leave event out"
    if metric.lookback_days is not None:
        yield ("lookback_days",), "a table has no rows from before; name the column among the covariates"
