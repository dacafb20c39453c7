"""What a unit keeps, and when it keeps it no longer: over HTTP, against a real Postgres."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest


def ask(client, experiment, unit_id, **more):
    answer = client.post("/v1/assignments", json={"experiment": experiment, "unit_id": unit_id, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(world, experiment, tenant="acme"):
    return world.rows(
        "select unit_attribute, unit_id, variant, bucket_version from raw.sticky_assignments"
        " where tenant_id = %s and experiment = %s order by unit_attribute, unit_id, bucket_version",
        tenant,
        experiment,
    )


def noted(world, experiment):
    """Units and variants as the analysis counts them."""
    return world.rows(
        "select unit_id, variant from raw.assignments where tenant_id = 'acme' and experiment = %s order by 1, 2",
        experiment,
    )


def outcome(answer):
    return answer["variant"], answer["status"], answer["sticky"]


def test_a_stored_unit_keeps_its_variant_when_weights_coverage_and_targeting_change(acme, world):
    world.declare("acme", "kept", variants={"off": 0, "on": 1})
    assert outcome(ask(acme, "kept", "u")) == ("on", "assigned", False)
    for changed in (
        {"variants": {"off": 1, "on": 0}},
        {"variants": {"off": 1, "on": 0}, "coverage": 0.0},
        {"variants": {"off": 1, "on": 0}, "targeting": {"country": "DE"}},
    ):
        world.declare("acme", "kept", **changed)
        assert outcome(ask(acme, "kept", "u", context={"country": "US"})) == ("on", "sticky", True)
    assert outcome(ask(acme, "kept", "late", context={"country": "US"})) == (None, "not_targeted", False)
    assert [row[1:3] for row in kept(world, "kept")] == [("u", "on")]
    assert noted(world, "kept") == [("u", "on")]


def test_the_policy_version_is_that_of_the_decision(acme, world):
    world.declare("acme", "policy", variants={"off": 0, "on": 1})
    before = ask(acme, "policy", "u")["policy_version"]
    world.declare("acme", "policy", variants={"off": 1, "on": 1})
    assert ask(acme, "policy", "u")["policy_version"] == before
    assert ask(acme, "policy", "other")["policy_version"] not in (before, None)


def test_a_raised_bucket_version_deals_anew_and_keeps_both(acme, world):
    world.declare("acme", "redealt", variants={"off": 0, "on": 1})
    assert ask(acme, "redealt", "u")["variant"] == "on"
    world.declare("acme", "redealt", variants={"off": 1, "on": 0}, sticky={"bucket_version": 1})
    assert outcome(ask(acme, "redealt", "u")) == ("off", "assigned", False)
    assert kept(world, "redealt") == [("targetingKey", "u", "on", 0), ("targetingKey", "u", "off", 1)]
    assert noted(world, "redealt") == [("u", "off"), ("u", "on")]
    listed = acme.get("/v1/assignments/u").json()["assignments"]
    assert [(row["variant"], row["bucket_version"]) for row in listed if row["experiment"] == "redealt"] == [("off", 1)]


def test_a_unit_stored_below_the_minimum_bucket_version_is_out(acme, world):
    world.declare("acme", "blocked")
    ask(acme, "blocked", "early")
    world.declare("acme", "blocked", sticky={"bucket_version": 3, "min_bucket_version": 3})
    assert outcome(ask(acme, "blocked", "early")) == (None, "blocked_by_version", False)
    assert ask(acme, "blocked", "late")["variant"] in {"off", "on"}
    assert [row[1] for row in kept(world, "blocked") if row[3] == 3] == ["late"]


def test_what_was_stored_under_the_anonymous_id_is_honoured_and_upgraded(acme, world):
    world.declare("acme", "login", variants={"off": 0, "on": 1}, sticky={"fallback_attribute": "anonymous_id"})
    assert ask(acme, "login", "anon-1")["variant"] == "on"
    world.declare("acme", "login", variants={"off": 1, "on": 0}, sticky={"fallback_attribute": "anonymous_id"})
    assert outcome(ask(acme, "login", "user-1", context={"anonymous_id": "anon-1"})) == ("on", "sticky", True)
    # From now on the known id is enough, on any device.
    assert outcome(ask(acme, "login", "user-1")) == ("on", "sticky", True)
    assert outcome(ask(acme, "login", "user-2", context={"anonymous_id": "anon-2"})) == ("off", "assigned", False)


def test_a_paused_experiment_serves_its_units_and_takes_nobody(acme, world):
    world.declare("acme", "pause", variants={"off": 0, "on": 1})
    ask(acme, "pause", "in")
    world.declare("acme", "pause", variants={"off": 0, "on": 1}, status="paused")
    assert outcome(ask(acme, "pause", "in")) == ("on", "sticky", True)
    assert outcome(ask(acme, "pause", "out")) == (None, "closed_to_new_units", False)
    assert [row[1] for row in kept(world, "pause")] == ["in"]


@pytest.mark.parametrize("status", ["draft", "stopped", "archived"])
def test_an_experiment_that_does_not_run_gives_everybody_the_controls_config(acme, world, status):
    configs = {"off": {"colour": "red"}, "on": {"colour": "blue"}}
    key = f"life-{status}"
    world.declare("acme", key, variants={"off": 0, "on": 1}, configs=configs)
    assert ask(acme, key, "in")["config"] == {"colour": "blue"}
    world.declare("acme", key, variants={"off": 0, "on": 1}, configs=configs, status=status)
    for unit in ("in", "new"):
        answer = ask(acme, key, unit)
        assert outcome(answer) == (None, "not_running", False)
        assert answer["config"] == {"colour": "red"}
        assert (answer["assigned_at"], answer["in_experiment"]) == (None, False)
    assert [row[1] for row in kept(world, key)] == ["in"]


def test_a_kill_switch_gives_everybody_the_control_and_gives_back_what_they_had(acme, world):
    world.declare("acme", "switched", variants={"off": 0, "on": 1})
    assert ask(acme, "switched", "u")["variant"] == "on"
    assert acme.put("/v1/kill_switches/switched", json={"reason": "it breaks"}).status_code == 200
    answer = ask(acme, "switched", "u")
    assert (answer["variant"], answer["config"], answer["status"], answer["reason"]) == (
        None,
        "off",
        "disabled",
        "DISABLED",
    )
    assert acme.delete("/v1/kill_switches/switched").status_code == 204
    assert outcome(ask(acme, "switched", "u")) == ("on", "sticky", True)


def test_a_switchback_keeps_a_variant_for_each_unit_and_window(acme, world):
    origin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    world.declare(
        "acme",
        "hourly",
        randomization={"by": "switchback", "window": "1h", "origin": origin.isoformat()},
        sticky={"enabled": True},
    )
    variants = []
    for hour in range(40):
        at = origin + timedelta(hours=hour, minutes=5)
        first = ask(acme, "hourly", "city", at=at.isoformat())
        second = ask(acme, "hourly", "city", at=(at + timedelta(minutes=50)).isoformat())
        assert first["window_start"] == second["window_start"]
        assert datetime.fromisoformat(first["window_start"]) == origin + timedelta(hours=hour)
        assert (first["variant"], first["sticky"], second["sticky"]) == (second["variant"], False, True)
        variants.append(first["variant"])
    assert set(variants) == {"off", "on"}
    assert len(noted(world, "hourly")) == len(kept(world, "hourly")) == 40


def test_the_variant_belongs_to_the_cluster_and_each_unit_is_stored_with_it(acme, world):
    world.declare("acme", "school", randomization={"by": "cluster", "attribute": "school_id"})
    pupils = {f"pupil-{n}": str(n % 6) for n in range(30)}
    given = {pupil: ask(acme, "school", pupil, context={"school_id": school}) for pupil, school in pupils.items()}
    by_school = {(school, given[pupil]["variant"]) for pupil, school in pupils.items()}
    assert len(by_school) == 6
    assert Counter(row[0] for row in kept(world, "school")) == {"school_id": 6, "targetingKey": 30}
    assert noted(world, "school") == sorted((pupil, answer["variant"]) for pupil, answer in given.items())
    # A pupil who is called like a school is no school, and the weights change nothing for schools that are in.
    world.declare(
        "acme",
        "school",
        randomization={"by": "cluster", "attribute": "school_id"},
        variants={"off": 1, "on": 0} if given["pupil-3"]["variant"] == "on" else {"off": 0, "on": 1},
    )
    answer = ask(acme, "school", "0", context={"school_id": 3})
    assert (answer["variant"], answer["sticky"]) == (given["pupil-3"]["variant"], True)
    listed = acme.get("/v1/assignments/0").json()["assignments"]
    assert [(row["experiment"], row["variant"]) for row in listed] == [("school", answer["variant"])]
    assert outcome(ask(acme, "school", "nowhere")) == (None, "no_unit", False)


def test_a_unit_that_is_held_out_is_stored_in_the_holdout(acme, world):
    world.declare(
        "acme", "hold", variants={"off": 1, "on": 1}, coverage=0.4, holdout={"variant": "on", "experiments": ["held"]}
    )
    world.declare("acme", "held")
    answers = {f"h{n}": ask(acme, "held", f"h{n}") for n in range(200)}
    held_out = {unit for unit, answer in answers.items() if answer["status"] == "holdout"}
    in_holdout = dict(noted(world, "hold"))
    assert {unit for unit, variant in in_holdout.items() if variant == "on"} == held_out
    assert all(answers[unit]["variant"] is None for unit in held_out)
    comparison = in_holdout.keys() - held_out
    assert comparison and held_out
    assert {answers[unit]["status"] for unit in comparison} == {"assigned"}
    assert dict(noted(world, "held")).keys() == answers.keys() - held_out


def test_a_forced_unit_gets_its_variant_and_is_not_counted(acme, world):
    world.declare("acme", "tried", variants={"off": 1, "on": 0}, forced={"tester": "on"})
    answer = ask(acme, "tried", "tester", log_exposure=True)
    assert (answer["variant"], answer["status"], answer["assigned_at"], answer["exposure_logged"]) == (
        "on",
        "forced",
        None,
        False,
    )
    assert kept(world, "tried") == noted(world, "tried") == []


def test_a_variant_that_was_taken_away_is_not_replaced_by_another(acme, world):
    world.declare("acme", "withdrawn", variants={"off": 0, "on": 0, "blue": 1})
    assert ask(acme, "withdrawn", "u")["variant"] == "blue"
    world.declare("acme", "withdrawn", variants={"off": 1, "on": 1}, version=2)
    answer = ask(acme, "withdrawn", "u")
    assert (answer["variant"], answer["config"], answer["status"]) == (None, "off", "variant_withdrawn")
    assert ask(acme, "withdrawn", "v")["variant"] in {"off", "on"}


def test_an_experiment_that_is_not_sticky_follows_its_hash_and_notes_each_variant_once(acme, world):
    loose = {"sticky": {"enabled": False}}
    world.declare("acme", "loose", variants={"off": 0, "on": 1}, **loose)
    first = ask(acme, "loose", "u")
    world.declare("acme", "loose", variants={"off": 1, "on": 0}, **loose)
    second, third = ask(acme, "loose", "u"), ask(acme, "loose", "u")
    assert (first["variant"], second["variant"]) == ("on", "off")
    assert second["assigned_at"] == third["assigned_at"] > first["assigned_at"]
    assert noted(world, "loose") == [("u", "off"), ("u", "on")]


def exposures(world, experiment):
    return world.rows(
        "select event_id, unit_id, properties ->> 'variant', source from raw.events"
        " where tenant_id = 'acme' and type = 'exposure' and properties ->> 'experiment' = %s order by event_id",
        experiment,
    )


def test_an_exposure_is_logged_when_it_is_asked_for_and_once(acme, world):
    world.declare("acme", "seen", variants={"off": 0, "on": 1})
    assert ask(acme, "seen", "quiet")["exposure_logged"] is False
    assert exposures(world, "seen") == []
    for _ in range(3):
        assert ask(acme, "seen", "loud", log_exposure=True)["exposure_logged"] is True
    assert exposures(world, "seen") == [("exposure:seen@0:on:loud", "loud", "on", "api")]
    world.declare("acme", "seen", variants={"off": 1, "on": 0}, sticky={"bucket_version": 1})
    ask(acme, "seen", "loud", log_exposure=True)
    assert [row[2] for row in exposures(world, "seen")] == ["on", "off"]


def test_an_exposure_is_kept_as_long_as_its_type_is_declared_to_be(acme, world, wait_until):
    world.declare("acme", "short", variants={"off": 0, "on": 1})
    units = iter(f"short-{number}" for number in range(1000))

    def days_of_the_next() -> int:
        unit = next(units)
        ask(acme, "short", unit, log_exposure=True)
        ((days,),) = world.rows("select retention_days from raw.events where type = 'exposure' and unit_id = %s", unit)
        return days

    assert days_of_the_next() == 2557
    exposure = {"kind": "event_type", "key": "exposure", "tenant": "acme", "version": 1, "retention_days": 90}
    world.put({**exposure, "schema": {"type": "object"}})
    wait_until(lambda: days_of_the_next() == 90)


def test_nobody_outside_of_an_experiment_is_exposed(acme, world):
    world.declare("acme", "unseen", targeting={"country": "DE"})
    assert ask(acme, "unseen", "u", context={"country": "US"}, log_exposure=True)["exposure_logged"] is False
    assert exposures(world, "unseen") == []


def test_the_exposure_of_a_unit_with_the_longest_id_is_logged_once(acme, world):
    world.declare("acme", "longest")
    for _ in range(2):
        assert ask(acme, "longest", "漢" * 512, log_exposure=True)["exposure_logged"] is True
    ((event_id, unit_id, _, _),) = exposures(world, "longest")
    assert unit_id == "漢" * 512
    assert event_id.startswith("exposure:sha256:")


def test_the_configuration_keeps_its_type(acme, world):
    for number, (off, on) in enumerate([(False, True), (1, 2), (0.5, 10.0), ({"a": [1]}, {"b": {}}), ("", "x")]):
        world.declare("acme", f"typed-{number}", variants={"off": 0, "on": 1}, configs={"off": off, "on": on})
        config = ask(acme, f"typed-{number}", "u")["config"]
        assert (config, type(config)) == (on, type(on))


def test_context_and_its_former_name_are_one(acme, world):
    world.declare("acme", "named", targeting={"country": "DE", "plan": "pro"})
    both = ask(acme, "named", "u", properties={"country": "US", "plan": "pro"}, context={"country": "DE"})
    assert both["variant"] is not None
    assert world.rows("select properties from raw.assignments where experiment = 'named'") == [
        ({"country": "DE", "plan": "pro"},)
    ]


def test_a_cluster_that_cannot_be_stored_is_the_callers_fault(acme, world):
    world.declare("acme", "clustered", randomization={"by": "cluster", "attribute": "school_id"})
    for school in ("s" * 513, "a\tb", "  "):
        answer = acme.post(
            "/v1/assignments",
            json={"experiment": "clustered", "unit_id": "u", "context": {"school_id": school}},
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["location"] == ["body", "context", "school_id"]
    assert kept(world, "clustered") == []
