"""The parts of an experiment's declaration that say who enters it, how variants are dealt, and what is kept of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from causeway.declarations.declaration import OF_A_MODEL, DeclaredPart, Key, Path, Text, WholeNumber, reject, repeated
from causeway.declarations.suggestion import did_you_mean
from causeway.declarations.values import EPOCH, Condition, Instant, Length, Share, length_of

TARGETING_KEY = "targetingKey"
"""The attribute that holds a unit's own id, by OpenFeature's name."""

BucketVersion = Annotated[WholeNumber, Field(ge=0, le=1_000_000)]


class Prerequisite(DeclaredPart):
    """Another flag that must have a certain value first."""

    flag: Key = Field(description="key of a flag or an experiment")
    condition: Condition = Field(
        default={"value": True}, description="what its value must be, such as {value: on}; true when left out"
    )


class RampStep(DeclaredPart):
    """From a moment on, this share of the units enters."""

    at: Instant = Field(description="from when on, such as 2026-01-31T08:00:00Z")
    coverage: Share = Field(description="share of the units that enter from then on, 0 to 1")


class Holdout(DeclaredPart):
    """Makes of an experiment a holdout: its held-out variant is kept from other experiments."""

    variant: Text = Field(description="the variant whose units are kept from the experiments")
    experiments: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[tuple[Key, ...], Tag("keys")],
        Discriminator(lambda value: "all" if isinstance(value, str) else "keys"),
    ] = Field(
        default="all",
        title="set of experiments",
        description="all experiments of the same unit, or a list of their keys",
    )

    def holds(self, experiment: str) -> bool:
        """Whether the held-out units are kept from ``experiment``, if that has the same unit."""
        return self.experiments == "all" or experiment in self.experiments


class Randomization(DeclaredPart):
    """What is dealt a variant: every unit by itself, its cluster, or a unit for a window of time."""

    by: Literal["unit", "cluster", "switchback"] = Field(
        default="unit", title="randomization", description="unit, cluster or switchback"
    )
    attribute: Text | None = Field(
        default=None, description="attribute that is hashed, such as school_id; the unit's own id when left out"
    )
    window: Length | None = Field(default=None, description="how long a switchback keeps a variant, such as 4h")
    origin: Instant = Field(default=EPOCH, description="when the first window of a switchback begins")
    washout: Length | None = Field(
        default=None, description="time at the beginning of each window whose events do not count, such as 15m"
    )
    carryover: Annotated[WholeNumber, Field(ge=0, le=100)] = Field(
        default=0, description="for how many windows a variant is still felt after its own"
    )

    @property
    def hashed_attribute(self) -> str:
        """The attribute whose value is hashed."""
        return self.attribute or TARGETING_KEY

    @property
    def window_length(self) -> dt.timedelta | None:
        """The length of a switchback's window; None when it is none."""
        return None if self.window is None else length_of(self.window)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Randomization:
        problems: list[tuple[Path, str]] = []
        if self.by == "cluster" and self.attribute is None:
            problems.append(((), "randomization by cluster needs attribute: the name of the cluster's id"))
        if self.by == "unit" and self.attribute is not None:
            problems.append((("attribute",), "is the unit's own id; to hash another attribute say by: cluster"))
        if self.by == "switchback" and self.window is None:
            problems.append(((), "a switchback needs window, such as 4h"))
        if self.by != "switchback" and self.window is not None:
            problems.append((("window",), "only a switchback has windows; say by: switchback"))
        if self.by != "switchback":
            problems += [
                ((name,), "only a switchback has windows; say by: switchback")
                for name in ("origin", "washout", "carryover")
                if getattr(self, name) != type(self).model_fields[name].default
            ]
        if self.window is not None and self.washout is not None and length_of(self.washout) >= length_of(self.window):
            problems.append((("washout",), f"must be shorter than the window, {self.window}"))
        reject(problems, OF_A_MODEL)
        return self


class Sticky(DeclaredPart):
    """Whether a unit keeps the variant that it was given first, and until when."""

    enabled: bool = Field(default=True, description="whether the stored variant wins over a new hash", strict=True)
    bucket_version: BucketVersion = Field(default=0, description="raised to deal every unit a variant anew")
    min_bucket_version: BucketVersion = Field(
        default=0, description="units whose variant was stored under a lower bucket version are left out"
    )
    fallback_attribute: Text | None = Field(
        default=None, description="attribute that is hashed when the unit's own is missing, such as anonymous_id"
    )

    @model_validator(mode="after")
    def _somebody_may_enter(self) -> Sticky:
        if self.min_bucket_version > self.bucket_version:
            reject([(("min_bucket_version",), f"is above bucket_version, {self.bucket_version}")], OF_A_MODEL)
        return self


class Roster(DeclaredPart):
    """Where the known units are read from, to deal variants to all of them in one go."""

    event: Text = Field(default="profile", description="type of the events whose units are the known ones")


def problems_of_configs(configs: Mapping[str, Any], variants: Mapping[str, float]) -> list[tuple[Path, str]]:
    """Configs are for every variant or for none, and all of one type: a caller asks for one."""
    problems: list[tuple[Path, str]] = [
        (("configs", name), _no_variant(name, variants)) for name in configs if name not in variants
    ]
    if configs and not problems:
        missing = [name for name in variants if name not in configs]
        if missing:
            problems.append((("configs",), f"there is no config for {', '.join(map(repr, missing))}"))
        kinds = {name: json_type(config) for name, config in configs.items()}
        first = next(iter(configs))
        for name, kind in kinds.items():
            if kind == "null":
                problems.append((("configs", name), "is empty; expected a value"))
            elif kind != kinds[first] and kinds[first] != "null":
                problems.append((("configs", name), f"is of type {kind}, that of {first!r} is of type {kinds[first]}"))
    return problems


def problems_of_forced(forced: Mapping[str, str], variants: Mapping[str, float]) -> list[tuple[Path, str]]:
    """A problem for each unit that is forced into something else than a variant."""
    return [
        (("forced", unit), _no_variant(variant, variants))
        for unit, variant in forced.items()
        if variant not in variants
    ]


def problems_of_order(order: Sequence[str], variants: Mapping[str, float]) -> list[tuple[Path, str]]:
    """An order names every variant, each once."""
    problems: list[tuple[Path, str]] = [
        (("order", index), _no_variant(name, variants)) for index, name in enumerate(order) if name not in variants
    ]
    problems += problems_of_names("order", order)
    missing = [name for name in variants if name not in order]
    if missing:
        problems.append((("order",), f"leaves out {', '.join(map(repr, missing))}"))
    return problems


def problems_of_ramp(ramp: Sequence[RampStep]) -> list[tuple[Path, str]]:
    """Steps of a ramp come one after another."""
    return [
        (("ramp", index, "at"), "is not after the step before it")
        for index in range(1, len(ramp))
        if ramp[index].at <= ramp[index - 1].at
    ]


def problems_of_holdout(holdout: Holdout, declared: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """What keeps an experiment with these fields from being a holdout: two groups of equal size, dealt by hash alone.

    Whoever is held out must be so of every experiment alike, whatever is known of the unit there.
    """
    problems: list[tuple[Path, str]] = []
    variants = declared.get("variants")
    if variants is not None:
        if holdout.variant not in variants:
            problems.append((("holdout", "variant"), _no_variant(holdout.variant, variants)))
        if len(variants) != 2 or len(set(variants.values())) != 1:
            sentence = "a holdout compares two groups of equal size: it needs two variants of equal weight"
            problems.append((("variants",), sentence))
    if holdout.experiments == ():
        problems.append((("holdout", "experiments"), "is an empty list; a holdout keeps units from some experiment"))
    for field in ("randomization", "ramp", "targeting", "prerequisites", "forced", "layer", "holdouts"):
        plain = Randomization() if field == "randomization" else None
        if declared.get(field) and declared[field] != plain:
            problems.append(((field,), "a holdout is a plain share of all units; leave it out"))
    if holdout.experiments != "all":
        problems += [
            (("holdout", *path), sentence) for path, sentence in problems_of_names("experiments", holdout.experiments)
        ]
    return problems


def problems_of_names(field: str, names: Sequence[str]) -> list[tuple[Path, str]]:
    """A problem for each name that is listed twice."""
    return [((field, index), f"{name!r} is listed twice") for index, name in repeated(names)]


def json_type(value: object) -> str:
    """The type of a flag's value as it is declared: boolean, string, number, object (a list is one) or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "object"


def _no_variant(name: str, variants: Mapping[str, float]) -> str:
    listed = ", ".join(map(repr, variants))
    return f"{name!r} is not one of the variants {listed}{did_you_mean(name, variants)}"
