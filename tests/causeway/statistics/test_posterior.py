from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from causeway.statistics import Moments
from causeway.statistics.comparison import EstimatedMean
from causeway.statistics.contrasts import estimated_mean
from causeway.statistics.posterior import NormalPrior, posterior
from tests.oracles.environment import ask

NUMBERS = ("mean", "sd", "ci_low", "ci_high", "chance_to_beat_control", "risk_treated", "risk_control")
CONTROL, TREATED = EstimatedMean(400, 10.0, 0.04), EstimatedMean(300, 10.3, 0.05)


def test_agrees_with_growthbook():
    """Its priors on either scale, its relative effect, its direction: every number to 1e-9.

    Where the control mean is negative it takes the sign of the relative effect for the direction; we do not
    (`test_more_of_a_negative_mean_is_less`). With no units or no spread it answers 0 and 0.5; we answer with a status.
    """
    rng = np.random.default_rng(51)
    questions = [
        {
            "control": (rng.gamma(2, 5, size=80) + 3).tolist(),
            "treated": (rng.gamma(2, 5.5, size=60) + 3).tolist(),
            "scale": scale,
            "prior": prior,
            "larger_is_better": larger_is_better,
            "alpha": alpha,
        }
        for scale in ("absolute", "relative")
        for prior in (
            None,
            {"mean": 0.02, "sd": 0.3, "scale": "relative"},
            {"mean": -0.5, "sd": 2.0, "scale": "absolute"},
        )
        for larger_is_better in (True, False)
        for alpha in (0.05, 0.2)
    ]
    for question, theirs in zip(questions, ask("gbstats_posterior", questions), strict=True):
        ours = posterior(
            *(estimated_mean(Moments.from_arrays(question[arm])) for arm in ("treated", "control")),
            scale=question["scale"],
            prior=NormalPrior(**question["prior"]) if question["prior"] else None,
            larger_is_better=question["larger_is_better"],
            alpha=question["alpha"],
        )
        for name, value in theirs.items():
            assert getattr(ours, name) == pytest.approx(value, rel=1e-9), (name, question["scale"], question["prior"])


@pytest.mark.parametrize("effect", [-8.0, -1.0, 0.0, 0.3, 8.0])
def test_the_losses_are_the_integrals(effect):
    found = posterior(EstimatedMean(99, 10 + effect, 0.5), EstimatedMean(99, 10.0, 0.5), scale="absolute")
    belief = stats.norm(effect, 1)
    treated, _ = integrate.quad(lambda x: max(0, -x) * belief.pdf(x), -40, 0, epsabs=1e-300, epsrel=1e-11, limit=500)
    control, _ = integrate.quad(lambda x: max(0, x) * belief.pdf(x), 0, 40, epsabs=1e-300, epsrel=1e-11, limit=500)
    assert found.risk_treated == pytest.approx(treated, rel=1e-7)
    assert found.risk_control == pytest.approx(control, rel=1e-7)


@given(st.floats(-35, 35), st.floats(0.01, 100))
def test_the_losses_differ_by_the_effect_and_are_not_negative(z, sd):
    found = posterior(EstimatedMean(9, z * sd, sd * sd / 2), EstimatedMean(9, 0.0, sd * sd / 2), scale="absolute")
    assert found.risk_control - found.risk_treated == pytest.approx(found.mean, rel=1e-9, abs=1e-12 * sd)
    assert min(found.risk_treated, found.risk_control) >= 0
    assert 0 <= found.chance_to_beat_control <= 1


@given(st.sampled_from([None, NormalPrior(0.1, 0.2), NormalPrior(0.5, 1.0, "absolute")]), st.booleans())
def test_the_scales_agree_on_the_decision_where_only_the_unit_differs(prior, larger_is_better):
    """With an exactly known control mean the relative effect is the absolute one in other units."""
    arms = EstimatedMean(50, 10.5, 0.1), EstimatedMean(50, 10.0, 0.0)
    absolute, relative = (
        posterior(*arms, scale=scale, prior=prior, larger_is_better=larger_is_better)
        for scale in ("absolute", "relative")
    )
    for name in ("mean", "sd", "ci_low", "risk_treated", "risk_control"):
        assert getattr(absolute, name) == pytest.approx(10 * getattr(relative, name), rel=1e-12)
    assert absolute.chance_to_beat_control == pytest.approx(relative.chance_to_beat_control, rel=1e-12)


@pytest.mark.parametrize("scale", ["absolute", "relative"])
def test_a_prior_pulls_towards_its_mean_and_none_is_the_limit_of_wide_ones(scale):
    flat = posterior(TREATED, CONTROL, scale=scale)
    wide = posterior(TREATED, CONTROL, scale=scale, prior=NormalPrior(0.0, 1e6))
    tight = posterior(TREATED, CONTROL, scale=scale, prior=NormalPrior(0.0, 1e-6))
    for name in NUMBERS:
        assert getattr(wide, name) == pytest.approx(getattr(flat, name), rel=1e-6)
    assert tight.mean == pytest.approx(0, abs=1e-6)
    assert tight.sd < flat.sd
    assert tight.settings["effect"] == flat.settings["effect"]


def test_the_flat_posterior_is_the_normal_confidence_interval():
    found = posterior(TREATED, CONTROL, scale="absolute")
    assert (found.ci_low, found.ci_high) == pytest.approx(stats.norm.interval(0.95, 0.3, 0.3), rel=1e-9)
    assert found.chance_to_beat_control == pytest.approx(stats.norm.cdf(1), rel=1e-9)


def test_covariance_of_the_arms_counts():
    found = posterior(TREATED, CONTROL, scale="absolute", covariance=0.02)
    assert found.sd == pytest.approx(math.sqrt(0.05 + 0.04 - 0.04))


@pytest.mark.parametrize("larger_is_better", [True, False])
@pytest.mark.parametrize("prior", [None, NormalPrior(0.1, 0.05), NormalPrior(0.5, 1.0, "absolute")])
def test_more_of_a_negative_mean_is_less(larger_is_better, prior):
    arms = EstimatedMean(50, -9.5, 0.1), EstimatedMean(50, -10.0, 1e-12)
    absolute, relative = (
        posterior(*arms, scale=scale, prior=prior, larger_is_better=larger_is_better)
        for scale in ("absolute", "relative")
    )
    assert relative.mean == pytest.approx(absolute.mean / -10, rel=1e-6)
    assert relative.chance_to_beat_control == pytest.approx(absolute.chance_to_beat_control, rel=1e-6)
    assert relative.risk_treated == pytest.approx(absolute.risk_treated / 10, rel=1e-6)
    if prior is None:
        assert (absolute.chance_to_beat_control > 0.5) == larger_is_better


def test_posteriors_are_calibrated_when_the_prior_is_the_truth():
    """Effects are drawn from the prior: intervals cover, and of effects believed positive with p, p are."""
    rng = np.random.default_rng(52)
    runs = 4_000
    truth = rng.normal(0.2, 0.5, size=runs)
    seen = rng.normal(truth, math.hypot(0.4, 0.3))
    found = [
        posterior(
            EstimatedMean(100, 5 + each, 0.16),
            EstimatedMean(100, 5.0, 0.09),
            scale="absolute",
            prior=NormalPrior(0.2, 0.5, "absolute"),
        )
        for each in seen
    ]
    covered = [each.ci_low <= effect <= each.ci_high for each, effect in zip(found, truth, strict=True)]
    assert abs(np.mean(covered) - 0.95) < 3 * (0.95 * 0.05 / runs) ** 0.5
    chance = np.array([each.chance_to_beat_control for each in found])
    for low in np.arange(0, 1, 0.2):
        inside = (chance >= low) & (chance < low + 0.2)
        error = 3 * (0.25 / inside.sum()) ** 0.5
        assert abs(np.mean(truth[inside] > 0) - chance[inside].mean()) < error
    losses = np.maximum(0, -truth).mean(), np.mean([each.risk_treated for each in found])
    assert losses[0] == pytest.approx(losses[1], abs=0.02)


def test_without_an_effect_five_of_100_flat_intervals_miss_it():
    rng = np.random.default_rng(53)
    runs, n = 2_000, 200
    y, y_control = rng.exponential(5, size=(runs, n)), rng.exponential(5, size=(runs, n))
    missed = []
    for a, b in zip(y, y_control, strict=True):
        arms = EstimatedMean(n, a.mean(), a.var(ddof=1) / n), EstimatedMean(n, b.mean(), b.var(ddof=1) / n)
        found = posterior(*arms)
        missed.append(found.ci_low > 0 or found.ci_high < 0)
    assert abs(np.mean(missed) - 0.05) < 3 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize(
    ("treated", "control", "scale", "prior", "status"),
    [
        (EstimatedMean(0, 0.0, 0.0), CONTROL, "absolute", None, "no_units"),
        (EstimatedMean(1, 1.0, 0.0), CONTROL, "absolute", None, "too_few_units"),
        (EstimatedMean(5, 1.0, 0.0), EstimatedMean(5, 2.0, 0.0), "absolute", None, "zero_variance"),
        (TREATED, EstimatedMean(5, 0.0, 1.0), "relative", None, "not_estimable"),
        (TREATED, EstimatedMean(5, 1.9, 1.0), "relative", None, "not_estimable"),
        (TREATED, EstimatedMean(5, 1.9, 1.0), "absolute", NormalPrior(0, 1), "not_estimable"),
        (TREATED, EstimatedMean(5, 1.9, 1.0), "absolute", NormalPrior(0, 1, "absolute"), "ok"),
        (TREATED, EstimatedMean(5, 2.0, 1.0), "relative", None, "ok"),
        (TREATED, EstimatedMean(5, 0.0, 1.0), "absolute", None, "ok"),
    ],
)
def test_what_cannot_be_believed_has_a_status_and_no_number(treated, control, scale, prior, status):
    found = posterior(treated, control, scale=scale, prior=prior)
    assert found.status == status
    numbers = [getattr(found, name) for name in NUMBERS]
    assert (None in numbers) == (status != "ok")
    assert status == "ok" or numbers == [None] * len(NUMBERS)
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


@pytest.mark.parametrize("sd", [0.0, -1.0, float("inf"), float("nan")])
def test_an_improper_prior_is_none_and_not_a_wide_one(sd):
    with pytest.raises(ValueError, match="proper prior"):
        NormalPrior(0.0, sd)


@pytest.mark.parametrize("factor", [1e-120, 1e120])
def test_the_unit_of_the_outcome_does_not_matter(factor):
    plain = posterior(TREATED, CONTROL, prior=NormalPrior(0.0, 0.1))
    scaled = posterior(
        EstimatedMean(300, 10.3 * factor, 0.05 * factor**2),
        EstimatedMean(400, 10.0 * factor, 0.04 * factor**2),
        prior=NormalPrior(0.0, 0.1),
    )
    for name in NUMBERS:
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-9)
