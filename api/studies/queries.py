"""What is asked of Postgres about studies; $1 is the tenant throughout."""

from __future__ import annotations

from api.database import ReadSession, as_tenant
from api.problems import not_found

RESULTS = as_tenant(
    """
    with declared as (
        select key as study, declaration -> 'outcome' ->> 'column' as outcome
        from registry.studies
        where tenant_id = $1 and key = $2
    ),
    answers as (
        select served.*, served.outcome = declared.outcome and served.segment = '' as is_declared
        from serving.study_answers as served
        cross join declared
        where served.tenant_id = $1 and served.study = $2
    ),
    methods as (
        select coalesce(json_agg(shown order by shown.outcome, shown.segment, shown.position), '[]') as listed
        from (
            select
                outcome, segment, verdict, method, target, estimand, is_headline, position, status,
                effect, std_error, ci_low, ci_high, p_value, n, n_left_out,
                coalesce(reasons, '[]') as reasons, coalesce(refutations, '[]') as refutations,
                coalesce(diagnostics, '{}') as diagnostics, provenance_id
            from serving.study_results
            where tenant_id = $1 and study = $2
        ) as shown
    ),
    further as (
        select
            coalesce(json_agg(json_build_object(
                'outcome', outcome, 'segment', segment, 'verdict', verdict, 'reasons', reasons,
                'headline', headline, 'n', n, 'n_left_out', n_left_out, 'provenance_id', provenance_id
            ) order by outcome, segment), '[]') as listed
        from answers
        where not is_declared
    )
    select
        json_build_object(
            'study', declared.study,
            'tenant', $1::text,
            'status', case
                when answer.verdict = 'withheld' then 'withheld'
                when answer.verdict is not null then 'ok'
                else 'pending'
            end,
            'outcome', coalesce(answer.outcome, declared.outcome),
            'verdict', answer.verdict,
            'reasons', coalesce(answer.reasons, '[]'),
            'estimand', answer.estimand,
            'estimates', coalesce(answer.estimates, '[]'),
            'headline', answer.headline,
            'n', answer.n,
            'n_left_out', answer.n_left_out,
            'left_out', coalesce(answer.left_out, '{}'),
            'rules', coalesce(answer.rules, '[]'),
            'refutations', coalesce(answer.refutations, '[]'),
            'diagnostics', coalesce(answer.diagnostics, '{}'),
            'sensitivity', coalesce(answer.sensitivity, '{}'),
            'heterogeneity', coalesce(answer.heterogeneity, '{}'),
            'provenance_id', answer.provenance_id,
            'further', further.listed,
            'results', methods.listed,
            'snapshot_id', md5(concat(answer.provenance_id, answer::text, further.listed::text, methods.listed::text))
        )::text as body
    from declared
    left join answers as answer on answer.is_declared
    cross join methods
    cross join further
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
