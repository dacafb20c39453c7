"""Kill switches: off for every process at once, also what a file declares, and written down."""

from __future__ import annotations

import pytest

SWITCHES = "/v1/kill_switches"


@pytest.fixture(scope="module", autouse=True)
def declared(world):
    world.declare("acme", "checkout", variants={"off": 0, "on": 1}, configs={"off": "old", "on": "new"})
    world.execute("update registry.experiments set declared_in = 'checkout.yaml' where key = 'checkout'")
    on = [{"id": "all", "value": "bright"}]
    world.put({"kind": "flag", "key": "banner", "tenant": "acme", "type": "string", "default": "plain", "rules": on})


def evaluated(client, key):
    answer = client.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": "customer-1"}}).json()
    return answer["value"], answer["reason"]


def test_what_is_switched_off_is_off_in_every_process_and_on_again_afterwards(
    acme, api_settings, serve, wait_until, world
):
    with serve(api_settings) as other_process:
        other = other_process.client("acme")
        for client in (acme, other):
            assert evaluated(client, "checkout") == ("new", "SPLIT")
        engaged = acme.put(f"{SWITCHES}/checkout", json={"reason": "It fails on phones."})
        assert engaged.status_code == 200
        # Whoever was told so finds it so; the other process hears of it.
        assert evaluated(acme, "checkout") == ("old", "DISABLED")
        wait_until(lambda: evaluated(other, "checkout") == ("old", "DISABLED"))
        assert acme.post("/v1/assignments", json={"experiment": "checkout", "unit_id": "u"}).json()["config"] == "old"
        assert other.delete(f"{SWITCHES}/checkout").status_code == 204
        assert evaluated(other, "checkout") == ("new", "SPLIT")
        wait_until(lambda: evaluated(acme, "checkout") == ("new", "SPLIT"))
    audit = world.rows("select action, details ->> 'reason' from ops.audit where subject = 'checkout' order by seq")
    assert audit == [("kill_switch.engaged", "It fails on phones."), ("kill_switch.released", None)]


def test_a_switch_is_listed_with_who_when_and_why_and_keeps_its_first_moment(acme, globex):
    first = acme.put(f"{SWITCHES}/banner", json={"reason": "Too bright."}).json()
    again = acme.put(f"{SWITCHES}/banner", json={"reason": "Still."}).json()
    assert again == first
    assert (first["key"], first["reason"]) == ("banner", "Too bright.")
    assert acme.get(SWITCHES).json() == {"kill_switches": [first]}
    assert globex.get(SWITCHES).json() == {"kill_switches": []}
    assert evaluated(acme, "banner") == ("plain", "DISABLED")
    assert globex.delete(f"{SWITCHES}/banner").status_code == 404
    assert acme.delete(f"{SWITCHES}/banner").status_code == 204
    assert acme.get(SWITCHES).json() == {"kill_switches": []}
    assert evaluated(acme, "banner") == ("bright", "STATIC")


def test_there_is_no_switch_for_what_is_not_there(acme, globex):
    assert acme.put(f"{SWITCHES}/nothing", json={}).status_code == 404
    assert globex.put(f"{SWITCHES}/checkout", json={}).status_code == 404
    assert acme.delete(f"{SWITCHES}/checkout").status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b'{"reason": 3}', 422),
        (b'{"reason": "\\ud800"}', 422),
        (b'{"reason": "\\u0000"}', 422),
        (b"", 422),
    ],
)
def test_a_reason_that_cannot_be_kept_switches_nothing_off(acme, content, status):
    answer = acme.put(f"{SWITCHES}/banner", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert acme.get(SWITCHES).json() == {"kill_switches": []}
