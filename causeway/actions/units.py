"""The units of one study with what each of them says about the effect on those treated and on those not treated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredUnits:
    """Arrays of one entry a unit, all of shape (n,).

    score: doubly robust score of the effect, in units of the outcome; effect: its conditional effect (CATE), which for
    a study that serves a constant effect is that constant; propensity: probability of treatment, strictly between 0
    and 1 where the unit counts; treated; outcome; extrapolated: whether the effect lies outside what was observed;
    cost: of treating the unit, in money; segment: index of its segment, -1 for a unit in none; clusters: labels of
    groups that units come in, or None.

    Raises ValueError for arrays of another length and for numbers that are not finite.
    """

    score: Array
    effect: Array
    propensity: Array
    treated: Flags
    outcome: Array
    extrapolated: Flags
    cost: Array
    segment: Labels
    clusters: Labels | None = None

    def __post_init__(self) -> None:
        columns = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        for name, column in columns.items():
            if column.shape != self.score.shape:
                raise ValueError(f"{name} has {column.shape}, score {self.score.shape}: one entry a unit is needed")
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                raise ValueError(f"{name} has a number that is not finite")

    def among(self, chosen: Flags) -> ScoredUnits:
        """The units that ``chosen``, (n,), marks."""
        return ScoredUnits(
            score=self.score[chosen],
            effect=self.effect[chosen],
            propensity=self.propensity[chosen],
            treated=self.treated[chosen],
            outcome=self.outcome[chosen],
            extrapolated=self.extrapolated[chosen],
            cost=self.cost[chosen],
            segment=self.segment[chosen],
            clusters=None if self.clusters is None else self.clusters[chosen],
        )

    @property
    def on_untreated(self) -> Array:
        """(n,); the mean estimates E[(1 - T) effect], so the sum is the gain of treating all who are not treated.

        (1 - e) score + (e - T) effect is the efficient influence function of the effect on the untreated (Hahn 1998,
        Econometrica 66; Crump, Hotz, Imbens & Mitnik 2009, eq. 6, with weights 1 - e): right when either the
        propensity or the outcome model is, where the mean score of the untreated needs the outcome model.
        """
        return (1 - self.propensity) * self.score + (self.propensity - self.treated) * self.effect

    @property
    def on_treated(self) -> Array:
        """(n,); the sum estimates what the treatment has brought to those who have it. Adds up to score with
        ``on_untreated``.
        """
        return self.score - self.on_untreated


def variance_of_sum(errors: Array, clusters: Labels | None) -> tuple[float, float]:
    """Variance of a sum of errors that add up to zero, and its degrees of freedom: of units, or of whole clusters.

    Liang & Zeger 1986 with the factor G / (G - 1). One unit or cluster: (0, 0).
    """
    sums = errors if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], weights=errors)
    groups = len(sums)
    return (groups / (groups - 1) * float(sums @ sums), groups - 1.0) if groups > 1 else (0.0, 0.0)
