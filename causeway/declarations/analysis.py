"""How an experiment is analysed: what may be looked at when, and what is adjusted for how many questions are asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from causeway.declarations.declaration import OF_A_MODEL, DeclaredPart, Key, Number, Path, Text, WholeNumber, reject

Correction = Literal["holm", "bonferroni", "preferential_bonferroni", "benjamini_hochberg", "none"]
Spending = Literal["obrien_fleming", "pocock"]

PLANNED_UNITS = 10_000
"""Units for which a confidence sequence is narrowest when nothing is declared."""

_ROUNDING = 1e-9


class Sequential(DeclaredPart):
    """How intervals stay right although the results are looked at before the end."""

    method: Literal["always_valid", "group_sequential"] = Field(
        default="always_valid",
        title="sequential method",
        description="always_valid: any number of looks; group_sequential: planned ones",
    )
    planned_units: Annotated[WholeNumber, Field(ge=2, le=10**12)] | None = Field(
        default=None, description="units of all variants together at the planned end"
    )
    looks: Annotated[WholeNumber, Field(ge=1, le=100)] | None = Field(
        default=None, description="number of planned looks, the last one at planned_units"
    )
    spending: Spending = Field(
        default="obrien_fleming", title="spending function", description="obrien_fleming or pocock"
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Sequential:
        problems: list[tuple[Path, str]] = []
        if self.method == "group_sequential":
            missing = [name for name in ("planned_units", "looks") if getattr(self, name) is None]
            if missing:
                problems.append(((), f"group_sequential needs {' and '.join(missing)}: looks are planned beforehand"))
        elif self.looks is not None:
            problems.append((("looks",), "always_valid takes any number of looks; leave looks out"))
        reject(problems, OF_A_MODEL)
        return self


class Prior(DeclaredPart):
    """What was believed of the relative effect before the experiment, as a normal distribution."""

    mean: Number = Field(default=0.0, description="relative effect expected, 0.01 being one per cent")
    sd: Annotated[Number, Field(gt=0)] = Field(description="its standard deviation")


class Analysis(DeclaredPart):
    """The plan of analysis, declared before there are results."""

    sequential: Sequential = Field(default=Sequential(), description="how looks before the end are allowed for")
    correction: Correction = Field(
        default="holm",
        title="correction",
        description="how p-values are adjusted over the primary and secondary metrics and the variants",
    )
    primary_share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.5, description="share of alpha that preferential_bonferroni keeps for the primary metric"
    )
    prior: Prior | None = Field(default=None, description="prior of the Bayesian posterior; a flat one when left out")
    contrasts: dict[Key, dict[Text, Number]] = Field(
        default={}, description="linear contrasts over variants: {dose: {high: 1, low: -1}}"
    )


def problems_of_contrasts(contrasts: dict[str, dict[str, float]], variants: dict[str, float]) -> list[tuple[Path, str]]:
    """What keeps coefficients from being contrasts over these variants."""
    problems: list[tuple[Path, str]] = []
    for name, coefficients in contrasts.items():
        path: Path = ("analysis", "contrasts", name)
        problems += [((*path, each), f"{each!r} is not a variant") for each in coefficients if each not in variants]
        if not any(coefficients.values()):
            problems.append((path, "all coefficients are zero"))
        elif abs(sum(coefficients.values())) > _ROUNDING * max(map(abs, coefficients.values())):
            problems.append((path, f"the coefficients add up to {sum(coefficients.values()):g}, not to zero"))
    return problems
