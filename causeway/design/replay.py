"""A/A replay: how often a method would have found an effect in a history where there was none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from causeway.design.monte_carlo import RunShare
from causeway.statistics.comparison import check_alpha
from causeway.statistics.effect import Effect

Estimate = Callable[[NDArray[np.float64], NDArray[np.float64]], Effect]
"""estimate(treated, control) -> Effect; the rows of both are those of the history, one unit each."""

Verdict = Literal["valid", "too_many_false_positives", "conservative", "too_few_runs", "not_estimable"]

# A rate of up to this many times alpha is called right; one below that many times, a loss of power.
TOLERANCE, SHORTFALL = 1.1, 0.8
CONFIDENCE = 0.99
CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Replay:
    """What a method answered in `runs` replays of an experiment without an effect.

    undefined: runs whose status was not "ok"; the shares below are of the others, None if there is none.
    false_positives: share of p-values below alpha; coverage: share of intervals that contain 0.
    ks_statistic, ks_p_value: Kolmogorov-Smirnov distance of the p-values from the uniform distribution.
    p_value_deciles: p-values in [0, 0.1), [0.1, 0.2) and so on to [0.9, 1].
    verdict, sentence: the same in a word and in words. settings: how it was replayed; JSON values only.
    """

    alpha: float
    runs: int
    undefined: int
    false_positives: RunShare | None
    coverage: RunShare | None
    ks_statistic: float | None
    ks_p_value: float | None
    p_value_deciles: tuple[int, ...]
    verdict: Verdict
    sentence: str
    settings: dict[str, Any]

    def as_document(self) -> dict[str, Any]:
        """The replay as JSON values."""
        return {
            "alpha": self.alpha,
            "runs": self.runs,
            "undefined": self.undefined,
            "false_positives": self.false_positives.as_document() if self.false_positives else None,
            "coverage": self.coverage.as_document() if self.coverage else None,
            "ks_statistic": self.ks_statistic,
            "ks_p_value": self.ks_p_value,
            "p_value_deciles": list(self.p_value_deciles),
            "verdict": self.verdict,
            "sentence": self.sentence,
            "settings": self.settings,
        }


def replay(
    history: ArrayLike,
    estimate: Estimate,
    *,
    alpha: float = 0.05,
    runs: int = 1_000,
    treated_share: float = 0.5,
    units: int | None = None,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> Replay:
    """Assign the units of a history at random, `runs` times, and ask `estimate` for the effect each time.

    Whatever the history is like, the true effect is 0: every unit keeps the value that it had. So the share of
    p-values below alpha is the method's true false-positive rate for this metric at this size.

    history: one row a unit, shape (n,) or (n, columns): the outcome, and covariates if the method wants them.
    estimate: answers at the same alpha. treated_share: chance of a unit to be treated, each for itself, as a
    hash assigns them. units: units of one experiment, drawn from the history without repetition; all if None.
    clusters: labels, shape (n,), of units that are assigned together, as those of a cluster randomisation are.
    Raises ValueError if a number is out of range, a value is missing, or clusters come with units.

    >>> from causeway.statistics import Moments, difference_in_means
    >>> def welch(treated, control):
    ...     return difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
    >>> replay(np.arange(50.0), welch, runs=400).verdict
    'valid'
    """
    rows = _rows(history)
    draw = _Draw(runs, treated_share, units, seed, None if clusters is None else _index_of(clusters, len(rows)))
    answers = [estimate(picked[treated[0]], picked[~treated[0]]) for picked, treated in draw.of(rows, chunk=1)]
    p_values = np.array([np.nan if answer.p_value is None else answer.p_value for answer in answers])
    covered = np.array([_covers_zero(answer) for answer in answers])
    return report(p_values, covered, alpha=alpha, settings={**draw.settings(rows), "method": "estimate"})


def replay_difference_in_means(
    history: ArrayLike,
    *,
    alpha: float = 0.05,
    runs: int = 2_000,
    treated_share: float = 0.5,
    units: int | None = None,
    seed: int = 0,
) -> Replay:
    """`replay` of `difference_in_means` (Welch's t), from sums: same draws, same answers, many runs at once.

    history: outcomes, shape (n,).

    >>> replay_difference_in_means(np.arange(50.0), runs=400).verdict
    'valid'
    """
    rows = _rows(history)
    if rows.ndim != 1:
        raise ValueError(f"one value a unit is wanted: shape {rows.shape}")
    draw = _Draw(runs, treated_share, units, seed)
    chunk = 1 if units is not None else max(1, CELLS // len(rows))
    p_values = np.concatenate([_welch_p_values(picked, treated) for picked, treated in draw.of(rows, chunk=chunk)])
    settings = {**draw.settings(rows), "method": "difference in means"}
    return report(p_values, p_values >= alpha, alpha=alpha, settings=settings)


def replay_looks(
    history: ArrayLike,
    day: ArrayLike,
    critical_values: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    burn_in: Callable[[int, int], bool] = lambda n_treated, n_control: True,
    alpha: float = 0.05,
    runs: int = 1_000,
    treated_share: float = 0.5,
    seed: int = 0,
) -> Replay:
    """`replay` of a difference in means that is looked at whenever more units are in: false if any look finds it.

    history: outcomes, shape (n,). day: when each unit counts, shape (n,); every distinct value is a look.
    critical_values: from the units of both arms at each look, shape (looks,), to the critical value at each, in
    standard errors; nan: that look decides nothing. burn_in: whether arms of these sizes may be looked at.

    A method that looks often and keeps alpha is below it after finitely many looks: that is no fault, and the
    verdict says valid.

    >>> replay_looks(np.arange(50.0), np.arange(50) // 10, lambda n: np.full(len(n), 1.96), runs=400).verdict
    'too_many_false_positives'
    """
    rows, days = _rows(history), np.asarray(day)
    if rows.ndim != 1 or days.shape != rows.shape:
        raise ValueError(f"one value and one day a unit are wanted: shapes {rows.shape}, {days.shape}")
    order = np.argsort(days, kind="stable")
    values = rows[order] - rows.mean()
    starts = np.flatnonzero(np.diff(days[order], prepend=days[order][:1] - 1))
    draw = _Draw(runs, treated_share, None, seed)
    sums = np.column_stack([np.ones_like(values), values, values**2])
    totals = np.add.reduceat(sums, starts).cumsum(axis=0)
    limits = np.asarray(critical_values(totals[:, 0]), dtype=np.float64)
    crossed, undefined = 0, 0
    for _, treated in draw.of(rows, chunk=max(1, CELLS // len(rows))):
        parts = [np.add.reduceat(treated[:, order] * column, starts, axis=1).cumsum(axis=1) for column in sums.T]
        z = _welch_z(np.stack(parts, axis=-1), totals)
        n_treated = parts[0].astype(np.int64)
        ready = np.vectorize(burn_in, otypes=[bool])(n_treated, totals[:, 0].astype(np.int64) - n_treated)
        z = np.where(ready & ~np.isnan(limits), z, np.nan)
        answered = ~np.isnan(z).all(axis=1)
        undefined += int((~answered).sum())
        crossed += int((np.abs(z) > limits)[answered].any(axis=1).sum())
    settings = {**draw.settings(rows), "looks": len(starts), "method": "difference in means at every look"}
    return _report_of_looks(crossed, runs, undefined, alpha=alpha, settings=settings)


def _welch_z(treated: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """z at every look, shape (runs, looks), from count, sum and sum of squares; nan where there is none."""
    control = totals - treated
    means, variances = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for part in (treated, control):
            n, first, second = np.moveaxis(part, -1, 0)
            mean = first / n
            m2 = np.where((left := second - first * mean) <= 1e-12 * second, 0.0, left)
            variances.append(np.where(n >= 2, m2 / (n - 1) / n, np.nan))
            means.append(mean)
        total = variances[0] + variances[1]
        z = (means[0] - means[1]) / np.sqrt(total)
    return np.where(total > 0, z, np.nan)


def _report_of_looks(crossed: int, runs: int, undefined: int, *, alpha: float, settings: dict[str, Any]) -> Replay:
    check_alpha(alpha)
    defined = runs - undefined
    if not defined:
        return report(np.full(runs, np.nan), np.zeros(runs, dtype=bool), alpha=alpha, settings=settings)
    false_positives = RunShare(crossed, defined, CONFIDENCE)
    coverage = RunShare(defined - crossed, defined, CONFIDENCE)
    found = _verdict(false_positives, coverage, alpha)
    verdict: Verdict = "valid" if found == "conservative" else found
    sentence = _sentence(verdict, false_positives, coverage, alpha=alpha, undefined=undefined, ks_p_value=1.0)
    return Replay(alpha, runs, undefined, false_positives, coverage, None, None, (0,) * 10, verdict, sentence, settings)


def _index_of(clusters: ArrayLike, n: int) -> NDArray[np.int64]:
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"one cluster a unit is wanted: shape {labels.shape}")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def report(
    p_values: NDArray[np.float64], covered: NDArray[np.bool_], *, alpha: float, settings: dict[str, Any]
) -> Replay:
    """The replay of runs whose p-values (nan where undefined) and coverage of 0 are known, shape (runs,) both."""
    check_alpha(alpha)
    defined = ~np.isnan(p_values)
    undefined = int((~defined).sum())
    if not defined.any():
        sentence = "The method gave no answer in any replay: this metric cannot be analysed at this size."
        return Replay(
            alpha, len(p_values), undefined, None, None, None, None, (0,) * 10, "not_estimable", sentence, settings
        )
    seen = p_values[defined]
    false_positives = RunShare(int((seen < alpha).sum()), len(seen), CONFIDENCE)
    coverage = RunShare(int(covered[defined].sum()), len(seen), CONFIDENCE)
    uniform = stats.kstest(seen, "uniform")
    deciles = np.bincount(np.minimum((seen * 10).astype(np.int64), 9), minlength=10)
    verdict = _verdict(false_positives, coverage, alpha)
    return Replay(
        alpha=alpha,
        runs=len(p_values),
        undefined=undefined,
        false_positives=false_positives,
        coverage=coverage,
        ks_statistic=float(uniform.statistic),
        ks_p_value=float(uniform.pvalue),
        p_value_deciles=tuple(int(count) for count in deciles),
        verdict=verdict,
        sentence=_sentence(
            verdict,
            false_positives,
            coverage,
            alpha=alpha,
            undefined=undefined,
            ks_p_value=float(uniform.pvalue),
        ),
        settings=settings,
    )


def _verdict(false_positives: RunShare, coverage: RunShare, alpha: float) -> Verdict:
    """The worse of the two: an error rate too high outright, or only in the intervals."""
    low = max(false_positives.low, 1 - coverage.high)
    high = max(false_positives.high, 1 - coverage.low)
    if low > TOLERANCE * alpha:
        return "too_many_false_positives"
    if high < alpha and max(false_positives.share, 1 - coverage.share) < SHORTFALL * alpha:
        return "conservative"
    return "valid" if high <= 2 * alpha else "too_few_runs"


def _sentence(
    verdict: Verdict,
    false_positives: RunShare,
    coverage: RunShare,
    *,
    alpha: float,
    undefined: int,
    ks_p_value: float,
) -> str:
    rate, low, high, promised, covered = (
        f"{100 * share:.1f}"
        for share in (false_positives.share, false_positives.low, false_positives.high, alpha, coverage.share)
    )
    found = (
        f"In {false_positives.runs:,} replays without an effect {rate} % were significant"
        f" ({100 * false_positives.confidence:.3g} % interval {low} to {high}; {promised} % is promised),"
        f" and {covered} % of the intervals contain zero."
    )
    advice = {
        "valid": "The method keeps its word for this metric.",
        "too_many_false_positives": (
            "The method is not valid for this metric at this size: cap the outcome, use more units or arms of equal"
            " size, or choose another method."
        ),
        "conservative": (
            "The method errs on the safe side and has less power than planned: a few units may carry the variance;"
            " capping the outcome would help."
        ),
        "too_few_runs": "That is too few replays to tell.",
        "not_estimable": "",
    }[verdict]
    parts = [found, advice]
    if verdict == "valid" and ks_p_value < 0.001:
        parts.append("The p-values are not uniform, so do not rely on other levels than this one.")
    if undefined:
        parts.append(f"{undefined:,} more replays had no answer.")
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class _Draw:
    """How the units of every replay are drawn and assigned, and over how many of them.

    Who is drawn and who is treated have streams of their own, so that the size of a chunk changes nothing.
    """

    runs: int
    treated_share: float
    units: int | None
    seed: int
    cluster: NDArray[np.int64] | None = None

    def of(self, rows: NDArray[np.float64], *, chunk: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """The rows of one experiment, and who of them is treated in each of up to `chunk` runs."""
        size = self.units or len(rows)
        if not (self.runs > 0 and 0 < self.treated_share < 1 and 2 <= size <= len(rows)):
            raise ValueError(f"runs > 0, a share in (0, 1) and 2 to {len(rows)} units are wanted: {self}")
        if self.cluster is not None and self.units is not None:
            raise ValueError("clusters are replayed with all of their units; leave units out")
        drawn = size if self.cluster is None else int(self.cluster.max()) + 1
        pick, assign = (np.random.default_rng(child) for child in np.random.SeedSequence(self.seed).spawn(2))
        for start in range(0, self.runs, chunk):
            picked = rows if self.units is None else rows[pick.choice(len(rows), size, replace=False, shuffle=False)]
            treated = assign.random((min(chunk, self.runs - start), drawn)) < self.treated_share
            yield picked, treated if self.cluster is None else treated[:, self.cluster]

    def settings(self, rows: NDArray[np.float64]) -> dict[str, Any]:
        clusters = {} if self.cluster is None else {"clusters": int(self.cluster.max()) + 1}
        return {
            **clusters,
            "units": self.units or len(rows),
            "history": len(rows),
            "treated_share": self.treated_share,
            "seed": self.seed,
        }


def _welch_p_values(values: NDArray[np.float64], treated: NDArray[np.bool_]) -> NDArray[np.float64]:
    """p-values of Welch's test for each row of `treated`, shape (runs, units); nan where there is none."""
    centred = values - values.mean()
    largest = np.abs(centred).max()
    centred = centred / largest if largest > 0 else centred  # free of the outcome's scale
    sums = treated.astype(np.float64) @ np.column_stack([np.ones_like(centred), centred, centred**2])
    totals = np.array([len(centred), centred.sum(), centred @ centred])
    means, variances, counts = [], [], []
    for n, first, second in (sums.T, (totals - sums).T):
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = first / n
            m2 = second - first * mean
            # What is left of a constant arm is the rounding of its distance from the common mean.
            m2 = np.where(m2 <= 1e-12 * second, 0.0, m2)
            variances.append(m2 / (n - 1) / n)
        means.append(mean)
        counts.append(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = variances[0] + variances[1]
        df = total**2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
        p_values = 2 * special.stdtr(df, -np.abs(means[0] - means[1]) / np.sqrt(total))
    estimable = (counts[0] >= 2) & (counts[1] >= 2) & (total > 0)
    return np.where(estimable, p_values, np.nan)


def _covers_zero(answer: Effect) -> bool:
    return answer.ci_low is not None and answer.ci_high is not None and answer.ci_low <= 0 <= answer.ci_high


def _rows(history: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(history, dtype=np.float64)
    if rows.ndim not in (1, 2) or len(rows) < 2 or not np.isfinite(rows).all():
        raise ValueError(f"a history has at least two units and no missing value: shape {rows.shape}")
    return rows
