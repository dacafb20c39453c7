"""A small, seeded `causeway bench validity --suite causal`: it sees a method that is wrong, not one a little off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import causal_methods, causal_validity
from benchmarks.causal_methods import WORLDS, Seen, knowing_nothing, observe
from benchmarks.causal_validity import (
    ERRORS,
    NO_CLAIM,
    NOT_EFFICIENT,
    QUICK_RUNS,
    SEED,
    CausalValidity,
    Row,
    Same,
    Verdicts,
    row_of,
    run,
    verdicts_of,
)
from benchmarks.causal_verdicts import SCENARIOS, declared_study, document, frame_of
from benchmarks.causal_worlds import RANDOMISED, ROUGH, SMOOTH, draw, unevenly_sampled, with_compliers
from causeway.effects.learners import Mean, Quadratic
from causeway.effects.problem import Computing, Problem
from causeway.simulate.randomness import Streams
from cli.bench import bench, show_causal_validity
from cli.terminal import WrongInput

LEARNT = tuple(world for world in WORLDS if world not in {"blocks", "instrument", "weak instrument"})
CHEAP = ("blocks", "instrument", "weak instrument")


def rows(worlds: tuple[str, ...], runs: int, seed: int = 3) -> dict[str, Row]:
    seen: dict[str, list[Seen]] = {}
    for world in worlds:
        for number in range(runs):
            for each in observe(world, number, Streams(seed)[f"{world} {number}"]):
                seen.setdefault(each.row, []).append(each)
    return {row: row_of(row, members) for row, members in seen.items()}


@pytest.fixture
def smooth(monkeypatch):
    """Learners that are right in most worlds at a twentieth of the time: what is tested is what is done with them."""

    def quick(n, p, kind):
        del n, p, kind
        return (Mean(), Quadratic())

    monkeypatch.setattr("causeway.effects.nuisances.learners_for", quick)


def test_no_method_misses_its_target(smooth):
    found = rows(tuple(world for world in LEARNT if world != "rough"), 10) | rows(CHEAP, 200)
    assert [row for row in found.values() if row.met is False] == []
    assert {row for row, each in found.items() if each.met is None} == set(NO_CLAIM)
    assert set(NOT_EFFICIENT) <= set(found)
    # What is for contrast does contrast.
    assert min(found[f"both are wrong: {target}"].bias for target in ("ATE", "ATT")) > 0.2
    assert found["clusters randomised, and ignored: difference_in_means"].covered < 0.9
    assert found["weak instrument: the usual interval of 2sls"].covered < 0.93
    assert abs(found["sampling weights, and ignored: aipw"].bias) > 2 * abs(found["sampling weights: aipw"].bias)
    # An oracle that misses would be a mistake of the world.
    for row, each in found.items():
        if each.oracle_covered is not None and row not in NO_CLAIM:
            assert abs(each.oracle_covered - 0.95) <= ERRORS * each.error, row


def test_the_learners_that_are_offered_follow_steps_and_waves():
    found = rows(("rough",), 3)["confounded by steps and waves: aipw"]
    assert abs(found.bias) < 0.1
    assert 0.8 < found.width < 1.25


@pytest.mark.parametrize("wrong", ["half the error", "clusters forgotten", "weights forgotten", "not trimmed of bias"])
def test_a_method_that_is_wrong_is_found(wrong, smooth, monkeypatch):
    honest = causal_methods.METHODS["aipw"]

    def aipw(problem, nuisances):
        if wrong == "weights forgotten":
            problem = replace(problem, weights=None)
        found = honest(problem, nuisances)
        estimate = found.estimate
        if wrong == "half the error":
            estimate = replace(estimate, contributions=estimate.contributions / 2)
        elif wrong == "clusters forgotten":
            # As if the units of a cluster had nothing in common.
            size = np.abs(estimate.contributions)
            estimate = replace(estimate, contributions=size * np.where(np.arange(len(size)) % 2, 1, -1))
        elif wrong == "not trimmed of bias":
            estimate = replace(estimate, effect=estimate.effect + 0.25)
        return replace(found, estimate=estimate)

    monkeypatch.setattr(causal_methods, "METHODS", {**causal_methods.METHODS, "aipw": aipw})
    world, row = {
        "half the error": ("confounded", "confounded: aipw, ATE"),
        "clusters forgotten": ("clusters randomised", "clusters randomised: aipw"),
        "weights forgotten": ("weights", "sampling weights: aipw"),
        "not trimmed of bias": ("randomised", "randomised: aipw"),
    }[wrong]
    found = rows((world,), 10)[row]
    if wrong == "weights forgotten":
        assert found.bias > 0.05
    else:
        assert found.met is False


def test_the_true_nuisances_are_those_of_the_draws():
    """Residuals of the oracle have mean zero in each arm, whatever they are multiplied with."""
    for shape in (SMOOTH, ROUGH, RANDOMISED):
        world = draw(np.random.default_rng(1), shape, seed=0, n=200_000)
        problem, true = world.problem, world.true
        residual = problem.outcome - np.where(problem.treated, true.outcome_treated, true.outcome_control)
        for values in (residual, problem.treated - true.propensity):
            for column in (np.ones(problem.n), *problem.x.T, problem.x[:, 1] ** 2):
                assert abs(np.mean(values * column)) < 6 * np.std(values * column) / np.sqrt(problem.n)
        assert world.ate == pytest.approx(world.effect.mean(), abs=0.01)
        assert world.att == pytest.approx(world.effect[problem.treated].mean(), abs=0.01)
        overlap = true.propensity * (1 - true.propensity)
        assert world.ato == pytest.approx(np.average(world.effect, weights=overlap), abs=0.01)


def test_sampling_weights_bring_the_population_back():
    worlds = [unevenly_sampled(np.random.default_rng(number), seed=0) for number in range(20)]
    weighted = np.mean([np.average(world.effect, weights=world.problem.weights) for world in worlds])
    assert weighted == pytest.approx(worlds[0].ate, abs=0.02)
    assert np.mean([world.effect.mean() for world in worlds]) > worlds[0].ate + 0.1


def test_the_effect_among_compliers_is_what_the_oracle_says_of_many():
    drawn = with_compliers(np.random.default_rng(2), seed=0, n=300_000)
    e = drawn.on_outcome.propensity
    z = drawn.instrument
    moved = np.mean(z * drawn.outcome / e - (1 - z) * drawn.outcome / (1 - e))
    share = np.mean(z * drawn.treatment / e - (1 - z) * drawn.treatment / (1 - e))
    assert moved / share == pytest.approx(drawn.truth, abs=0.05)


def test_one_wrong_nuisance_is_what_a_problem_with_that_learner_fits():
    """The bench swaps predictions; fitting with the wrong learner given is the same to the last bit."""
    world = draw(np.random.default_rng(4), SMOOTH, seed=9, n=400)
    problem = world.problem
    fitted, constant = problem.nuisances(), knowing_nothing(problem)
    given = replace(problem, given={"propensity": (Mean(),)}).nuisances()
    for usual, none, wrong in zip(fitted, constant, given, strict=True):
        assert np.array_equal(wrong.propensity, none.propensity)
        assert np.array_equal(wrong.outcome_control, usual.outcome_control)
        assert np.array_equal(wrong.outcome_treated, usual.outcome_treated)


@pytest.mark.parametrize(("n_jobs", "backend"), [(1, "threading"), (2, "threading"), (2, "loky")])
def test_nuisances_and_effects_are_the_same_to_the_last_bit(n_jobs, backend):
    def fitted(problem: Problem, computing: Computing) -> list[np.ndarray]:
        problem = replace(problem, computing=computing)
        nuisances = problem.nuisances()
        effect = causal_methods.METHODS["aipw"](problem, nuisances).estimate
        predicted = [getattr(each, name) for each in nuisances for name in ("propensity", "outcome", "folds")]
        return [np.array(effect.effect), effect.contributions, *predicted]

    problem = draw(np.random.default_rng(6), ROUGH, seed=3, n=300).problem
    first = fitted(problem, Computing())
    for one, other in zip(first, fitted(problem, Computing(n_jobs, backend)), strict=True):
        assert np.array_equal(one, other)
    other_seed = fitted(replace(problem, seed=4), Computing())
    assert not np.array_equal(first[0], other_seed[0])


def test_an_answer_is_the_same_to_the_last_bit_over_threads():
    frame = frame_of(draw(np.random.default_rng(5), SMOOTH, seed=0, n=300))
    study = declared_study(effect_modifiers=["x0"])
    one, again = (
        json.dumps(document(frame, study, computing, in_full=False), sort_keys=True)
        for computing in (Computing(), Computing(2, "threading"))
    )
    assert one == again


@pytest.mark.parametrize("scenario", [name for name, each in SCENARIOS.items() if not each.in_full])
def test_verdicts_see_what_is_wrong_and_let_pass_what_is_right(scenario, smooth):
    given = [run(("verdicts", scenario, 3, number)) for number in range(2)]
    found = verdicts_of(scenario, given)
    assert found.right >= 1 / 2
    if scenario.startswith("correct"):
        assert found.withheld == 0
    else:
        assert found.credible == 0


def test_shares_are_judged():
    """Of a hundred runs 95 hold the truth, then 80; the interval is as wide as the oracle's, then half more."""
    right = [Seen("a row", 0.01, number >= 5, 1.0, True, 1.0) for number in range(100)]
    assert row_of("a row", right).met is True
    assert row_of("a row", [replace(each, covered=n >= 20) for n, each in enumerate(right)]).met is False
    wide = [replace(each, width=1.5) for each in right]
    assert row_of("a row", wide).met is False
    assert row_of(NOT_EFFICIENT[0], wide).met is True
    assert row_of(next(iter(NO_CLAIM)), wide).met is None
    assert row_of("a row", [Seen("a row", error) for error in (0.0, 0.2)]).met is False
    assert verdicts_of("no overlap, ATE", ["withheld"] * 10).met
    assert not verdicts_of("no overlap, ATE", ["withheld"] * 5 + ["credible"] * 5).met


def test_the_number_of_processes_changes_no_number(smooth):
    """Worlds that learn nothing: the setting of the fixture does not reach another process."""
    one, other = (
        causal_validity.causal_validity(
            lambda *_: None, runs=3, worlds=("blocks", "instrument"), scenarios=(), ways=(), workers=workers
        )
        for workers in (0, 2)
    )
    assert one == other
    assert one.rows


@pytest.fixture
def found() -> CausalValidity:
    row = Row("a row", 100, 0.01, 0.01, 0.95, 0.02, 1.0, 0.95, "covers 95%", True)
    bias = Row("the outcomes are wrong: ATE", 100, 0.01, 0.01, None, None, None, None, "bias at most 0.05 sd", True)
    verdicts = Verdicts("no overlap, ATE", 10, 0.0, 0.0, 1.0, 1.0, "withheld, 95% or more", True)
    return CausalValidity(SEED, (row, bias), (verdicts,), (Same("again", True),))


def asked(*arguments):
    app = typer.Typer()
    app.command()(bench)
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("met", [True, False])
def test_the_exit_code_says_whether_a_target_was_missed(found, met, monkeypatch):
    wanted = {}

    def made(progress, *, runs, seed):
        wanted.update(runs=runs, seed=seed)
        progress(1, 2, "confounded")
        return replace(found, rows=(replace(found.rows[0], met=met), *found.rows[1:]))

    monkeypatch.setattr("benchmarks.causal_validity.causal_validity", made)
    done = asked("validity", "--suite", "causal", "--quick", "--seed", "0", "--json")
    assert done.exit_code == (0 if met else 1)
    assert [each["kind"] for each in json.loads(done.stdout)] == ["causal rates"] * 2 + ["verdicts", "determinism"]
    assert wanted == {"runs": QUICK_RUNS, "seed": 0}
    assert "no overlap, ATE" in asked("validity", "--suite", "causal").stdout
    assert wanted == {"runs": causal_validity.RUNS, "seed": SEED}


def test_a_suite_belongs_to_validity():
    assert isinstance(asked("spine", "--suite", "causal").exception, WrongInput)
    assert asked("validity", "--suite", "sorcery").exit_code == 2


def test_everything_is_shown_and_written(found):
    terminal = Console(width=200)
    with terminal.capture() as capture:
        show_causal_validity(terminal, found)
    text = capture.get()
    for each in ("a row", "the outcomes are wrong: ATE", "no overlap, ATE", "again"):
        assert each in text


def test_the_page_shows_every_row_and_every_verdict():
    page = (Path(__file__).parents[2] / "docs" / "causal-validity.md").read_text(encoding="utf-8")
    for row in (*NO_CLAIM, *NOT_EFFICIENT, "randomised: aipw", "confounded: aipw, ATT", *SCENARIOS):
        assert f"| {row} |" in page
