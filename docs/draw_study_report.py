"""Draw the report of a simulated study into docs/images: ``python docs/draw_study_report.py``.

It needs Chromium, and the poppler and DejaVu that come with it. ``--html FILE`` writes the page and draws nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from draw_experiment_report import draw

from causeway.declarations.study import StudyDeclaration
from causeway.effects.problem import Computing
from causeway.effects.studies.many import answer_all, questions_of
from causeway.report.experiment_report import ReportProvenance
from causeway.report.study_page import render_study
from causeway.report.study_report import StudyReport

INTO = Path(__file__).parent / "images" / "study_report.png"
HEIGHT = 10_000
UNITS = 6_000
GRAPH = """
    digraph {
        income -> spend_before; income -> city; age -> visits_before; city -> visits_before
        age -> joined; city -> joined; visits_before -> joined; spend_before -> joined; leaflet -> joined
        age -> spend; city -> spend; visits_before -> spend; spend_before -> spend
        joined -> spend; joined -> app_opens; app_opens -> spend
        joined -> visits; visits_before -> visits
    }
"""


def example() -> StudyReport:
    """Who joins a loyalty programme spends more anyway; what the programme adds falls with age. From a fixed seed."""
    study = StudyDeclaration.model_validate(
        {
            "kind": "study",
            "key": "loyalty_programme",
            "tenant": "grocer",
            "name": "What the loyalty programme adds",
            "hypothesis": "Members spend more because they are members, and not only because good customers join.",
            "owner": "customer-insight",
            "unit": "customer",
            "treatment": {"column": "joined", "values": {"control": "no", "treated": "yes"}},
            "outcome": {"column": "spend"},
            "outcomes": ["visits"],
            "confounders": ["age", "city", "visits_before", "spend_before", "leaflet", "app_opens"],
            "effect_modifiers": ["age", "visits_before"],
            "negative_controls": {"outcomes": ["spend_two_years_ago"]},
            "segments": ["region"],
            "graph": GRAPH,
            "source": {"file": "customers.csv"},
        }
    )
    answers = answer_all(questions_of(_simulated(), study), seed=1, computing=Computing(n_jobs=2))
    return StudyReport(
        study.key,
        tuple(each.answer.as_document() for each in answers),
        tenant=study.tenant,
        name=study.name,
        hypothesis=study.hypothesis,
        owner=study.owner,
        unit=study.unit,
        treatment=study.treatment.column,
        provenance=ReportProvenance(
            code_version="0.1.0", declaration_hash=study.declaration_hash, provenance_ids=("p_7c1f0a93be24",)
        ),
    )


def _simulated() -> pl.DataFrame:
    chance = np.random.default_rng(20240304)
    n = UNITS
    age = np.clip(chance.normal(46, 14, n), 18, 90)
    income = chance.normal(0, 1, n)
    city = chance.random(n) < 1 / (1 + np.exp(-0.6 * income))
    visits_before = chance.poisson(np.exp(1.6 + 0.008 * (age - 46) + 0.25 * city))
    spend_before = np.exp(3.6 + 0.25 * income + 0.4 * chance.normal(0, 1, n))
    leaflet = chance.random(n) < 0.4
    inclined = (
        -0.9
        + 0.5 * leaflet
        + 0.09 * (visits_before - 6)
        + 0.010 * (spend_before - 40)
        - 0.012 * (age - 46)
        + 0.2 * city
    )
    joined = chance.random(n) < 1 / (1 + np.exp(-inclined))
    app_opens = chance.poisson(1 + 4.0 * joined)
    adds = 8.0 - 0.35 * (age - 46)
    spend = (
        6 + 0.75 * spend_before + 1.1 * visits_before + 3.0 * city + 0.05 * age + adds * joined + chance.normal(0, 9, n)
    )
    frame = pl.DataFrame(
        {
            "joined": np.where(joined, "yes", "no"),
            "spend": spend,
            "visits": visits_before + chance.poisson(1 + 0.4 * joined),
            "age": age,
            "city": city.astype(int),
            "visits_before": visits_before,
            "spend_before": spend_before,
            "leaflet": leaflet.astype(int),
            "app_opens": app_opens,
            "spend_two_years_ago": 0.6 * spend_before + chance.normal(0, 12, n),
            "region": chance.choice(["north", "south", "west"], n, p=(0.5, 0.3, 0.2)),
        }
    )
    # Some never told their age, some have no outcome.
    unknown = pl.Series(chance.random(n) < 0.03)
    gone = pl.Series(chance.random(n) < 0.01)
    return frame.with_columns(
        age=pl.when(unknown).then(None).otherwise(pl.col("age")),
        spend=pl.when(gone).then(None).otherwise(pl.col("spend")),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, help="write the page here and draw nothing")
    asked = parser.parse_args()
    if asked.html is None:
        draw(render_study(example()), INTO, HEIGHT)
    else:
        asked.html.write_text(render_study(example()), encoding="utf-8")
