from dataclasses import asdict

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.pictures import picture
from assets.publication import publish
from assets.study_frames import study_frame
from causeway.plots.love import love_plot
from causeway.plots.placebo import placebo_plot
from resources.postgres import PostgresResource

KEY = dg.AssetKey(["estimates", "study_effects"])
SEED = 20_240_103
_NUMBERS = ("effect", "std_error", "ci_low", "ci_high", "p_value")


@dg.asset(
    key=KEY,
    deps=[["features", "study_fields"], ["features", "study_units"], ["registry", "studies"]],
    partitions_def=partitions.studies,
    check_specs=[
        dg.AssetCheckSpec("identified", asset=KEY, partitions_def=partitions.studies),
        dg.AssetCheckSpec("refuted", asset=KEY, partitions_def=partitions.studies),
    ],
    group_name="estimates",
    kinds={"python", "dowhy"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "studies"},
    code_version="1",
    description=(
        "The effect asked for by an observational study: identified and estimated by DoWhy, put to a placebo test,"
        " with a verdict. One row per tenant, study and method."
    ),
)
def study_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    # DoWhy takes seconds to import: here, and not where definitions are loaded.
    from causeway.effects.observational import estimate_study

    study = declared.study(postgres, context.partition_key)
    values = study.treatment.values
    if values is None:
        raise ValueError(f"study {study.key}: a treatment on a scale is not estimated yet; declare treatment.values")
    found = estimate_study(
        study_frame(postgres, context.partition_key, study),
        treatment=study.treatment.column,
        control_value=values.control,
        treated_value=values.treated,
        outcome=study.outcome.column,
        confounders=study.confounders,
        target=study.target,
        graph=study.graph,
        seed=SEED,
    )
    diagnostics = {
        "identified": found.identified,
        "adjustment_set": list(found.adjustment_set),
        "balance": [asdict(each) for each in found.balance],
        "overlap": asdict(found.overlap) if found.overlap else None,
    }
    frame = pl.DataFrame(
        [
            {
                "method": each.method,
                "target": study.target,
                "estimand": each.estimand,
                "status": each.status,
                **{name: getattr(each, name) for name in _NUMBERS},
                "n": each.n,
                "n_left_out": each.n_left_out,
                "verdict": found.verdict,
                "reasons": json_text(list(found.reasons)),
                "refutations": json_text([asdict(r) for r in found.refutations if r.method == each.method]),
                "diagnostics": json_text(diagnostics),
                "settings": json_text(each.settings),
            }
            for each in found.estimates
        ],
        schema_overrides=dict.fromkeys(_NUMBERS, pl.Float64),
    )
    problems = [refutation for refutation in found.refutations if refutation.problem_found]
    pictures = {}
    if found.balance:
        pictures["balance"] = picture(
            love_plot(
                {each.covariate: each.smd for each in found.balance}, title=f"Balance of {study.key} before adjustment"
            )
        )
    for refutation in found.refutations:
        estimate = next(each for each in found.estimates if each.method == refutation.method)
        pictures[refutation.name] = picture(
            placebo_plot(
                effect=estimate.effect,
                ci_low=estimate.ci_low,
                ci_high=estimate.ci_high,
                new_effect=refutation.new_effect,
                p_value=refutation.p_value,
                problem_found=refutation.problem_found,
                title=f"{study.key}: {refutation.name}",
                unit=study.outcome.column,
            )
        )
    return publish(
        context,
        postgres,
        frame,
        unit="study",
        seed=SEED,
        metadata={"verdict": found.verdict, "reasons": "; ".join(found.reasons) or "none", **pictures},
        check_results=[
            dg.AssetCheckResult(
                asset_key=KEY, check_name="identified", passed=found.identified, severity=dg.AssetCheckSeverity.WARN
            ),
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name="refuted",
                passed=not problems,
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(problem.detail for problem in problems),
            ),
        ],
    )
