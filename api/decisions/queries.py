"""What is asked of Postgres about decisions; $1 is the tenant throughout, $2 the experiment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.database import NotMaterialised, ReadSession, as_tenant
from api.decisions.models import DecisionPage, Recommendation, RecordedDecision
from api.experiments.queries import RESULTS_AS_SERVED
from api.pages import cursor_after, key_before, unknown_cursor
from api.problems import not_found

EXPERIMENT = as_tenant(
    """
    select
        declaration ->> 'control' as control,
        array(select jsonb_object_keys(declaration -> 'variants')) as variants,
        declared_in
    from registry.experiments
    where tenant_id = $1 and key = $2
    """
)

# One statement, so that all of it is of one moment. A closed gate is a closed gate, whatever was decided before.
STANDING = as_tenant(
    f"""
    with served as (
        select decision, variant, reasons, conditions, inputs, input_provenance_ids
        from serving.experiment_decisions
        where tenant_id = $1 and experiment = $2
    ),
    closed as (
        select coalesce(
            json_agg(
                json_build_object(
                    'check', check_name, 'variant', null, 'detail', coalesce(detail, 'It did not pass.')
                )
                order by check_name
            ),
            '[]'
        ) as checks
        from serving.experiment_health
        where tenant_id = $1 and experiment = $2 and blocking and passed is not true
    ),
    results as ({RESULTS_AS_SERVED})
    select json_build_object(
        'recommendation', served.decision,
        'variant', served.variant,
        'reasons', coalesce(served.reasons, '[]'),
        'conditions', coalesce(served.conditions, '[]'),
        'inputs', served.inputs,
        'input_provenance_ids', coalesce(served.input_provenance_ids, '[]'),
        'closed_gates', closed.checks,
        'snapshot_id', results.body::json ->> 'snapshot_id'
    )::text as body
    from closed
    left join served on true
    left join results on true
    """
)

RECORD = """
insert into registry.decisions (
    tenant_id, decision_id, experiment, decision, variant, actor, recorded_by, reason, is_override, failing_checks,
    recommendation, inputs, snapshot_id
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12::jsonb, $13)
"""

AUDIT = "insert into ops.audit (tenant_id, actor, action, subject, details) values ($1, $2, $3, $4, $5::jsonb)"

_COLUMNS = """
    decision_id, experiment, decision, variant, actor, recorded_by, reason, is_override, failing_checks, recommendation,
    inputs, snapshot_id, decided_at
"""

RECORDED = f"""
select row_to_json(recorded)::text as body
from (select {_COLUMNS} from registry.decisions where tenant_id = $1 and decision_id = $2) as recorded
"""

# Whoever keeps what the report shows is told, as after a publication.
ANNOUNCE = "select pg_notify('serving_changed', $1)"

PAGE = as_tenant(
    f"""
    select coalesce(json_agg(row_to_json(page) order by page.seq desc), '[]')::text as decisions
    from (
        select seq, {_COLUMNS}
        from registry.decisions
        where tenant_id = $1 and experiment = $2 and seq < $3
        order by seq desc
        limit $4
    ) as page
    """
)

_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Declared:
    """What a decision has to know of an experiment's declaration."""

    control: str
    variants: tuple[str, ...]
    declared_in: str | None

    @property
    def treated(self) -> tuple[str, ...]:
        """All variants but the control."""
        return tuple(variant for variant in self.variants if variant != self.control)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the declared rule says at the moment, and why. Behind a closed gate there is nothing but the gate."""

    recommendation: Recommendation | None = None
    variant: str | None = None
    reasons: tuple[str, ...] = ()
    conditions: tuple[Mapping[str, Any], ...] = ()
    closed_gates: tuple[Mapping[str, Any], ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    snapshot_id: str | None = None


async def declared_experiment(session: ReadSession, key: str) -> Declared:
    """The experiment ``key``; Problem 404 if the tenant has declared none such."""
    row = await session.fetch_row(EXPERIMENT, key)
    if row is None:
        raise not_found("experiment", key)
    return Declared(row["control"], tuple(sorted(row["variants"])), row["declared_in"])


async def standing_of(session: ReadSession, key: str) -> Standing:
    """What the rule says of the experiment ``key``, as it was last materialised."""
    try:
        text = await session.fetch_value(STANDING, key, None, None, None)
    except NotMaterialised:
        return Standing()
    served = json.loads(text)
    closed = tuple(served["closed_gates"])
    if closed or served["recommendation"] == "withheld":
        conditions = closed or tuple(_failing(served["conditions"]))
        inputs = {"closed_gates": list(conditions)}
        return Standing("withheld", closed_gates=conditions, inputs=inputs, snapshot_id=served["snapshot_id"])
    if served["recommendation"] is None:
        return Standing(snapshot_id=served["snapshot_id"])
    return Standing(
        served["recommendation"],
        served["variant"],
        tuple(served["reasons"]),
        tuple(served["conditions"]),
        inputs={
            **(served["inputs"] or {}),
            "variant": served["variant"],
            "reasons": served["reasons"],
            "conditions": served["conditions"],
            "provenance_ids": served["input_provenance_ids"],
        },
        snapshot_id=served["snapshot_id"],
    )


def _failing(conditions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in conditions:
        if not each["passed"]:
            yield {"check": each["check"], "variant": each["variant"], "detail": each["detail"]}


async def page_of_decisions(session: ReadSession, key: str, cursor: str | None, limit: int) -> DecisionPage:
    """Up to ``limit`` decisions about the experiment ``key``, the newest first, from ``cursor`` on."""
    # One more than is shown, to know whether there is a next page.
    found = json.loads(await session.fetch_value(PAGE, key, _before(cursor), limit + 1))
    shown = found[:limit]
    following = cursor_after(str(shown[-1]["seq"])) if len(found) > limit else None
    return DecisionPage(decisions=[RecordedDecision.model_validate(each) for each in shown], next=following)


async def newest_decision(session: ReadSession, key: str) -> RecordedDecision | None:
    """The decision that stands; None if nobody has taken one."""
    page = await page_of_decisions(session, key, None, 1)
    return page.decisions[0] if page.decisions else None


def _before(cursor: str | None) -> int:
    """The number before which the page of ``cursor`` begins."""
    number = key_before(cursor)
    if number == "":
        return _NEWEST
    if not number.isdigit() or int(number) > _NEWEST:
        raise unknown_cursor()
    return int(number)
