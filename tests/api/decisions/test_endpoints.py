"""Decisions over HTTP: what the rule says is taken; the rest is refused with what fails, or overridden on record."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

SHIP = {"decision": "ship", "actor": "mira"}
STOP = {"decision": "stop", "actor": "mira"}
CONTINUE = {"decision": "continue", "actor": "mira"}
OVERRIDE = {"override": True, "reason": "Contract signed."}
TIME = {"check": "minimum_run_time", "variant": None, "passed": False, "detail": "It has run for 3 days."}
UNCLEAR = {"check": "primary_significant", "variant": "on", "passed": False, "detail": "on: not separated from zero."}
MET = {"check": "guardrail:latency", "variant": "on", "passed": True, "detail": "on: not inferior."}
OTHER = {"check": "primary_significant", "variant": "blue", "passed": False, "detail": "blue: not separated."}


def path(key: str) -> str:
    return f"/v1/experiments/{key}/decisions"


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    """acme: good (ship on), early (continue), bad (stop), broken (gate closed), fresh (declared only); globex: own."""
    arms = {"variants": {"off": 1, "on": 1, "blue": 1}}
    for key in ("good", "early", "bad", "broken", "torn", "fresh", "paged", "repeated", "reported"):
        world.declare("acme", key, **arms)
    world.declare("globex", "own")
    recommends(world, "good", "ship", [MET, OTHER], variant="on")
    recommends(world, "early", "continue", [TIME, UNCLEAR, MET, OTHER])
    recommends(world, "bad", "stop", [UNCLEAR])
    for key in ("good", "early", "bad"):
        world.materialise("acme", key)
    world.materialise("acme", "broken", gates_passed=False)
    closed = [{"check": "srm", "variant": None, "passed": False, "detail": "srm: skewed"}]
    recommends(world, "broken", "withheld", closed, inputs=None)
    world.materialise("acme", "torn", gates_passed=False)
    recommends(world, "torn", "ship", [MET], variant="on")


def recommends(world: Any, key: str, decision: str, conditions: list[dict[str, Any]], **more: Any) -> None:
    row: dict[str, Any] = {"inputs": {"primary": {"on": {"effect": 0.1}}}, "variant": None} | more
    world.insert(
        "serving.experiment_decisions",
        tenant_id="acme",
        experiment=key,
        decision=decision,
        reasons=["on: visit is better."],
        conditions=conditions,
        input_provenance_ids=["p_1", "p_2"],
        **row,
    )


def rows(world: Any, key: str) -> list[tuple[Any, ...]]:
    return world.rows(
        "select decision, variant, is_override, recommendation from registry.decisions where experiment = %s"
        " order by seq",
        key,
    )


def refused(answer: Any) -> list[tuple[str, str | None]]:
    """What fails, of an answer that is a problem document."""
    assert answer.status_code == 409, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:causeway:problem:checks-failing"
    assert all(each["detail"] for each in problem["failing_checks"])
    return [(each["check"], each["variant"]) for each in problem["failing_checks"]]


def test_what_the_rule_recommends_goes_on_record_with_all_that_it_was_made_from(acme, world, keys):
    answer = acme.post(path("good"), json=SHIP)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == path("good")
    taken = answer.json()
    assert (taken["decision"], taken["variant"], taken["actor"]) == ("ship", "on", "mira")
    assert (taken["is_override"], taken["failing_checks"], taken["recommendation"]) == (False, [], "ship")
    assert taken["recorded_by"] == keys["acme"].split("_")[2]
    assert taken["inputs"]["primary"] == {"on": {"effect": 0.1}}
    assert taken["inputs"]["conditions"] == [MET, OTHER]
    assert taken["inputs"]["provenance_ids"] == ["p_1", "p_2"]
    assert taken["snapshot_id"] == acme.get("/v1/experiments/good/results").json()["snapshot_id"]
    (shown,) = acme.get(path("good")).json()["decisions"]
    assert shown == {name: value for name, value in taken.items() if name != "next_step"}
    ((actor, details),) = world.rows(
        "select actor, details from ops.audit where subject = 'good' and action = 'experiment.decided'"
    )
    assert actor == taken["recorded_by"]
    assert details["decision_id"] == taken["decision_id"]
    assert details["actor"] == "mira"


def test_no_unit_gets_another_variant_and_the_answer_says_what_is_left_to_do(acme, world):
    declared = "select declaration_hash, declaration ->> 'status' from registry.experiments where key = 'good'"
    before = world.rows(declared)
    answer = acme.post(path("good"), json=SHIP)
    assert "No unit's variant was changed" in answer.json()["next_step"]
    assert "PATCH /v1/experiments/good" in answer.json()["next_step"]
    assert world.rows(declared) == before
    world.execute("update registry.experiments set declared_in = 'bad.yaml' where key = 'bad'")
    assert "Set status: stopped in bad.yaml" in acme.post(path("bad"), json=STOP).json()["next_step"]


@pytest.mark.parametrize(
    ("key", "body", "failing"),
    [
        ("early", SHIP | {"variant": "on"}, [("minimum_run_time", None), ("primary_significant", "on")]),
        ("early", SHIP | {"variant": "blue"}, [("minimum_run_time", None), ("primary_significant", "blue")]),
        ("early", STOP, [("recommendation", None)]),
        ("good", SHIP | {"variant": "blue"}, [("primary_significant", "blue")]),
        ("good", STOP, [("recommendation", None)]),
        ("bad", SHIP | {"variant": "on"}, [("primary_significant", "on")]),
        ("broken", SHIP | {"variant": "on"}, [("srm", None)]),
        ("broken", STOP, [("srm", None)]),
        ("torn", SHIP | {"variant": "on"}, [("srm", None)]),
        ("fresh", SHIP | {"variant": "on"}, [("recommendation", None)]),
        ("fresh", STOP, [("recommendation", None)]),
    ],
)
def test_what_the_rule_does_not_agree_with_is_refused_with_what_fails_and_leaves_no_trace(
    acme, world, key, body, failing
):
    before = rows(world, key)
    assert refused(acme.post(path(key), json=body)) == failing
    assert refused(acme.post(path(key), json=body | {"reason": "A reason alone is no override."})) == failing
    assert rows(world, key) == before


def test_a_variant_that_meets_every_condition_but_is_not_the_one_named_is_no_agreement(acme, world):
    world.declare("acme", "two", variants={"off": 1, "on": 1, "blue": 1})
    recommends(world, "two", "ship", [MET], variant="on")
    assert refused(acme.post(path("two"), json=SHIP | {"variant": "blue"})) == [("recommendation", None)]


@pytest.mark.parametrize("key", ["good", "early", "bad", "broken", "fresh"])
def test_to_continue_is_always_allowed(acme, key):
    taken = acme.post(path(key), json=CONTINUE)
    assert taken.status_code == 201, taken.text
    assert not taken.json()["is_override"]


def test_an_override_goes_on_record_with_its_reason_and_with_what_failed(acme, world):
    answer = acme.post(path("early"), json=SHIP | {"variant": "on"} | OVERRIDE)
    assert answer.status_code == 201, answer.text
    taken = answer.json()
    assert (taken["is_override"], taken["reason"], taken["recommendation"]) == (True, "Contract signed.", "continue")
    assert [each["check"] for each in taken["failing_checks"]] == ["minimum_run_time", "primary_significant"]
    assert rows(world, "early")[-1] == ("ship", "on", True, "continue")


def test_behind_a_closed_gate_an_override_has_the_gate_on_record_and_no_number(acme):
    for key in ("broken", "torn"):
        taken = acme.post(path(key), json=SHIP | {"variant": "on"} | OVERRIDE).json()
        assert taken["recommendation"] == "withheld"
        assert list(taken["inputs"]) == ["closed_gates"]
        assert [each["check"] for each in taken["failing_checks"]] == ["srm"]
        assert "effect" not in str(taken["inputs"])


def test_override_where_nothing_fails_overrides_nothing(acme):
    assert acme.post(path("good"), json=SHIP | OVERRIDE).json()["is_override"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "ship"},
        {"decision": "ship", "actor": " "},
        {"decision": "withheld", "actor": "mira"},
        SHIP | {"override": True},
        SHIP | {"override": True, "reason": " "},
        SHIP | {"override": "yes", "reason": "why"},
        SHIP | {"variant": "purple"},
        SHIP | {"variant": "off"},
        STOP | {"variant": "on"},
        SHIP | {"when": "now"},
        SHIP | {"reason": "no \u0000"},
    ],
)
def test_a_body_that_is_not_as_described_is_refused_even_as_an_override(acme, world, body):
    before = rows(world, "early")
    assert acme.post(path("early"), json=body).status_code == 422
    assert rows(world, "early") == before


def test_where_the_rule_names_none_and_there_are_several_it_has_to_be_said_which_one_is_shipped(acme):
    assert acme.post(path("early"), json=SHIP | OVERRIDE).status_code == 422
    assert acme.post(path("fresh"), json=SHIP | OVERRIDE).status_code == 422


def test_the_same_request_sent_again_is_one_decision(acme, world):
    headers = {"Idempotency-Key": "once"}
    first = acme.post(path("repeated"), json=CONTINUE, headers=headers)
    again = acme.post(path("repeated"), json=CONTINUE, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert len(rows(world, "repeated")) == 1
    other = acme.post(path("repeated"), json=CONTINUE | {"actor": "noor"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:causeway:problem:idempotency-key-reused")
    # Under another experiment the same key is another one.
    assert acme.post(path("paged"), json=CONTINUE, headers=headers).json()["experiment"] == "paged"


def test_a_refusal_is_not_remembered(acme, world):
    headers = {"Idempotency-Key": "later"}
    assert acme.post(path("reported"), json=STOP, headers=headers).status_code == 409
    recommends(world, "reported", "stop", [UNCLEAR])
    assert acme.post(path("reported"), json=STOP, headers=headers).status_code == 201


def test_decisions_are_listed_newest_first_in_pages(acme):
    taken = [acme.post(path("paged"), json=CONTINUE | {"reason": str(n)}).json()["decision_id"] for n in range(5)]
    pages, cursor = [], None
    while True:
        answer = acme.get(path("paged"), params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        pages += [each["decision_id"] for each in answer.json()["decisions"]]
        cursor = answer.json()["next"]
        assert ("Link" in answer.headers) == (cursor is not None)
        if cursor is None:
            break
    assert pages[:5] == taken[::-1]
    assert acme.get(path("paged"), params={"cursor": "bm9uc2Vuc2U"}).status_code == 422
    assert acme.get(path("paged"), params={"cursor": "MTpub3RhbnVtYmVy"}).status_code == 422


def test_decisions_are_nobody_elses(acme, globex, stranger):
    assert globex.post(path("own"), json=CONTINUE).status_code == 201
    assert acme.post(path("own"), json=CONTINUE).status_code == 404
    assert acme.get(path("own")).status_code == 404
    assert globex.get(path("good")).status_code == 404
    assert globex.post(path("nowhere"), json=CONTINUE).status_code == 404
    assert stranger.post(path("own"), json=CONTINUE).status_code == 401
    assert len(globex.get(path("own")).json()["decisions"]) == 1


def test_what_is_on_record_is_changed_by_nobody(database, acme, world):
    acme.post(path("good"), json=CONTINUE)
    for statement in (
        "update registry.decisions set reason = 'other'",
        "delete from registry.decisions",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            world.execute(statement)
        with psycopg.connect(database.address("causeway_owner").url) as owner:
            owner.execute("set app.tenant_id = 'acme'")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"registry\.decisions is append-only"):
                owner.execute(statement)


def test_the_report_shows_who_decided_and_why_against_the_rule(acme, world, wait_until):
    def page() -> str:
        return acme.get("/v1/experiments/overruled/report").text

    world.declare("acme", "overruled")
    world.materialise("acme", "overruled")
    world.execute("update serving.experiments set decision = 'continue' where experiment = 'overruled'")
    recommends(world, "overruled", "continue", [UNCLEAR])
    assert "Keep it running" in page()
    acme.post(path("overruled"), json=SHIP | OVERRIDE)
    wait_until(lambda: "Ship on" in page())
    assert "Overridden" in page()
    assert "mira" in page()
    assert "Contract signed." in page()
    assert "The declared rule says: continue." in page()


def test_a_closed_gate_withholds_what_was_decided_from_the_report(acme):
    acme.post(path("broken"), json=SHIP | {"variant": "on"} | OVERRIDE)
    text = acme.get("/v1/experiments/broken/report").text
    assert "Withheld" in text
    assert "Ship on" not in text
