"""What was found of an experiment unasked: segments in which its effects differ, experiments that it meets."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.database import NotMaterialised, ReadSession, TenantQuery, as_tenant
from api.experiments.models import ResultStatus
from api.problems import not_found


class SegmentFinding(BaseModel):
    """Whether one effect differs between the levels of one segment."""

    model_config = ConfigDict(extra="forbid")

    metric: str
    metric_role: Literal["primary", "secondary", "guardrail"]
    segment: str
    variant: str
    control: str
    status: ResultStatus
    p_value: float | None = Field(description="Of equal effects in all levels.")
    q_value: float | None = Field(description="By Benjamini and Hochberg over all tests of the experiment.")
    found: bool
    levels: list[dict[str, Any]] = Field(description="Each level against all others.")
    levels_found: list[str]
    reversed_levels: list[str] = Field(description="Levels whose effect has the other sign than that on everybody.")
    reasons: list[Any]
    settings: dict[str, Any]
    provenance_id: str


class InteractionFinding(BaseModel):
    """Whether the experiment and another one, on the same units at the same time, disturb each other."""

    model_config = ConfigDict(extra="forbid")

    experiment_a: str
    experiment_b: str
    test: Literal["assignment", "interaction"] = Field(
        description="assignment: are the variants dealt independently; interaction: do the effects add up."
    )
    measured_in: str | None = Field(description="Of an interaction the experiment whose primary metric it is.")
    metric: str | None
    status: ResultStatus
    n: int = Field(description="Units in both.")
    p_value: float | None
    q_value: float | None = Field(description="By Benjamini and Hochberg over all pairs of the tenant.")
    found: bool
    cramers_v: float | None = Field(description="Size of a dependence of the assignments, 0 none to 1 complete.")
    effects: list[dict[str, Any]] = Field(description="By how much the effect of one differs with the other's variant.")
    settings: dict[str, Any]
    provenance_id: str


class Findings(BaseModel):
    """What was found of an experiment unasked."""

    model_config = ConfigDict(extra="forbid")

    experiment: str
    tenant: str
    heterogeneity: list[SegmentFinding] | None = Field(description="Null while nothing is materialised.")
    interactions: list[InteractionFinding] | None = Field(description="As of last night; null before the first one.")


DECLARED = as_tenant("select 1 from registry.experiments where tenant_id = $1 and key = $2")

# Whoever closed a gate since the last night takes the numbers away at once: the pair stays, as withheld.
_CLOSED = """
    closed as (
        select distinct experiment from serving.experiment_health
        where tenant_id = $1 and blocking and passed is not true
    )
"""

HETEROGENEITY = as_tenant(
    f"""
    with {_CLOSED}
    select coalesce(json_agg(to_jsonb(listed) - 'position' order by position, segment, variant), '[]')::text as body
    from (
        select
            metric, metric_role, segment, variant, control, status, p_value, q_value, found, levels, levels_found,
            reversed_levels, reasons, settings, provenance_id, position
        from serving.experiment_heterogeneity
        where
            tenant_id = $1 and experiment = $2
            and (status = 'withheld' or experiment not in (select experiment from closed))
    ) as listed
    """
)

INTERACTIONS = as_tenant(
    f"""
    with {_CLOSED}
    select coalesce(json_agg(listed order by experiment_a, experiment_b, test, measured_in), '[]')::text as body
    from (
        select
            experiment_a, experiment_b, test, measured_in, metric, n, settings, provenance_id,
            case when is_closed then 'withheld' else status end as status,
            case when not is_closed then p_value end as p_value,
            case when not is_closed then q_value end as q_value,
            found and not is_closed as found,
            case when not is_closed then cramers_v end as cramers_v,
            case when is_closed then '[]' else effects end as effects
        from (
            select
                *,
                experiment_a in (select experiment from closed)
                or experiment_b in (select experiment from closed) as is_closed
            from serving.experiment_interactions
            where tenant_id = $1 and $2 in (experiment_a, experiment_b)
        ) as pairs
    ) as listed
    """
)


async def findings_of(session: ReadSession, tenant: str, key: str) -> str:
    """What was found of the experiment ``key``, as JSON; Problem 404 if the tenant declared none such."""
    if await session.fetch_value(DECLARED, key) is None:
        raise not_found("experiment", key)
    heterogeneity, interactions = [await _body(session, query, key) for query in (HETEROGENEITY, INTERACTIONS)]
    names = json.dumps({"experiment": key, "tenant": tenant})
    return f'{names[:-1]}, "heterogeneity": {heterogeneity}, "interactions": {interactions}}}'


async def _body(session: ReadSession, query: TenantQuery, key: str) -> str:
    try:
        text: str = await session.fetch_value(query, key)
    except NotMaterialised:
        return "null"
    return text
