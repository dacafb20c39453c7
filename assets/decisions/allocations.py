from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.kpi_units import terms_of
from assets.partitions import split
from assets.pictures import picture
from assets.publication import publish
from causeway.actions.gaps import Estimate, SegmentGap
from causeway.actions.kpi import Decided, Intervention, believed, decide_allocation
from causeway.declarations.kpi import KpiDeclaration
from causeway.plots.value_curve import value_curve_plot
from resources.postgres import PostgresResource

SEED = 20_240_117
_NUMBERS = ("share", "cost", "expected_value", "lower_value", "net_value", "shadow_price")
SCHEMA = {
    **dict.fromkeys(("study", "segment", "status"), pl.String),
    "opened": pl.Boolean,
    "units": pl.Int64,
    **dict.fromkeys(_NUMBERS, pl.Float64),
    **dict.fromkeys(("binding", "conflict", "curve", "settings"), pl.String),
}


@dg.asset(
    key=["decisions", "allocations"],
    deps=[["estimates", "kpi_gaps"], ["registry", "kpis"]],
    partitions_def=partitions.kpis,
    group_name="decisions",
    kinds={"python"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "kpis"},
    code_version="1",
    description=(
        "Who is to be treated: whole units of each segment within budget, capacities and shares, by an integer"
        " programme over shrunk effects. One row per tenant, KPI, study and segment, and one of the whole plan."
    ),
)
def allocations(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    kpi = declared.kpi(postgres, context.partition_key)
    found = list(_interventions(postgres, kpi))
    segments = list(dict.fromkeys(gap.segment for each in found for gap in each.gaps))
    decided = decide_allocation(
        found,
        terms_of(kpi, segments),
        value=kpi.value,
        budget=kpi.budget,
        headcount=kpi.headcount,
        objective=kpi.objective,
        fallback_cost=0.0 if isinstance(kpi.cost, str) else kpi.cost,
    )
    rows = [_whole(kpi, decided), *_parts(decided)]
    plan = decided.plan
    return publish(
        context,
        postgres,
        pl.DataFrame(rows, schema=SCHEMA),
        unit="kpi",
        seed=SEED,
        metadata={
            "status": plan.status,
            "units": decided.units if decided.units is not None else "none",
            "cannot_be_met_together": "; ".join(plan.conflict) or "nothing",
            "value_by_budget": picture(
                value_curve_plot(decided.curve, budget=kpi.budget, title=f"{kpi.key}: what a budget brings")
            ),
        },
    )


def _interventions(postgres: PostgresResource, kpi: KpiDeclaration) -> Iterator[Intervention]:
    """As the gaps were: the same effects and seed give the same beliefs."""
    client = postgres.client()
    rows = client.fetch_all(
        "SELECT study, segment, n, n_treated, n_to_treat, extrapolated_share, verdict, status, effect, std_error,"
        f" ci_low, ci_high, units_reachable, cost_per_unit, cost FROM {client.table('estimates.kpi_gaps')}"
        ' WHERE tenant_id = %s AND kpi = %s ORDER BY study COLLATE "C", segment COLLATE "C"',
        split(kpi.partition_key),
    )
    for study, own in groupby(rows, key=lambda row: str(row[0])):
        yield believed(study, [_gap(row[1:]) for row in own], value=kpi.value, seed=SEED)


def _gap(row: Sequence[Any]) -> SegmentGap:
    *counted, effect, std_error, ci_low, ci_high, units_reachable, cost_per_unit, cost = row
    return SegmentGap(
        *counted,
        effect=None if effect is None else Estimate(effect, std_error, ci_low, ci_high),
        units_reachable=units_reachable,
        cost_per_unit=cost_per_unit,
        cost=cost,
    )


def _whole(kpi: KpiDeclaration, decided: Decided) -> dict[str, Any]:
    plan = decided.plan
    return {
        "status": plan.status,
        "opened": bool(plan.opened),
        "units": decided.units,
        "cost": decided.cost,
        "expected_value": decided.expected,
        "lower_value": decided.lower,
        "net_value": None if decided.expected is None or decided.cost is None else decided.expected - decided.cost,
        "shadow_price": plan.shadow_price,
        "binding": json_text(list(plan.binding)),
        "conflict": json_text(list(plan.conflict)),
        "curve": json_text([{"budget": b, "cost": c, "net_value": v} for b, c, v in decided.curve]),
        "settings": json_text(
            {
                "objective": kpi.objective,
                "budget": kpi.budget,
                "headcount": kpi.headcount,
                "optimality_gap": plan.optimality_gap,
                "objective_value": plan.net_value,
            }
        ),
    }


def _parts(decided: Decided) -> Iterator[dict[str, Any]]:
    for each in decided.allotted:
        yield {
            "study": each.study,
            "segment": each.segment,
            "status": decided.plan.status,
            "opened": each.units > 0,
            "units": each.units,
            "share": each.share,
            "cost": each.cost,
            "expected_value": each.expected,
            "lower_value": each.lower,
            **dict.fromkeys(("binding", "conflict", "curve"), "[]"),
            "settings": "{}",
        }
