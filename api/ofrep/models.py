"""What the routes of OFREP take and give; camel case, as its document has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.problems import FieldError

Metadata = dict[str, bool | int | float | str]
Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]
ErrorCode = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]

# Everything but null.
_TYPES = ["boolean", "number", "string", "array", "object"]


class EvaluationRequest(BaseModel):
    """Asks for the value of one flag, or of all."""

    context: dict[str, Any] = Field(
        default_factory=dict,
        description="The evaluation context. targetingKey names the unit; the other members are its attributes.",
        examples=[{"targetingKey": "customer-17", "country": "CA"}],
    )


class EvaluationSuccess(BaseModel):
    """The value of a flag in a context. Without a value the caller's own default holds."""

    model_config = ConfigDict(extra="forbid")

    key: str
    value: Annotated[Any, WithJsonSchema({"type": _TYPES})] = Field(
        default=None, description="Of the type that the flag is declared with; left out where it is null."
    )
    reason: Reason = Field(
        description="SPLIT: by the unit's hash, or its stored assignment; TARGETING_MATCH: by a rule; STATIC: the same "
        "for every unit; DISABLED: switched off, its default holds; UNKNOWN: no rule matched, its default holds."
    )
    variant: str = Field(description='The variant, else the rule that matched, else "default".')
    metadata: Metadata = Field(
        description="contextId (the unit), flagSetId (the tenant), version (of all its flags), status (why, in a "
        "word), and where they apply experimentKey, configVersion, ruleId, layerKey, holdoutKey, hashAlgorithm, "
        "bucket, inExperiment, isHoldout, sticky."
    )


class EvaluationFailure(BaseModel):
    """Why a flag has no value in a context."""

    key: str
    errorCode: ErrorCode
    errorDetails: str


class BulkEvaluationSuccess(BaseModel):
    """The value of every flag in a context, in the order of their keys."""

    model_config = ConfigDict(extra="forbid")

    flags: list[EvaluationSuccess | EvaluationFailure]
    metadata: Metadata = Field(description="flagSetId (the tenant) and version (of all its flags).")


class OfrepProblem(BaseModel):
    """A request that could not be answered: OFREP's members, and beside them those of a problem document."""

    key: str = Field(default="", description="The flag, where one was asked for and the context is to blame.")
    errorCode: Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]
    errorDetails: str
    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError]
