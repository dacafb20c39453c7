"""Experiments over HTTP: what is served is what lies in the tables, and only the caller's own."""

from __future__ import annotations

import httpx
import pytest

from api.experiments.models import ExperimentResults

INJECTIONS = ["x'; drop table raw.events; --", "x' or '1'='1", "../../etc/passwd", "%00", "%F0%28", "a" * 101]


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    """acme: open (effects), broken (gate closed), fresh (declared only); globex: open, and one of its own."""
    for tenant, key in (
        ("acme", "open"),
        ("acme", "broken"),
        ("acme", "fresh"),
        ("globex", "open"),
        ("globex", "own"),
    ):
        world.declare(tenant, key)
    world.materialise("acme", "open")
    world.materialise("acme", "broken", gates_passed=False)
    world.materialise("globex", "open")


def results(client: httpx.Client, key: str, **filters: str) -> dict:
    answer = client.get(f"/v1/experiments/{key}/results", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_experiment_is_shown_as_declared_and_as_served(acme):
    body = acme.get("/v1/experiments/open").json()
    assert (body["experiment"], body["name"], body["control"]) == ("open", "Experiment open", "off")
    assert body["variants"] == {"off": 1, "on": 1}
    assert [metric["key"] for metric in body["metrics"]] == ["visit", "spend"]
    assert (body["stage"], body["units"], body["gates_passed"], body["decision"]) == (
        "running",
        2000,
        True,
        "ship",
    )
    assert (body["starts_on"], body["computed_at"]) == ("2024-01-01", "2024-02-01T00:00:00Z")


def test_a_declared_experiment_is_pending_until_it_is_materialised(acme):
    body = acme.get("/v1/experiments/fresh").json()
    assert (body["stage"], body["units"], body["decision"]) == ("pending", None, None)
    assert (body["status"], body["version"]) == ("running", 1)
    body = results(acme, "fresh")
    assert (body["status"], body["gates"], body["results"]) == ("pending", {"passed": None, "closed": []}, [])


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "stage"),
    [
        (None, None, "running"),
        ("2024-01-01", "2199-01-01", "running"),
        ("2024-01-01", "2024-01-02", "ended"),
        ("2199-01-01", None, "not_started"),
    ],
)
def test_an_experiment_runs_from_its_first_day_to_its_last(acme, world, starts_on, ends_on, stage):
    world.execute(
        "update serving.experiments set starts_on = %s, ends_on = %s where experiment = 'broken'",
        starts_on,
        ends_on,
    )
    assert acme.get("/v1/experiments/broken").json()["stage"] == stage


def test_results_are_the_rows_of_the_table_with_the_primary_metric_first(acme):
    body = results(acme, "open")
    assert (body["experiment"], body["tenant"], body["status"]) == ("open", "acme", "ok")
    assert body["computed_at"] == "2024-02-01T00:00:00.000000Z"
    assert [(row["metric"], row["segment"]) for row in body["results"]] == [
        ("visit", None),
        ("visit", "channel=Web"),
        ("spend", None),
        ("spend", "channel=Web"),
    ]
    first = body["results"][0]
    assert (first["effect"], first["ci_low"], first["ci_high"], first["p_value"]) == (0.1, 0.06, 0.14, 5.7e-7)
    assert first["relative_effect"] is None
    assert (first["metric_role"], first["provenance_id"]) == ("primary", "open-visit")
    assert body["health"]["srm"]["observed"] == {"off": 900, "on": 1100}


@pytest.mark.parametrize("key", ["open", "broken", "fresh"])
def test_the_body_is_what_the_description_says(acme, key):
    """Postgres builds the body, so only this holds it to the model: no field missing, none left over."""
    text = acme.get(f"/v1/experiments/{key}/results").text
    model = ExperimentResults.model_validate_json(text)
    assert list(ExperimentResults.model_fields) == list(model.model_dump())
    for row in model.results:
        assert row.model_fields_set == set(type(row).model_fields)


def test_a_closed_gate_withholds_every_number_and_says_why(acme):
    body = results(acme, "broken")
    assert (body["status"], body["gates"]) == ("withheld", {"passed": False, "closed": ["srm"]})
    assert body["reasons"] == ["srm: 900 and 1100 units where equal numbers were expected"]
    assert len(body["results"]) == 4
    for row in body["results"]:
        assert row["status"] == "withheld"
        assert {row[name] for name in ("effect", "ci_low", "ci_high", "p_value", "relative_effect")} == {None}


def test_a_row_that_contradicts_a_closed_gate_is_not_shown(acme, world):
    """Should health and results ever be out of step, the gate wins."""
    world.declare("acme", "torn")
    world.materialise("acme", "torn")
    world.execute("update serving.experiment_health set passed = false where experiment = 'torn'")
    body = results(acme, "torn")
    assert (body["status"], body["results"], body["reasons"]) == ("withheld", [], ["srm: did not pass"])


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"metric": "spend"}, [("spend", None), ("spend", "channel=Web")]),
        ({"segment": "channel=Web"}, [("visit", "channel=Web"), ("spend", "channel=Web")]),
        ({"segment": ""}, [("visit", None), ("spend", None)]),
        ({"method": "econml_linear_dml", "metric": "visit"}, [("visit", "channel=Web")]),
        ({"metric": "no such"}, []),
        ({"metric": "visit' or '1'='1"}, []),
    ],
)
def test_filters_choose_rows_and_nothing_else(acme, filters, shown):
    everything, chosen = results(acme, "open"), results(acme, "open", **filters)
    assert [(row["metric"], row["segment"]) for row in chosen["results"]] == shown
    assert chosen["snapshot_id"] == everything["snapshot_id"]
    assert (chosen["health"], chosen["status"]) == (everything["health"], "ok")


def test_a_misspelt_filter_is_refused_instead_of_passed_over(acme):
    answer = acme.get("/v1/experiments/open/results", params={"metrc": "visit"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == ["query", "metrc"]


def test_what_has_not_changed_is_not_sent_again(acme):
    first = acme.get("/v1/experiments/open/results")
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = acme.get("/v1/experiments/open/results", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = acme.get("/v1/experiments/open/results", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_another_tenant_has_another_etag_and_other_results(acme, globex):
    mine, theirs = acme.get("/v1/experiments/open/results"), globex.get("/v1/experiments/open/results")
    assert (mine.json()["tenant"], theirs.json()["tenant"]) == ("acme", "globex")
    assert mine.headers["etag"] != theirs.headers["etag"]


@pytest.mark.parametrize("path", ["/v1/experiments/{}", "/v1/experiments/{}/results"])
def test_another_tenants_experiment_does_not_exist(acme, globex, path):
    assert globex.get(path.format("own")).status_code == 200
    theirs, absent = acme.get(path.format("own")), acme.get(path.format("xwn"))
    assert (theirs.status_code, absent.status_code) == (404, 404)
    assert theirs.text.replace("own", "xwn") == absent.text


@pytest.mark.parametrize("key", INJECTIONS)
@pytest.mark.parametrize("suffix", ["", "/results"])
def test_a_key_that_cannot_be_one_is_refused(acme, key, suffix):
    answer = acme.get(f"/v1/experiments/{key}{suffix}")
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_hold_every_experiment_once_while_others_come_and_go(globex, world):
    """With offsets, a row that appears before the page shifts the rest: one is shown twice or passed over."""
    there_all_along = [f"p{number:02d}" for number in range(0, 20, 2)]
    for key in there_all_along:
        world.declare("globex", key)
    seen: list[str] = []
    path: str | None = "/v1/experiments?limit=3"
    pages = 0
    while path is not None:
        answer = globex.get(path)
        page = answer.json()
        seen += [experiment["experiment"] for experiment in page["experiments"]]
        path = answer.links["next"]["url"] if "next" in answer.links else None
        assert (path is None) == (page["next"] is None)
        world.declare("globex", f"a{pages:02d}")
        world.declare("globex", f"p{2 * pages + 11:02d}")
        pages += 1
    assert len(seen) == len(set(seen))
    assert set(there_all_along) <= set(seen)
    assert seen == sorted(seen)


def test_a_list_holds_only_the_tenants_own(acme):
    body = acme.get("/v1/experiments", params={"limit": 200}).json()
    assert {experiment["experiment"] for experiment in body["experiments"]} >= {"open", "broken", "fresh"}
    assert "own" not in {experiment["experiment"] for experiment in body["experiments"]}
    assert body["next"] is None


@pytest.mark.parametrize(
    "query", ["cursor=garbage", "cursor=MTon", "cursor=", "cursor=%00", "limit=0", "limit=201", "limit=x"]
)
def test_a_page_that_cannot_be_is_refused(acme, query):
    assert acme.get(f"/v1/experiments?{query}").status_code == 422
