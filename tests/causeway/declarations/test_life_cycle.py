"""What may become of an experiment, and what stays as it is while units hold its variants."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from causeway.declarations.experiment import ExperimentDeclaration, Status
from causeway.declarations.layer import LayerDeclaration
from causeway.declarations.life_cycle import TRANSITIONS, problems_of_change, problems_of_layer_change

ALLOWED = {
    ("draft", "running"),
    ("draft", "archived"),
    ("running", "paused"),
    ("paused", "running"),
    ("running", "stopped"),
    ("paused", "stopped"),
    ("stopped", "archived"),
}

FROZEN = {
    "unit": {"unit": "household"},
    "variants": {"variants": {"old": 1, "new": 2}},
    "control": {"control": "new"},
    "order": {"order": ["new", "old"]},
    "salt": {"salt": "other"},
    "hasher": {"hasher": "eppo"},
    "randomization": {"randomization": {"by": "cluster", "attribute": "school_id"}},
    "layer": {"layer": "home"},
    "holdout": {"holdout": {"variant": "new"}},
    "configs": {"configs": {"old": 1, "new": 2}},
}

FREE: dict[str, Any] = {
    "coverage": 0.5,
    "ramp": [{"at": "2026-01-01T00:00:00Z", "coverage": 0.1}],
    "targeting": {"country": "DE"},
    "forced": {"me": "new"},
    "sticky": {"bucket_version": 1},
    "enabled": False,
    "name": "Checkout",
    "holdouts": ["everybody"],
    "configs": {"old": "grey", "new": "red"},
    "salt": "checkout",
    "order": ["old", "new"],
}


def experiment(**changes: Any) -> ExperimentDeclaration:
    document = {
        "kind": "experiment",
        "key": "checkout",
        "unit": "customer",
        "control": "old",
        "variants": {"old": 1, "new": 1},
        "metrics": [{"key": "bought", "type": "conversion", "event": "purchase"}],
    }
    return ExperimentDeclaration.model_validate(document | changes)


@pytest.mark.parametrize(("old", "new"), product(get_args(Status), repeat=2))
def test_an_experiment_goes_only_where_its_life_leads(old: Status, new: Status) -> None:
    problems = problems_of_change(experiment(status=old), experiment(status=new))
    assert (problems == []) == (old == new or (old, new) in ALLOWED)
    assert all(path == ("status",) for path, _ in problems)


def test_every_status_has_its_place() -> None:
    assert set(TRANSITIONS) == set(get_args(Status))


@pytest.mark.parametrize("status", ["running", "paused"])
@pytest.mark.parametrize("name", FROZEN)
def test_what_decides_variants_changes_only_with_a_higher_version(name: str, status: Status) -> None:
    old = experiment(status=status, version=3)
    ((path, sentence),) = problems_of_change(old, experiment(status=status, version=3, **FROZEN[name]))
    assert path == (name,)
    assert f"while the experiment is {status}; raise version above 3" in sentence
    assert problems_of_change(old, experiment(status=status, version=4, **FROZEN[name])) == []


@pytest.mark.parametrize("name", FROZEN)
def test_it_cannot_change_in_the_same_step_that_stops_the_experiment(name: str) -> None:
    assert problems_of_change(experiment(), experiment(status="stopped", **FROZEN[name]))


@pytest.mark.parametrize("status", ["draft", "stopped", "archived"])
@pytest.mark.parametrize("name", FROZEN)
def test_it_is_free_while_nobody_is_dealt_a_variant(name: str, status: Status) -> None:
    assert problems_of_change(experiment(status=status), experiment(status=status, **FROZEN[name])) == []


@pytest.mark.parametrize("name", FREE)
def test_what_moves_no_unit_to_another_variant_is_free(name: str) -> None:
    assert problems_of_change(experiment(), experiment(**{name: FREE[name]})) == []


@pytest.mark.parametrize("status", get_args(Status))
def test_versions_do_not_go_back(status: Status) -> None:
    ((path, sentence),) = problems_of_change(experiment(status=status, version=2), experiment(status=status))
    assert (path, sentence) == (("version",), "cannot go back from 2 to 1")


def test_what_a_table_says_was_dealt_elsewhere_can_be_put_right() -> None:
    table = {
        "metrics": [{"key": "bought", "type": "conversion", "column": "bought"}],
        "source": {"file": "a.csv", "variant": "arm"},
    }
    assert problems_of_change(experiment(**table), experiment(**table, variants={"old": 1, "new": 3})) == []


class TestLayer:
    @staticmethod
    def layer(*allocations: tuple[str, int, int], **more: Any) -> LayerDeclaration:
        dealt = [{"experiment": key, "from": start, "to": end} for key, start, end in allocations]
        document = {"kind": "layer", "key": "home", "unit": "customer", "allocations": dealt}
        return LayerDeclaration.model_validate(document | more)

    @pytest.mark.parametrize("status", ["running", "paused"])
    def test_buckets_of_an_experiment_that_is_alive_stay(self, status: Status) -> None:
        experiments = {"a": experiment(status=status), "b": experiment(status="draft")}
        old = self.layer(("a", 0, 100), ("b", 100, 200))
        ((path, sentence),) = problems_of_layer_change(old, self.layer(("b", 50, 200), ("a", 0, 50)), experiments)
        assert path == ("allocations", 1)
        assert sentence.startswith(f"the buckets of 'a' cannot change while it is {status}; raise version above 1")
        assert problems_of_layer_change(old, self.layer(("b", 50, 200), ("a", 0, 50), version=2), experiments) == []
        assert problems_of_layer_change(old, self.layer(("b", 100, 999), ("a", 0, 100)), experiments) == []

    def test_a_running_experiment_that_had_no_buckets_can_be_given_some(self) -> None:
        assert problems_of_layer_change(self.layer(), self.layer(("a", 0, 100)), {"a": experiment()}) == []

    def test_the_same_buckets_may_be_written_in_pieces(self) -> None:
        pieces = self.layer(("a", 50, 100), ("a", 0, 50))
        assert problems_of_layer_change(self.layer(("a", 0, 100)), pieces, {"a": experiment()}) == []

    @pytest.mark.parametrize(("name", "value"), [("salt", "other"), ("unit", "household")])
    def test_what_all_buckets_hang_on_stays_while_one_experiment_is_alive(self, name: str, value: str) -> None:
        old, new = self.layer(("a", 0, 100)), self.layer(("a", 0, 100), **{name: value})
        ((path, _),) = problems_of_layer_change(old, new, {"a": experiment()})
        assert path == (name,)
        assert problems_of_layer_change(old, new, {"a": experiment(status="stopped")}) == []

    def test_versions_do_not_go_back(self) -> None:
        ((path, _),) = problems_of_layer_change(self.layer(version=2), self.layer(), {})
        assert path == ("version",)
