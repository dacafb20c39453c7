"""Gaps of segments: arithmetic that can be checked by hand, agreement with regression, and known truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causeway.actions.gaps import Terms, segment_gaps
from causeway.actions.units import ScoredUnits, variance_of_sum


def world(
    n: int,
    seed: int,
    *,
    effects: tuple[float, ...] = (0.5,),
    wrong_outcome: bool = False,
    wrong_propensity: bool = False,
) -> ScoredUnits:
    """Units in len(effects) segments with confounding by x; the effect is that of the segment plus x / 2."""
    rng = np.random.default_rng(seed)
    x, segment = rng.normal(size=n), rng.integers(0, len(effects), n)
    propensity = 1 / (1 + np.exp(-0.8 * x))
    treated = rng.random(n) < propensity
    effect = np.asarray(effects)[segment] + x / 2
    control = 1 + 2 * x
    outcome = control + treated * effect + rng.normal(size=n)
    mu0, mu1 = (np.zeros(n), np.ones(n)) if wrong_outcome else (control, control + effect)
    e = np.full(n, float(treated.mean())) if wrong_propensity else propensity
    score = mu1 - mu0 + treated * (outcome - mu1) / e - ~treated * (outcome - mu0) / (1 - e)
    return ScoredUnits(
        score=score,
        effect=mu1 - mu0,
        propensity=e,
        treated=treated,
        outcome=outcome,
        extrapolated=np.zeros(n, dtype=np.bool_),
        cost=np.full(n, 2.0),
        segment=segment.astype(np.int64),
    )


def truths(n: int, seed: int, effect: float) -> tuple[float, float]:
    """Effect on the untreated and on the treated of these very units."""
    rng = np.random.default_rng(seed)
    x, _ = rng.normal(size=n), rng.integers(0, 1, n)
    treated = rng.random(n) < 1 / (1 + np.exp(-0.8 * x))
    return float((effect + x / 2)[~treated].mean()), float((effect + x / 2)[treated].mean())


def test_a_randomised_segment_is_the_difference_in_means() -> None:
    """With a constant propensity and arm means as outcome model the effect is that of regression on the arm."""
    rng = np.random.default_rng(1)
    treated = np.repeat([True, False], [60, 40])
    outcome = rng.normal(size=100) + treated
    mu1, mu0, e = outcome[treated].mean(), outcome[~treated].mean(), 0.6
    score = mu1 - mu0 + treated * (outcome - mu1) / e - ~treated * (outcome - mu0) / (1 - e)
    units = replace(
        world(100, 1), score=score, effect=np.full(100, mu1 - mu0), propensity=np.full(100, e), treated=treated,
        outcome=outcome, segment=np.zeros(100, dtype=np.int64),
    )  # fmt: skip
    (gap,) = segment_gaps(units, ["all"], [Terms()], value=10.0)
    fitted = sm.OLS(outcome, sm.add_constant(treated.astype(float))).fit(cov_type="HC0")
    assert gap.effect is not None and gap.everyone is not None and gap.nobody is not None
    assert gap.effect.value == pytest.approx(fitted.params[1])
    assert gap.effect.std_error == pytest.approx(fitted.bse[1] * np.sqrt(100 / 99))
    assert gap.everyone.value == pytest.approx(mu1)
    assert gap.nobody.value == pytest.approx(mu0)


def test_what_is_worth_what() -> None:
    units = world(400, 2)
    (gap,) = segment_gaps(units, ["all"], [Terms(fixed_cost=30.0, maximum_share=0.5)], value=10.0, budget=200.0)
    assert gap.effect and gap.gap and gap.gap_value and gap.net_value and gap.reachable and gap.roi
    assert gap.units_reachable == min((400 - gap.n_treated) // 2, (200 - 30) // 2) == 85
    assert gap.gap.value == pytest.approx(85 / 400 * gap.effect.value)
    assert gap.reachable.value == pytest.approx(float(units.outcome.mean()) + gap.gap.value)
    assert gap.gap_value.value == pytest.approx(10 * 85 * gap.effect.value)
    assert gap.cost == 85 * 2 + 30
    assert gap.net_value.value == pytest.approx(gap.gap_value.value - 200)
    # With a cost that is known the ratio has the interval of its numerator.
    ends = (gap.gap_value.value, gap.gap_value.ci_low, gap.gap_value.ci_high)
    assert gap.roi == pytest.approx([(end - 200) / 200 for end in ends])


@pytest.mark.parametrize("wrong", [{}, {"wrong_outcome": True}, {"wrong_propensity": True}])
def test_the_effect_on_the_untreated_survives_one_wrong_model(wrong: dict[str, bool]) -> None:
    found = segment_gaps(world(200_000, 3, **wrong), ["all"], [Terms()], value=1.0)[0]
    untreated, treated = truths(200_000, 3, 0.5)
    assert found.effect and found.nobody and found.actual is not None
    assert abs(found.effect.value - untreated) < 3.5 * found.effect.std_error < 0.06
    on_treated = (found.actual - found.nobody.value) * found.n / found.n_treated
    assert on_treated == pytest.approx(treated, abs=0.05)
    assert treated - untreated > 0.3, "the world tells the two apart"


def test_scores_add_up_to_everybody() -> None:
    units = world(50, 4)
    np.testing.assert_allclose(units.on_treated + units.on_untreated, units.score)


def test_intervals_cover() -> None:
    held = together = 0
    for seed in range(300):
        units = world(600, 1000 + seed, effects=(0.3, 0.3, 0.3))
        gaps = segment_gaps(units, ["a", "b", "c"], [Terms()] * 3, value=1.0)
        inside = []
        for index, gap in enumerate(gaps):
            own = (units.segment == index) & ~units.treated
            # The model in this world is right, so that the effect of a unit is its CATE.
            truth = float(units.effect[own].mean())
            assert gap.effect and gap.simultaneous_low is not None and gap.simultaneous_high is not None
            held += gap.effect.ci_low <= truth <= gap.effect.ci_high
            inside.append(gap.simultaneous_low <= truth <= gap.simultaneous_high)
        together += all(inside)
    assert stats.binomtest(held, 900, 0.95).pvalue > 1e-3 or held / 900 > 0.95
    assert together / 300 > 0.92


def test_clusters_widen_what_is_not_known() -> None:
    errors, clusters = np.repeat([1.0, -1.0, 0.5, -0.5], 25), np.repeat(np.arange(4), 25)
    assert variance_of_sum(errors, None)[0] == pytest.approx(100 / 99 * float(errors @ errors))
    assert variance_of_sum(errors, clusters) == (pytest.approx(4 / 3 * 25**2 * 2.5), 3.0)


def test_a_cost_that_varies_has_fiellers_interval() -> None:
    units = world(2_000, 6)
    varying = replace(units, cost=np.random.default_rng(0).gamma(2.0, 1.0, 2_000))
    (gap,), (known,) = (segment_gaps(each, ["all"], [Terms()], value=40.0) for each in (varying, units))
    assert gap.roi and known.roi and gap.gap_value and gap.cost
    assert gap.roi[0] == pytest.approx(gap.gap_value.value / gap.cost - 1)
    fixed = [end / gap.cost - 1 for end in (gap.gap_value.ci_low, gap.gap_value.ci_high)]
    assert gap.roi[2] - gap.roi[1] > fixed[1] - fixed[0]


def test_what_is_undefined_has_a_status_and_no_number() -> None:
    units = world(300, 7, effects=(0.5, 0.5, 0.5))
    odd = replace(
        units,
        treated=np.where(units.segment == 1, np.cumsum(units.segment == 1) <= 4, units.treated),
        extrapolated=units.segment == 2,
    )
    ok, few, outside, nobody = segment_gaps(odd, ["a", "b", "c", "d"], [Terms()] * 4, value=1.0)
    assert [each.status for each in (ok, few, outside, nobody)] == ["ok", "too_few_units", "not_estimable", "no_units"]
    for each in (few, outside, nobody):
        assert each.verdict == "withheld" and each.reasons
        assert (each.actual, each.effect, each.gap, each.roi, each.net_value) == (None,) * 5
    free = segment_gaps(replace(units, cost=np.zeros(300)), ["a", "b", "c"], [Terms()] * 3, value=1.0)[0]
    assert (free.roi, free.roi_status) == (None, "no_cost")


def test_verdicts() -> None:
    units = world(3_000, 8, effects=(3.0, 0.17))
    clear, unclear = segment_gaps(units, ["a", "b"], [Terms()] * 2, value=1.0)
    assert (clear.verdict, clear.reasons) == ("credible", ())
    assert unclear.verdict == "caution" and "no effect lies within" in unclear.reasons[0]
    assert segment_gaps(units, ["a", "b"], [Terms()] * 2, value=1.0, study_verdict="caution")[0].verdict == "caution"
    withheld = segment_gaps(units, ["a", "b"], [Terms()] * 2, value=1.0, study_verdict="withheld")
    for each in withheld:
        assert (each.status, each.verdict, each.effect, each.actual) == ("withheld", "withheld", None, None)
    assert withheld[0].n == clear.n


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="score has a number that is not finite"):
        replace(world(20, 9), score=np.full(20, np.nan))
    with pytest.raises(ValueError, match="one entry a unit"):
        replace(world(20, 9), cost=np.ones(3))
