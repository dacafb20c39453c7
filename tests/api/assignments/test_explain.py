"""Why a unit gets what it gets, over HTTP; nothing is stored by asking."""

from __future__ import annotations


def explain(client, experiment, unit_id, **more):
    answer = client.post("/v1/assignments:explain", json={"experiment": experiment, "unit_id": unit_id, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def assign(client, experiment, unit_id, **more):
    return client.post("/v1/assignments", json={"experiment": experiment, "unit_id": unit_id, **more}).json()


def test_it_says_what_an_assignment_would_be_and_stores_nothing(acme, world):
    world.declare("acme", "plain")
    explained = explain(acme, "plain", "u")
    assert world.rows("select count(*) from raw.sticky_assignments") == [(0,)]
    assigned = assign(acme, "plain", "u")
    for name in ("variant", "status", "bucket", "policy_version", "in_experiment"):
        assert explained[name] == assigned[name], name
    assert (explained["hasher"], explained["hash_value"]) == ("growthbook_v2", assigned["bucket"] / 10_000)
    assert (explained["sticky"], explained["sticky_source"], explained["assigned_at"]) == (False, None, None)


def test_a_stored_assignment_is_named_as_the_source(acme, world):
    fallback = {"fallback_attribute": "anonymous_id"}
    world.declare("acme", "sticky", variants={"off": 0, "on": 1}, sticky=fallback)
    assigned = assign(acme, "sticky", "anon")
    world.declare("acme", "sticky", variants={"off": 1, "on": 0}, sticky=fallback)
    own = explain(acme, "sticky", "anon")
    assert (own["variant"], own["status"], own["sticky_source"]) == ("on", "sticky", "targetingKey")
    assert (own["assigned_at"], own["source"]) == (assigned["assigned_at"], "api")
    by_fallback = explain(acme, "sticky", "known", context={"anonymous_id": "anon"})
    assert (by_fallback["variant"], by_fallback["sticky_source"]) == ("on", "anonymous_id")


def test_layer_and_holdout_are_named(acme, world):
    world.put(
        {
            "kind": "layer",
            "key": "pages",
            "tenant": "acme",
            "unit": "customer",
            "allocations": [{"experiment": "layered", "from": 0, "to": 5000}],
        }
    )
    world.declare("acme", "layered", layer="pages")
    explained = [explain(acme, "layered", f"u{n}") for n in range(40)]
    assert {each["status"] for each in explained} == {"assigned", "layer"}
    assert {each["layer"] for each in explained} == {"pages"}
    world.declare(
        "acme", "back", coverage=1.0, holdout={"variant": "on", "experiments": ["held"]}, variants={"off": 1, "on": 1}
    )
    world.declare("acme", "held")
    held = next(each for each in (explain(acme, "held", f"u{n}") for n in range(40)) if each["status"] == "holdout")
    assert (held["holdout"], held["variant"]) == ("back", None)
    assert [(step["flag"], step["outcome"]) for step in held["steps"]] == [("back", "matched"), ("held", "not_matched")]


def test_the_rules_of_a_flag_matched_did_not_or_were_not_reached(acme, world):
    world.put(
        {
            "kind": "flag",
            "key": "banner",
            "tenant": "acme",
            "type": "string",
            "default": "plain",
            "rules": [
                {"id": "germany", "if": {"country": "DE"}, "value": "gut"},
                {"id": "canada", "if": {"country": "CA"}, "value": "maple"},
                {"id": "rest", "value": "rest"},
            ],
        }
    )
    explained = explain(acme, "banner", "u", context={"country": "CA"})
    assert (explained["value"], explained["experiment"]) == ("maple", None)
    assert [(step["rule_id"], step["outcome"]) for step in explained["steps"]] == [
        ("germany", "not_matched"),
        ("canada", "matched"),
        ("rest", "not_reached"),
    ]
    assert all(step["why"] for step in explained["steps"])


def test_what_is_not_there_cannot_be_explained(acme, globex, world):
    world.declare("globex", "theirs")
    assert acme.post("/v1/assignments:explain", json={"experiment": "theirs", "unit_id": "u"}).status_code == 404
    assert globex.post("/v1/assignments:explain", json={"experiment": "theirs", "unit_id": "u"}).status_code == 200
