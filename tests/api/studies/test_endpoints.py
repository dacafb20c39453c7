"""Studies over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from api.studies.models import StudyResults

RULE = {"rule": "overlap", "severity": "fine", "observed": 0.0, "limit": 0.1, "detail": "everybody has a counterpart"}


def estimate(method: str, effect: float | None, status: str = "ok") -> dict[str, Any]:
    numbers = dict.fromkeys(("std_error", "ci_low", "ci_high", "p_value"), None if effect is None else 0.1)
    words = {"estimand": "average effect over every unit of the study", "reason": None, "settings": {}}
    return {"method": method, "target": "ATE", "status": status, "n": 100, "effect": effect, **numbers, **words}


def answer(
    world: Any, study: str, *, tenant: str = "acme", outcome: str = "y", segment: str = "", **parts: Any
) -> None:
    estimates = parts.pop("estimates", [estimate("aipw", 0.1), estimate("difference_in_means", 0.3)])
    document = {
        "verdict": "credible",
        "reasons": [],
        "estimand": {"target": "ATE", "in_words": "...", "identified": True, "adjustment_set": ["x"], "by": "backdoor"},
        "headline": estimates[0],
        "n": 100,
        "n_left_out": 3,
        "left_out": {"without y": 3},
        "rules": [RULE],
        "refutations": [],
        "diagnostics": {},
        "sensitivity": {},
        "heterogeneity": {},
        **parts,
    }
    where = {"tenant_id": tenant, "study": study, "outcome": outcome, "segment": segment}
    world.insert("serving.study_answers", **where, **document, estimates=estimates)
    for position, each in enumerate(estimates, 1):
        numbers = {name: value for name, value in each.items() if name not in ("reason", "settings")}
        world.insert(
            "serving.study_results",
            **where,
            **numbers,
            verdict=document["verdict"],
            is_headline=position == 1,
            position=position,
            reasons=document["reasons"],
        )


@pytest.fixture(scope="module", autouse=True)
def studies(world):
    """acme: credible (another outcome and a segment too), refuted (withheld), fresh (declared only); globex: own."""
    for tenant, key in (("acme", "credible"), ("acme", "refuted"), ("acme", "fresh"), ("globex", "own")):
        declaration = {"key": key, "outcome": {"column": "y"}}
        world.insert("registry.studies", tenant_id=tenant, key=key, declaration=declaration, declaration_hash="h")
    answer(world, "credible")
    answer(world, "credible", outcome="z", estimates=[estimate("aipw", 0.5)])
    answer(world, "credible", segment="region=north", verdict="caution", reasons=["few units"])
    answer(
        world,
        "refuted",
        verdict="withheld",
        reasons=["no overlap: nobody has a counterpart"],
        estimates=[estimate("aipw", None, "withheld")],
    )


def test_the_answer_to_the_declared_question_comes_first(acme):
    body = acme.get("/v1/studies/credible/results").json()
    assert (body["study"], body["tenant"], body["status"]) == ("credible", "acme", "ok")
    assert (body["outcome"], body["verdict"], body["headline"]["effect"]) == ("y", "credible", 0.1)
    assert [(row["method"], row["effect"]) for row in body["estimates"]] == [
        ("aipw", 0.1),
        ("difference_in_means", 0.3),
    ]
    assert (body["n"], body["n_left_out"], body["left_out"]) == (100, 3, {"without y": 3})


def test_other_outcomes_and_segments_follow(acme):
    body = acme.get("/v1/studies/credible/results").json()
    assert [(each["outcome"], each["segment"], each["verdict"]) for each in body["further"]] == [
        ("y", "region=north", "caution"),
        ("z", "", "credible"),
    ]
    assert [(row["outcome"], row["segment"], row["method"]) for row in body["results"]] == [
        ("y", "", "aipw"),
        ("y", "", "difference_in_means"),
        ("y", "region=north", "aipw"),
        ("y", "region=north", "difference_in_means"),
        ("z", "", "aipw"),
    ]


def test_a_refuted_study_is_withheld_with_its_reasons(acme):
    body = acme.get("/v1/studies/refuted/results").json()
    assert (body["status"], body["verdict"]) == ("withheld", "withheld")
    assert body["reasons"] == ["no overlap: nobody has a counterpart"]
    assert body["estimates"][0]["effect"] is None and body["results"][0]["effect"] is None


@pytest.mark.parametrize("key", ["credible", "refuted", "fresh"])
def test_the_body_is_what_the_description_says(acme, key):
    model = StudyResults.model_validate_json(acme.get(f"/v1/studies/{key}/results").text)
    for row in (*model.results, *model.estimates):
        assert row.model_fields_set == set(type(row).model_fields)


def test_a_declared_study_is_pending_until_it_is_materialised(acme):
    body = acme.get("/v1/studies/fresh/results").json()
    assert (body["status"], body["verdict"], body["results"], body["headline"]) == ("pending", None, [], None)


def test_what_has_not_changed_is_not_sent_again(acme):
    etag = acme.get("/v1/studies/credible/results").headers["etag"]
    again = acme.get("/v1/studies/credible/results", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_another_tenants_study_does_not_exist(acme, globex):
    assert globex.get("/v1/studies/own/results").status_code == 200
    assert acme.get("/v1/studies/own/results").status_code == 404
    assert globex.get("/v1/studies/credible/results").status_code == 404
