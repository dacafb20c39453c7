"""How an experiment deals its variants: what is declared of it is checked with its line, and old declarations stay."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from causeway.assignment.hashers import HASHERS
from causeway.declarations.experiment import ExperimentDeclaration, Hasher
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import declaration_from_document, read_declaration

PROJECT = Path(__file__).resolve().parents[3]

CHECKOUT = """\
kind: experiment
key: checkout
unit: customer
control: old
variants: {old: 1, new: 1}
metrics: [{key: bought, type: conversion, event: purchase}]
"""

# Declaration hashes from before an experiment could say any of this.
OLD_HASHES = {
    "aa_check": "8d8df5a0e53f6f600bfe0f732be2b4f3e3f4b7f5ed5ccc1d7ffefdbca4d9e2ce",
    "email_cadence": "a0ef23c9c3a263bb3ef27c27708ede01c3d606067c6931e8a2249c5f7880886b",
    "health_insurance": "f4dd65e06c5b74107dfcb2e33c910921ce793ce7244adf3ed2dad77f2623f20b",
    "planner_policy": "0f7bc46c472f2cfb9140bd9f93078f234b64f2567ec8326ca6b533844eebfa36",
    "rep_trigger": "c9448d1250607cb2f567f8995d1369c232c94ed97adeb170adc018a85e472c1f",
}
SAID_SINCE = ("aa", "warn_only")


def experiment(more: str = "") -> ExperimentDeclaration:
    declaration = read_declaration(CHECKOUT + more, "checkout.yaml")
    assert isinstance(declaration, ExperimentDeclaration)
    return declaration


@pytest.mark.parametrize("key", OLD_HASHES)
def test_an_experiment_of_before_keeps_its_hash(key: str) -> None:
    document = yaml.safe_load((PROJECT / "declarations" / "experiments" / f"{key}.yaml").read_text())
    for name in SAID_SINCE:
        document.pop(name, None)
    assert declaration_from_document(document).declaration_hash == OLD_HASHES[key]


def test_every_hasher_that_can_be_declared_can_be_evaluated_and_the_other_way_round() -> None:
    assert set(get_args(Hasher)) == set(HASHERS)


def test_what_is_left_out_deals_every_unit_by_itself() -> None:
    declared = experiment()
    assert (declared.status, declared.version, declared.hasher, declared.coverage) == (
        "running",
        1,
        "growthbook_v2",
        1.0,
    )
    assert declared.randomization.hashed_attribute == "targetingKey"
    assert (declared.exposure, declared.units.event, declared.sticky.enabled) == ("assignment", "profile", True)


def test_everything_survives_the_way_through_json() -> None:
    declared = experiment(
        """\
status: draft
version: 3
hasher: eppo
order: [new, old]
coverage: 0.5
ramp: [{at: 2026-01-31T08:00:00+01:00, coverage: 0.1}]
targeting: {country: {$in: [DE, AT]}, born: {$before: 2008-01-31}}
prerequisites: [{flag: app, condition: {value: {$ne: off_}}}]
forced: {customer-7: new}
layer: home
holdouts: [everybody]
sticky: {bucket_version: 2, min_bucket_version: 1, fallback_attribute: anonymous_id}
configs: {old: {color: red}, new: {color: blue}}
exposure: logged
randomization: {by: switchback, window: 4h, origin: 2026-01-01T00:00:00Z, washout: 15m, carryover: 1}
"""
    )
    for document in (declared.document(), json.loads(declared.canonical_json())):
        again = declaration_from_document(json.loads(json.dumps(document)))
        assert again == declared
        assert again.declaration_hash == declared.declaration_hash
    assert declared.ramp[0].at == dt.datetime(2026, 1, 31, 7, tzinfo=dt.UTC)
    assert declared.targeting["born"] == {"$before": "2008-01-31"}
    assert declared.randomization.window_length == dt.timedelta(hours=4)
    assert [name for name, _ in declared.ordered_variants] == ["new", "old"]


def test_an_instant_is_the_same_wherever_it_is_written_down() -> None:
    there, here = ("ramp: [{at: 2026-01-31T%s, coverage: 0.1}]\n" % time for time in ("08:00:00+01:00", "07:00:00Z"))  # noqa: UP031
    assert experiment(there).declaration_hash == experiment(here).declaration_hash


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("status: runing\n", "checkout.yaml:7: status: 'runing' is not a status; expected one of draft, running"),
        ("hasher: murmur\n", "checkout.yaml:7: hasher: 'murmur' is not a hasher; expected one of growthbook_v1"),
        ("version: 0\n", "checkout.yaml:7: version: must be at least 1"),
        ("coverage: 1.1\n", "checkout.yaml:7: coverage: must be at most 1"),
        ("forced: {u1: newer}\n", "checkout.yaml:7: forced.u1: 'newer' is not one of the variants 'old', 'new'"),
        ("order: [new]\n", "checkout.yaml:7: order: leaves out 'old'"),
        ("order: [new, new, old]\n", "checkout.yaml:7: order[1]: 'new' is listed twice"),
        ("configs: {old: 1}\n", "checkout.yaml:7: configs: there is no config for 'new'"),
        ("configs: {old: 1, new: x}\n", "checkout.yaml:7: configs.new: is of type string, that of 'old' is of type"),
        ("configs: {old: 1, new: null}\n", "checkout.yaml:7: configs.new: is empty; expected a value"),
        ("configs: {old: 1, new: .nan}\n", "checkout.yaml:7: configs.new: has the number nan in it"),
        ('configs: {old: a, new: "a\\0b"}\n', "checkout.yaml:7: configs.new: has a null character in it"),
        ("targeting: [a]\n", "checkout.yaml:7: targeting: expected a mapping"),
        (
            "prerequisites: [{flag: a, is: 1}]\n",
            "checkout.yaml:7: prerequisites[0]: unknown key 'is'; expected one of fl",
        ),
        ("ramp: [{at: 2026-01-31, coverage: 1}]\n", "checkout.yaml:7: ramp[0].at: 2026-01-31 is not a time such as"),
        ("ramp: [{at: 2026-01-31T08:00:00, coverage: 1}]\n", "ramp[0].at: '2026-01-31T08:00:00' is not a time such"),
        ("ramp: [{at: 0001-01-01T00:00:00+14:00, coverage: 1}]\n", "ramp[0].at: '0001-01-01T00:00:00+14:00' is not"),
        (
            "ramp:\n  - {at: 2026-02-01T00:00:00Z, coverage: 0.1}\n  - {at: 2026-01-01T00:00:00Z, coverage: 1}\n",
            "checkout.yaml:9: ramp[1].at: is not after the step before it",
        ),
        ("randomization: {by: cluster}\n", "checkout.yaml:7: randomization: randomization by cluster needs attribute"),
        ("randomization: {attribute: x}\n", "checkout.yaml:7: randomization.attribute: is the unit's own id"),
        ("randomization: {by: switchback}\n", "checkout.yaml:7: randomization: a switchback needs window"),
        ("randomization: {window: 4h}\n", "checkout.yaml:7: randomization.window: only a switchback has windows"),
        ("randomization: {washout: 15m}\n", "checkout.yaml:7: randomization.washout: only a switchback has windows"),
        ("randomization: {carryover: 1}\n", "checkout.yaml:7: randomization.carryover: only a switchback has windows"),
        (
            "randomization: {by: switchback, window: 1h, washout: 60m}\n",
            "checkout.yaml:7: randomization.washout: must be shorter than the window, 1h",
        ),
        ("randomization: {by: switchback, window: 4w}\n", "checkout.yaml:7: randomization.window: '4w' does not fit"),
        ("randomization: {by: switchback, window: 99999d}\n", "randomization.window: is longer than a hundred years"),
        ("sticky: {min_bucket_version: 1}\n", "checkout.yaml:7: sticky.min_bucket_version: is above bucket_version, 0"),
        ("holdouts: [a, a]\n", "checkout.yaml:7: holdouts[1]: 'a' is listed twice"),
        ("enabled: 1\n", "checkout.yaml:7: enabled: "),
    ],
)
def test_what_is_wrong_is_named_with_its_line(more: str, message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        experiment(more)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


class TestHoldout:
    def test_is_two_equal_groups(self) -> None:
        declared = experiment("coverage: 0.1\nholdout: {variant: old}\n")
        assert declared.holdout is not None
        assert declared.holdout.holds("anything")
        assert not experiment("holdout: {variant: old, experiments: [a]}\n").holdout.holds("b")  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("holdout: {variant: odd}\n", "checkout.yaml:7: holdout.variant: 'odd' is not one of the variants"),
            ("holdout: {variant: old, experiments: []}\n", "holdout.experiments: is an empty list"),
            ("holdout: {variant: old, experiments: some}\n", "checkout.yaml:7: holdout.experiments: 'some' is not"),
            ("holdout: {variant: old, experiments: [a b]}\n", "holdout.experiments[0]: 'a b' does not fit"),
            ("targeting: {a: 1}\nholdout: {variant: old}\n", "checkout.yaml:7: targeting: a holdout is a plain share"),
            ("holdouts: [x]\nholdout: {variant: old}\n", "checkout.yaml:7: holdouts: a holdout is a plain share"),
        ],
    )
    def test_is_refused_when_it_is_not_a_plain_share(self, more: str, message: str) -> None:
        with pytest.raises(DeclarationError) as raised:
            experiment(more)
        assert message in str(raised.value)

    @pytest.mark.parametrize("variants", ["{old: 1, new: 2}", "{old: 1, new: 1, newer: 1}"])
    def test_is_refused_when_its_groups_differ_in_size(self, variants: str) -> None:
        text = CHECKOUT.replace("{old: 1, new: 1}", variants) + "holdout: {variant: old}\n"
        with pytest.raises(
            DeclarationError, match=r"checkout.yaml:5: variants: a holdout compares two groups of equal"
        ):
            read_declaration(text, "checkout.yaml")
