from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.pictures import drawing
from assets.publication import publish
from causeway.report.served_study import study_report_of
from causeway.report.study_charts import study_pictures
from causeway.report.study_page import render_study
from causeway.report.study_report import StudyReport
from causeway.report.study_words import lead_of, title_of
from resources.postgres import PostgresResource

COLUMNS = (
    "outcome", "segment", "verdict", "reasons", "estimand", "estimates", "headline", "n", "n_left_out", "left_out",
    "rules", "refutations", "diagnostics", "sensitivity", "heterogeneity", "provenance_id",
)  # fmt: skip


@dg.asset(
    key=["serving", "study_reports"],
    deps=[["estimates", "study_effects"], ["registry", "studies"]],
    partitions_def=partitions.studies,
    group_name="serving",
    kinds={"python", "postgres"},
    owners=["team:platform"],
    tags={"causeway/partitions": "studies"},
    code_version="1",
    description=(
        "The report of a study as it was published: the verdict with its reasons, the effect in words, the rules, all"
        " methods, the graph, balance, overlap, refutations, sensitivity, differences between units, and whom to treat."
        " One row per tenant and study."
    ),
)
def study_reports(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    report = _report(postgres, context.partition_key).as_shown()
    frame = pl.DataFrame(
        {"title": [title_of(report)], "lead": [json_text(list(lead_of(report)))], "page": [render_study(report)]}
    )
    return publish(context, postgres, frame, unit="study", metadata=dict(_shown(report)))


def _report(postgres: PostgresResource, partition_key: str) -> StudyReport:
    client, partition = postgres.client(), partitions.split(partition_key)
    study = declared.study(postgres, partition_key)
    with client.transaction(read_only=True) as transaction:
        found = transaction.fetch_all(
            f"SELECT {', '.join(COLUMNS)} FROM {client.table('estimates.study_effects')}"
            " WHERE tenant_id = %s AND study = %s",
            partition,
        )
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in found]
    return study_report_of(partition[0], study.document(), rows, declaration_hash=study.declaration_hash)


def _shown(report: StudyReport) -> Iterator[tuple[str, dg.MetadataValue[Any]]]:
    """The report in the order in which it is read."""
    reasons = [] if report.main is None else [f"- {reason}" for reason in report.main["reasons"]]
    yield "report", dg.MetadataValue.md("\n\n".join([f"## {title_of(report)}", *lead_of(report), *reasons]))
    if report.main is not None:
        for name, picture in study_pictures(report.main, treatment=report.treatment).items():
            yield name, drawing(picture)
