"""Studies over HTTP."""

from __future__ import annotations

import pytest

from api.studies.models import StudyResults


@pytest.fixture(scope="module", autouse=True)
def studies(world):
    """acme: credible (two methods), refuted (withheld), fresh (declared only); globex: own."""
    for tenant, key in (("acme", "credible"), ("acme", "refuted"), ("acme", "fresh"), ("globex", "own")):
        world.insert("registry.studies", tenant_id=tenant, key=key, declaration={"key": key}, declaration_hash="h")
    for method, effect in (("unadjusted", 0.3), ("dowhy_linear_regression", 0.1)):
        world.insert(
            "serving.study_results",
            tenant_id="acme",
            study="credible",
            verdict="credible",
            method=method,
            target="ATE",
            status="ok",
            effect=effect,
            n=100,
            n_left_out=0,
            refutations=[{"name": "placebo_treatment", "problem_found": False}],
        )
    world.insert(
        "serving.study_results",
        tenant_id="acme",
        study="refuted",
        verdict="withheld",
        method="dowhy_linear_regression",
        status="withheld",
        reasons=["placebo_treatment: the placebo has an effect"],
    )


def test_results_show_the_adjusted_method_first(acme):
    body = acme.get("/v1/studies/credible/results").json()
    assert (body["study"], body["tenant"], body["status"], body["verdict"]) == (
        "credible",
        "acme",
        "ok",
        "credible",
    )
    assert [(row["method"], row["effect"]) for row in body["results"]] == [
        ("dowhy_linear_regression", 0.1),
        ("unadjusted", 0.3),
    ]
    assert body["results"][0]["refutations"] == [{"name": "placebo_treatment", "problem_found": False}]


def test_a_refuted_study_is_withheld_with_its_reasons(acme):
    body = acme.get("/v1/studies/refuted/results").json()
    assert (body["status"], body["verdict"]) == ("withheld", "withheld")
    assert body["reasons"] == ["placebo_treatment: the placebo has an effect"]
    assert body["results"][0]["effect"] is None


@pytest.mark.parametrize("key", ["credible", "refuted", "fresh"])
def test_the_body_is_what_the_description_says(acme, key):
    model = StudyResults.model_validate_json(acme.get(f"/v1/studies/{key}/results").text)
    for row in model.results:
        assert row.model_fields_set == set(type(row).model_fields)


def test_a_declared_study_is_pending_until_it_is_materialised(acme):
    body = acme.get("/v1/studies/fresh/results").json()
    assert (body["status"], body["verdict"], body["results"]) == ("pending", None, [])


def test_what_has_not_changed_is_not_sent_again(acme):
    etag = acme.get("/v1/studies/credible/results").headers["etag"]
    again = acme.get("/v1/studies/credible/results", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_another_tenants_study_does_not_exist(acme, globex):
    assert globex.get("/v1/studies/own/results").status_code == 200
    assert acme.get("/v1/studies/own/results").status_code == 404
    assert globex.get("/v1/studies/credible/results").status_code == 404
