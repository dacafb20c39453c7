"""What is asked of Postgres about studies; $1 is the tenant throughout."""

from __future__ import annotations

from api.database import ReadSession, as_tenant
from api.problems import not_found

RESULTS = as_tenant(
    """
    with declared as (
        select key as study from registry.studies where tenant_id = $1 and key = $2
    ),
    shown as (
        select
            verdict, method, target, estimand, status,
            effect, std_error, ci_low, ci_high, p_value, n, n_left_out,
            coalesce(reasons, '[]') as reasons, coalesce(refutations, '[]') as refutations,
            coalesce(diagnostics, '{}') as diagnostics, provenance_id
        from serving.study_results
        where tenant_id = $1 and study = $2
    ),
    everything as (
        select
            count(*) > 0 as is_known,
            coalesce(bool_or(shown.status = 'withheld'), false) as withholds,
            case when count(distinct shown.verdict) = 1 then min(shown.verdict) end as verdict,
            coalesce(json_agg(shown order by shown.method = 'unadjusted', shown.method), '[]') as results
        from shown
    ),
    reasons as (
        select coalesce(jsonb_agg(distinct reason.value), '[]') as listed
        from shown
        cross join lateral jsonb_array_elements(
            case when jsonb_typeof(shown.reasons) = 'array' then shown.reasons else '[]' end
        ) as reason
    )
    select
        json_build_object(
            'study', declared.study,
            'tenant', $1::text,
            'status', case
                when everything.withholds then 'withheld'
                when everything.is_known then 'ok'
                else 'pending'
            end,
            'verdict', everything.verdict,
            'reasons', reasons.listed,
            'results', everything.results,
            'snapshot_id', md5(everything.results::text)
        )::text as body
    from declared
    cross join everything
    cross join reasons
    """
)


PAGE = as_tenant(
    """
    select coalesce(reports.page, '')
    from registry.studies as declared
    left join serving.study_reports as reports
        on reports.tenant_id = declared.tenant_id and reports.study = declared.key
    where declared.tenant_id = $1 and declared.key = $2
    """
)


async def page_of(session: ReadSession, key: str) -> str:
    """The published report of the study ``key``, empty until there is one; Problem 404 if the tenant has declared none
    such.
    """
    page: str | None = await session.fetch_value(PAGE, key)
    if page is None:
        raise not_found("study", key)
    return page


async def results_of(session: ReadSession, key: str) -> str:
    """The served results of the study ``key``, as JSON; Problem 404 if the tenant has declared none such."""
    text: str | None = await session.fetch_value(RESULTS, key)
    if text is None:
        raise not_found("study", key)
    return text
