"""An observational question: a treatment, an outcome, and what has to be held equal for the difference to be
causal.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from causeway.declarations.declaration import (
    OF_A_MODEL,
    Declaration,
    DeclaredPart,
    Number,
    Path,
    Prose,
    Text,
    reject,
    repeated,
)
from causeway.declarations.study_roles import LABELS, NUMBERS, contradictions, mentions
from causeway.declarations.study_rules import StudyRules


def _plain_value(value: object) -> object:
    if isinstance(value, bool | str) or (isinstance(value, int | float) and abs(value) < float("inf")):
        return value
    raise PydanticCustomError("not_a_value", "expected one value: a number, a text, true or false")


def _column_or_propensity(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise PydanticCustomError("not_a_propensity", "expected a column, or one probability of treatment between 0 and 1")


def _column_or_cost(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, float | int) and not isinstance(value, bool) and value >= 0):
        return value if isinstance(value, str) else float(value)
    raise PydanticCustomError("not_a_cost", "expected a column, or one number that is not negative")


def _share(value: object) -> object:
    if value is None or (isinstance(value, float | int) and not isinstance(value, bool) and 0 < value <= 1):
        return value if value is None else float(value)
    raise PydanticCustomError("not_a_share", "expected a share of the units above 0 and up to 1, or null")


def _worth(value: float) -> float:
    if value == 0:
        raise PydanticCustomError("worthless", "is 0: nothing would be worth its cost; give the worth of one unit")
    return value


def _dot_or_edges(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    edges = isinstance(value, list | tuple) and all(
        isinstance(edge, list | tuple) and len(edge) == 2 and all(isinstance(end, str) and end for end in edge)
        for edge in value
    )
    if edges:
        return value
    raise PydanticCustomError(
        "not_a_graph", "expected a DOT text, or a list of edges such as [[age, treated], [age, y]]"
    )


Value = Annotated[int | float | str | bool, BeforeValidator(_plain_value)]


class TreatmentValues(DeclaredPart):
    """The two values that are compared."""

    control: Value = Field(description="value of those not treated")
    treated: Value = Field(description="value of those treated")

    @model_validator(mode="after")
    def _two_values(self) -> TreatmentValues:
        if self.control == self.treated:
            reject([(("treated",), f"{self.treated!r} is the value of control as well")], OF_A_MODEL)
        return self


class Treatment(DeclaredPart):
    """The column whose effect is asked for."""

    column: Text = Field(description="column, or property, of the treatment")
    values: TreatmentValues | None = Field(
        default=None,
        description="values of control and treated; left out for a treatment measured on a scale",
    )


class Outcome(DeclaredPart):
    """The column that the treatment may change."""

    column: Text = Field(description="column, or property, of the outcome")


class NegativeControls(DeclaredPart):
    """Columns that the treatment cannot affect, and columns that cannot affect the outcome."""

    outcomes: tuple[Text, ...] = Field(default=(), description="outcomes that the treatment cannot change")
    exposures: tuple[Text, ...] = Field(default=(), description="exposures that cannot change the outcome")


class Policy(DeclaredPart):
    """What treating a unit costs and what the outcome is worth, so that units can be chosen for treatment."""

    cost: Annotated[Text | Number, BeforeValidator(_column_or_cost)] = Field(
        default=0.0, description="cost of treating one unit: a number, or the column that holds it"
    )
    value: Annotated[Number, AfterValidator(_worth)] = Field(
        default=1.0, description="worth of one unit of the outcome, in the currency of cost; negative for a harm"
    )
    budget: Annotated[Number | None, BeforeValidator(_share)] = Field(
        default=None, description="share of the units that can be treated, up to 1; all when left out"
    )


class StudySource(DeclaredPart):
    """A table with one row per unit, or an event type whose properties hold the columns."""

    file: Text | None = Field(default=None, description="CSV, TSV, NDJSON or Parquet file")
    event: Text | None = Field(default=None, description="type of the event that holds the columns")
    unit_id: Text | None = Field(default=None, description="column of the unit's id; the row number when left out")

    @model_validator(mode="after")
    def _one_place(self) -> StudySource:
        if (self.file is None) == (self.event is None):
            reject([((), "a source needs exactly one of file and event")], OF_A_MODEL)
        elif self.event is not None and self.unit_id is not None:
            reject([(("unit_id",), "an event names its unit itself; leave unit_id out")], OF_A_MODEL)
        return self


class StudyDeclaration(Declaration):
    """An observational study as declared under ``kind: study``."""

    kind: Literal["study"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    hypothesis: Prose | None = Field(default=None, description="what is expected, and why")
    owner: Prose | None = Field(default=None, description="who answers for it")
    unit: Text = Field(description="what a row is about, such as person")
    treatment: Treatment = Field(description="what was done: {column, values: {control, treated}}")
    outcome: Outcome = Field(description="what it may have changed: {column}")
    outcomes: tuple[Text, ...] = Field(
        default=(), description="further outcome columns, estimated with the same treatment and confounders"
    )
    confounders: tuple[Text, ...] = Field(default=(), description="columns measured before treatment that affect both")
    instruments: tuple[Text, ...] = Field(
        default=(), description="columns that affect the treatment, and the outcome only through it"
    )
    effect_modifiers: tuple[Text, ...] = Field(default=(), description="columns that the effect may vary with")
    negative_controls: NegativeControls = Field(default=NegativeControls())
    clusters: Text | None = Field(default=None, description="column of the group that units come in")
    blocks: Text | None = Field(
        default=None, description="column of the block, stratum or site within which the treatment was randomised"
    )
    weights: Text | None = Field(default=None, description="column of the sampling weights; only their ratios matter")
    segments: tuple[Text, ...] = Field(
        default=(), description="columns, each of whose levels is estimated on its own as well"
    )
    policy: Policy | None = Field(default=None, description="{cost, value, budget} of treating a unit")
    graph: Annotated[Prose | tuple[tuple[Text, Text], ...] | None, BeforeValidator(_dot_or_edges)] = Field(
        default=None, description="causal graph as DOT or a list of edges; the back-door graph when left out"
    )
    known_propensity: Annotated[Text | Number | None, BeforeValidator(_column_or_propensity)] = Field(
        default=None,
        description="column, or constant, of the probability of treatment in a designed experiment",
    )
    target: Literal["ATE", "ATT", "ATC", "LATE"] = Field(
        default="ATE", title="target", description="ATE, ATT, ATC or LATE"
    )
    source: StudySource = Field(description="{file: study.csv} or {event: type}")
    rules: StudyRules = Field(
        default=StudyRules(), description="what the verdict is judged by; the usual limits when left out"
    )

    @property
    def columns(self) -> dict[str, Path]:
        """Every column that the study names, with the path of its first mention; treatment and outcome come
        first.
        """
        named: dict[str, Path] = {}
        for column, path, _ in mentions(self):
            named.setdefault(column, path)
        return named

    @property
    def number_columns(self) -> frozenset[str]:
        """The columns that have to hold numbers: outcomes, weights, and a known propensity or cost by column."""
        return frozenset(column for column, _, role in mentions(self) if role in NUMBERS)

    @property
    def label_columns(self) -> frozenset[str]:
        """The columns whose values are names, also where they look like numbers: groups, unless used as more."""
        used = [(column, role in LABELS) for column, _, role in mentions(self)]
        return frozenset(column for column, _ in used) - {column for column, is_label in used if not is_label}

    @field_validator("outcome")
    @classmethod
    def _outcome_is_not_the_treatment(cls, outcome: Outcome, info: ValidationInfo) -> Outcome:
        treatment = info.data.get("treatment")
        if treatment is not None and treatment.column == outcome.column:
            reject([(("outcome", "column"), f"{outcome.column!r} is the treatment as well")])
        return outcome

    @field_validator("confounders", "instruments", "effect_modifiers")
    @classmethod
    def _roles_do_not_mix(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        name = info.field_name or ""
        noun = name.removesuffix("s").replace("_", " ")
        data: dict[str, Any] = info.data
        taken = {data[role].column: role for role in ("treatment", "outcome") if role in data}
        if name == "instruments":
            taken |= dict.fromkeys(data.get("confounders") or (), "confounder")
        problems: list[tuple[Path, str]] = [
            ((name, index), f"{column!r} is listed twice") for index, column in repeated(columns)
        ]
        problems += [
            ((name, index), f"{column!r} is a declared {taken[column]} and cannot be a {noun} as well")
            for index, column in enumerate(columns)
            if column in taken
        ]
        reject(problems)
        return columns

    @model_validator(mode="after")
    def _roles_do_not_contradict(self) -> StudyDeclaration:
        problems = contradictions(mentions(self))
        unit_id = self.source.unit_id
        if unit_id is not None and unit_id in {*self.number_columns, *self.segments}:
            role = next(role for column, _, role in mentions(self) if column == unit_id)
            problems.append((("source", "unit_id"), f"{unit_id!r} is a declared {role} as well"))
        reject(problems, OF_A_MODEL)
        return self

    @field_validator("target")
    @classmethod
    def _late_needs_an_instrument(cls, target: str, info: ValidationInfo) -> str:
        if target == "LATE" and info.data.get("instruments") == ():
            reject([(("target",), "LATE is the effect on those whom an instrument moves; declare instruments")])
        return target

    @field_validator("source")
    @classmethod
    def _ids_are_no_columns(cls, source: StudySource, info: ValidationInfo) -> StudySource:
        data: dict[str, Any] = info.data
        for role in ("treatment", "outcome"):
            if role in data and source.unit_id is not None and data[role].column == source.unit_id:
                reject([(("source", "unit_id"), f"{source.unit_id!r} is the {role} as well")])
        return source
