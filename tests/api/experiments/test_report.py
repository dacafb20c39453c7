"""The report over HTTP: a page of what is served, and no number of what is withheld."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from api.experiments.models import Experiment, ExperimentResults
from api.experiments.report import report_of


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    """acme: open (effects), broken (gate closed), fresh (declared only), named (to do harm); globex: one of its own."""
    for tenant, key in (("acme", "open"), ("acme", "broken"), ("acme", "fresh"), ("globex", "own")):
        world.declare(tenant, key)
    world.declare("acme", "named", name="<script>alert(1)</script>", owner='"><img src=x onerror=alert(1)>')
    world.materialise("acme", "open")
    world.materialise("acme", "named")
    world.materialise("acme", "broken", gates_passed=False)


def page(client, key: str) -> str:
    answer = client.get(f"/v1/experiments/{key}/report")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text.replace("\u00a0", " ")


def test_the_page_shows_what_is_served(acme):
    text = page(acme, "open")
    assert "<h1><bdi>Experiment open</bdi></h1>" in text
    for part in ("Ship on", "+10.0 pp", "6.0 to 14.0 pp", "30.0 % / 20.0 %", "channel=Web", "1,100", "open-visit"):
        assert part in text, part
    assert "+0.100" in text, "spend is no share"


def test_a_closed_gate_leaves_no_number_on_the_page(acme):
    text = page(acme, "broken")
    assert "Withheld" in text
    assert "900 and 1100 units where equal numbers were expected" in text
    for number in ("10.0", "6.0", "14.0", "30.0", "20.0", "0.100", "+"):
        assert number not in text.partition("</style>")[2].replace("ui-monospace", ""), number


def test_a_row_that_contradicts_a_closed_gate_is_not_shown(acme, world):
    world.declare("acme", "torn")
    world.materialise("acme", "torn")
    world.execute("update serving.experiment_health set passed = false where experiment = 'torn'")
    text = page(acme, "torn")
    assert "Withheld" in text
    assert "10.0 pp" not in text


def test_a_publication_between_the_two_reads_withholds_the_page(acme):
    """Whichever of the two was read first."""
    told = {
        key: (
            Experiment.model_validate(acme.get(f"/v1/experiments/{key}").json()),
            ExperimentResults.model_validate(acme.get(f"/v1/experiments/{key}/results").json()),
        )
        for key in ("open", "broken")
    }
    before, after = told["open"], told["broken"]
    assert report_of(before[0], after[1], {}).as_shown().is_withheld
    assert report_of(after[0], before[1], {}).as_shown().is_withheld
    assert not report_of(*before, {}).as_shown().is_withheld
    for mixed in (report_of(before[0], after[1], {}), report_of(after[0], before[1], {})):
        assert {result.effect.status for result in mixed.as_shown().results} == {"withheld"}


def test_an_experiment_without_results_is_a_page_too(acme):
    text = page(acme, "fresh")
    assert "No decision yet" in text
    assert "There are no results yet." in text


def test_a_metric_that_is_used_by_name_points_where_its_declaration_says(acme, world):
    """Its effect of +0.1 is an improvement only where more is better."""
    world.put(
        {
            "kind": "metric", "key": "waiting", "tenant": "acme", "unit": "customer", "type": "mean", "column": "s",
            "direction": "decrease", "non_inferiority_margin": 0.05, "min_effect": 0.25,
        }
    )  # fmt: skip
    uses = {"key": "spend", "metric": "waiting", "role": "guardrail"}
    visit = {"key": "visit", "type": "conversion", "column": "visit", "role": "primary"}
    world.declare("acme", "by_name", metrics=[visit, uses])
    world.materialise("acme", "by_name")
    text = page(acme, "by_name")
    about = text.partition("spend</bdi>")[2].partition("</p>")[0]
    assert "less is better; a relative loss of 5 % is tolerated; smallest relative effect of interest 25 %" in about
    assert ">worse<" in text.partition("Results on spend")[2].partition("</table>")[0]
    assert ">better<" in text.partition("Results on visit")[2].partition("</table>")[0]


def test_names_are_shown_and_not_run(acme):
    text = page(acme, "named")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text


def test_what_has_not_changed_is_not_sent_again(acme, world):
    first = acme.get("/v1/experiments/open/report")
    etag = first.headers["etag"]
    again = acme.get("/v1/experiments/open/report", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    world.execute(
        "update serving.experiments set computed_at = %s where experiment = 'open'", datetime(2024, 3, 1, tzinfo=UTC)
    )
    world.publish("acme")
    changed = acme.get("/v1/experiments/open/report", headers={"If-None-Match": etag})
    until = time.monotonic() + 20
    while changed.status_code == 304 and time.monotonic() < until:
        time.sleep(0.05)
        changed = acme.get("/v1/experiments/open/report", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert "1 Mar 2024" in changed.text


def test_it_is_nobody_elses(acme, globex, stranger):
    assert globex.get("/v1/experiments/own/report").status_code == 200
    assert acme.get("/v1/experiments/own/report").status_code == 404
    assert stranger.get("/v1/experiments/own/report").status_code == 401
    assert acme.get("/v1/experiments/own/report").headers["content-type"] == "application/problem+json"
