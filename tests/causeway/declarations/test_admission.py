"""What may come into force after what is in force, whoever declares it."""

from __future__ import annotations

from typing import Any

import pytest

from causeway.assignment.declared import flag_set
from causeway.assignment.evaluate import MAX_CHAIN, evaluate
from causeway.declarations.admission import admit, admit_all
from causeway.declarations.declaration import Declaration
from causeway.declarations.reading import declaration_from_document
from causeway.declarations.references import faults_of
from causeway.declarations.refusal import Refusal
from causeway.declarations.standing import Standing

Document = dict[str, Any]


def experiment(key: str, **more: Any) -> Declaration:
    document: Document = {
        "kind": "experiment",
        "key": key,
        "unit": "customer",
        "control": "off",
        "variants": {"off": 1, "on": 1},
        "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
    }
    return declaration_from_document(document | more)


def flag(key: str, *rules: Document, **more: Any) -> Declaration:
    numbered = [{"id": f"rule{index}", **rule} for index, rule in enumerate(rules)]
    document = {"kind": "flag", "key": key, "type": "boolean", "default": False, "rules": numbered}
    return declaration_from_document(document | more)


def layer(key: str, *experiments: str, unit: str = "customer", **more: Any) -> Declaration:
    allocations = [
        {"experiment": name, "from": 1000 * index, "to": 1000 * index + 1000} for index, name in enumerate(experiments)
    ]
    return declaration_from_document(
        {"kind": "layer", "key": key, "unit": unit, "allocations": allocations, **more},
    )


def event_type(**more: Any) -> Declaration:
    return declaration_from_document({"kind": "event_type", "key": "purchase", **more})


def needs(key: str, value: object = True) -> Document:
    return {"prerequisites": [{"flag": key, "condition": {"value": value}}]}


def only(refusals: list[Refusal]) -> tuple[str, str]:
    """Text and code of the one refusal that there is."""
    (refusal,) = refusals
    return str(refusal), refusal.code


@pytest.mark.parametrize(
    ("new", "message", "code"),
    [
        (experiment("a", layer="home"), "layer: there is no layer 'home'", "reference"),
        (experiment("a", holdouts=["h"]), "holdouts[0]: there is no holdout 'h'", "reference"),
        (experiment("a", holdouts=["other"]), "holdouts[0]: there is no holdout 'other'", "reference"),
        (experiment("a", **needs("othr")), "prerequisites[0].flag: there is no flag or experiment 'othr'", "reference"),
        (
            experiment("a", targeting={"$or": [{"id": {"$inGroup": "testers"}}]}),
            "targeting['$or'][0].id['$inGroup']: there is no saved group 'testers'",
            "reference",
        ),
        (experiment("a", targeting={"age": {"$gt": 1, "$gte_": 2}}), "targeting: ", "condition"),
        (experiment("a", targeting={"name": {"$regex": "("}}), "targeting: ", "condition"),
        (experiment("a", prerequisites=[{"flag": "other", "condition": {"value": {"$x": 1}}}]), "prereq", "condition"),
        (flag("f", {"if": {"name": {"$regex": "("}}, "value": True}), "rules[0].if: ", "condition"),
        (flag("f", {"experiment": "b", "values": {"off": False}}), "rules[0].experiment: there is no exp", "reference"),
        (
            flag("f", {"experiment": "other", "values": {"off": True}}),
            "rules[0].values: there is no value",
            "reference",
        ),
        (
            flag("f", {"experiment": "other", "values": {"off": True, "on": True, "onn": True}}),
            "rules[0].values.onn: 'onn' is not a variant of 'other' (did you mean 'on'?)",
            "reference",
        ),
        (flag("f", {"value": True, **needs("g")}), "rules[0].prerequisites[0].flag: there is no flag", "reference"),
        (flag("other"), "key: there is an experiment 'other', and an experiment is a flag of its own", "taken"),
        (layer("home", "b"), "allocations[0].experiment: there is no experiment 'b'", "reference"),
        (layer("home", "other"), "allocations[0].experiment: experiment 'other' does not say that it is", "reference"),
    ],
)
def test_what_it_names_must_be_there_and_fit(new: Declaration, message: str, code: str) -> None:
    text, found = only(admit(new, Standing.of([experiment("other")])))
    assert message in text
    assert found == code


def test_declarations_that_come_together_may_name_each_other_in_any_order() -> None:
    new = [
        layer("home", "a", "b"),
        experiment("b", layer="home", **needs("f")),
        flag("f", {"experiment": "c", "values": {"off": False, "on": True}}),
        experiment("a", layer="home", holdouts=["h"]),
        experiment("h", coverage=0.1, holdout={"variant": "off", "experiments": ["a"]}),
        experiment("c"),
    ]
    assert admit_all(new, Standing()) == []
    assert admit_all(new[::-1], Standing()) == []


class TestCircles:
    def test_a_circle_is_refused_when_its_last_link_is_written(self) -> None:
        standing = Standing.of([flag("a", {"value": True, **needs("b")}), flag("b", {"value": True, **needs("c")})])
        assert admit(flag("c", {"value": True}), standing) == []
        text, code = only(admit(flag("c", {"value": True}, {"value": True, **needs("a")}), standing))
        assert text.startswith("rules[1].prerequisites[0].flag: goes round in a circle: c -> a -> b -> c")
        assert code == "cycle"

    def test_a_flag_cannot_need_itself(self) -> None:
        assert only(admit(flag("a", {"value": True, **needs("a")}), Standing()))[1] == "cycle"

    def test_a_circle_may_lead_through_the_experiment_of_a_rule(self) -> None:
        standing = Standing.of([experiment("e", **needs("f")), flag("f")])
        new = flag("f", {"experiment": "e", "values": {"off": False, "on": True}})
        assert "f -> e -> f" in only(admit(new, standing))[0]

    def test_a_diamond_is_no_circle(self) -> None:
        both = {"prerequisites": [{"flag": "left"}, {"flag": "right"}]}
        new = [
            flag("top", {"value": True, **both}),
            flag("left", {"value": True, **needs("bottom")}),
            flag("right", {"value": True, **needs("bottom")}),
            flag("bottom"),
        ]
        assert admit_all(new, Standing()) == []

    def test_who_leads_into_a_circle_is_not_part_of_it(self) -> None:
        standing = Standing.of([flag("a", {"value": True, **needs("b")}), flag("b", {"value": True, **needs("a")})])
        assert {fault.key for fault in faults_of(standing)} == {"a", "b"}
        assert admit(flag("c", {"value": True, **needs("a")}), standing) == []


class TestUnits:
    def test_a_layer_deals_out_the_unit_of_its_experiments(self) -> None:
        standing = Standing.of([layer("home", unit="household")])
        assert only(admit(experiment("a", layer="home"), standing)) == (
            "layer: layer 'home' deals out units 'household', the experiment 'customer'",
            "unit",
        )

    def test_a_change_that_breaks_another_declaration_is_refused(self) -> None:
        standing = Standing.of([layer("home", "a"), experiment("a", layer="home")])
        text, code = only(admit(experiment("a", version=2), standing))
        assert text == (
            "then layer 'home' no longer holds, at allocations[0].experiment:"
            " experiment 'a' does not say that it is in layer 'home'"
        )
        assert code == "reference"

    def test_what_was_broken_before_is_not_held_against_somebody_else(self) -> None:
        assert admit(experiment("new"), Standing.of([experiment("a", layer="gone")])) == []

    def test_experiments_of_one_layer_hash_the_same_attribute(self) -> None:
        cluster = {"randomization": {"by": "cluster", "attribute": "school_id"}}
        new = [layer("home", "a", "b"), experiment("a", layer="home"), experiment("b", layer="home", **cluster)]
        ((declaration, refusal),) = admit_all(new, Standing())
        assert declaration.key == "home"
        assert (refusal.path, refusal.code) == (("allocations", 1, "experiment"), "unit")

    def test_a_holdout_holds_units_of_its_own_kind(self) -> None:
        holdout = experiment("h", unit="household", holdout={"variant": "off", "experiments": ["a"]})
        assert only(admit(holdout, Standing.of([experiment("a")])))[1] == "unit"
        everything = experiment("h", unit="household", holdout={"variant": "off"})
        standing = Standing.of([experiment("a"), experiment("b", unit="household"), everything])
        assert standing.holdouts_of(standing.experiments["a"]) == ()
        assert standing.holdouts_of(standing.experiments["b"]) == ("h",)
        assert standing.holdouts_of(standing.experiments["h"]) == ()

    def test_a_holdout_cannot_be_held_out(self) -> None:
        held = experiment("h2", holdout={"variant": "off", "experiments": ["h1"]})
        standing = Standing.of([experiment("h1", holdout={"variant": "off"})])
        assert "'h1' is a holdout itself" in only(admit(held, standing))[0]


class TestChanges:
    def test_weights_of_a_running_experiment_stay_without_a_higher_version(self) -> None:
        standing = Standing.of([experiment("a")])
        text, code = only(admit(experiment("a", variants={"off": 1, "on": 3}), standing))
        assert text == (
            "variants: cannot change while the experiment is running; raise version above 1 to do it all the same"
        )
        assert code == "frozen"
        assert admit(experiment("a", variants={"off": 1, "on": 3}, version=2), standing) == []

    def test_a_status_that_does_not_follow_is_a_conflict(self) -> None:
        (refusal,) = admit(experiment("a", status="draft"), Standing.of([experiment("a")]))
        assert (refusal.path, refusal.code, refusal.is_conflict) == (("status",), "transition", True)

    def test_an_experiment_may_begin_in_any_status(self) -> None:
        """A database that is set up again from files holds experiments that were stopped long ago."""
        for status in ("draft", "running", "paused", "stopped", "archived"):
            assert admit(experiment("a", status=status), Standing()) == []

    def test_the_type_of_a_flag_stays(self) -> None:
        new = flag("a", type="string", default="x")
        assert only(admit(new, Standing.of([flag("a")])))[1] == "frozen"

    def test_buckets_of_a_running_experiment_stay_without_a_higher_version(self) -> None:
        standing = Standing.of([experiment("a", layer="home"), experiment("b", layer="home"), layer("home", "a", "b")])
        refusals = admit(layer("home", "b", "a"), standing)
        assert [(refusal.path, refusal.code) for refusal in refusals] == [
            (("allocations", 1), "frozen"),
            (("allocations", 0), "frozen"),
        ]
        assert admit(layer("home", "b", "a", version=2), standing) == []


class TestEventTypes:
    STANDING = Standing.of([event_type(version=1), event_type(version=3, schema={"type": "object"})])

    @pytest.mark.parametrize("version", [1, 3])
    def test_another_schema_needs_a_higher_version(self, version: int) -> None:
        new = event_type(version=version, schema={"required": ["amount"]})
        text, code = only(admit(new, self.STANDING))
        assert text.endswith(f"is another than that of version {version}, which is in force; raise version above 3")
        assert code == "version"

    def test_versions_go_up(self) -> None:
        assert only(admit(event_type(version=2), self.STANDING))[1] == "version"
        assert admit(event_type(version=4, schema={"required": ["amount"]}), self.STANDING) == []

    def test_retention_changes_without_one(self) -> None:
        assert admit(event_type(version=3, schema={"type": "object"}, retention_days=30), self.STANDING) == []

    def test_several_versions_can_be_declared_at_once(self) -> None:
        assert admit_all([event_type(version=2, schema={"type": "object"}), event_type(version=1)], Standing()) == []


def test_a_hundred_flags_in_one_circle_are_found_out() -> None:
    ring = [flag(f"f{n}", {"value": True, **needs(f"f{(n + 1) % 100}")}) for n in range(100)]
    assert len(admit_all(ring, Standing())) == 100


def test_a_chain_is_as_long_as_an_evaluation_goes_through() -> None:
    chain = [flag(f"f{n}", {"value": True, **needs(f"f{n + 1}")}) for n in range(MAX_CHAIN)]
    standing = Standing.of([*chain, flag(f"f{MAX_CHAIN}", {"value": True})])
    assert faults_of(standing) == []
    text, code = only(admit(flag("head", {"value": True, **needs("f0")}), standing))
    assert text.startswith("rules[0].prerequisites[0].flag: a chain of 65 flags and experiments would be evaluated")
    assert code == "cycle"
    longer = [flag(f"f{MAX_CHAIN}", {"value": True, **needs("last")}), flag("last", {"value": True})]
    (_, refusal), *_ = admit_all(longer, standing)
    assert refusal.sentence.startswith(
        "then flag 'f0' no longer holds, at rules[0].prerequisites[0].flag: a chain of 65"
    )
    evaluated = flag_set((), [*chain, flag(f"f{MAX_CHAIN}", {"value": True})])
    assert evaluate(evaluated, "f0", {"targetingKey": "u"}).value is True
