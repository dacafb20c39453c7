"""The promise of the README, kept by the command itself: real answers, truths that are held, a gate that is closed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def causeway(home: Path, *arguments: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with a house of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=PROJECT,
        env={**environment, "CAUSEWAY_HOME": str(home), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == expected, ran.stderr[-4000:]
    return ran


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="causeway-demo-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def first(home: Path) -> dict[str, Any]:
    """The document that the first demo prints."""
    answers: dict[str, Any] = json.loads(causeway(home, "demo", "--json").stdout)
    return answers


def test_every_run_of_the_demo_succeeds(first: dict[str, Any]) -> None:
    assert first["failures"] == {}
    assert first["runs"] > 10


def test_the_real_trial_agrees_with_its_data_and_with_the_direction_of_the_paper(first: dict[str, Any]) -> None:
    from assets.raw.datasets import health_insurance_experiment

    extract = health_insurance_experiment()
    means = {plan: frame["mdvis"].mean() for (plan,), frame in extract.group_by("plan")}
    plain = {
        row["variant"]: row
        for row in first["health_insurance"]["results"]
        if row["method"] == "difference_in_means" and row["segment"] is None
    }
    assert set(plain) == {"coinsurance_25", "coinsurance_50", "coinsurance_95", "individual_deductible"}
    for plan, row in plain.items():
        assert row["effect"] == pytest.approx(means[plan] - means["free"], abs=1e-9)
        assert row["ci_high"] < 0
    published = first["health_insurance"]["published"]
    order = sorted(("coinsurance_25", "coinsurance_50", "coinsurance_95"), key=lambda plan: plain[plan]["effect"])
    assert order == sorted(order, key=lambda plan: published[plan])


def test_intervals_of_simulated_trials_hold_the_truth(first: dict[str, Any]) -> None:
    held = first["simulated"]
    assert len(held) == 22
    # With twenty-two intervals at 95 %, fewer than eighteen would happen once in two hundred worlds.
    assert sum(each["covered"] for each in held) >= 18
    adjusted = [each for each in held if each["method"] == "adjusted" and each["metric"] == "prescriptions"]
    plain = [each for each in held if each["method"] == "difference_in_means" and each["metric"] == "prescriptions"]
    for narrow, wide in zip(adjusted, plain, strict=True):
        assert narrow["ci_high"] - narrow["ci_low"] < wide["ci_high"] - wide["ci_low"]


def test_the_broken_trial_is_served_without_a_single_number(first: dict[str, Any]) -> None:
    withheld = first["api"]["withheld"]
    assert withheld["status"] == "withheld"
    assert "srm" in withheld["reasons"][0]
    assert withheld["results"]
    for row in withheld["results"]:
        assert row["status"] == "withheld"
        assert [row[name] for name in ("mean", "effect", "ci_low", "ci_high", "p_value", "relative_effect")] == [
            None
        ] * 6


def test_the_observational_estimate_is_nearer_the_truth_than_the_naive_one(first: dict[str, Any]) -> None:
    study = first["study"][0]
    effects = {row["method"]: row for row in study["estimates"]}
    adjusted, naive = effects["aipw"], effects["difference_in_means"]
    assert adjusted["ci_low"] <= study["truth"] <= adjusted["ci_high"]
    assert not naive["ci_low"] <= study["truth"] <= naive["ci_high"]
    assert all(refutation["problem_found"] is False for refutation in study["refutations"])


def test_a_second_demo_makes_nothing_again(first: dict[str, Any], home: Path) -> None:
    again = causeway(home, "demo")
    assert "nothing to do: every partition is up to date" in again.stdout


def test_a_served_number_is_made_again_to_the_last_bit(first: dict[str, Any], home: Path) -> None:
    row = next(row for row in first["health_insurance"]["results"] if row["method"] == "adjusted")
    again = json.loads(causeway(home, "reproduce", row["provenance_id"], "--json").stdout)
    assert again["identical"]
    assert again["rows_recomputed"] == again["rows"] > 0


def test_status_shows_what_is_withheld(first: dict[str, Any], home: Path) -> None:
    status = json.loads(causeway(home, "status", "--json").stdout)
    gates = {row["experiment"]: row["gates_passed"] for row in status["experiments"]}
    assert gates["email_cadence"] is False
    assert all(passed for experiment, passed in gates.items() if experiment != "email_cadence")
    assert status["next"] == []
