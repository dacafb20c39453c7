from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.kpi_units import KpiUnits, kpi_units, terms_of
from assets.pictures import picture
from assets.publication import publish
from causeway.actions.gaps import Estimate, segment_gaps
from causeway.actions.kpi import Intervention, believed
from causeway.declarations.kpi import KpiDeclaration
from causeway.plots.segment_gaps import segment_gaps_plot
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["estimates", "kpi_gaps"])
SEED = 20_240_117
_LIMITED = ("everyone", "nobody", "reachable", "gap", "gap_value", "net_value")
_TEXTS = ("study", "segment", "levels", "verdict", "status", "reasons", "roi_status", "ranks", "settings")
_COUNTS = ("n", "n_treated", "n_to_treat", "units_reachable")

# Which study's partition a KPI reads is declared, and the version of registry/kpis changes with that of its studies: no
# partition of these is one of this asset by itself.
FROM_STUDIES = dg.SpecificPartitionsPartitionMapping([])


@dg.asset(
    key=KEY,
    deps=[
        dg.AssetDep(["estimates", "unit_effects"], partition_mapping=FROM_STUDIES),
        dg.AssetDep(["estimates", "study_effects"], partition_mapping=FROM_STUDIES),
        dg.AssetDep(["features", "study_fields"], partition_mapping=FROM_STUDIES),
        dg.AssetDep(["features", "study_units"], partition_mapping=FROM_STUDIES),
        ["registry", "kpis"],
    ],
    partitions_def=partitions.kpis,
    check_specs=[dg.AssetCheckSpec("segments_are_known", asset=KEY, partitions_def=partitions.kpis)],
    group_name="estimates",
    kinds={"python"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "kpis"},
    code_version="1",
    description=(
        "Of each segment the KPI as it is against the one that its study's treatment could reach, in money, with return"
        " on investment, verdict and place. One row per tenant, KPI, study and segment."
    ),
)
def kpi_gaps(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    kpi = declared.kpi(postgres, context.partition_key)
    read = [kpi_units(postgres, kpi, study) for study in kpi.interventions]
    found = [
        believed(
            each.study,
            segment_gaps(
                each.units,
                each.segments,
                list(terms_of(kpi, each.segments).values()),
                value=kpi.value,
                budget=kpi.budget,
                study_verdict=each.verdict,
            ),
            value=kpi.value,
            seed=SEED,
        )
        for each in read
    ]
    rows = [row for each, one in zip(read, found, strict=True) for row in _rows(kpi, each, one)]
    unknown = sorted(kpi.named_segments.keys() - {name for each in read for name in each.segments})
    return publish(
        context,
        postgres,
        pl.DataFrame(rows, schema=_schema()),
        unit="kpi",
        seed=SEED,
        metadata={
            "segments": len(rows),
            "left_out": sum(each.left_out for each in read),
            "studies": dg.MetadataValue.json({each.study: each.verdict for each in read}),
            **{
                f"gaps_by_{one.study}": picture(segment_gaps_plot(one, title=f"{kpi.key}: {one.study}"))
                for one in found
            },
        },
        check_results=[
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name="segments_are_known",
                passed=not unknown,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"no unit is in {', '.join(map(repr, unknown))}" if unknown else "",
            )
        ],
    )


def _schema() -> dict[str, Any]:
    numbers = (
        *("extrapolated_share", "actual", "effect", "std_error", "ci_low", "ci_high"),
        *("simultaneous_low", "simultaneous_high", "expected_value", "cost_per_unit", "cost"),
        *(f"{name}{end}" for name in ("shrunk_effect", *_LIMITED, "roi") for end in ("", "_ci_low", "_ci_high")),
    )
    return {
        **dict.fromkeys(_TEXTS, pl.String),
        **dict.fromkeys(_COUNTS, pl.Int64),
        **dict.fromkeys(numbers, pl.Float64),
    }


def _rows(kpi: KpiDeclaration, read: KpiUnits, found: Intervention) -> Iterator[dict[str, Any]]:
    shrunk = found.shrunk
    settings = {
        "left_out": read.left_out,
        "study_verdict": read.verdict,
        "clusters": read.units.clusters is not None,
        "spread_between_segments": shrunk and shrunk.spread,
        "pooled_effect": shrunk and shrunk.pooled,
    }
    for gap, levels in zip(found.gaps, read.levels, strict=True):
        row: dict[str, Any] = {
            "study": read.study,
            "segment": gap.segment,
            "levels": json_text(dict(levels)),
            "reasons": json_text(list(gap.reasons)),
            "settings": json_text(settings),
            "ranks": json_text(
                {
                    measure: {**asdict(ranks[gap.segment]), "tied_with": _named(found, measure, gap.segment)}
                    for measure, ranks in found.ranks.items()
                    if gap.segment in ranks
                }
            ),
        }
        for name in (
            "verdict",
            "status",
            "roi_status",
            *_COUNTS,
            "extrapolated_share",
            "actual",
            "cost_per_unit",
            "cost",
        ):
            row[name] = getattr(gap, name)
        for name in _LIMITED:
            row |= _limits(name, getattr(gap, name))
        if gap.effect is not None:
            row |= {f"{name}": getattr(gap.effect, name) for name in ("std_error", "ci_low", "ci_high")}
            row |= {"effect": gap.effect.value, "simultaneous_low": gap.simultaneous_low}
            row |= {"simultaneous_high": gap.simultaneous_high}
        belief = found.belief(gap.segment)
        if belief is not None:
            names = ("shrunk_effect", "shrunk_effect_ci_low", "shrunk_effect_ci_high")
            row |= dict(zip(names, belief, strict=True))
            row["expected_value"] = belief[0] * kpi.value * (gap.units_reachable or 0)
        if gap.roi is not None:
            row |= dict(zip(("roi", "roi_ci_low", "roi_ci_high"), gap.roi, strict=True))
        yield row


def _limits(name: str, estimate: Estimate | None) -> Mapping[str, float]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_ci_low": estimate.ci_low, f"{name}_ci_high": estimate.ci_high}


def _named(found: Intervention, measure: Any, segment: str) -> list[str]:
    ranks = found.ranks[measure]
    names = list(ranks)
    return [names[index] for index in ranks[segment].tied_with]
