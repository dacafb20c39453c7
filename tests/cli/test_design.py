"""From a draft and a history to a plan, and from a mistake to the line that it is in."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Answer, CommandLine

    from resources.postgres_client import PostgresClient

SPEC = """\
kind: experiment
key: spring_mail
tenant: demo
unit: customer
status: draft
control: none
variants: {none: 1, mail: 1}
metrics:
  - {key: visit, type: conversion, column: visit, role: primary, min_effect: 0.2}
  - {key: spend, type: mean, column: spend, min_effect: 0.05}
covariates: [history]
plan: {simulate: {replays: 200}}
source: {file: last_year.csv, unit_id: customer_id}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Last year's customers, 800 of them; half of what spend varies by is known from their history."""
    made, dice = tmp_path_factory.mktemp("spring"), random.Random(5)
    with (made / "last_year.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "history", "visit", "spend"])
        for number in range(800):
            history = dice.gauss(100, 30)
            spend = 0.1 * history + dice.gauss(0, 3)
            writer.writerow([f"c{number}", round(history, 2), int(dice.random() < 0.4), round(spend, 3)])
    return made


def run(causeway: CommandLine, folder: Path, text: str, *options: str | Path) -> Answer:
    (folder / "spec.yaml").write_text(text)
    return causeway("design", folder / "spec.yaml", *options)


def test_a_table_is_the_history(causeway: CommandLine, folder: Path, client: PostgresClient) -> None:
    done = run(causeway, folder, SPEC, "--json")
    assert done.code == 0, done.err
    plans = {(plan["metric"], plan["interval"], plan["covariate"]): plan for plan in done.json["plans"]}
    assert set(plans) == {(metric, "fixed_horizon", kind) for metric in ("visit", "spend") for kind in ("none", "twin")}
    plain, twin = (plans["spend", "fixed_horizon", kind] for kind in ("none", "twin"))
    assert twin["variance_factor"] == pytest.approx(0.5, abs=0.08)
    assert twin["units"] == pytest.approx(twin["variance_factor"] * plain["units"], rel=0.01)
    # Two metrics share alpha: normal quantiles of 1 - 0.0125 and of 0.8; the variance is 18 and the mean 10.
    assert plain["units"] == pytest.approx(4 * (2.2414 + 0.8416) ** 2 * 18 / (0.05 * 10) ** 2, rel=0.15)
    assert plain["n_history"] == 800 and plain["days"] is None
    assert all(plan["false_positive_low"] <= 0.05 for plan in plans.values())
    # All that is left behind is the draft: nothing was analysed.
    assert client.fetch_one("SELECT declaration ->> 'status' FROM registry.experiments WHERE key = 'spring_mail'") == (
        "draft",
    )
    assert client.fetch_all("SELECT 1 FROM estimates.difference_in_means WHERE experiment = 'spring_mail'") == []


def test_the_plan_is_shown_as_tables_and_sentences(causeway: CommandLine, folder: Path) -> None:
    done = run(causeway, folder, SPEC)
    assert done.code == 0, done.err
    assert "Replays of the history without an effect" in done.out
    assert "visit: to see a change of 20.0 %" in done.out
    # Nothing was changed, so nothing was made again.
    assert "planned " not in done.out


def test_a_stream_without_events_says_so_and_draws_no_figure(causeway: CommandLine, folder: Path) -> None:
    spec = yaml.safe_load(SPEC) | {"key": "silent", "tenant": "nobody", "source": None, "covariates": []}
    spec["metrics"] = [{"key": "visit", "type": "conversion", "event": "visit", "role": "primary"}]
    done = run(causeway, folder, yaml.safe_dump(spec), "--json", "--figure", folder / "mde.svg")
    assert done.code == 0, done.err
    assert {plan["status"] for plan in done.json["plans"]} == {"too_few_units"}
    assert "no day can be answered for visit" in done.err
    assert not (folder / "mde.svg").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("status: draft", "status: running", "the experiment is running, and a plan is made before it begins"),
        ("plan: {simulate: {replays: 200}}", "", "add plan: {} for one with every default"),
        ("plan: {simulate: {replays: 200}}", "plan: {horizont: 30}", "did you mean 'horizon'?"),
        ("plan: {simulate: {replays: 200}}", "plan: {simulate: {replays: 3}}", "spec.yaml:12: plan.simulate.replays"),
        ("plan: {simulate: {replays: 200}}", "plan: {power: 1.5}", "plan.power"),
        ("simulate: {replays: 200}", "history: {from: 2024-02-01, to: 2024-01-01}", "2024-01-01 is before the first"),
        ("simulate: {replays: 200}", "eligible: {event: visit}", "the whole table is the history"),
        ("covariates: [history]\nplan: {", "plan: {covariate: twin, ", "a twin learns from covariates"),
        ("column: spend", "column: spent", "spent"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    causeway: CommandLine, folder: Path, old: str, new: str, said: str
) -> None:
    spec = SPEC.replace("customer_id}", "customer_id, variant: arm}")
    assert old in spec
    done = run(causeway, folder, spec.replace(old, new))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_only_experiments_are_planned(causeway: CommandLine) -> None:
    done = causeway("design", "declarations/saved_groups/planner_testers.yaml")
    assert (done.code, "design takes kind: experiment, not kind: saved_group" in done.line) == (2, True)


def test_a_figure_is_an_svg(causeway: CommandLine, folder: Path) -> None:
    done = run(causeway, folder, SPEC, "--figure", folder / "mde.png")
    assert (done.code, "mde.svg" in done.line) == (2, True)


def test_an_erased_unit_leaves_the_history_of_plans(
    causeway: CommandLine, folder: Path, client: PostgresClient
) -> None:
    """At once: once the experiment runs, nothing would make its history again."""
    assert run(causeway, folder, SPEC).code == 0
    done = causeway("erase", "demo", "c7", "--json")
    assert done.code == 0, done.err
    erased = done.json["erased"]
    names = ("design.history_units", "design.history_values", "design.history_covariates")
    assert [erased[name] for name in names] == [1, 2, 1]
    for name in names:
        assert client.fetch_all(f"SELECT 1 FROM {name} WHERE unit_id = 'c7'") == []
        assert client.fetch_all(f"SELECT 1 FROM {name} WHERE unit_id = 'c8' LIMIT 1") == [(1,)]
