"""The report of a study over HTTP: the page as it was published."""

from __future__ import annotations

import pytest

PAGE = "<!doctype html>\n<html lang='en'><title>Credible</title>weight</html>"


@pytest.fixture(scope="module", autouse=True)
def studies(world):
    """acme: published, fresh (declared only); globex: own."""
    for tenant, key in (("acme", "published"), ("acme", "fresh"), ("globex", "own")):
        world.insert("registry.studies", tenant_id=tenant, key=key, declaration={"key": key}, declaration_hash="h")
    for tenant, key in (("acme", "published"), ("globex", "own")):
        world.insert(
            "serving.study_reports",
            tenant_id=tenant, study=key, title="Credible", lead=[], page=f"{PAGE}<!-- {tenant} -->", provenance_id="p",
        )  # fmt: skip


def test_the_page_is_the_one_that_was_published(acme):
    answer = acme.get("/v1/studies/published/report")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text == f"{PAGE}<!-- acme -->"


def test_a_study_without_a_report_is_a_page_that_says_so(acme):
    text = acme.get("/v1/studies/fresh/report").text
    assert "Not answered yet" in text
    assert "Nothing has been estimated yet." in text


def test_what_has_not_changed_is_not_sent_again(acme):
    etag = acme.get("/v1/studies/published/report").headers["etag"]
    again = acme.get("/v1/studies/published/report", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_it_is_nobody_elses(acme, globex, stranger):
    assert globex.get("/v1/studies/own/report").text.endswith("<!-- globex -->")
    assert acme.get("/v1/studies/own/report").status_code == 404
    assert globex.get("/v1/studies/published/report").status_code == 404
    assert stranger.get("/v1/studies/own/report").status_code == 401
