"""KPIs over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from api.kpis.models import KpiAllocation, KpiGaps, KpiRanking

ANSWERS = {"gaps": KpiGaps, "ranking": KpiRanking, "allocation": KpiAllocation}


def rank(place: int, *tied_with: str) -> dict[str, Any]:
    return {"rank": place, "low": 1, "high": 2, "tied_with": list(tied_with), "probability_best": 0.5}


@pytest.fixture(scope="module", autouse=True)
def kpis(world):
    """acme: worth (two segments, one without numbers), stopped (its study is withheld by now), fresh (declared only);
    globex: own.
    """
    for tenant, key, study in (
        ("acme", "worth", "good"),
        ("acme", "stopped", "bad"),
        ("acme", "fresh", "good"),
        ("globex", "own", "good"),
    ):
        world.insert(
            "registry.kpis",
            tenant_id=tenant,
            key=key,
            declaration={"key": key, "study": study, "studies": []},
            declaration_hash="h",
        )
    for study, verdict in (("good", "credible"), ("bad", "withheld")):
        named = {"tenant_id": "acme", "study": study, "outcome": "spend"}
        world.insert("serving.study_answers", **named, segment="", verdict=verdict)
        # What is not known of a segment of the study says nothing about everybody.
        world.insert("serving.study_answers", **named, segment="region=south", verdict="withheld")
    for kpi, study in (("worth", "good"), ("stopped", "bad")):
        shared = {"tenant_id": "acme", "kpi": kpi, "study": study, "n": 200, "n_treated": 50, "n_to_treat": 150}
        for segment, place in (("south", 2), ("north", 1)):
            world.insert(
                "serving.kpi_gaps",
                **shared,
                segment=segment,
                levels={"region": segment},
                verdict="credible",
                status="ok",
                reasons=[],
                actual=0.4,
                effect=0.1,
                ci_low=0.05,
                ci_high=0.15,
                simultaneous_low=0.04,
                simultaneous_high=0.16,
                gap_value=1000.0,
                roi=1.5,
                ranks={"effect": rank(place, "north" if segment == "south" else "south")},
                provenance_id="p1",
            )
        world.insert(
            "serving.kpi_gaps",
            **shared | {"n": 12},
            segment="tiny",
            levels={"region": "tiny"},
            verdict="withheld",
            status="too_few_units",
            reasons=["2 treated"],
            ranks={},
        )
        whole = {"tenant_id": "acme", "kpi": kpi, "status": "ok"}
        world.insert(
            "serving.kpi_allocations",
            **whole,
            opened=True,
            units=20,
            cost=40.0,
            expected_value=100.0,
            net_value=60.0,
            shadow_price=1.5,
            binding=["budget"],
            conflict=[],
            curve=[{"budget": 40.0, "cost": 40.0, "net_value": 60.0}],
            settings={"objective": "expected"},
        )
        for segment, units in (("south", 0), ("north", 20)):
            world.insert(
                "serving.kpi_allocations",
                **whole,
                study=study,
                segment=segment,
                opened=units > 0,
                units=units,
                share=0.1,
            )


def test_gaps_have_their_numbers_with_limits_or_the_reason_why_not(acme):
    body = acme.get("/v1/kpis/worth/gaps").json()
    assert (body["kpi"], body["tenant"], body["status"]) == ("worth", "acme", "ok")
    north, _, tiny = body["segments"]
    assert north["effect"] == {"value": 0.1, "ci_low": 0.05, "ci_high": 0.15}
    assert north["simultaneous"] == {"value": 0.1, "ci_low": 0.04, "ci_high": 0.16}
    assert (north["gap_value"]["value"], north["roi"]["value"], north["levels"]) == (1000.0, 1.5, {"region": "north"})
    assert (tiny["status"], tiny["reasons"], tiny["effect"]["value"], tiny["n"]) == (
        "too_few_units",
        ["2 treated"],
        None,
        12,
    )


def test_the_ranking_is_in_order_with_its_ties(acme):
    body = acme.get("/v1/kpis/worth/ranking").json()
    assert [(row["segment"], row["rank"], row["tied_with"]) for row in body["by"]["effect"]] == [
        ("north", 1, ["south"]),
        ("south", 2, ["north"]),
    ]


def test_the_allocation_is_the_whole_and_its_parts(acme):
    body = acme.get("/v1/kpis/worth/allocation").json()
    assert (body["status"], body["units"], body["net_value"], body["binding"]) == ("ok", 20, 60.0, ["budget"])
    assert [(row["segment"], row["units"]) for row in body["allocations"]] == [("north", 20), ("south", 0)]
    assert body["curve"] == [{"budget": 40.0, "cost": 40.0, "net_value": 60.0}]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_study_that_is_withheld_by_now_takes_its_numbers_away(acme, answer):
    body = acme.get(f"/v1/kpis/stopped/{answer}").json()
    assert body["status"] == "withheld"
    assert not body.get("segments") and not body.get("by") and not body.get("allocations") and not body.get("units")


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_declared_kpi_is_pending_until_it_is_made(acme, answer):
    assert acme.get(f"/v1/kpis/fresh/{answer}").json()["status"] == "pending"


@pytest.mark.parametrize("key", ["worth", "stopped", "fresh"])
@pytest.mark.parametrize(("answer", "model"), ANSWERS.items())
def test_the_body_is_what_the_description_says(acme, key, answer, model):
    read = model.model_validate_json(acme.get(f"/v1/kpis/{key}/{answer}").text)
    assert read.model_fields_set == set(model.model_fields)


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_has_not_changed_is_not_sent_again_and_others_see_nothing(acme, globex, answer):
    etag = acme.get(f"/v1/kpis/worth/{answer}").headers["etag"]
    again = acme.get(f"/v1/kpis/worth/{answer}", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert globex.get(f"/v1/kpis/own/{answer}").status_code == 200
    assert acme.get(f"/v1/kpis/own/{answer}").status_code == 404
    assert globex.get(f"/v1/kpis/worth/{answer}").status_code == 404
