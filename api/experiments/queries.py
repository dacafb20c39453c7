"""What is asked of Postgres about experiments. It builds the JSON; $1 is the tenant throughout."""

from __future__ import annotations

import json
from typing import Any

from api.database import NotMaterialised, ReadSession, TenantQuery, as_tenant
from api.experiments.models import Experiment, ExperimentPage, ResultFilter
from api.pages import cursor_after, key_before
from api.problems import not_found

# A declared experiment is shown before anything was materialised for it; its stage is then "pending".
_SUMMARY = """
    declared.key as experiment,
    declared.declaration ->> 'name' as name,
    declared.declaration ->> 'hypothesis' as hypothesis,
    declared.declaration ->> 'owner' as owner,
    declared.declaration ->> 'unit' as unit,
    declared.declaration ->> 'control' as control,
    declared.declaration -> 'variants' as variants,
    coalesce(declared.declaration ->> 'status', 'running') as status,
    coalesce((declared.declaration ->> 'version')::bigint, 1) as version,
    case
        when served.gates_passed is null then 'pending'
        when served.starts_on > current_date then 'not_started'
        when served.ends_on < current_date then 'ended'
        else 'running'
    end as stage,
    served.units,
    served.gates_passed,
    served.decision,
    served.starts_on,
    served.ends_on,
    declared.declared_at,
    served.computed_at
"""

_SERVED = "serving.experiments"
# Experiments can be declared before the pipeline has run for the first time, which is when that table comes to be.
_NOTHING_SERVED = """(
    select
        null::text as tenant_id, null::text as experiment, null::bigint as units, null::boolean as gates_passed,
        null::text as decision, null::jsonb as decision_reasons, null::date as starts_on, null::date as ends_on,
        null::timestamptz as computed_at
    where false
)"""

LIFE_CYCLE = """
    select coalesce(json_agg(json_build_object('status', status, 'version', version, 'at', at) order by at), '[]')
    from registry.life_cycle
    where tenant_id = $1 and experiment = $2
"""


def _declared(served: str) -> str:
    return f"""
        registry.experiments as declared
        left join {served} as served
            on served.tenant_id = declared.tenant_id and served.experiment = declared.key
        where declared.tenant_id = $1
    """


def _page(served: str) -> TenantQuery:
    return as_tenant(
        f"""
        select coalesce(json_agg(page order by page.experiment), '[]') as experiments
        from (
            select {_SUMMARY} from {_declared(served)} and declared.key > $2 order by declared.key limit $3
        ) as page
        """
    )


def _experiment(served: str) -> TenantQuery:
    return as_tenant(
        f"""
        select row_to_json(found) as body
        from (
            select
                {_SUMMARY},
                declared.declaration -> 'metrics' as metrics,
                coalesce(declared.declaration -> 'covariates', '[]') as covariates,
                coalesce(declared.declaration -> 'segments', '[]') as segments,
                coalesce(served.decision_reasons, '[]') as decision_reasons,
                declared.declaration_hash,
                declared.declared_in,
                declared.declaration,
                ({LIFE_CYCLE}) as life_cycle
            from {_declared(served)} and declared.key = $2
        ) as found
        """
    )


PAGE, PAGE_OF_DECLARED = _page(_SERVED), _page(_NOTHING_SERVED)
EXPERIMENT, EXPERIMENT_AS_DECLARED = _experiment(_SERVED), _experiment(_NOTHING_SERVED)

# Rows that contradict a closed gate are left out: a withheld effect is never shown as a number.
RESULTS_AS_SERVED = """
    with declared as (
        select declared.key as experiment, served.gates_passed, served.computed_at
        from registry.experiments as declared
        left join serving.experiments as served
            on served.tenant_id = declared.tenant_id and served.experiment = declared.key
        where declared.tenant_id = $1 and declared.key = $2
    ),
    health as (
        select
            check_name, passed, blocking, p_value, observed, expected, detail,
            blocking and passed is not true as is_closed
        from serving.experiment_health
        where tenant_id = $1 and experiment = $2
    ),
    verdicts as (
        select
            count(*) > 0 as are_known,
            coalesce(bool_or(is_closed), false) as any_closed,
            coalesce(json_agg(check_name order by check_name) filter (where is_closed), '[]') as closed,
            coalesce(
                jsonb_agg(check_name || ': ' || coalesce(detail, 'did not pass') order by check_name)
                    filter (where is_closed),
                '[]'
            ) as reasons,
            coalesce(
                json_object_agg(
                    check_name,
                    json_build_object(
                        'passed', passed, 'blocking', blocking, 'p_value', p_value,
                        'observed', observed, 'expected', expected, 'detail', detail
                    )
                    order by check_name
                ),
                '{}'
            ) as checks
        from health
    ),
    gate as (
        select verdicts.any_closed or coalesce(not declared.gates_passed, false) as is_closed
        from declared
        cross join verdicts
    ),
    shown as (
        select
            result.metric, result.metric_role, result.segment, result.variant, result.control, result.method,
            result.interval, result.is_headline, result.status,
            result.n, result.n_control, result.mean, result.mean_control,
            result.effect, result.std_error, result.ci_low, result.ci_high, result.p_value,
            result.relative_effect, result.relative_ci_low, result.relative_ci_high,
            result.adjusted_p_value, result.is_significant, result.chance_to_beat, result.expected_loss,
            coalesce(result.reasons, '[]') as reasons, coalesce(result.settings, '{}') as settings,
            result.provenance_id
        from serving.experiment_results as result
        cross join gate
        where
            result.tenant_id = $1
            and result.experiment = $2
            and (result.status = 'withheld' or not gate.is_closed)
        order by
            result.metric_role <> 'primary', result.position, result.segment nulls first, result.variant,
            result.method, result.interval
    ),
    results as (
        select
            count(*) > 0 as are_known,
            coalesce(bool_or(shown.status = 'withheld'), false) as any_withheld,
            json_agg(shown)::text as everything,
            coalesce(
                json_agg(shown) filter (
                    where ($3::text is null or shown.metric = $3)
                    and ($4::text is null or coalesce(shown.segment, '') = $4)
                    and ($5::text is null or shown.method = $5)
                ),
                '[]'
            ) as asked_for
        from shown
    ),
    withheld as (
        select jsonb_agg(distinct reason.value) as reasons
        from shown
        cross join lateral jsonb_array_elements(
            case when jsonb_typeof(shown.reasons) = 'array' then shown.reasons else '[]' end
        ) as reason
        where shown.status = 'withheld'
    )
    select
        json_build_object(
            'experiment', declared.experiment,
            'tenant', $1::text,
            'status', case
                when gate.is_closed or results.any_withheld then 'withheld'
                when results.are_known then 'ok'
                else 'pending'
            end,
            'gates', json_build_object(
                'passed', case
                    when gate.is_closed then false
                    when verdicts.are_known then true
                    else declared.gates_passed
                end,
                'closed', verdicts.closed
            ),
            'health', verdicts.checks,
            'reasons', coalesce(withheld.reasons, verdicts.reasons),
            'results', results.asked_for,
            'snapshot_id', md5(concat_ws('|', verdicts.checks::text, results.everything)),
            'computed_at', to_char(declared.computed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        )::text as body
    from declared
    cross join verdicts
    cross join gate
    cross join results
    cross join withheld
"""
RESULTS = as_tenant(RESULTS_AS_SERVED)


# While a gate is closed there is none, whatever the table says.
LOOKS = as_tenant(
    """
    select json_build_object(
        'experiment', declared.key,
        'looks', coalesce(
            (
                select
                    json_agg(
                        to_jsonb(shown) - 'position'
                        order by shown.metric_role <> 'primary', shown.position, shown.variant, shown.day
                    )
                from (
                    select
                        metric, metric_role, position, variant, control, day, method, interval, status, n, n_control,
                        mean, mean_control, effect, std_error, ci_low, ci_high, p_value,
                        relative_effect, relative_ci_low, relative_ci_high,
                        (settings ->> 'alpha')::double precision as alpha, provenance_id
                    from serving.experiment_daily_looks
                    where
                        tenant_id = $1
                        and experiment = $2
                        and ($3::text is null or metric = $3)
                        and not exists (
                            select from serving.experiment_health as health
                            where
                                health.tenant_id = $1
                                and health.experiment = $2
                                and health.blocking
                                and health.passed is not true
                        )
                ) as shown
            ),
            '[]'
        )
    )::text as body
    from registry.experiments as declared
    where declared.tenant_id = $1 and declared.key = $2
    """
)

METRICS = as_tenant(
    """
    select coalesce(json_object_agg(key, declaration), '{}')::text as body
    from registry.metrics
    where tenant_id = $1 and key = any($2::text[])
    """
)


async def page_of_experiments(session: ReadSession, cursor: str | None, limit: int) -> ExperimentPage:
    """Up to ``limit`` experiments in the order of their keys, from ``cursor`` on."""
    # One more than is shown, to know whether there is a next page.
    text = await _served_or_declared(session, PAGE, PAGE_OF_DECLARED, key_before(cursor), limit + 1)
    page = ExperimentPage.model_validate_json(f'{{"experiments": {text}, "next": null}}')
    if len(page.experiments) <= limit:
        return page
    shown = page.experiments[:limit]
    return ExperimentPage(experiments=shown, next=cursor_after(shown[-1].experiment))


async def experiment_of(session: ReadSession, key: str) -> Experiment:
    """The experiment ``key``; Problem 404 if the tenant has declared none such."""
    text = await _served_or_declared(session, EXPERIMENT, EXPERIMENT_AS_DECLARED, key)
    if text is None:
        raise not_found("experiment", key)
    return Experiment.model_validate_json(text)


async def results_of(session: ReadSession, key: str, chosen: ResultFilter) -> str:
    """The served results of the experiment ``key``, as JSON; Problem 404 if the tenant declared none such."""
    text: str | None = await session.fetch_value(RESULTS, key, chosen.metric, chosen.segment, chosen.method)
    if text is None:
        raise not_found("experiment", key)
    return text


async def looks_of(session: ReadSession, key: str, metric: str | None = None) -> str:
    """The served looks at the experiment ``key``, as JSON; Problem 404 if the tenant declared none such."""
    text: str | None = await session.fetch_value(LOOKS, key, metric)
    if text is None:
        raise not_found("experiment", key)
    return text


async def metrics_used_by(session: ReadSession, experiment: Experiment) -> dict[str, Any]:
    """The declarations of the metrics that the experiment uses by name, by name."""
    names = [metric["metric"] for metric in experiment.metrics if metric.get("metric") is not None]
    if not names:
        return {}
    declared: dict[str, Any] = json.loads(await session.fetch_value(METRICS, names))
    return declared


async def _served_or_declared(
    session: ReadSession, served: TenantQuery, declared: TenantQuery, *arguments: object
) -> str | None:
    try:
        text: str | None = await session.fetch_value(served, *arguments)
    except NotMaterialised:
        text = await session.fetch_value(declared, *arguments)
    return text
