"""Published answers of real trials, and the page that shows them beside ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters

SCRIPT = Path(__file__).parents[1] / "docs" / "draw_real_trials.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_real_trials", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def answers(script, reference_data):
    return script.answers(reference_data)


def test_every_difference_in_means_agrees_to_the_printed_digit(answers):
    exact = [each for each in answers if each.exact]
    assert [(each.trial, each.question) for each in exact if not each.agrees] == []
    assert len(exact) == 14
    assert {each.trial for each in exact} == {each.trial for each in answers}


def test_every_published_value_is_inside_every_interval(answers):
    assert [(each.question, each.method) for each in answers if not each.inside] == []
    methods = {each.method.partition(" ")[0] for each in answers}
    assert methods == {"difference_in_means", "cuped", "post_stratified", "clusters"}


def test_the_page_shows_what_is_found(script, answers):
    assert script.page(answers) == script.PAGE.read_text(encoding="utf-8")


def test_another_number_does_not_agree(script, answers):
    """The comparison can fail: a digit more or less is not the printed one."""
    first = answers[0]
    changed = script.Answer(
        first.trial, first.question, first.method, "+7.660", first.std_error, first.effect, first.unit
    )
    far = script.Answer(first.trial, first.question, first.method, "+6.9", None, first.effect, first.unit)
    assert not changed.agrees
    assert not far.inside


def test_children_of_one_school_are_alike(reference_data):
    """STAR by schools: the standard error is the sandwich of statsmodels, and nearly twice that of children alone."""
    frame = pl.read_csv(reference_data / "star" / "star.csv", infer_schema_length=None, null_values=["NA", ""])
    frame = frame.with_columns(score=pl.col("readk") + pl.col("mathk")).drop_nulls(["stark", "score"])
    assert frame.height == 5_786
    frame = frame.filter(pl.col("stark").is_in(["small", "regular"]))
    small, score = (frame["stark"] == "small").to_numpy(), frame["score"].to_numpy().astype(float)
    school = frame["schoolidk"].to_numpy()
    found = ClustersAcrossArms.from_arrays(school, small, score)
    ours = effect_across_clusters(found, small_sample="cr1")
    theirs = sm.OLS(score, sm.add_constant(small.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": school.astype(np.int64)}
    )
    assert ours.effect == pytest.approx(theirs.params[1], rel=1e-9)
    assert ours.std_error == pytest.approx(theirs.bse[1], rel=1e-9)
    assert ours.settings["clusters_in_both"] == 78
    assert effect_across_clusters(found).std_error == pytest.approx(4.24, abs=0.01)
