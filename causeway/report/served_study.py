"""The report of a study from its declaration and the rows of its answers, as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from causeway.report.experiment_report import ReportProvenance
from causeway.report.study_report import StudyReport

Row = Mapping[str, Any]


def study_report_of(tenant: str, declaration: Row, rows: Sequence[Row], *, declaration_hash: str = "") -> StudyReport:
    """What is known of a study as a report.

    declaration: the document of the study in force. rows: one for each outcome and segment ("": everybody), with the
    columns of `StudyAnswer.as_document` and a provenance_id; the declared outcome of everybody comes first, whatever
    their order.
    """
    outcome = str(declaration["outcome"]["column"])

    def place(row: Row) -> tuple[bool, bool, str, str]:
        segment = str(row.get("segment") or "")
        return row["outcome"] != outcome, bool(segment), str(row["outcome"]), segment

    ordered = sorted(rows, key=place)
    made = dict.fromkeys(str(row["provenance_id"]) for row in ordered if row.get("provenance_id"))
    return StudyReport(
        study=str(declaration["key"]),
        answers=tuple({**row, "segment": row.get("segment") or None} for row in ordered),
        tenant=tenant,
        name=declaration.get("name"),
        hypothesis=declaration.get("hypothesis"),
        owner=declaration.get("owner"),
        unit=str(declaration.get("unit") or "unit"),
        treatment=str(declaration["treatment"]["column"]),
        provenance=ReportProvenance(declaration_hash=declaration_hash or None, provenance_ids=tuple(made)),
    )
