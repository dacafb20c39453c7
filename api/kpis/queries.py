"""What is asked of Postgres about KPIs; $1 is the tenant throughout."""

from __future__ import annotations

from api.database import ReadSession, TenantQuery, as_tenant
from api.problems import not_found

_INTERVALS = ("shrunk_effect", "everyone", "nobody", "reachable", "gap", "gap_value", "net_value", "roi")
_PLAIN = (
    *("study", "segment", "levels", "verdict", "status", "reasons", "n", "n_treated", "n_to_treat"),
    *("extrapolated_share", "actual", "units_reachable", "expected_value", "cost_per_unit", "cost", "roi_status"),
    "provenance_id",
)

# A study that is withheld after its KPIs were made takes their numbers away at once.
_DECLARED = """
    declared as (
        select
            key as kpi,
            exists (
                select 1 from serving.study_answers
                where
                    tenant_id = $1 and verdict = 'withheld' and segment = ''
                    and (declaration -> 'studies' || jsonb_build_array(declaration -> 'study')) ? study
            ) as is_withheld
        from registry.kpis where tenant_id = $1 and key = $2
    )
"""


def _interval(name: str, value: str, low: str, high: str) -> str:
    return f"'{name}', json_build_object('value', {value}, 'ci_low', {low}, 'ci_high', {high})"


def _segment() -> str:
    pairs = [f"'{name}', {name}" for name in _PLAIN]
    pairs += [
        _interval("effect", "effect", "ci_low", "ci_high"),
        _interval("simultaneous", "effect", "simultaneous_low", "simultaneous_high"),
        *(_interval(name, name, f"{name}_ci_low", f"{name}_ci_high") for name in _INTERVALS),
    ]
    # A function takes at most a hundred arguments.
    return f"jsonb_build_object({', '.join(pairs[:20])}) || jsonb_build_object({', '.join(pairs[20:])})"


_SHOWN = f"""
    {_DECLARED},
    shown as (
        select gaps.*
        from serving.kpi_gaps as gaps cross join declared
        where gaps.tenant_id = $1 and gaps.kpi = $2 and not declared.is_withheld
    )
"""
_STATUS = """
    case
        when declared.is_withheld then 'withheld'
        when (select count(*) from shown) = 0 then 'pending'
        when (select bool_and(status = 'withheld') from shown) then 'withheld'
        else 'ok'
    end
"""

GAPS = as_tenant(
    f"""
    with {_SHOWN},
    everything as (
        select coalesce(jsonb_agg({_segment()} order by study, segment), '[]') as segments from shown
    )
    select json_build_object(
        'kpi', declared.kpi, 'tenant', $1::text, 'status', {_STATUS}, 'segments', everything.segments,
        'snapshot_id', md5(everything.segments::text || {_STATUS})
    )::text as body
    from declared cross join everything
    """
)

RANKING = as_tenant(
    f"""
    with {_SHOWN},
    placed as (
        select
            measure.key as measure,
            jsonb_agg(
                jsonb_build_object('study', study, 'segment', segment, 'verdict', verdict) || measure.value
                order by study, (measure.value ->> 'rank')::int
            ) as segments
        from shown cross join lateral jsonb_each(ranks) as measure
        group by measure.key
    ),
    everything as (select coalesce(jsonb_object_agg(measure, segments), '{{}}') as by_measure from placed)
    select json_build_object(
        'kpi', declared.kpi, 'tenant', $1::text, 'status', {_STATUS}, 'by', everything.by_measure,
        'snapshot_id', md5(everything.by_measure::text || {_STATUS})
    )::text as body
    from declared cross join everything
    """
)

ALLOCATION = as_tenant(
    f"""
    with {_DECLARED},
    shown as (
        select plans.*
        from serving.kpi_allocations as plans cross join declared
        where plans.tenant_id = $1 and plans.kpi = $2 and not declared.is_withheld
    ),
    parts as (
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'study', study, 'segment', segment, 'opened', opened, 'units', units, 'share', share, 'cost', cost,
                'expected_value', expected_value, 'lower_value', lower_value, 'provenance_id', provenance_id
            ) order by units desc nulls last, study, segment
        ), '[]') as listed
        from shown where segment is not null
    ),
    everything as (
        select jsonb_build_object(
            'kpi', declared.kpi, 'tenant', $1::text,
            'status', case when declared.is_withheld then 'withheld' else coalesce(whole.status, 'pending') end,
            'conflict', coalesce(whole.conflict, '[]'), 'units', whole.units, 'cost', whole.cost,
            'expected_value', whole.expected_value, 'lower_value', whole.lower_value, 'net_value', whole.net_value,
            'shadow_price', whole.shadow_price, 'binding', coalesce(whole.binding, '[]'),
            'settings', coalesce(whole.settings, '{{}}'), 'allocations', parts.listed,
            'curve', coalesce(whole.curve, '[]')
        ) as body
        from declared cross join parts left join shown as whole on whole.segment is null
    )
    select (body || jsonb_build_object('snapshot_id', md5(body::text)))::text as body from everything
    """
)


async def gaps_of(session: ReadSession, key: str) -> str:
    """The gaps of the KPI ``key``, as JSON; Problem 404 if the tenant has declared none such."""
    return await _found(session, GAPS, key)


async def ranking_of(session: ReadSession, key: str) -> str:
    """Its segments in order."""
    return await _found(session, RANKING, key)


async def allocation_of(session: ReadSession, key: str) -> str:
    """Who is to be treated."""
    return await _found(session, ALLOCATION, key)


async def _found(session: ReadSession, query: TenantQuery, key: str) -> str:
    text: str | None = await session.fetch_value(query, key)
    if text is None:
        raise not_found("kpi", key)
    return text
