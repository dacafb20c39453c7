"""From somebody's file to an honest effect, and from a mistake to the line that it is in."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scipy import stats

from resources.connection import connect

if TYPE_CHECKING:
    from conftest import CommandLine

    from resources.postgres_client import PostgresClient

SPEC = """\
kind: experiment
key: email_campaign
tenant: demo
unit: customer
control: none
variants: {none: 1, mens: 1, womens: 1}
metrics:
  - {key: visit, type: conversion, column: visit, role: primary}
  - {key: spend, type: mean, column: spend, role: secondary}
covariates: [recency, history]
segments: [channel]
source: {file: campaign.csv, unit_id: customer_id, variant: arm}
"""
RESULT = {
    "metric", "segment", "variant", "control", "method", "status", "n", "n_control", "mean", "mean_control", "effect",
    "ci_low", "ci_high", "p_value", "relative_effect", "relative_ci_low", "relative_ci_high", "provenance_id",
}  # fmt: skip


def campaign(folder: Path) -> list[dict[str, Any]]:
    """300 customers in three arms, in campaign.csv."""
    dice = random.Random(5)
    rows = []
    for number in range(300):
        arm = ("none", "mens", "womens")[number % 3]
        history = round(dice.gauss(100, 20), 2)
        rows.append(
            {
                "customer_id": f"c{number}",
                "arm": arm,
                "recency": dice.randint(1, 12),
                "history": history,
                "channel": dice.choice(["web", "phone"]),
                "visit": int(dice.random() < 0.4),
                "spend": round(0.1 * history + (4 if arm == "mens" else 0) + dice.gauss(0, 3), 3),
            }
        )
    with (folder / "campaign.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("campaign")
    found = campaign(folder)
    (folder / "email_campaign.yaml").write_text(SPEC)
    return folder / "email_campaign.yaml", found


@pytest.fixture(scope="module")
def answer(causeway: CommandLine, rows: tuple[Path, list[dict[str, Any]]]) -> dict[str, Any]:
    """The first answer; everything that is made once for a house is made here."""
    done = causeway("analyze", rows[0], "--json")
    assert done.code == 0, done.err
    return done.json  # type: ignore[no-any-return]


def one(answer: dict[str, Any], metric: str, variant: str, method: str) -> dict[str, Any]:
    (row,) = (
        row
        for row in answer["results"]
        if (row["metric"], row["variant"], row["method"], row["segment"]) == (metric, variant, method, None)
    )
    return row


def test_the_answer_has_the_documented_shape(answer: dict[str, Any]) -> None:
    assert answer["experiment"] == "email_campaign"
    assert answer["health"]["srm"]["passed"] is True
    assert answer["health"]["srm"]["p_value"] == pytest.approx(1)
    assert all(set(row) >= RESULT for row in answer["results"])
    methods = {row["method"] for row in answer["results"] if row["segment"] is None}
    assert methods == {"difference_in_means", "cuped", "adjusted", "post_stratified"}
    assert {row["segment"] for row in answer["results"]} == {None, "channel=web", "channel=phone"}
    assert {(row["variant"], row["control"]) for row in answer["results"]} == {("mens", "none"), ("womens", "none")}
    assert {row["status"] for row in answer["results"]} == {"ok"}
    assert answer["failures"] == []


def test_the_effect_is_that_of_welchs_test(answer: dict[str, Any], rows: tuple[Path, list[dict[str, Any]]]) -> None:
    spend = {arm: [row["spend"] for row in rows[1] if row["arm"] == arm] for arm in ("mens", "none")}
    welch = stats.ttest_ind(spend["mens"], spend["none"], equal_var=False)
    low, high = welch.confidence_interval()
    row = one(answer, "spend", "mens", "difference_in_means")
    assert (row["n"], row["n_control"]) == (100, 100)
    assert [row["p_value"], row["ci_low"], row["ci_high"]] == pytest.approx([welch.pvalue, low, high], rel=1e-9)


def test_the_same_file_again_gives_the_same_answer_and_makes_nothing(
    causeway: CommandLine, rows: tuple[Path, list[dict[str, Any]]], answer: dict[str, Any]
) -> None:
    done = causeway("analyze", rows[0], "--json")
    assert done.json == answer
    assert "analysed" not in done.err


def test_a_number_is_made_again_to_the_last_bit_and_a_tampered_version_is_found_out(
    causeway: CommandLine, client: PostgresClient, answer: dict[str, Any]
) -> None:
    provenance_id = one(answer, "spend", "mens", "difference_in_means")["provenance_id"]
    first = causeway("reproduce", provenance_id, "--json")
    assert first.code == 0, first.err
    assert first.json["identical"] is True
    assert first.json["recorded"] == first.json["recomputed"]

    with connect(causeway.settings.admin_address(causeway.settings.database_name), autocommit=True) as admin:
        admin.execute("UPDATE ops.provenance SET data_version = 'forged' WHERE provenance_id = %s", (provenance_id,))
    second = causeway("reproduce", provenance_id, "--json")
    assert second.code == 1
    assert second.json["identical"] is False
    assert second.json["recomputed"] == first.json["recomputed"]


def test_status_lists_what_is_served_and_what_is_next(causeway: CommandLine, answer: dict[str, Any]) -> None:
    done = causeway("status", "--json")
    assert done.code == 0, done.err
    served = {(row["tenant"], row["experiment"]): row for row in done.json["experiments"]}
    assert served["demo", "email_campaign"]["units"] == 300
    assert served["demo", "email_campaign"]["gates_passed"] is True
    assert [work for work in done.json["next"] if work["partition"] == "demo|email_campaign"] == []


def test_a_unit_keeps_its_variant(causeway: CommandLine, answer: dict[str, Any]) -> None:
    done = causeway("assign", "email_campaign", "c1", "c2", "c1", "--tenant", "demo", "--json")
    assert done.code == 0, done.err
    first, second, again = done.json
    assert first == again
    assert (first["unit_id"], second["unit_id"]) == ("c1", "c2")
    assert first["variant"] in {"none", "mens", "womens"}


def test_an_experiment_that_is_not_there_cannot_assign(causeway: CommandLine, answer: dict[str, Any]) -> None:
    done = causeway("assign", "email_campaing", "c1", "--tenant", "demo")
    assert done.code == 2
    assert "tenant demo has no experiment 'email_campaing'" in done.line


def test_an_unknown_provenance_is_the_callers_mistake(causeway: CommandLine, answer: dict[str, Any]) -> None:
    done = causeway("reproduce", "p_nothing")
    assert done.code == 2
    assert "there is no provenance 'p_nothing'" in done.line


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(spec: str) -> str:
        assert old in spec
        return spec.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        pytest.param(replaced("covariates:", "covariatez:"), 10, ["covariatez", "covariates"], id="an unknown key"),
        pytest.param(
            replaced("{none: 1, mens: 1", "{none: 1, mens: many"), 6, ["variants", "number", "many"], id="a wrong type"
        ),
        pytest.param(
            replaced("type: mean", "type: average"), 9, ["average", "conversion, count, sum, mean"], id="a wrong word"
        ),
        pytest.param(replaced("column: spend", "column: spent"), 9, ["'spent'", "'spend'"], id="a missing column"),
        pytest.param(replaced("[channel]", "[region]"), 11, ["'region'"], id="a missing segment"),
        pytest.param(replaced("variant: arm", "variant: army"), 12, ["'army'", "'arm'"], id="a missing variant column"),
        pytest.param(replaced("control: none", "control: nobody"), 5, ["'nobody'"], id="a control that is no variant"),
        pytest.param(replaced("tenant: demo", "tenant: Demo Inc."), 3, ["tenant"], id="a tenant that is no name"),
        pytest.param(replaced("  - {key: spend", "  - {key: [spend"), 9, [], id="no YAML"),
    ],
)
def test_a_bad_spec_names_its_line_and_what_was_expected(
    causeway: CommandLine, tmp_path: Path, change: Callable[[str], str], line: int, words: list[str]
) -> None:
    campaign(tmp_path)
    spec = tmp_path / "mistaken.yaml"
    spec.write_text(change(SPEC).replace("key: email_campaign", "key: mistaken"))
    done = causeway("analyze", spec, "--json")
    assert done.code == 2
    assert done.out == ""
    assert f"mistaken.yaml:{line}: " in done.line
    assert [word for word in words if word not in done.line] == []


def test_a_bad_spec_leaves_nothing_registered(causeway: CommandLine, client: PostgresClient, answer: object) -> None:
    assert client.fetch_all("SELECT key FROM registry.experiments WHERE key = 'mistaken'") == []
    assert client.fetch_all("SELECT key FROM registry.sources WHERE key = 'mistaken'") == []


def test_a_missing_spec_and_a_missing_file_are_named(causeway: CommandLine, tmp_path: Path) -> None:
    missing = causeway("analyze", tmp_path / "nothing.yaml")
    assert (missing.code, str(tmp_path / "nothing.yaml") in missing.line) == (2, True)
    (tmp_path / "spec.yaml").write_text(SPEC)
    fileless = causeway("analyze", tmp_path / "spec.yaml")
    assert (fileless.code, str(tmp_path / "campaign.csv") in fileless.line) == (2, True)


HILLSTROM = """\
kind: experiment
key: hillstrom
tenant: demo
unit: customer
control: No E-Mail
variants: {No E-Mail: 1, Mens E-Mail: 1, Womens E-Mail: 1}
metrics:
  - {key: visit, type: conversion, column: visit, role: primary}
  - {key: conversion, type: conversion, column: conversion}
  - {key: spend, type: mean, column: spend}
segments: [womens]
covariates: [recency, history]
source: {file: hillstrom.csv, variant: segment}
"""
# MineThatData challenge 2008: rates to 0.005 percentage points, standard errors to 0.5 per cent.
PUBLISHED = [
    ("visit", None, "Mens E-Mail", 0.07659, 0.00339, 5e-5),
    ("visit", None, "Womens E-Mail", 0.04523, 0.00323, 5e-5),
    ("conversion", None, "Mens E-Mail", 0.00681, 0.00092, 5e-5),
    ("conversion", None, "Womens E-Mail", 0.00311, 0.00082, 5e-5),
    ("spend", None, "Mens E-Mail", 0.770, 0.145, 5e-4),
    ("spend", None, "Womens E-Mail", 0.424, 0.130, 5e-4),
    ("visit", "womens=0", "Womens E-Mail", 0.0111, 0.0044, 5e-5),
    ("visit", "womens=1", "Womens E-Mail", 0.0731, 0.0046, 5e-5),
]


def test_a_published_trial_of_64_000_customers_comes_out_as_published(
    causeway: CommandLine, reference_data: Path, tmp_path: Path, answer: object
) -> None:
    (tmp_path / "hillstrom.csv").symlink_to(reference_data / "hillstrom" / "hillstrom.csv")
    (tmp_path / "hillstrom.yaml").write_text(HILLSTROM)
    done = causeway("analyze", tmp_path / "hillstrom.yaml", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["health"]["srm"]["p_value"] == pytest.approx(0.904, abs=5e-4)
    results = {(row["metric"], row["segment"], row["variant"], row["method"]): row for row in found["results"]}
    for metric, segment, variant, effect, std_error, tolerance in PUBLISHED:
        row = results[metric, segment, variant, "difference_in_means"]
        assert row["effect"] == pytest.approx(effect, abs=tolerance)
        # Half a unit of the last published digit, or half a per cent of the number itself.
        digits = 10 ** -len(str(std_error).partition(".")[2])
        assert row["std_error"] == pytest.approx(std_error, abs=max(digits / 2, 0.005 * std_error))
    sizes = results["visit", None, "Mens E-Mail", "difference_in_means"]
    assert (sizes["n"], sizes["n_control"]) == (21_307, 21_306)
    assert sizes["mean"] == pytest.approx(0.18276, abs=5e-5)
    assert sizes["mean_control"] == pytest.approx(0.10617, abs=5e-5)
    adjusted = results["visit", None, "Mens E-Mail", "adjusted"]
    assert adjusted["status"] == "ok"
    assert adjusted["effect"] == pytest.approx(0.07659, abs=0.00339 / 2)
