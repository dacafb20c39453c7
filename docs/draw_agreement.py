"""Writes docs/agreement.md: every quantity beside second implementations, with the difference really measured.

GrowthBook's engine and Spotify's Confidence answer from an environment of their own (tests/oracles).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import statsmodels.api as sm
import tea_tasting
from numpy.typing import NDArray
from scipy import stats
from scipy.stats.mstats import mquantiles_cimj
from statsmodels.duration.survfunc import SurvfuncRight, survdiff
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from tea_tasting.aggr import Aggregates
from tea_tasting.experiment import ExperimentResult

from causeway.simulate.latencies import LatencyModel
from causeway.simulate.metric_worlds import MetricWorld, clicks_per_session, with_covariates
from causeway.statistics import JointMoments, Moments, difference_in_means, holm, sample_ratio_test
from causeway.statistics.alpha_spending import Spending
from causeway.statistics.burn_in import BurnIn
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.clusters_across_arms import ClustersAcrossArms, effect_across_clusters
from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.contrasts import estimated_mean
from causeway.statistics.cuped import cuped
from causeway.statistics.effect import Effect
from causeway.statistics.group_sequential_bounds import efficacy_bounds
from causeway.statistics.life_table import LifeTable, log_rank_p_value, survival_estimate
from causeway.statistics.multiple_testing import benjamini_hochberg, bonferroni
from causeway.statistics.normal_mixture import tuned_rho
from causeway.statistics.post_stratification import post_stratified_difference
from causeway.statistics.posterior import NormalPrior, posterior
from causeway.statistics.quantile import ArmQuantile, quantile_effect
from causeway.statistics.ratio import difference_in_ratios

PAGE = Path(__file__).parent / "agreement.md"
EXACT = 1e-9
AGREE = "agree"
Array = NDArray[np.float64]
Arm = Mapping[str, Array]
INTERVAL = ("effect", "ci_low", "ci_high", "p_value")
SEEDS = range(5)


def ask(module: str, questions: Any) -> Any:
    """What a second implementation answers, in the environment that the tests have for it."""
    place = Path(__file__).parents[1] / "tests" / "oracles" / "environment.py"
    spec = importlib.util.spec_from_file_location("oracles_environment", place)
    assert spec is not None and spec.loader is not None
    environment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environment)
    return environment.ask(module, questions)


@dataclass(frozen=True)
class Agreement:
    """What was compared, with whom, and the largest relative difference over all cases.

    reason: why the two differ, in a sentence; empty where they do not. It is wanted exactly where the difference is
    above 1e-9.
    """

    quantity: str
    compared: str
    peer: str
    difference: float
    reason: str = ""

    @property
    def agrees(self) -> bool:
        return self.difference <= EXACT

    @property
    def in_order(self) -> bool:
        """Whether it agrees, or says why not."""
        return self.agrees != bool(self.reason)


def largest(pairs: Iterable[tuple[float | None, float]]) -> float:
    """Largest difference of ours and theirs, relative to theirs (absolute below 1e-12)."""
    found = [math.inf if ours is None else abs(ours - theirs) / max(abs(theirs), 1e-12) for ours, theirs in pairs]
    return max(found)


def agreements() -> list[Agreement]:
    """Everything, from fixed seeds."""
    parts = (
        _means,
        _ratios,
        _adjusted,
        _stratified,
        _quantiles,
        _times,
        _clusters,
        _sequential,
        _health,
        _beliefs,
        _families,
    )
    return [each for part in parts for each in part()]


def _named(effect: Effect, theirs: Mapping[str, float], names: Sequence[str] = INTERVAL) -> Iterator[tuple[Any, float]]:
    return ((getattr(effect, name), theirs[name]) for name in names)


def _tea_tasting(found: Any) -> dict[str, float]:
    return {
        "effect": found.effect_size,
        "ci_low": found.effect_size_ci_lower,
        "ci_high": found.effect_size_ci_upper,
        "p_value": found.pvalue,
        "relative_effect": found.rel_effect_size,
        "relative_ci_low": found.rel_effect_size_ci_lower,
        "relative_ci_high": found.rel_effect_size_ci_upper,
    }


def _aggregates(arm: Arm) -> Aggregates:
    found = JointMoments.from_arrays(arm)
    return Aggregates(
        count_=found.n,
        mean_={name: found.mean(name) for name in found.names},
        var_={name: found.variance(name) for name in found.names},
        cov_={(a, b): found.covariance(a, b) for a in found.names for b in found.names if a < b},
    )


def _asked_of_tea_tasting(metric: Any, arms: tuple[Arm, Arm]) -> dict[str, float]:
    treated, control = arms
    return _tea_tasting(metric.analyze_aggregates(control=_aggregates(control), treatment=_aggregates(treated)))


def _one_run(world: MetricWorld) -> tuple[Arm, Arm]:
    treated, control = ({name: runs[0] for name, runs in arm.items()} for arm in (world.treated, world.control))
    return treated, control


def _moments(arms: tuple[Arm, Arm]) -> tuple[JointMoments, JointMoments]:
    return JointMoments.from_arrays(arms[0]), JointMoments.from_arrays(arms[1])


def _lists(arms: tuple[Arm, Arm], kind: str) -> dict[str, Any]:
    treated, control = ({name: values.tolist() for name, values in arm.items()} for arm in arms)
    return {"kind": kind, "treated": treated, "control": control}


def _means() -> Iterator[Agreement]:
    quantity, compared = "difference in means", "effect, interval, p"
    cases = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        cases.append((rng.normal(11, 3, size=40), rng.normal(10, 1, size=25)))
    ours = [difference_in_means(Moments.from_arrays(y), Moments.from_arrays(c)) for y, c in cases]
    welch = [stats.ttest_ind(y, c, equal_var=False) for y, c in cases]
    intervals = [each.confidence_interval(0.95) for each in welch]
    pairs = [
        pair
        for mine, test, limits in zip(ours, welch, intervals, strict=True)
        for pair in ((mine.p_value, test.pvalue), (mine.ci_low, limits.low), (mine.ci_high, limits.high))
    ]
    yield Agreement(quantity, "interval, p", "SciPy `ttest_ind`", largest(pairs))
    compare = [CompareMeans(DescrStatsW(y), DescrStatsW(c)) for y, c in cases]
    pairs = [(mine.std_error, each.std_meandiff_separatevar) for mine, each in zip(ours, compare, strict=True)]
    for mine, each in zip(ours, compare, strict=True):
        pairs += zip((mine.ci_low, mine.ci_high), each.tconfint_diff(usevar="unequal"), strict=True)
    yield Agreement(quantity, "standard error, interval", "statsmodels `CompareMeans`", largest(pairs))
    asked = [_asked_of_tea_tasting(tea_tasting.Mean("y"), ({"y": y}, {"y": c})) for y, c in cases]
    pairs = [pair for mine, theirs in zip(ours, asked, strict=True) for pair in _named(mine, theirs)]
    yield Agreement(quantity, compared, "tea-tasting `Mean`", largest(pairs))
    questions = [(c.tolist(), y.tolist()) for y, c in cases]
    for peer, module in (("gbstats `TwoSidedTTest`", "gbstats_means"), ("Spotify `StudentsTTest`", "spotify_means")):
        pairs = [p for mine, theirs in zip(ours, ask(module, questions), strict=True) for p in _named(mine, theirs)]
        yield Agreement(quantity, compared, peer, largest(pairs))
    pairs = [(mine.relative_effect, theirs["relative_effect"]) for mine, theirs in zip(ours, asked, strict=True)]
    yield Agreement("relative effect", "point", "tea-tasting `Mean`", largest(pairs))
    names = ("relative_ci_low", "relative_ci_high")
    pairs = [pair for mine, theirs in zip(ours, asked, strict=True) for pair in _named(mine, theirs, names)]
    yield Agreement("relative effect", "interval", "tea-tasting `Mean`", largest(pairs), FIELLER)


FIELLER = (
    "theirs is the delta method on the logarithm of the ratio of means, ours Fieller's, which leaves out zero exactly"
    " where the absolute interval does"
)


def _ratios() -> Iterator[Agreement]:
    worlds = (clicks_per_session(np.random.default_rng(seed), 1, (700, 500), effect=0.05, spread=0.6) for seed in SEEDS)
    cases = [_one_run(world) for world in worlds]
    ours = [difference_in_ratios(*_moments(case)) for case in cases]
    asked = [_asked_of_tea_tasting(tea_tasting.RatioOfMeans("outcome", "denominator"), case) for case in cases]
    pairs = [pair for mine, theirs in zip(ours, asked, strict=True) for pair in _named(mine, theirs)]
    yield Agreement("ratio", "effect, interval, p", "tea-tasting `RatioOfMeans`", largest(pairs))
    answers = ask("gbstats_sums", [_lists(case, "ratio") for case in cases])
    names = (*INTERVAL, "std_error")
    pairs = [pair for mine, theirs in zip(ours, answers, strict=True) for pair in _named(mine, theirs, names)]
    yield Agreement("ratio", "effect, standard error, interval, p", "gbstats `RatioStatistic`", largest(pairs))
    weak = _one_run(clicks_per_session(np.random.default_rng(3), 1, (90, 90), sessions=1.0, spread=0.9))
    theirs = _asked_of_tea_tasting(tea_tasting.RatioOfMeans("outcome", "denominator"), weak)
    mine = difference_in_ratios(*_moments(weak))
    why = "above a coefficient of variation of 0.1 ours are Fieller's limits, theirs stay with the delta method"
    pairs = list(_named(mine, theirs, ("ci_low", "ci_high")))
    yield Agreement("ratio, weak denominator", "interval", "tea-tasting `RatioOfMeans`", largest(pairs), why)


def _adjusted() -> Iterator[Agreement]:
    worlds = (
        with_covariates(np.random.default_rng(seed), 1, (60, 45), effect=0.3, interaction=0.5, covariates=1)
        for seed in SEEDS
    )
    cases = [_one_run(world) for world in worlds]
    ours = [cuped(*_moments(case), ["x1"], slopes="pooled") for case in cases]
    asked = [_asked_of_tea_tasting(tea_tasting.Mean("outcome", "x1"), case) for case in cases]
    pairs = [pair for mine, theirs in zip(ours, asked, strict=True) for pair in _named(mine, theirs)]
    yield Agreement("CUPED, one theta", "effect, interval, p", "tea-tasting `Mean` with a covariate", largest(pairs))
    answers = ask("gbstats_sums", [_lists(case, "adjusted") for case in cases])
    names = (*INTERVAL, "std_error")
    pairs = [pair for mine, theirs in zip(ours, answers, strict=True) for pair in _named(mine, theirs, names)]
    yield Agreement(
        "CUPED, one theta",
        "effect, standard error, interval, p",
        "gbstats `RegressionAdjustedStatistic`",
        largest(pairs),
    )
    effects, errors = [], []
    for seed in SEEDS:
        arms = _one_run(with_covariates(np.random.default_rng(seed), 1, (400, 300), covariates=2, interaction=0.5))
        mine = cuped(*_moments(arms), ["x1", "x2"])
        x = np.concatenate([np.stack([arm["x1"], arm["x2"]], axis=1) for arm in arms])
        t = np.repeat([1.0, 0.0], [400, 300])[:, None]
        centred = x - x.mean(axis=0)
        design = np.hstack([np.ones_like(t), t, centred, t * centred])
        fit = sm.OLS(np.concatenate([arm["outcome"] for arm in arms]), design).fit(cov_type="HC2")
        effects.append((mine.effect, fit.params[1]))
        errors.append((mine.std_error, fit.bse[1]))
    peer = "statsmodels OLS `y ~ t * (x - X)`"
    yield Agreement("CUPED, slopes by arm", "effect", peer, largest(effects))
    why = (
        "a sandwich weighs each squared residual by its own leverage, and sums hold only their total; OLS takes the"
        " mean covariate as known, ours as an estimate"
    )
    yield Agreement("CUPED, slopes by arm", "standard error (HC2)", peer, largest(errors), why)


def _stratified() -> Iterator[Agreement]:
    effects, given, whole = [], [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        stratum, t = rng.integers(0, 4, size=300), rng.integers(0, 2, size=300)
        y = rng.normal(size=300) * (1 + stratum) + stratum + t * (0.5 * stratum)
        arms = [{f"s{k}": Moments.from_arrays(y[(t == arm) & (stratum == k)]) for k in range(4)} for arm in (1, 0)]
        mine = post_stratified_difference(*arms)
        dummies = (stratum[:, None] == np.arange(1, 4)).astype(float)
        dummies -= dummies.mean(axis=0)
        design = np.hstack([np.ones((300, 1)), t[:, None], dummies, t[:, None] * dummies])
        fit = sm.OLS(y, design).fit(cov_type="HC2")
        shares = np.bincount(stratum) / 300
        by_stratum = np.array([arms[0][f"s{k}"].mean_y - arms[1][f"s{k}"].mean_y for k in range(4)])
        of_shares = shares @ (by_stratum - shares @ by_stratum) ** 2 / 300
        effects.append((mine.effect, float(fit.params[1])))
        given.append((math.sqrt((mine.std_error or 0.0) ** 2 - of_shares), float(fit.bse[1])))
        whole.append((mine.std_error, float(fit.bse[1])))
    peer = "statsmodels OLS, saturated, HC2"
    yield Agreement("post-stratification", "effect", peer, largest(effects))
    yield Agreement("post-stratification", "standard error given the shares", peer, largest(given))
    why = "theirs takes the strata's shares as known, ours as estimates of the population's"
    yield Agreement("post-stratification", "standard error", peer, largest(whole), why)


def _quantiles() -> Iterator[Agreement]:
    z = float(stats.norm.isf(0.025))
    points, errors, variances, corrected, questions, ours = [], [], [], [], [], []
    for seed, q in ((1, 0.5), (2, 0.9), (3, 0.95)):
        rng = np.random.default_rng(seed)
        values = [LatencyModel(median=330).draw(rng, 4000)[0], LatencyModel().draw(rng, 3000)[0]]
        arms = [ArmQuantile.from_arrays(y, q) for y in values]
        mine = quantile_effect(*arms)
        points += [(mine.mean, float(np.quantile(values[0], q, method="hazen")))]
        points += [(mine.mean_control, float(np.quantile(values[1], q, method="hazen")))]
        jarrett = [float(np.diff(mquantiles_cimj(y, [q]), axis=0).item()) / (2 * z) for y in values]
        errors.append((mine.std_error, float(np.hypot(*jarrett))))
        limits = [arm.interval(0.05) for arm in arms]
        asked = [
            {
                "n": arm.n,
                "n_star": arm.n,
                "nu": q,
                "quantile_hat": arm.location.value if arm.location else math.nan,
                "quantile_lower": limit[0].value if limit else math.nan,
                "quantile_upper": limit[1].value if limit else math.nan,
            }
            for arm, limit in zip(arms, limits, strict=True)
        ]
        questions.append({"treated": asked[0], "control": asked[1]})
        widths = [(each["quantile_upper"] - each["quantile_lower"]) / (2 * z) for each in asked]
        corrected.append(sum((arm.n - 1) / arm.n * width**2 for arm, width in zip(arms, widths, strict=True)))
        ours.append(mine)
    answers = ask("gbstats_quantiles", questions)
    variances = [((mine.std_error or 0.0) ** 2, theirs["variance"]) for mine, theirs in zip(ours, answers, strict=True)]
    effects = [(mine.effect, theirs["effect"]) for mine, theirs in zip(ours, answers, strict=True)]
    yield Agreement("quantile", "quantile of an arm", 'NumPy `quantile(method="hazen")`', largest(points))
    yield Agreement("quantile", "effect", "gbstats `QuantileStatistic`", largest(effects))
    same = [(mine, theirs["variance"]) for mine, theirs in zip(corrected, answers, strict=True)]
    yield Agreement("quantile", "variance times (n - 1) / n", "gbstats `QuantileStatistic`", largest(same))
    why = "theirs carries a factor (n - 1) / n that it borrows from means"
    yield Agreement("quantile", "variance", "gbstats `QuantileStatistic`", largest(variances), why)
    why = "another estimator of the same error: theirs averages all order statistics, ours takes two of them"
    yield Agreement("quantile", "standard error", "SciPy `mquantiles_cimj` (Maritz & Jarrett)", largest(errors), why)


def _times() -> Iterator[Agreement]:
    survival, greenwood, logrank = [], [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        days, seen = [], []
        for scale in (8.0, 11.0):
            event, censoring = np.ceil(rng.exponential(scale, 200)), np.ceil(rng.uniform(0, 30, 200))
            days.append(np.minimum(event, censoring))
            seen.append(event <= censoring)
        tables = [LifeTable.from_arrays(*each) for each in zip(days, seen, strict=True)]
        for table, time, observed in zip(tables, days, seen, strict=True):
            theirs = SurvfuncRight(time, observed)
            at = int(np.searchsorted(theirs.surv_times, 14.0, side="right")) - 1
            mine = survival_estimate(table, 14.0)
            assert mine is not None
            survival.append((1 - mine.event_probability, float(theirs.surv_prob[at])))
            factor = table.units / (table.units - 1)
            error = math.sqrt(mine.event_probability_variance / factor)
            greenwood.append((error, float(theirs.surv_prob_se[at])))
        group = np.repeat([1, 0], 200)
        _, p_value = survdiff(np.concatenate(days), np.concatenate(seen), group)
        logrank.append((log_rank_p_value(*tables), float(p_value)))
    yield Agreement("time to event", "survival at 14 days", "statsmodels `SurvfuncRight`", largest(survival))
    compared = "standard error, less the factor N / (N - 1)"
    yield Agreement("time to event", compared, "statsmodels `SurvfuncRight`", largest(greenwood))
    yield Agreement("time to event", "log-rank p", "statsmodels `survdiff`", largest(logrank))


def _clusters() -> Iterator[Agreement]:
    apart, across, small = [], [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(14), rng.integers(1, 30, size=14))
        alike = rng.normal(size=14)[cluster] + rng.normal(size=len(cluster))
        for treated, found in ((cluster < 7, apart), (rng.random(len(cluster)) < 0.5, across)):
            y = 5 + treated + alike
            theirs = sm.OLS(y, sm.add_constant(treated.astype(float))).fit(
                cov_type="cluster", cov_kwds={"groups": cluster}
            )
            if found is apart:
                arms = [ClusteredArm.from_arrays(cluster[arm], y[arm]) for arm in (treated, ~treated)]
                mine = cluster_effect(*arms, small_sample="cr1")
                small.append((cluster_effect(*arms).std_error, float(theirs.bse[1])))
            else:
                together = ClustersAcrossArms.from_arrays(cluster, treated, y)
                mine = effect_across_clusters(together, small_sample="cr1")
            found += [(mine.effect, float(theirs.params[1])), (mine.std_error, float(theirs.bse[1]))]
    peer = 'statsmodels OLS, `cov_type="cluster"`'
    yield Agreement("clusters randomised", "effect, standard error (CR1)", peer, largest(apart))
    yield Agreement("clusters in both arms", "effect, standard error (CR1)", peer, largest(across))
    why = "CR1 is too small with few unequal clusters (error rates up to 14 %); ours counts effective clusters"
    yield Agreement("clusters randomised", "standard error as it is served", peer, largest(small), why)


def _sequential() -> Iterator[Agreement]:
    rng = np.random.default_rng(5)
    questions = [
        [rng.normal(10, 3, n).tolist(), (shift + rng.gamma(2, 2, m)).tolist(), alpha, 5000]
        for n, m, shift, alpha in [(40, 60, 6.0, 0.05), (300, 20, 8.5, 0.01), (100, 100, 6.2, 0.2)]
    ]
    same, tuned = [], []
    for (control, treated, alpha, planned), theirs in zip(questions, ask("gbstats_sequential", questions), strict=True):
        fixed = difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
        rho = tuned_rho(1, alpha=alpha)
        planned_n = (rho / theirs["rho"]) ** 2
        look = confidence_sequence(fixed, planned_n=planned_n, alpha=alpha, burn_in=BurnIn(arm=0, imbalance=0))
        same += list(_named(look, theirs, ("ci_low", "ci_high", "p_value")))
        tuned.append((tuned_rho(planned, alpha=alpha), theirs["rho"]))
    peer = "gbstats `SequentialTwoSidedTTest`"
    yield Agreement("always-valid sequence", "interval, p, at the same rho", peer, largest(same))
    why = "theirs approximates Lambert's function when it tunes rho to the planned end, ours is exact"
    yield Agreement("always-valid sequence", "rho", peer, largest(tuned), why)
    looks = ((0.2, 0.4, 0.6, 0.8, 1.0), tuple(k / 14 for k in range(1, 15)), (0.1, 0.15, 0.5, 0.9, 1.0))
    bounds = ask("spotify_bounds", [[list(fractions), 0.05, 2.0, 2] for fractions in looks])
    first, later = [], []
    for fractions, theirs in zip(looks, bounds, strict=True):
        ours = efficacy_bounds(fractions, alpha=0.05, spending=Spending("power", 2.0), sides=2)
        first.append((ours[0], theirs[0]))
        later += zip(ours[1:], theirs[1:], strict=True)
    peer = "Spotify `bounds`"
    yield Agreement("group-sequential bounds", "first look", peer, largest(first))
    why = (
        "theirs takes the trapezoidal rule with a step of 0.05 standard deviations; ours meets adaptive quadrature to"
        " 1e-9 and the published digits of Pocock, O'Brien & Fleming and gsDesign"
    )
    yield Agreement("group-sequential bounds", "later looks", peer, largest(later), why)


def _health() -> Iterator[Agreement]:
    chi, exact = [], []
    for treated, control in ((5_210, 4_890), (100, 160), (33_000, 33_400)):
        found = sample_ratio_test({"a": treated, "b": control}, {"a": 1, "b": 1})
        chi.append((found.p_value, float(stats.chisquare([treated, control]).pvalue)))
    for treated, control in ((1, 7), (3, 5), (0, 8)):
        found = sample_ratio_test({"a": treated, "b": control}, {"a": 1, "b": 1})
        exact.append((found.p_value, float(stats.binomtest(treated, treated + control).pvalue)))
    yield Agreement("sample ratio", "p", "SciPy `chisquare`", largest(chi))
    yield Agreement("sample ratio, small counts", "p", "SciPy `binomtest`", largest(exact))


def _beliefs() -> Iterator[Agreement]:
    rng = np.random.default_rng(51)
    questions = [
        {
            "control": (rng.gamma(2, 5, size=80) + 3).tolist(),
            "treated": (rng.gamma(2, 5.5, size=60) + 3).tolist(),
            "scale": scale,
            "prior": prior,
            "larger_is_better": better,
            "alpha": 0.05,
        }
        for scale in ("absolute", "relative")
        for prior in (None, {"mean": 0.02, "sd": 0.3, "scale": "relative"})
        for better in (True, False)
    ]
    pairs = []
    for question, theirs in zip(questions, ask("gbstats_posterior", questions), strict=True):
        mine = posterior(
            *(estimated_mean(Moments.from_arrays(question[arm])) for arm in ("treated", "control")),
            scale=question["scale"],
            prior=NormalPrior(**question["prior"]) if question["prior"] else None,
            larger_is_better=question["larger_is_better"],
            alpha=0.05,
        )
        pairs += [(getattr(mine, name), value) for name, value in theirs.items()]
    compared = "mean, sd, interval, chance to beat, losses, both scales"
    yield Agreement("posterior", compared, "gbstats `EffectBayesianABTest`", largest(pairs))


def _families() -> Iterator[Agreement]:
    methods = {"holm": holm, "bonferroni": bonferroni, "fdr_bh": benjamini_hochberg}
    found: dict[str, list[tuple[float | None, float]]] = {name: [] for name in methods}
    scipy, tea = [], []
    for seed in SEEDS:
        p_values = {str(i): p for i, p in enumerate(np.random.default_rng(seed).uniform(0, 0.12, size=8).tolist())}
        for name, mine in methods.items():
            found[name] += zip(
                mine(p_values).values(), multipletests(list(p_values.values()), method=name)[1], strict=True
            )
        ours = benjamini_hochberg(p_values)
        scipy += zip(ours.values(), stats.false_discovery_control(list(p_values.values())), strict=True)
        result = ExperimentResult({name: {"pvalue": p} for name, p in p_values.items()})
        theirs = next(iter(tea_tasting.adjust_fdr(result, alpha=0.05).values()))
        tea += [(ours[name], theirs[name]["pvalue_adj"]) for name in p_values]
    for name, label in (("holm", "Holm"), ("bonferroni", "Bonferroni"), ("fdr_bh", "Benjamini-Hochberg")):
        yield Agreement(label, "adjusted p", "statsmodels `multipletests`", largest(found[name]))
    yield Agreement("Benjamini-Hochberg", "adjusted p", "SciPy `false_discovery_control`", largest(scipy))
    yield Agreement("Benjamini-Hochberg", "adjusted p", "tea-tasting `adjust_fdr`", largest(tea))


def rows(found: Sequence[Agreement]) -> list[str]:
    """Rows of the table."""
    return [
        f"| {each.quantity} | {each.compared} | {each.peer} | {each.difference:.0e} | {each.reason or AGREE} |"
        for each in found
    ]


def page(found: Sequence[Agreement]) -> str:
    lines = ["# Agreement", "", *INTRODUCTION, "", "| quantity | compared | with | difference | verdict |"]
    return "\n".join([*lines, "|---|---|---|---|---|", *rows(found), "", *ENDING]) + "\n"


INTRODUCTION = (
    "Every number of the analysis beside second implementations. The difference is the largest one measured over all",
    "cases, relative to theirs. Where definitions are the same it is at most 1e-9; where they are not, the last column",
    "says why. This page is written by `python docs/draw_agreement.py`, and a test makes it again and compares.",
)
ENDING = (
    "What has no peer is held to something else: the joint test of contrasts to Welch's analysis of variance,",
    "switchbacks to statsmodels' panel Newey-West, the sequential sample ratio test to SciPy's Dirichlet-multinomial,",
    "moments to NIST's certified digits. See [statistics](statistics.md).",
)

if __name__ == "__main__":
    PAGE.write_text(page(agreements()), encoding="utf-8")
