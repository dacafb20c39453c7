from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import Table

from causeway.statistics import Moments, difference_in_means, sample_ratio_test
from causeway.statistics.comparison import EstimatedMean
from causeway.statistics.interactions import (
    AssignmentDependence,
    Interaction,
    assignment_dependence,
    interaction,
    screen,
)

RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5
TWO_BY_TWO = [(a, b) for a in ("new", "old") for b in ("red", "blue")]
CONTROL = ("old", "blue")


def counts_of(table: np.ndarray) -> dict[tuple[str, str], int]:
    return {(f"a{i}", f"b{j}"): int(n) for (i, j), n in np.ndenumerate(table)}


def cells_of(seed: int, pairs=TWO_BY_TWO) -> dict[tuple[str, str], np.ndarray]:
    rng = np.random.default_rng(seed)
    return {pair: rng.normal(rng.normal(), rng.uniform(0.5, 3), size=rng.integers(8, 40)) for pair in pairs}


def moments_of(cells: dict[tuple[str, str], np.ndarray]) -> dict[tuple[str, str], Moments]:
    return {pair: Moments.from_arrays(y) for pair, y in cells.items()}


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (4, 5)])
def test_independence_agrees_with_scipy_and_statsmodels(shape):
    table = np.random.default_rng(sum(shape)).integers(20, 200, size=shape)
    ours = assignment_dependence(counts_of(table))
    theirs = stats.chi2_contingency(table, correction=False)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.df, ours.n) == (theirs.dof, table.sum())
    assert ours.cramers_v == pytest.approx(stats.contingency.association(table, method="cramer"), rel=1e-9)
    independent = Table(table, shift_zeros=False).test_nominal_association()
    assert ours.p_value == pytest.approx(independent.pvalue, rel=1e-9)


def test_few_units_are_tested_by_tables_with_the_same_margins():
    table = np.array([[2, 8], [7, 3]])
    ours = assignment_dependence(counts_of(table))
    assert ours.settings["method"] == "monte_carlo_margins"
    # Fisher's test orders tables by probability, ours by chi-square: the same order for this table.
    assert ours.p_value == pytest.approx(stats.fisher_exact(table).pvalue, abs=3 * (0.04 / 20_000) ** 0.5)
    assert ours == assignment_dependence(counts_of(table))


def test_a_wrong_sample_ratio_of_one_experiment_is_no_dependence_unless_weights_are_declared():
    counts = {("new", "red"): 600, ("new", "blue"): 600, ("old", "red"): 400, ("old", "blue"): 400}
    weights = {"new": 1, "old": 1}, {"red": 1, "blue": 1}
    assert assignment_dependence(counts).p_value == 1.0
    declared = assignment_dependence(counts, weights=weights)
    theirs = sample_ratio_test(dict(zip("abcd", counts.values(), strict=True)), dict.fromkeys("abcd", 1))
    assert (declared.p_value, declared.df) == (theirs.p_value, 3)
    assert declared.cramers_v == 0.0


def test_declared_weights_are_multiplied():
    counts = {("new", "red"): 90, ("new", "blue"): 10, ("old", "red"): 810, ("old", "blue"): 90}
    found = assignment_dependence(counts, weights=({"new": 1, "old": 9}, {"red": 0.9, "blue": 0.1}))
    assert found.statistic == pytest.approx(0, abs=1e-20)
    with pytest.raises(ValueError):
        assignment_dependence({("other", "red"): 5}, weights=({"new": 1, "old": 9}, {"red": 0.9, "blue": 0.1}))


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({}, "no_units"),
        ({("a", "x"): 0, ("b", "y"): 0}, "no_units"),
        ({("a", "x"): 5, ("b", "x"): 5}, "not_estimable"),
        ({("a", "x"): 5, ("b", "x"): 5, ("b", "y"): 0}, "not_estimable"),
        ({("a", "x"): 5, ("b", "y"): 5}, "ok"),
    ],
)
def test_dependence_that_cannot_be_tested_has_a_status(counts, status):
    found = assignment_dependence(counts)
    assert found.status == status
    assert (found.p_value is None) == (status != "ok")
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="negative"):
        assignment_dependence({("a", "x"): -1})


@pytest.mark.parametrize("seed", range(4))
def test_two_by_two_is_the_interaction_of_ols_with_hc2(seed):
    """HC2 is s**2 / n in each cell. Its t has N - 4 degrees of freedom, ours Satterthwaite's: the p-values differ."""
    cells = cells_of(seed)
    found = interaction(moments_of(cells), control=CONTROL)
    y = np.concatenate(list(cells.values()))
    a = np.repeat([pair[0] == "new" for pair in cells], [len(each) for each in cells.values()]).astype(float)
    b = np.repeat([pair[1] == "red" for pair in cells], [len(each) for each in cells.values()]).astype(float)
    fit = sm.OLS(y, np.column_stack([np.ones_like(y), a, b, a * b])).fit(cov_type="HC2")
    (effect,) = found.effects.values()
    assert effect.effect == pytest.approx(fit.params[3], rel=1e-9)
    assert effect.std_error == pytest.approx(fit.bse[3], rel=1e-9)
    assert found.p_value == pytest.approx(effect.p_value, rel=1e-9)
    assert found.statistic == pytest.approx((effect.effect / effect.std_error) ** 2, rel=1e-9)


def test_more_variants_are_one_wald_test_of_all_contrasts():
    """Against the Wald statistic of OLS with HC2, which the F of Johansen (1980) corrects for small cells."""
    pairs = [(a, b) for a in ("c", "t1", "t2") for b in ("c", "u1", "u2")]
    cells = cells_of(7, pairs)
    big = {pair: np.tile(y, 2_000) for pair, y in cells.items()}
    found = interaction(moments_of(big), control=("c", "c"))
    v = np.diag([y.var(ddof=1) / len(y) for y in big.values()])
    against = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    rows = np.kron(against, against)
    values = rows @ [y.mean() for y in big.values()]
    wald = values @ np.linalg.solve(rows @ v @ rows.T, values)
    assert found.df == 4
    assert found.statistic * 4 == pytest.approx(wald, rel=1e-3)
    assert set(found.effects) == {(a, b) for a in ("t1", "t2") for b in ("u1", "u2")}


@settings(max_examples=20)
@given(st.permutations([(a, b) for a in ("c", "t1", "t2") for b in ("c", "u1")]), st.integers(0, 50))
def test_neither_order_nor_names_matter(order, seed):
    cells = moments_of(cells_of(seed, [(a, b) for a in ("c", "t1", "t2") for b in ("c", "u1")]))
    plain = interaction(cells, control=("c", "c"))
    shuffled = interaction({pair: cells[pair] for pair in order}, control=("c", "c"))
    turned = interaction({(b, a): cell for (a, b), cell in cells.items()}, control=("c", "c"))
    for other in (shuffled, turned):
        assert other.p_value == pytest.approx(plain.p_value, rel=1e-9)
    assert shuffled.effects["t1", "u1"].effect == pytest.approx(plain.effects["t1", "u1"].effect, rel=1e-9)
    assert turned.effects["u1", "t1"].effect == pytest.approx(plain.effects["t1", "u1"].effect, rel=1e-9)
    # Which variant is the control says how the contrasts are written, not whether there are any.
    assert interaction(cells, control=("t2", "u1")).p_value == pytest.approx(plain.p_value, rel=1e-9)


def test_the_effect_is_a_difference_of_two_effects():
    cells = moments_of(cells_of(3))
    found = interaction(cells, control=CONTROL).effects["new", "red"]
    with_red = difference_in_means(cells["new", "red"], cells["old", "red"])
    with_blue = difference_in_means(cells["new", "blue"], cells["old", "blue"])
    assert found.effect == pytest.approx(with_red.effect - with_blue.effect, rel=1e-9)
    assert found.std_error == pytest.approx(np.hypot(with_red.std_error, with_blue.std_error), rel=1e-9)
    assert (found.relative_effect, found.mean, found.mean_control) == (None, None, None)


@pytest.mark.parametrize(
    ("cell", "status"), [(None, "no_units"), ([], "no_units"), ([1.0], "too_few_units"), ([1.0, 1.0], "ok")]
)
def test_an_interaction_that_cannot_be_tested_has_a_status(cell, status):
    cells = moments_of(cells_of(1))
    if cell is None:
        del cells["new", "red"]
        cells["new", "blue"], cells["old", "red"] = cells["old", "red"], cells["new", "blue"]
    else:
        cells["new", "red"] = Moments.from_arrays(cell)
    found = interaction(cells, control=CONTROL)
    assert found.status == status
    assert found.effects["new", "red"].status == status
    assert (found.p_value is None) == (status != "ok")
    assert json.loads(json.dumps(found.settings)) == found.settings


def test_constant_cells_and_lonely_experiments_have_a_status():
    constant = dict.fromkeys(TWO_BY_TWO, EstimatedMean(5, 1.0, 0.0))
    assert interaction(constant, control=CONTROL).status == "zero_variance"
    alone = {("new", "red"): EstimatedMean(5, 1.0, 1.0), ("old", "red"): EstimatedMean(5, 1.0, 1.0)}
    assert interaction(alone, control=("old", "red")).status == "not_estimable"
    three = {(a, b): EstimatedMean(5, 1.0, float(a == b == "c")) for a in ("c", "t", "u") for b in ("c", "t")}
    assert interaction(three, control=("c", "c")).status == "not_estimable"
    with pytest.raises(ValueError, match="control"):
        interaction(constant, control=("new", "green"))


def drawn(rng: np.random.Generator, shape: tuple[int, int], size: int, effect: float) -> Interaction:
    """Skewed outcomes with two main effects, unequal cells, and an interaction in the last cell."""
    cells = {}
    for i in range(shape[0]):
        for j in range(shape[1]):
            y = rng.exponential(2, size=size * (1 + i)) + i + 0.5 * j
            cells[f"a{i}", f"b{j}"] = Moments.from_arrays(y + effect * (i == j == 1))
    return interaction(cells, control=("a0", "b0"))


@pytest.mark.parametrize("shape", [(2, 2), (3, 3)])
def test_effects_that_add_up_interact_in_five_of_100_trials(shape):
    rng = np.random.default_rng(71)
    found = [drawn(rng, shape, 60, 0.0) for _ in range(RUNS)]
    assert abs(np.mean([each.p_value < 0.05 for each in found]) - 0.05) < THREE_ERRORS


def test_the_interval_covers_the_interaction():
    rng = np.random.default_rng(72)
    found = [drawn(rng, (2, 2), 60, 1.0).effects["a1", "b1"] for _ in range(RUNS)]
    assert abs(np.mean([each.ci_low <= 1 <= each.ci_high for each in found]) - 0.95) < THREE_ERRORS


def test_independent_assignments_depend_in_five_of_100_trials():
    rng = np.random.default_rng(73)
    tables = rng.multinomial(500, np.outer([0.5, 0.3, 0.2], [0.6, 0.4]).ravel(), size=RUNS)
    found = [assignment_dependence(counts_of(table.reshape(3, 2))) for table in tables]
    assert abs(np.mean([each.p_value < 0.05 for each in found]) - 0.05) < THREE_ERRORS


def test_the_screen_over_all_pairs_keeps_the_false_discovery_rate_and_finds_what_there_is():
    rng = np.random.default_rng(74)
    wrong, found_true = [], []
    for _ in range(60):
        pairs = {str(i): drawn(rng, (2, 2), 50, 2.5 if i < 4 else 0.0) for i in range(20)}
        found = {name for name, each in screen(pairs, q=0.1).items() if each.found}
        wrong.append(sum(int(name) >= 4 for name in found) / max(len(found), 1))
        found_true.append(sum(int(name) < 4 for name in found) / 4)
    assert 0.02 < np.mean(wrong) < 0.1 * 16 / 20 + 3 * np.std(wrong) / 60**0.5
    assert np.mean(found_true) > 0.8


def test_a_screen_of_pairs_without_any_interaction_finds_none_in_95_of_100_nights():
    rng = np.random.default_rng(75)
    p_values = rng.uniform(size=(RUNS, 20))
    nights = [
        any(
            each.found
            for each in screen({str(i): AssignmentDependence("ok", 9, p) for i, p in enumerate(row)}).values()
        )
        for row in p_values
    ]
    assert abs(np.mean(nights) - 0.05) < THREE_ERRORS


def test_a_pair_that_was_not_tested_counts_in_the_screen():
    pairs = {"x": Interaction("ok", 9, p_value=0.04), "y": Interaction("no_units", 0)}
    found = screen(pairs)
    assert (found["x"].p_value_adjusted, found["x"].found) == (0.08, False)
    assert (found["y"].p_value_adjusted, found["y"].found) == (None, False)
