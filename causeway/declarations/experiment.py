"""A randomised experiment: its variants, its metrics, what is known of its units beforehand, how variants are dealt,
and where its rows come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from causeway.declarations.analysis import Analysis, problems_of_contrasts
from causeway.declarations.assignment import (
    Holdout,
    Prerequisite,
    RampStep,
    Randomization,
    Roster,
    Sticky,
    json_type,
    problems_of_configs,
    problems_of_forced,
    problems_of_holdout,
    problems_of_names,
    problems_of_order,
    problems_of_ramp,
)
from causeway.declarations.declaration import (
    OF_A_MODEL,
    Date,
    Declaration,
    DeclaredPart,
    Key,
    Number,
    Path,
    Prose,
    Text,
    WholeNumber,
    reject,
    repeated,
)
from causeway.declarations.metric import Metric, MetricDeclaration, UsedMetric, problems_of_table_metric
from causeway.declarations.plan import PLANNED_DAYS, Eligible, HistoryPlan, PlannedCovariate
from causeway.declarations.suggestion import did_you_mean
from causeway.declarations.values import Condition, JsonValue, Share

Status = Literal["draft", "running", "paused", "stopped", "archived"]

Rollback = Literal["warn", "engage_kill_switch"]

Hasher = Literal["growthbook_v1", "growthbook_v2", "eppo", "eppo_legacy", "unleash", "posthog", "planout"]

GateName = Literal[
    "srm",
    "crossover",
    "unlisted_variant",
    "duplicate_unit",
    "missing_outcome",
    "missing_events",
    "pre_exposure_imbalance",
    "a_a",
]

Weight = Annotated[Number, Field(ge=0, le=1e9)]


class Decision(DeclaredPart):
    """The rule that turns results into a decision."""

    min_relative_effect: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="smallest relative effect worth shipping, 0.01 being one per cent"
    )
    alpha: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.05, description="two-sided significance level, between 0 and 1"
    )
    min_days: Annotated[Number, Field(ge=0, le=36_500)] = Field(
        default=0.0, description="days that it runs at least before it is shipped"
    )
    rollback: Rollback = Field(
        default="warn",
        title="rollback",
        description="what happens when a guardrail is harmed or the assignment is at fault: warn or engage_kill_switch",
    )


class ExperimentSource(DeclaredPart):
    """A table with one row per unit: a file, or a data set that the house knows by name."""

    file: Text | None = Field(default=None, description="CSV, TSV, NDJSON or Parquet file")
    dataset: Text | None = Field(default=None, description="name of a built-in data set")
    unit_id: Text | None = Field(default=None, description="column of the unit's id; the row number when left out")
    variant: Text | None = Field(
        default=None, description="column of the unit's variant; left out, nobody was treated: a history to plan from"
    )
    occurred_at: Text | None = Field(default=None, description="column of the time of assignment")

    @model_validator(mode="after")
    def _one_place(self) -> ExperimentSource:
        if (self.file is None) == (self.dataset is None):
            reject([((), "a source needs exactly one of file and dataset")], OF_A_MODEL)
        return self


def columns_taken(source: ExperimentSource) -> dict[str, str]:
    """Columns of a table that are no metric, and what they are."""
    taken = {source.variant: "variant", source.unit_id: "unit's id"}
    return {column: what for column, what in taken.items() if column is not None}


class ExperimentDeclaration(Declaration):
    """A randomised experiment as declared under ``kind: experiment``."""

    kind: Literal["experiment"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    hypothesis: Prose | None = Field(default=None, description="what is expected, and why")
    owner: Prose | None = Field(default=None, description="who answers for it")
    unit: Text = Field(description="what is randomised, such as customer")
    variants: dict[Text, Weight] = Field(description="variants and their weights, such as {off: 1, on: 1}")
    control: Text = Field(description="the variant that the others are compared with")
    metrics: tuple[UsedMetric, ...] = Field(
        description="what is measured: a list of metrics, or of the names of declared ones"
    )
    covariates: tuple[Text, ...] = Field(default=(), description="what is known of a unit before it is assigned")
    aa: bool = Field(
        default=False, strict=True, description="true: all variants are the same, and any difference is a fault"
    )
    warn_only: tuple[GateName, ...] = Field(
        default=(), description="gates that may fail without the results being withheld, such as pre_exposure_imbalance"
    )
    segments: tuple[Text, ...] = Field(default=(), description="categorical columns to report by")
    cluster: Text | None = Field(
        default=None, description="column that says which units belong together, such as school; intervals allow for it"
    )
    start: Date | None = Field(default=None, description="first day")
    end: Date | None = Field(default=None, description="last day")
    salt: Text | None = Field(default=None, description="text mixed into the hash of assignment; the key when left out")
    decision: Decision = Field(default=Decision(), description="rule of decision")
    analysis: Analysis = Field(default=Analysis(), description="plan of analysis")
    status: Status = Field(default="running", title="status", description="draft, running, paused, stopped or archived")
    version: Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)] = Field(
        default=1, description="raised when what decides the variants changes while it runs"
    )
    hasher: Hasher = Field(
        default="growthbook_v2", title="hasher", description="whose hash turns a unit into its variant"
    )
    order: tuple[Text, ...] = Field(
        default=(), description="order in which variants are dealt; control first and then by name when left out"
    )
    randomization: Randomization = Field(default=Randomization(), description="what is dealt a variant")
    coverage: Share = Field(default=1.0, description="share of the units that enter, 0 to 1")
    ramp: tuple[RampStep, ...] = Field(default=(), description="coverage from certain moments on")
    targeting: Condition = Field(
        default={}, description="what a unit's attributes must be to enter, such as {country: {$in: [DE, AT]}}"
    )
    prerequisites: tuple[Prerequisite, ...] = Field(default=(), description="flags that must have a value first")
    forced: dict[Text, Text] = Field(
        default={}, description="units that get a variant of one's choice: {unit: variant}"
    )
    layer: Key | None = Field(default=None, description="layer in which it shares the units with other experiments")
    holdouts: tuple[Key, ...] = Field(default=(), description="holdouts whose held-out units do not enter")
    sticky: Sticky = Field(default=Sticky(), description="whether a unit keeps the variant that it was given first")
    configs: dict[Text, JsonValue] = Field(
        default={}, description="what a caller is told for each variant; the variant's name when left out"
    )
    enabled: bool = Field(default=True, strict=True, description="false: everybody gets the control's config at once")
    exposure: Literal["assignment", "logged"] = Field(
        default="assignment",
        title="exposure",
        description="assignment: a unit counts from its assignment; logged: from its first event of type exposure",
    )
    units: Roster = Field(default=Roster(), description="where the known units are read from")
    holdout: Holdout | None = Field(default=None, description="makes this experiment itself a holdout")
    plan: HistoryPlan | None = Field(
        default=None, description="how power, duration and error rates are worked out while it is a draft"
    )
    source: ExperimentSource | None = Field(
        default=None, description="table with one row per unit; the tenant's event stream when left out"
    )

    @property
    def value_type(self) -> str:
        """The type of what a caller is told: that of the configs, or string, for the variant's name."""
        return next((json_type(config) for config in self.configs.values()), "string")

    @property
    def bucketing_salt(self) -> str:
        """The text that is hashed with a unit's id."""
        return self.key if self.salt is None else self.salt

    @property
    def ordered_variants(self) -> tuple[tuple[str, float], ...]:
        """Variants with their weights in the declared order, or control first and the others by name.

        Buckets are dealt out in this order, which like the hash of a declaration must not depend on the order
        of YAML keys.
        """
        names = self.order or sorted(self.variants, key=lambda name: (name != self.control, name))
        return tuple((name, self.variants[name]) for name in names)

    @property
    def primary_metric(self) -> Metric:
        """The one metric whose role is primary."""
        return next(metric for metric in self.metrics if metric.role == "primary")

    def with_metrics(self, declared: Mapping[str, MetricDeclaration]) -> ExperimentDeclaration:
        """This experiment with the definition of every metric that it uses by name.

        Raises KeyError for a metric that is not declared.
        """
        metrics = tuple(
            each if each.metric is None else each.defined_by(declared[each.metric]) for each in self.metrics
        )
        return self.model_copy(update={"metrics": metrics})

    def problems_in_table(self, metric: Metric) -> list[tuple[Path, str]]:
        """What keeps a metric from being one of this experiment's table; nothing if its rows are events."""
        if self.source is None:
            return []
        return list(problems_of_table_metric(metric, columns_taken(self.source)))

    @property
    def metric_columns(self) -> tuple[str, ...]:
        """Columns that metrics are measured by, each once, in the order of the metrics."""
        return tuple(dict.fromkeys(column for metric in self.metrics for column in metric.columns))

    @property
    def planned_days(self) -> int:
        """The planned length: as declared, or else from start to end, or the least days that it runs, or 28."""
        if self.plan is not None and self.plan.days is not None:
            return self.plan.days
        if self.start is not None and self.end is not None:
            return (self.end - self.start).days + 1
        return math.ceil(self.decision.min_days) or PLANNED_DAYS

    @property
    def planned_covariate(self) -> PlannedCovariate:
        """What the effects are planned to be adjusted for; a metric may have none of it."""
        if self.plan is not None and self.plan.covariate is not None:
            return self.plan.covariate
        return "twin" if self.covariates else "own_past"

    @property
    def cluster_column(self) -> str | None:
        """Where a unit's cluster is found: as declared, or the attribute by which clusters are dealt variants."""
        if self.cluster is None and self.randomization.by == "cluster":
            return self.randomization.attribute
        return self.cluster

    @property
    def profile_columns(self) -> tuple[str, ...]:
        """Covariates and segments, each once: properties of a unit's profile, or of its record in a table."""
        return tuple(dict.fromkeys((*self.covariates, *self.segments)))

    @field_validator("variants")
    @classmethod
    def _weights_can_be_dealt(cls, variants: dict[str, float]) -> dict[str, float]:
        problems: list[tuple[Path, str]] = []
        if len(variants) < 2:
            problems.append((("variants",), f"an experiment needs at least two variants, got {len(variants)}"))
        elif not any(weight > 0 for weight in variants.values()):
            problems.append((("variants",), "all weights are zero; at least one must be above zero"))
        reject(problems)
        return variants

    @field_validator("control")
    @classmethod
    def _control_is_a_variant(cls, control: str, info: ValidationInfo) -> str:
        variants = info.data.get("variants")
        if variants is not None and control not in variants:
            listed = ", ".join(repr(name) for name in variants)
            reject(
                [
                    (
                        ("control",),
                        f"{control!r} is not one of the variants {listed}{did_you_mean(control, variants)}",
                    )
                ]
            )
        return control

    @field_validator("metrics")
    @classmethod
    def _metrics_are_distinct(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        problems: list[tuple[Path, str]] = []
        if not metrics:
            problems.append((("metrics",), "an experiment needs at least one metric"))
        for index, key in repeated([metric.key for metric in metrics]):
            problems.append((("metrics", index, "key"), f"there is already a metric {key!r}"))
        primaries = [index for index, metric in enumerate(metrics) if metric.role == "primary"]
        for index in primaries[1:]:
            first = metrics[primaries[0]].key
            problems.append(
                (
                    ("metrics", index, "role"),
                    f"there is already a primary metric, {first!r}; exactly one may be primary",
                )
            )
        reject(problems)
        if not primaries:
            chosen = next((index for index, metric in enumerate(metrics) if metric.role != "guardrail"), None)
            if chosen is None:
                reject([(("metrics",), "all metrics are guardrails; one needs role: primary")])
            return tuple(
                metric.model_copy(update={"role": "primary"}) if index == chosen else metric
                for index, metric in enumerate(metrics)
            )
        return metrics

    @field_validator("covariates", "segments")
    @classmethod
    def _known_before_assignment(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        name = info.field_name or ""
        noun = name.removesuffix("s")
        problems: list[tuple[Path, str]] = [
            ((name, index), f"{column!r} is listed twice") for index, column in repeated(columns)
        ]
        measured = {column: metric.key for metric in info.data.get("metrics") or () for column in metric.columns}
        problems += [
            (
                (name, index),
                f"{column!r} is what metric {measured[column]!r} measures; an outcome cannot be a {noun},"
                " which must be known before assignment",
            )
            for index, column in enumerate(columns)
            if column in measured
        ]
        reject(problems)
        return columns

    @field_validator("cluster")
    @classmethod
    def _a_cluster_is_no_outcome(cls, cluster: str | None, info: ValidationInfo) -> str | None:
        measured = {column: metric.key for metric in info.data.get("metrics") or () for column in metric.columns}
        if cluster in measured:
            reject([(("cluster",), f"{cluster!r} is what metric {measured[cluster]!r} measures")])
        return cluster

    @field_validator("end")
    @classmethod
    def _ends_after_it_starts(cls, end: Date | None, info: ValidationInfo) -> Date | None:
        start = info.data.get("start")
        if start is not None and end is not None and end < start:
            reject([(("end",), f"{end} is before the start, {start}")])
        return end

    @field_validator("analysis")
    @classmethod
    def _contrasts_of_its_variants(cls, analysis: Analysis, info: ValidationInfo) -> Analysis:
        if "variants" in info.data:
            reject(problems_of_contrasts(analysis.contrasts, info.data["variants"]))
        return analysis

    @field_validator("warn_only")
    @classmethod
    def _gates_are_distinct(cls, names: tuple[GateName, ...]) -> tuple[GateName, ...]:
        reject(problems_of_names("warn_only", names))
        return names

    @field_validator("order")
    @classmethod
    def _order_of_all_variants(cls, order: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if order and "variants" in info.data:
            reject(problems_of_order(order, info.data["variants"]))
        return order

    @field_validator("ramp")
    @classmethod
    def _steps_follow_each_other(cls, ramp: tuple[RampStep, ...]) -> tuple[RampStep, ...]:
        reject(problems_of_ramp(ramp))
        return ramp

    @field_validator("holdouts")
    @classmethod
    def _holdouts_are_distinct(cls, holdouts: tuple[str, ...]) -> tuple[str, ...]:
        reject(problems_of_names("holdouts", holdouts))
        return holdouts

    @field_validator("forced")
    @classmethod
    def _forced_into_variants(cls, forced: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if "variants" in info.data:
            reject(problems_of_forced(forced, info.data["variants"]))
        return forced

    @field_validator("configs")
    @classmethod
    def _configs_of_all_variants(cls, configs: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        if "variants" in info.data:
            reject(problems_of_configs(configs, info.data["variants"]))
        return configs

    @field_validator("holdout")
    @classmethod
    def _holdout_is_two_equal_groups(cls, holdout: Holdout | None, info: ValidationInfo) -> Holdout | None:
        if holdout is not None:
            reject(problems_of_holdout(holdout, info.data))
        return holdout

    @field_validator("plan")
    @classmethod
    def _plan_can_be_made(cls, plan: HistoryPlan | None, info: ValidationInfo) -> HistoryPlan | None:
        if plan is not None and plan.covariate == "twin" and info.data.get("covariates") == ():
            reject([(("plan", "covariate"), "a twin learns from covariates, and none are declared")])
        return plan

    @field_validator("source")
    @classmethod
    def _table_has_what_is_declared(
        cls, source: ExperimentSource | None, info: ValidationInfo
    ) -> ExperimentSource | None:
        if source is None:
            return source
        problems: list[tuple[Path, str]] = []
        taken = columns_taken(source)
        plan = info.data.get("plan")
        if source.variant is None and (plan is None or info.data.get("status") != "draft"):
            sentence = "missing key 'variant': column of the unit's variant; only a draft with a plan can do without"
            problems.append((("source",), sentence))
        if plan is not None and (plan.history is not None or plan.eligible != Eligible()):
            name = "history" if plan.history is not None else "eligible"
            problems.append((("plan", name), "is for event streams; the whole table is the history"))
        if source.unit_id is not None and source.unit_id == source.variant:
            problems.append((("source", "unit_id"), f"{source.unit_id!r} is the column of the variant as well"))
        for index, metric in enumerate(info.data.get("metrics") or ()):
            if metric.metric is None:
                found = problems_of_table_metric(metric, taken)
                problems += [(("metrics", index, *path), sentence) for path, sentence in found]
        if info.data.get("cluster") in taken:
            cluster = info.data["cluster"]
            problems.append((("cluster",), f"{cluster!r} is the column of the {taken[cluster]}"))
        for name in ("covariates", "segments"):
            for index, column in enumerate(info.data.get(name) or ()):
                if column in taken:
                    problems.append(((name, index), f"{column!r} is the column of the {taken[column]}"))
        reject(problems)
        return source
