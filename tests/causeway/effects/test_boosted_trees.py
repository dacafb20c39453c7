"""Boosted trees are made in less time, and are the same trees."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.effects import learners
from causeway.effects.learners import BoostedTrees
from causeway.effects.nuisances import fit_nuisances


def _drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 4))
    return x, np.abs(x[:, 0]) + x[:, 1] * x[:, 2] + generator.normal(size=n)


def test_each_variant_is_what_so_many_rounds_alone_would_be() -> None:
    x, y = _drawn(600)
    together = BoostedTrees((10, 25, 60), depth=3, rate=0.2)
    for kind, target in (("regression", y), ("probability", (y > 1).astype(float))):
        found = together.fit(x, target, None, kind, 5)(x)
        for place, rounds in enumerate(together.rounds):
            alone = BoostedTrees((rounds,), depth=3, rate=0.2).fit(x, target, None, kind, 5)(x)
            np.testing.assert_allclose(found[:, [place]], alone, rtol=0, atol=1e-6)
        assert not np.allclose(found[:, 0], found[:, 2], atol=1e-2)


def test_probabilities_are_xgboosts_own() -> None:
    import xgboost as xgb

    x, y = _drawn(500)
    target = (y > 1).astype(float)
    found = BoostedTrees((8, 20), depth=3, rate=0.2).fit(x, target, None, "probability", 5)(x)
    model = xgb.XGBClassifier(
        n_estimators=20, max_depth=3, learning_rate=0.2, max_bin=64, reg_lambda=1.0, min_child_weight=1.0,
        base_score=target.mean(), n_jobs=1,
    )  # fmt: skip
    theirs = model.fit(x, target).predict_proba(x)[:, 1]
    np.testing.assert_allclose(found[:, 1], theirs, atol=1e-6)


def test_bins_by_some_units_are_as_good_as_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _drawn(24_000)
    new, _ = _drawn(4_000, 1)
    truth = np.abs(new[:, 0]) + new[:, 1] * new[:, 2]
    errors = []
    for enough in (12_000, 3_000):
        monkeypatch.setattr(learners, "ENOUGH_TO_BIN", enough)
        predicted = BoostedTrees((80,), depth=5, rate=0.15).fit(x, y, None, "regression", 5)(new)[:, 0]
        errors.append(float(np.sqrt(np.mean((predicted - truth) ** 2))))
    by_all, by_some = errors
    assert by_some != by_all
    assert by_some == pytest.approx(by_all, rel=0.05)


def test_a_value_that_few_units_have_is_seen_though_they_are_not_among_those_that_make_bins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learners, "ENOUGH_TO_BIN", 100)
    x, y = _drawn(2_000)
    # Twelve units of either, none of them among those that the seed draws.
    drawn = np.random.default_rng(5).integers(0, len(x), 100)
    rare = np.setdiff1d(np.arange(len(x)), drawn)[:24]
    x[:, 3] = 0.0
    x[rare[:12], 3], x[rare[12:], 3] = 1.0, -1.0
    y = y + 30 * x[:, 3]
    predicted = BoostedTrees((60,), depth=2, rate=0.3).fit(x, y, None, "regression", 5)(x)[:, 0]
    assert predicted[rare[:12]].mean() > 15
    assert predicted[rare[12:]].mean() < -15


def test_bins_depend_on_no_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "ENOUGH_TO_BIN", 100)
    x, y = _drawn(1_500)
    treated = np.random.default_rng(2).random(len(x)) < 0.5
    one, two = (fit_nuisances(outcome=y, treated=treated, x=x, seeds=(1,), n_jobs=n_jobs)[0] for n_jobs in (1, 2))
    assert one.outcome_control.tobytes() == two.outcome_control.tobytes()
    assert one.outcome_treated.tobytes() == two.outcome_treated.tobytes()
    assert one.propensity.tobytes() == two.propensity.tobytes()
