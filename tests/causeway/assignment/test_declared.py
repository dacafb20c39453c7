"""Declarations, compiled: what is evaluated is what was declared, and assignments of before stay as they were."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.declared import DECIDES, flag_set
from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import FlagSet
from causeway.assignment.sticky import StickyRecord
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.reading import read_declaration
from causeway.declarations.saved_group import SavedGroupDeclaration

EXPERIMENTS = Path(__file__).resolve().parents[3] / "declarations" / "experiments"

# First 16 digits of SHA-256 over the variants of the units unit-0 to unit-1999, one a line, as they were dealt before
# hashers could be chosen.
OLD_ASSIGNMENTS = {
    "aa_check": "e9a2e105d9e7ecb7",
    "email_cadence": "8b8ec1ed479f10b8",
    "health_insurance": "649342b6c2290466",
    "planner_policy": "8cceb944d0690e75",
    "rep_trigger": "ac875a0682051525",
}


def experiment(key: str = "checkout", **more: Any) -> ExperimentDeclaration:
    document: dict[str, Any] = {
        "kind": "experiment",
        "key": key,
        "unit": "customer",
        "control": "old",
        "variants": {"old": 1, "new": 1},
        "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
    }
    return ExperimentDeclaration.model_validate(document | more)


def flag(key: str, *rules: dict[str, Any], **more: Any) -> FlagDeclaration:
    numbered = [{"id": f"rule{index}", **rule} for index, rule in enumerate(rules)]
    document = {"kind": "flag", "key": key, "type": "boolean", "default": False, "rules": numbered}
    return FlagDeclaration.model_validate(document | more)


def layer(*allocations: tuple[str, int, int], **more: Any) -> LayerDeclaration:
    dealt = [{"experiment": key, "from": start, "to": end} for key, start, end in allocations]
    return LayerDeclaration.model_validate(
        {"kind": "layer", "key": "home", "unit": "customer", "allocations": dealt, **more}
    )


def units(count: int = 2000) -> list[str]:
    return [f"unit-{number}" for number in range(count)]


def ask(flags: FlagSet, key: str, unit: str = "unit-0", **context: Any) -> Evaluation:
    return evaluate(flags, key, {"targetingKey": unit, **context})


def dealt(flags: FlagSet, key: str, **context: Any) -> dict[str, str | None]:
    """The variant of every unit."""
    return {unit: ask(flags, key, unit, **context).variant for unit in units()}


@pytest.mark.parametrize("key", OLD_ASSIGNMENTS)
def test_an_experiment_of_before_deals_every_unit_the_variant_of_before(key: str) -> None:
    declared = read_declaration((EXPERIMENTS / f"{key}.yaml").read_text(), key)
    assert isinstance(declared, ExperimentDeclaration)
    variants = dealt(flag_set([declared]), key).values()
    assert hashlib.sha256("\n".join(map(str, variants)).encode()).hexdigest()[:16] == OLD_ASSIGNMENTS[key]


class TestExperiment:
    def test_is_a_flag_of_its_own_name(self) -> None:
        flags = flag_set([experiment()])
        answer = ask(flags, "checkout")
        assert answer.in_experiment
        assert answer.value == answer.variant in ("old", "new")
        assert (answer.unit_attribute, answer.hasher) == ("targetingKey", "growthbook_v2")
        assert flags.flags["checkout"].kind == "string"

    def test_has_its_configs_for_values_and_the_controls_for_everybody_else(self) -> None:
        configs = {"old": {"color": "grey"}, "new": {"color": "red"}}
        flags = flag_set([experiment(configs=configs, targeting={"country": "DE"})])
        inside, outside = ask(flags, "checkout", country="DE"), ask(flags, "checkout", country="FR")
        assert inside.value == configs[str(inside.variant)]
        assert (outside.value, outside.variant, outside.status) == (configs["old"], None, "not_targeted")
        assert flags.flags["checkout"].kind == "object"

    @pytest.mark.parametrize("status", ["draft", "stopped", "archived"])
    def test_deals_nothing_unless_it_runs(self, status: str) -> None:
        answer = ask(flag_set([experiment(status=status)]), "checkout")
        assert (answer.status, answer.value, answer.in_experiment) == ("not_running", "old", False)

    def test_keeps_its_units_and_takes_no_new_ones_while_it_is_paused(self) -> None:
        flags = flag_set([experiment(status="paused")])
        assert ask(flags, "checkout").status == "closed_to_new_units"
        record = StickyRecord("targetingKey", "unit-0", {"checkout__0": "new"})
        kept = evaluate(flags, "checkout", {"targetingKey": "unit-0"}, sticky={record.key: record})
        assert (kept.status, kept.variant) == ("sticky", "new")

    @pytest.mark.parametrize("how", ["killed", "declared"])
    def test_is_off_at_once_by_its_kill_switch(self, how: str) -> None:
        declared = experiment(enabled=how != "declared")
        answer = ask(flag_set([declared], killed=frozenset({"checkout"} if how == "killed" else ())), "checkout")
        assert (answer.status, answer.value) == ("disabled", "old")

    def test_names_units_that_get_a_variant(self) -> None:
        flags = flag_set([experiment(forced={"me": "new", "you": "old"})])
        assert [
            (ask(flags, "checkout", unit).variant, ask(flags, "checkout", unit).status) for unit in ("me", "you")
        ] == [
            ("new", "forced"),
            ("old", "forced"),
        ]

    def test_follows_its_ramp(self) -> None:
        steps = [{"at": "2026-01-01T00:00:00Z", "coverage": 0.1}, {"at": "2026-01-08T00:00:00Z", "coverage": 1}]
        flags = flag_set([experiment(ramp=steps)])
        entered = [
            sum(evaluate(flags, "checkout", {"targetingKey": unit}, at=at).in_experiment for unit in units())
            for at in (dt.datetime(2025, 12, 31, tzinfo=dt.UTC), dt.datetime(2026, 1, 7, tzinfo=dt.UTC))
        ]
        assert entered[0] == 0
        assert 140 < entered[1] < 260
        assert evaluate(
            flags, "checkout", {"targetingKey": "x"}, at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
        ).in_experiment

    def test_hashes_the_cluster_and_not_the_unit(self) -> None:
        flags = flag_set([experiment(randomization={"by": "cluster", "attribute": "school_id"})])
        assert len(set(dealt(flags, "checkout", school_id="north").values())) == 1
        assert ask(flags, "checkout").status == "no_unit"
        assert ask(flags, "checkout", school_id="north").unit_id == "north"

    def test_deals_a_unit_anew_in_every_window_of_a_switchback(self) -> None:
        flags = flag_set([experiment(randomization={"by": "switchback", "window": "4h"})])
        day = [dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC) for hour in range(24)]
        seen = [evaluate(flags, "checkout", {"targetingKey": "berlin"}, at=at) for at in day]
        by_window = {each.window_start: each.variant for each in seen}
        assert len(by_window) == 6
        assert len({each.variant for each in seen}) == 2
        assert all(by_window[each.window_start] == each.variant for each in seen)

    def test_falls_back_to_the_anonymous_id(self) -> None:
        flags = flag_set([experiment(sticky={"fallback_attribute": "anonymous_id"})])
        answer = evaluate(flags, "checkout", {"anonymous_id": "a1"}, sticky={})
        assert (answer.unit_attribute, answer.unit_id, answer.in_experiment) == ("anonymous_id", "a1", True)

    @pytest.mark.parametrize("hasher", ["growthbook_v1", "eppo", "eppo_legacy", "unleash", "posthog", "planout"])
    def test_is_dealt_by_the_hasher_that_it_names(self, hasher: str) -> None:
        flags = flag_set([experiment(hasher=hasher, variants={"old": 3, "new": 1})])
        assert ask(flags, "checkout").hasher == hasher
        share = Counter(dealt(flags, "checkout").values())["new"] / 2000
        assert 0.2 < share < 0.3
        assert dealt(flags, "checkout") != dealt(flag_set([experiment(variants={"old": 3, "new": 1})]), "checkout")

    def test_is_dealt_in_the_order_that_it_names(self) -> None:
        usual, other = (dealt(flag_set([experiment(order=order)]), "checkout") for order in ([], ["new", "old"]))
        assert all({usual[unit], other[unit]} == {"old", "new"} for unit in units())

    def test_equal_weights_are_planouts_uniform_choice(self) -> None:
        equal, unequal = (
            flag_set([experiment(hasher="planout", variants={"old": 1, "new": weight})]) for weight in (1, 1.0001)
        )
        number = int(hashlib.sha1(b"checkout.unit-0").hexdigest()[:15], 16)
        assert ask(equal, "checkout").variant == ("old", "new")[number % 2]
        assert dealt(equal, "checkout") != dealt(unequal, "checkout")


class TestLayer:
    def test_no_unit_is_in_two_experiments_of_a_layer(self) -> None:
        declared = [experiment(key, layer="home") for key in ("a", "b", "c")]
        flags = flag_set(declared, layers=[layer(("a", 0, 4000), ("b", 4000, 6000), ("c", 6000, 10_000))])
        entered = Counter(tuple(key for key in "abc" if ask(flags, key, unit).in_experiment) for unit in units())
        assert set(entered) == {("a",), ("b",), ("c",)}
        assert 340 < entered[("b",)] < 460

    def test_variants_are_dealt_apart_from_the_buckets_of_the_layer(self) -> None:
        flags = flag_set([experiment("a", layer="home")], layers=[layer(("a", 0, 5000))])
        variants = Counter(ask(flags, "a", unit).variant for unit in units())
        assert 430 < variants["old"] < 570
        assert 430 < variants["new"] < 570

    @pytest.mark.parametrize("layers", [[], [layer()]])
    def test_nobody_enters_without_buckets(self, layers: list[LayerDeclaration]) -> None:
        answer = ask(flag_set([experiment("a", layer="home")], layers=layers), "a")
        assert (answer.status, answer.layer) == ("layer", "home")

    def test_new_buckets_bring_new_units_and_move_nobody(self) -> None:
        def entered(*allocations: tuple[str, int, int]) -> dict[str, dict[str, str | None]]:
            flags = flag_set([experiment(key, layer="home") for key in "ab"], layers=[layer(*allocations)])
            return {key: {unit: v for unit, v in dealt(flags, key).items() if v is not None} for key in "ab"}

        before = entered(("a", 0, 2000), ("b", 5000, 7000))
        after = entered(("a", 0, 2000), ("a", 8000, 9000), ("b", 5000, 7000))
        assert after["b"] == before["b"]
        assert after["a"].items() > before["a"].items()


class TestHoldout:
    def held(self, **more: Any) -> tuple[FlagSet, dict[str, str | None]]:
        holdout = experiment("h", coverage=0.2, holdout={"variant": "old", **more})
        flags = flag_set([holdout, experiment("a"), experiment("b"), experiment("other", unit="household")])
        return flags, dealt(flags, "h")

    def test_over_everything_keeps_its_units_out_of_every_experiment_of_their_kind(self) -> None:
        flags, groups = self.held()
        assert 140 < Counter(groups.values())["old"] < 260
        assert 140 < Counter(groups.values())["new"] < 260
        for unit, group in groups.items():
            for key in ("a", "b"):
                answer = ask(flags, key, unit)
                assert (answer.status == "holdout") == (group == "old")
                assert answer.holdout == ("h" if group == "old" else None)
            assert ask(flags, "other", unit).in_experiment
        assert {ask(flags, "h", unit).is_holdout for unit, group in groups.items() if group is not None} == {True}
        assert not ask(flags, "a").is_holdout

    def test_over_one_experiment_leaves_the_others_alone(self) -> None:
        flags, groups = self.held(experiments=["a"])
        unit = next(unit for unit, group in groups.items() if group == "old")
        assert ask(flags, "a", unit).status == "holdout"
        assert ask(flags, "b", unit).in_experiment

    def test_may_be_named_by_the_experiment(self) -> None:
        holdout = experiment("h", coverage=0.2, holdout={"variant": "old", "experiments": ["elsewhere"]})
        flags = flag_set([holdout, experiment("a", holdouts=["h"])])
        assert {ask(flags, "a", unit).status for unit in units()} == {"assigned", "holdout"}

    @pytest.mark.parametrize("status", ["draft", "stopped"])
    def test_holds_nobody_unless_it_runs(self, status: str) -> None:
        holdout = experiment("h", coverage=0.2, holdout={"variant": "old"}, status=status)
        flags = flag_set([holdout, experiment("a")])
        assert {ask(flags, "a", unit).status for unit in units()} == {"assigned"}


class TestFlag:
    def test_the_first_rule_that_fits_decides(self) -> None:
        testers = SavedGroupDeclaration(kind="saved_group", key="testers", values=("unit-3",))
        rules: list[dict[str, Any]] = [
            {"if": {"targetingKey": {"$inGroup": "testers"}}, "value": 3},
            {"if": {"country": "DE"}, "value": 2},
            {"coverage": 0.5, "value": 1},
        ]
        flags = flag_set([], [flag("f", *rules, type="number", default=0)], saved_groups=[testers])
        assert ask(flags, "f", "unit-3", country="DE").value == 3
        assert ask(flags, "f", country="DE").value == 2
        others = Counter(ask(flags, "f", unit).value for unit in units() if unit != "unit-3")
        assert set(others) == {0, 1}
        assert 900 < others[1] < 1100

    def test_an_experiment_decides_with_the_flags_own_values(self) -> None:
        rule = {"if": {"app": 2}, "experiment": "checkout", "values": {"old": False, "new": True}}
        flags = flag_set([experiment()], [flag("f", rule)])
        for unit in units(50):
            answer = ask(flags, "f", unit, app=2)
            assert answer.value is (ask(flags, "checkout", unit).variant == "new")
            assert (answer.experiment, answer.in_experiment) == ("checkout", True)
            assert ask(flags, "f", unit, app=1).experiment is None

    def test_a_flag_may_need_another(self) -> None:
        needing = flag("f", {"value": True, "prerequisites": [{"flag": "g", "condition": {"value": "on"}}]})
        for value in ("on", "off"):
            needed = FlagDeclaration.model_validate({"kind": "flag", "key": "g", "type": "string", "default": value})
            assert ask(flag_set([], [needing, needed]), "f").value is (value == "on")

    @pytest.mark.parametrize("how", ["killed", "declared"])
    def test_a_flag_that_is_off_has_its_default(self, how: str) -> None:
        declared = flag("f", {"value": True}, enabled=how != "declared")
        answer = ask(flag_set([], [declared], killed=frozenset({"f"} if how == "killed" else ())), "f")
        assert (answer.value, answer.reason) == (False, "DISABLED")

    def test_a_rule_whose_experiment_is_missing_decides_nothing(self) -> None:
        rule = {"experiment": "gone", "values": {"old": True}}
        assert ask(flag_set([], [flag("f", rule, {"value": True})]), "f").rule_id == "rule1"


class TestPolicyVersion:
    CHANGES: ClassVar[dict[str, Any]] = {
        "unit": "household",
        "variants": {"old": 1, "new": 2},
        "control": "new",
        "order": ["new", "old"],
        "version": 2,
        "hasher": "eppo",
        "salt": "other",
        "randomization": {"by": "cluster", "attribute": "x"},
        "coverage": 0.5,
        "ramp": [{"at": "2026-01-01T00:00:00Z", "coverage": 0.1}],
        "targeting": {"country": "DE"},
        "prerequisites": [{"flag": "f"}],
        "forced": {"me": "new"},
        "layer": "home",
        "holdouts": ["h"],
        "sticky": {"bucket_version": 1},
        "holdout": {"variant": "old"},
    }

    def of(self, *experiments: ExperimentDeclaration, **more: Any) -> str:
        return flag_set([*experiments], **more).flags["checkout"].policy_version

    def test_is_twelve_hexadecimal_digits(self) -> None:
        assert len(self.of(experiment())) == 12
        int(self.of(experiment()), 16)

    def test_everything_that_decides_is_tried_here(self) -> None:
        assert set(self.CHANGES) == set(DECIDES) - {"key"}

    @pytest.mark.parametrize("name", CHANGES)
    def test_changes_with_what_decides(self, name: str) -> None:
        assert self.of(experiment(**{name: self.CHANGES[name]})) != self.of(experiment())

    @pytest.mark.parametrize(
        "change",
        [{"name": "Checkout"}, {"configs": {"old": 1, "new": 2}}, {"segments": ["country"]}, {"status": "paused"}],
    )
    def test_stays_with_what_does_not(self, change: dict[str, Any]) -> None:
        assert self.of(experiment(**change)) == self.of(experiment())

    def test_changes_with_the_buckets_of_its_layer_and_not_with_those_of_others(self) -> None:
        declared = experiment(layer="home")
        before = self.of(declared, layers=[layer(("checkout", 0, 100), ("b", 100, 200))])
        assert self.of(declared, layers=[layer(("checkout", 0, 100), ("b", 150, 200))]) == before
        assert self.of(declared, layers=[layer(("checkout", 0, 101))]) != before
        assert self.of(declared, layers=[layer(("checkout", 0, 100), salt="other")]) != before

    def test_changes_with_what_it_names_however_far_away(self) -> None:
        def declared(members: tuple[str, ...]) -> str:
            group = SavedGroupDeclaration(kind="saved_group", key="g", values=members)
            far = flag("far", {"if": {"id": {"$inGroup": "g"}}, "value": True})
            near = flag("near", {"value": True, "prerequisites": [{"flag": "far"}]})
            needing = experiment(prerequisites=[{"flag": "near"}])
            return self.of(needing, flags=[near, far], saved_groups=[group])

        assert declared(("a",)) != declared(("b",))
        assert declared(("a",)) == declared(("a",))

    def test_changes_with_a_holdout_that_names_it(self) -> None:
        def declared(coverage: float) -> str:
            return self.of(experiment(), experiment("h", coverage=coverage, holdout={"variant": "old"}))

        assert len({declared(0.1), declared(0.2), self.of(experiment())}) == 3


def test_the_version_of_a_set_changes_with_everything_in_it() -> None:
    sets = [
        flag_set([experiment()]),
        flag_set([experiment(configs={"old": 1, "new": 2})]),
        flag_set([experiment()], killed=frozenset({"checkout"})),
        flag_set([experiment()], [flag("f")]),
        flag_set([experiment()], layers=[layer()]),
        flag_set([experiment()], saved_groups=[SavedGroupDeclaration(kind="saved_group", key="g", values=())]),
    ]
    assert len({each.version for each in sets}) == len(sets)
    assert flag_set([experiment()]).version == sets[0].version


WEIGHTS = st.dictionaries(st.sampled_from(["old", "a", "b", "c"]), st.floats(0, 1e9), min_size=1, max_size=4)


@given(
    WEIGHTS,
    st.sampled_from(["growthbook_v1", "growthbook_v2", "eppo", "eppo_legacy", "unleash", "posthog", "planout"]),
    st.floats(0, 1),
    st.text(max_size=20),
)
def test_whatever_can_be_declared_can_be_compiled_and_asked(
    weights: dict[str, float], hasher: str, coverage: float, unit: str
) -> None:
    variants = {"old": 1.0, "new": 0.0} | weights
    if not any(variants.values()):
        return
    flags = flag_set([experiment(variants=variants, hasher=hasher, coverage=coverage)])
    assert ask(flags, "checkout", unit).variant in {None, *variants}
