from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.pictures import drawing
from assets.publication import publish
from assets.study_counts import StudyCounts, study_counts
from assets.study_frames import study_frame, unit_column
from causeway.declarations.study import StudyDeclaration
from causeway.report.study_charts import study_pictures
from resources.postgres import PostgresResource
from resources.settings import Settings

KEY = dg.AssetKey(["estimates", "study_effects"])
UNITS = dg.AssetKey(["estimates", "unit_effects"])
SEED = 20_240_103
RULES = (
    "identification", "data", "overlap", "balance", "negative_controls", "refutations", "instability",
    "weak_instrument", "clusters_ignored", "post_treatment", "extrapolation", "left_out",
)  # fmt: skip
_DOCUMENTS = (
    "reasons", "estimand", "estimates", "headline", "left_out", "rules", "refutations", "diagnostics", "sensitivity",
    "heterogeneity",
)  # fmt: skip
_UNIT_SCHEMA = {
    "unit_id": pl.String,
    "effect": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "score": pl.Float64,
    "propensity": pl.Float64,
    "treated": pl.Boolean,
    "outcome": pl.Float64,
    "extrapolated": pl.Boolean,
    "treat": pl.Boolean,
}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            KEY,
            deps=[["features", "study_fields"], ["features", "study_units"], ["registry", "studies"]],
            group_name="estimates",
            kinds={"python", "dowhy"},
            owners=["team:data-science"],
            tags={"causeway/partitions": "studies"},
            code_version="2",
            description=(
                "The answer of a study: identified, estimated in several ways, put to the test and judged by its rules."
                " One row per tenant, study, outcome and segment."
            ),
        ),
        dg.AssetSpec(
            UNITS,
            deps=[["features", "study_fields"], ["features", "study_units"], ["registry", "studies"]],
            group_name="estimates",
            kinds={"python", "xgboost"},
            owners=["team:data-science"],
            tags={"causeway/partitions": "studies"},
            code_version="1",
            description=(
                "The effect on each unit of a study that asks for it, with the unit's doubly robust score."
                " One row per tenant, study and unit."
            ),
        ),
    ],
    partitions_def=partitions.studies,
    check_specs=[dg.AssetCheckSpec(rule, asset=KEY, partitions_def=partitions.studies) for rule in RULES],
)
def study_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> Iterator[dg.MaterializeResult]:
    # What estimates takes seconds to import: here, and not where definitions are loaded.
    from causeway.effects.problem import Computing
    from causeway.effects.studies.many import answer_all, questions_of

    settings = Settings.from_environment()
    computing = Computing(settings.n_jobs, settings.backend)

    study = declared.study(postgres, context.partition_key)
    frame = study_frame(postgres, context.partition_key, study)
    questions = questions_of(frame, study)
    context.log.info("%s: %s units, %s questions", study.key, f"{frame.height:,}", len(questions))

    def tell(done: int, total: int) -> None:
        context.log.info("%s: %s of %s pieces of work are done", study.key, done, total)

    found = answer_all(questions, seed=SEED, computing=computing, report=tell)
    counts = study_counts(postgres, context.partition_key, study)
    documents = [_with_counts(each.answer.as_document(), counts) for each in found]
    first = documents[0]
    yield publish(
        context,
        postgres,
        pl.DataFrame([_row(document) for document in documents]),
        key=KEY,
        unit="study",
        seed=SEED,
        metadata={
            "verdict": first["verdict"],
            "reasons": "; ".join(first["reasons"]) or "none",
            "questions": len(documents),
            **{name: drawing(drawn) for name, drawn in study_pictures(first, treatment=study.treatment.column).items()},
        },
        check_results=_checks(first),
    )
    yield publish(
        context,
        postgres,
        _units(found[0].units, frame.get_column(unit_column(study)), study),
        key=UNITS,
        unit="study",
        seed=SEED,
    )


def _with_counts(document: dict[str, Any], counts: StudyCounts) -> dict[str, Any]:
    """With the rows that never became units, where the answer is about everybody."""
    if document["segment"]:
        return document
    refused = {f"quarantined ({reason})": rows for reason, rows in counts.reasons.items()}
    left_out = refused | ({"of a unit that is there already": counts.duplicates} if counts.duplicates else {})
    document["left_out"] |= left_out
    document["n_left_out"] += sum(left_out.values())
    rows = {"landed": counts.landed, "units": counts.units, "cells_not_numbers": counts.bad_cells}
    document["diagnostics"]["data"] = {**(document["diagnostics"].get("data") or {}), **rows}
    return document


def _row(document: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: document[name] for name in ("outcome", "verdict", "n", "n_left_out")}
    texts = {name: None if document[name] is None else json_text(document[name]) for name in _DOCUMENTS}
    return {**numbers, "segment": document["segment"] or "", **texts}


def _checks(document: dict[str, Any]) -> list[dg.AssetCheckResult]:
    """One result a rule: an error where it withholds the number, a warning where it doubts it."""
    results = []
    for rule in RULES:
        seen = [each for each in document["rules"] if each["rule"] == rule]
        severities = {each["severity"] for each in seen}
        blocking = "withhold" in severities
        results.append(
            dg.AssetCheckResult(
                asset_key=KEY,
                check_name=rule,
                passed=not severities - {"fine"},
                severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
                description="; ".join(each["detail"] for each in seen) or "There is nothing to judge by this rule.",
                metadata={
                    f"{rule}_{position}": each["observed"]
                    for position, each in enumerate(seen)
                    if each["observed"] is not None
                },
            )
        )
    return results


def _units(columns: Mapping[str, Any] | None, ids: pl.Series, study: StudyDeclaration) -> pl.DataFrame:
    """Effects of units where the study asks for them; without their numbers where its verdict withholds them."""
    if columns is None:
        return pl.DataFrame(schema=_UNIT_SCHEMA)
    named = {name: values for name, values in columns.items() if name != "position"}
    if study.policy is None:
        named["treat"] = [None] * len(columns["position"])
    return pl.DataFrame({"unit_id": ids.gather(columns["position"]), **named}, schema_overrides=_UNIT_SCHEMA).select(
        _UNIT_SCHEMA.keys()
    )
