"""A flag: a named value that rules decide per unit."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from causeway.declarations.assignment import Prerequisite, json_type
from causeway.declarations.declaration import (
    OF_A_MODEL,
    Declaration,
    DeclaredPart,
    Key,
    Path,
    Prose,
    Text,
    reject,
    repeated,
)
from causeway.declarations.values import Condition, JsonValue, Share

FlagType = Literal["boolean", "string", "number", "object"]


class FlagRule(DeclaredPart):
    """The first rule that a unit fits decides: with a value, or with an experiment whose variants have values."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: Key = Field(description="name of the rule, unique in the flag")
    condition: Condition = Field(
        default={}, alias="if", description="what the unit's attributes must be; every unit fits when left out"
    )
    prerequisites: tuple[Prerequisite, ...] = Field(default=(), description="flags that must have a value first")
    value: JsonValue = Field(default=None, description="the flag's value for the units that fit")
    coverage: Share = Field(default=1.0, description="share of the fitting units that get the value, 0 to 1")
    salt: Text | None = Field(
        default=None, description="text mixed into the hash of coverage; flag and rule when left out"
    )
    experiment: Key | None = Field(default=None, description="experiment that decides for the units that fit")
    values: dict[Text, JsonValue] = Field(default={}, description="the flag's value for each variant of the experiment")

    @model_validator(mode="after")
    def _one_way_to_decide(self) -> FlagRule:
        problems: list[tuple[Path, str]] = []
        if (self.value is None) == (self.experiment is None):
            problems.append(((), "a rule needs exactly one of value and experiment"))
        elif self.experiment is None and self.values:
            problems.append((("values",), "are for the variants of an experiment; a rule with a value has none"))
        elif self.experiment is not None and not self.values:
            problems.append(((), "a rule with an experiment needs values: one for each of its variants"))
        elif self.experiment is not None and (self.coverage != 1.0 or self.salt is not None):
            named = "salt" if self.salt is not None else "coverage"
            problems.append(((named,), "is for rules with a value; the experiment has its own"))
        reject(problems, OF_A_MODEL)
        return self


class FlagDeclaration(Declaration):
    """A flag as declared under ``kind: flag``."""

    kind: Literal["flag"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    type: FlagType = Field(title="type of flag", description="boolean, string, number or object")
    default: JsonValue = Field(description="the value of units that no rule decides for")
    enabled: bool = Field(default=True, strict=True, description="false: every unit gets the default")
    rules: tuple[FlagRule, ...] = Field(default=(), description="rules, of which the first that fits decides")

    @field_validator("default")
    @classmethod
    def _default_has_the_type(cls, default: object, info: ValidationInfo) -> object:
        declared = info.data.get("type")
        if declared is not None and json_type(default) != declared:
            reject([(("default",), _wrong_type(default, declared))])
        return default

    @field_validator("rules")
    @classmethod
    def _rules_are_distinct_and_typed(cls, rules: tuple[FlagRule, ...], info: ValidationInfo) -> tuple[FlagRule, ...]:
        problems: list[tuple[Path, str]] = [
            (("rules", index, "id"), f"there is already a rule {key!r}")
            for index, key in repeated([rule.id for rule in rules])
        ]
        declared = info.data.get("type")
        for index, rule in enumerate(rules):
            given: dict[Path, object] = {("values", name): value for name, value in rule.values.items()}
            if rule.value is not None:
                given[("value",)] = rule.value
            problems += [
                (("rules", index, *path), _wrong_type(value, declared))
                for path, value in given.items()
                if declared is not None and json_type(value) != declared
            ]
        reject(problems)
        return rules


def _wrong_type(value: object, declared: str) -> str:
    return f"is of type {json_type(value)}, the flag is of type {declared}"
