"""Published answers of real studies, and the page that shows them beside ours."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "draw_real_studies.py"
SIMULATED = "ACIC 2016"
K401 = "401(k)"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_real_studies", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(script) -> str:
    return script.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(script, reference_data):
    return script.found_in(reference_data, lambda study: not study.name.startswith(SIMULATED))


def as_the_page_says(script, page, found) -> None:
    lines = [*map(script.line_of_number, found.compared), *map(script.line_of_fact, found.told)]
    assert [line for line in lines if f"{line}\n" not in page] == []


def test_every_published_answer_is_met(found):
    assert [(each.study.name, each.published.question, each.row) for each in found.compared if not each.within] == []
    assert [(each.study.name, each.fact.question, each.ours) for each in found.told if not each.holds] == []
    assert len(found.compared) == 26


def test_verdicts_are_what_they_should_be(script, found, reference_data):
    allowed = {study.name: study.verdicts for study in script.studies(reference_data)}
    assert [(name, verdict) for name, verdict in found.verdicts.items() if verdict not in allowed[name]] == []
    assert found.verdicts["NSW trainees beside CPS-1, $: everybody"] == "withheld"


def test_the_page_shows_what_is_found(script, page, found):
    as_the_page_says(script, page, found)
    assert "**no**" not in page
    assert all(line in page for line in (*script.INTRODUCTION, *script.REMARKS))
    assert page.count(f"| {SIMULATED}, simulation ") == 2 * len(script.SIMULATIONS)


@pytest.mark.parametrize("simulation", [1, 2, 3, 4, 5])
def test_simulated_effects_on_the_treated_are_recovered(script, page, reference_data, simulation):
    """The mean of the effects of units takes longer than all else: of one simulation here, of all in the page."""
    (study,) = (each for each in script.studies(reference_data) if each.name == f"{SIMULATED}, simulation {simulation}")
    wanted = study if simulation == 1 else replace(study, facts=())
    answers = wanted.answered(reference_data)
    row = next(row for row in answers[0].answer.estimates if row.method == "aipw")
    compared = script.Compared(study, study.published[0], row, answers[0].answer.verdict)
    told = tuple(script.Told(study, fact, *fact.ours(answers)) for fact in wanted.facts)
    assert compared.within
    assert all(each.holds for each in told)
    as_the_page_says(script, page, script.Found((compared,), told, {}))


def test_a_seed_moves_no_answer_by_half_a_standard_error(script, found, reference_data):
    (study,) = (each for each in script.studies(reference_data) if each.name.startswith(K401))
    (other,) = study.answered(reference_data, seed=1)
    for each in found.compared:
        if each.study.name == study.name:
            row = next(row for row in other.answer.estimates if row.method == each.published.method)
            assert each.published.low <= row.effect <= each.published.high
            assert abs(row.effect - each.row.effect) < 0.5 * row.std_error


def test_another_number_is_not_within(script, found):
    """The comparison can fail."""
    first = found.compared[0]
    far = script.Published(first.published.question, first.published.method, "2.6", 2.55, 2.65)
    error = replace(first.published, std_error="0.41")
    assert not replace(first, published=far).within
    assert not replace(first, published=error).within
