"""Declared confounders that only look like ones: measured after the treatment, or determined by it.

No test of data tells a strong cause of the treatment from a consequence of it. What can be told is the unusual: a
variable that is as good as the treatment itself, or that exists in one group only. Adjusting for a consequence of the
treatment takes part of its effect away (Rosenbaum 1984, JRSS A 147, 656-666), so each of them needs a second look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Sign = Literal["determined", "one_arm_only", "missing_by_arm", "predicts_too_well"]
Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

IMPLAUSIBLE_AUC = 0.95
"""One variable that tells the groups apart this well. LaLonde's trial against the PSID, a textbook case of groups far
apart, reaches 0.91 with the earnings of a year; a cause that moves the log odds by three per deviation about 0.92."""

PLAUSIBLE_AUC = 0.85
"""Where another variable on its own reaches this, the groups are far apart altogether, and no single one stands out."""

DETERMINED_SHARE = 0.98
"""Share of a variable's variance that lies between the two groups."""

ONE_ARM_SHARE = 0.5
"""Share of the other group that differs where a variable is the same (or missing) for a whole group."""

CHANCE = 1e-6
"""A constant or missing arm has to be less likely than this if the rows had fallen into groups at random."""

FEWEST_PER_ARM = 10
MOST_PER_ARM = 100_000
"""Units of a group that the AUC is computed from: its standard error is then below 0.001."""

BINS = 32
FOLDS = 5


@dataclass(frozen=True, slots=True)
class PostTreatmentSign:
    """A declared confounder that looks like a consequence of the treatment: which sign of it, and the numbers in words.

    determined: (nearly) a function of the treatment. one_arm_only: the same value for a whole group, and another one
    for most of the other. missing_by_arm: missing for (nearly) a whole group and known for the other.
    predicts_too_well: tells the groups apart, out of fold, as nothing else does.
    """

    name: str
    sign: Sign
    detail: str
    auc: float | None = None


def post_treatment_signs(
    treated: Flags,
    x: Array,
    columns: Sequence[str],
    *,
    owners: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[PostTreatmentSign, ...]:
    """At most one sign for each confounder, in the order of `columns`; empty where none looks suspicious.

    treated: (n,). x: (n, p), nan where a value is missing; all rows of the data, not only the complete ones, for
    missingness is one of the signs. owners: (p,) the confounder behind each column, where a text became several
    indicators. Groups of fewer than ten units give no sign.

    The out-of-fold AUC is that of the share of treated in 32 quantile bins of the variable (in its levels, where it has
    no more), five folds, so that no form of relation is assumed. It has to exceed 0.95 while no other variable reaches
    0.85, and to be known that well (lower end of a 99 % interval above 0.85; Hanley & McNeil 1982, Radiology 143,
    29-36). A consequence that is less telling than that goes unseen.

    >>> treated = np.arange(200) % 2 == 0
    >>> x = np.column_stack([np.arange(200) % 7, 3.0 * treated])
    >>> [(each.name, each.sign) for each in post_treatment_signs(treated, x.astype(float), ["age", "dose"])]
    [('dose', 'determined')]

    Raises ValueError where shapes do not fit, or for an infinite value.
    """
    treated = np.asarray(treated, dtype=bool)
    owners = tuple(columns if owners is None else owners)
    if x.shape != (len(treated), len(columns)) or len(owners) != len(columns):
        raise ValueError(f"x is {x.shape}, with {len(treated)} units, {len(columns)} columns and {len(owners)} owners")
    if np.isinf(x).any():
        raise ValueError("x has an infinite value")
    if min(int(treated.sum()), int((~treated).sum())) < FEWEST_PER_ARM:
        return ()
    sample = _sample(treated, seed)
    folds = _folds(treated[sample], seed)
    signs: list[PostTreatmentSign] = []
    aucs: dict[str, float] = {}
    for name in dict.fromkeys(owners):
        values = x[:, [place for place, owner in enumerate(owners) if owner == name]]
        missing = _missing(values)
        sign = missing_by_arm(name, missing, treated)
        known, arm = values[~missing], treated[~missing]
        if sign is None and min(int(arm.sum()), int((~arm).sum())) >= FEWEST_PER_ARM:
            sign = _one_arm_only(name, known, arm) or _determined(name, known, arm)
            there = ~missing[sample]
            aucs[name] = _auc(_levels(values[sample][there]), treated[sample][there], folds[there])
        if sign is not None:
            signs.append(sign)
    found = {sign.name for sign in signs}
    rest = sorted((auc for name, auc in aucs.items() if name not in found), reverse=True)
    for name, auc in aucs.items():
        if name in found or auc <= IMPLAUSIBLE_AUC:
            continue
        others = [other for other in rest if other <= IMPLAUSIBLE_AUC]
        n_known = [int(np.sum(_known(x, owners, name) & arm)) for arm in (treated, ~treated)]
        if _lower_end(auc, *n_known) < PLAUSIBLE_AUC or (others and others[0] >= PLAUSIBLE_AUC):
            continue
        beside = f", the others {others[0]:.3f} at most" if others else ""
        detail = (
            f"{name} alone tells treated from control units almost without error (AUC {auc:.3f} out of fold{beside})"
        )
        signs.append(PostTreatmentSign(name, "predicts_too_well", detail, auc))
    order = list(dict.fromkeys(owners))
    return tuple(sorted(signs, key=lambda sign: order.index(sign.name)))


def _known(x: Array, owners: Sequence[str], name: str) -> Flags:
    return ~_missing(x[:, [place for place, owner in enumerate(owners) if owner == name]])


def _missing(values: Array) -> Flags:
    return np.asarray(np.isnan(values).any(axis=1), dtype=bool)


def missing_by_arm(name: str, missing: Flags, treated: Flags) -> PostTreatmentSign | None:
    """The sign, if there is one, of a variable that is `missing` (n,) for units of the arms `treated` (n,)."""
    if min(int(treated.sum()), int((~treated).sum())) < FEWEST_PER_ARM:
        return None
    share, share_control = float(missing[treated].mean()), float(missing[~treated].mean())
    high, low = max(share, share_control), min(share, share_control)
    if high < DETERMINED_SHARE or low > ONE_ARM_SHARE or _log_chance(missing, treated) > math.log(CHANCE):
        return None
    arm, other = ("treated", "control") if share > share_control else ("control", "treated")
    detail = f"{name} is missing for {high:.1%} of the {arm} units and for {low:.1%} of the {other} ones"
    return PostTreatmentSign(name, "missing_by_arm", detail)


def _one_arm_only(name: str, values: Array, treated: Flags) -> PostTreatmentSign | None:
    for arm, words, other_words in ((treated, "treated", "control"), (~treated, "control", "treated")):
        value = values[arm][0]
        if not (values[arm] == value).all():
            continue
        differs = (values[~arm] != value).any(axis=1)
        if not differs.any() or len(np.unique(values[~arm], axis=0)) == 1:
            continue
        if differs.mean() < ONE_ARM_SHARE or _log_chance(_spread(differs, arm), arm) > math.log(CHANCE):
            continue
        same = "" if values.shape[1] > 1 else f" ({value[0]:g})"
        detail = f"{name} is the same{same} for all {words} units and another for {differs.mean():.1%} of the "
        return PostTreatmentSign(name, "one_arm_only", f"{detail}{other_words} ones")
    return None


def _spread(differs: Flags, arm: Flags) -> Flags:
    everybody = np.zeros(len(arm), dtype=bool)
    everybody[~arm] = differs
    return everybody


def _log_chance(flags: Flags, treated: Flags) -> float:
    """Log of the two-sided Fisher bound: as uneven a share, were the rows in groups at random."""
    n, marked, n_treated = len(flags), int(flags.sum()), int(treated.sum())
    law = stats.hypergeom(n, marked, n_treated)
    seen = int(flags[treated].sum())
    return float(min(law.logcdf(seen), law.logsf(seen - 1)) + math.log(2))


def _determined(name: str, values: Array, treated: Flags) -> PostTreatmentSign | None:
    total = values.var(axis=0)
    varies = total > 0
    if not varies.any():
        return None
    within = treated.mean() * values[treated].var(axis=0) + (~treated).mean() * values[~treated].var(axis=0)
    share = float(1 - np.min(within[varies] / total[varies]))
    if share < DETERMINED_SHARE:
        return None
    detail = f"{name} is a function of the treatment: {share:.1%} of its variance is between the groups"
    return PostTreatmentSign(name, "determined", detail)


def _levels(values: Array) -> npt.NDArray[np.int64]:
    """Whole numbers from zero: the levels of a variable, or its quantile bins where it has more of them."""
    column = values[:, 0]
    if values.shape[1] > 1:
        # Equal rows have equal sums; sorting numbers is much faster than sorting rows.
        column = values @ np.random.default_rng(0).normal(size=values.shape[1])
    distinct, level = np.unique(column, return_inverse=True)
    if len(distinct) <= BINS or values.shape[1] > 1:
        return level.reshape(-1)
    edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    # A value that is many units' own, such as zero earnings, is a bin for itself.
    return 2 * np.searchsorted(edges, column, side="left") + np.isin(column, edges)


def _sample(treated: Flags, seed: int) -> npt.NDArray[np.int64]:
    """Places of at most 100,000 units of each group, ascending."""
    rng = np.random.default_rng(seed)
    arms = [np.flatnonzero(arm) for arm in (treated, ~treated)]
    taken = [arm if len(arm) <= MOST_PER_ARM else rng.choice(arm, MOST_PER_ARM, replace=False) for arm in arms]
    return np.sort(np.concatenate(taken))


def _folds(treated: Flags, seed: int) -> npt.NDArray[np.int64]:
    """Folds with the same share of treated units each."""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(treated), dtype=np.int64)
    for arm in (treated, ~treated):
        folds[arm] = rng.permutation(np.arange(int(arm.sum())) % FOLDS)
    return folds


def _auc(levels: npt.NDArray[np.int64], treated: Flags, folds: npt.NDArray[np.int64]) -> float:
    """Area under the curve of the out-of-fold share of treated units in a unit's level (Mann & Whitney 1947)."""
    if len(levels) == 0:
        return 0.5
    n_levels, prior = int(levels.max()) + 1, float(treated.mean())
    cells = np.zeros((2, FOLDS, n_levels))
    np.add.at(cells, (treated.astype(np.int64), folds, levels), 1.0)
    areas, weights = [], []
    for fold in range(FOLDS):
        # Folds have their own scale: units are compared with those of the same fold.
        zeros, ones = cells[:, fold]
        elsewhere = cells.sum(axis=1) - cells[:, fold]
        score = (elsewhere[1] + prior) / (elsewhere.sum(axis=0) + 1)
        _, place = np.unique(score, return_inverse=True)
        ones, zeros = np.bincount(place, weights=ones), np.bincount(place, weights=zeros)
        if ones.sum() == 0 or zeros.sum() == 0:
            continue
        areas.append(float(ones @ (np.cumsum(zeros) - zeros / 2) / (ones.sum() * zeros.sum())))
        weights.append(ones.sum() * zeros.sum())
    return float(np.average(areas, weights=weights)) if areas else 0.5


def _lower_end(auc: float, n_treated: int, n_control: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n_treated - 1) * (q1 - auc**2) + (n_control - 1) * (q2 - auc**2)
    return auc - float(stats.norm.isf(0.005)) * math.sqrt(max(variance, 0.0) / (n_treated * n_control))
