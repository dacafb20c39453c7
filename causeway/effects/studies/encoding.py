"""Covariates as numbers: text as one indicator a level, rare levels folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from causeway.effects.influence import Array
from causeway.effects.studies.magnitude import varies
from causeway.twins.covariates import OTHER, fold_levels

# What a column of length one has left when it is a function of others: rounding.
DEPENDENT = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """`values` (n, columns), finite; `owners` names the declared covariate behind each column. `constant` are those
    that do not vary and have no column; `folded`: how many rare levels of each went to "(other)", and `share_folded`
    what share of the units has one of them.
    """

    values: Array
    columns: tuple[str, ...]
    owners: tuple[str, ...]
    constant: tuple[str, ...] = ()
    folded: Mapping[str, int] | None = None
    share_folded: Mapping[str, float] | None = None

    @classmethod
    def of(cls, series_by_name: Mapping[str, pl.Series], n: int) -> Covariates:
        """Of complete columns of n values, Float64 or String, in their order."""
        columns: list[str] = []
        owners: list[str] = []
        values: list[Array] = []
        constant: list[str] = []
        folded: dict[str, int] = {}
        share: dict[str, float] = {}
        for name, given in series_by_name.items():
            series = given
            if series.dtype == pl.String:
                levels = fold_levels(series)
                series = levels.values
                if levels.folded:
                    folded[name] = levels.folded
                    share[name] = int((series == OTHER).sum()) / n
            if series.n_unique() <= 1 or (series.dtype != pl.String and not varies(series.to_numpy())):
                constant.append(name)
            elif series.dtype == pl.String:
                own = sorted(series.unique().to_list())[1:]
                columns.extend(f"{name}={level}" for level in own)
                owners.extend(name for _ in own)
                values.extend((series == level).to_numpy().astype(np.float64) for level in own)
            else:
                columns.append(name)
                owners.append(name)
                values.append(series.to_numpy())
        matrix = np.column_stack(values) if values else np.empty((n, 0))
        return cls(
            np.ascontiguousarray(matrix, dtype=np.float64),
            tuple(columns),
            tuple(owners),
            tuple(constant),
            folded,
            share,
        )

    def only(self, names: Sequence[str]) -> Covariates:
        """Those of the named covariates."""
        return self._at([position for position, owner in enumerate(self.owners) if owner in names])

    def independent(self) -> Covariates:
        """Without the columns that are linear functions of a constant and of the columns before them.

        A pseudo-inverse at machine precision may take such a column for information and answer with noise; its absence
        changes no fit.
        """
        if not self.columns:
            return self
        scaled = self.values - self.values.mean(axis=0)
        scaled /= np.linalg.norm(scaled, axis=0)
        # Without pivoting the diagonal of R is what each column has left after those before it.
        remaining = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
        return self._at([position for position in range(len(remaining)) if remaining[position] > DEPENDENT])

    def _at(self, kept: Sequence[int]) -> Covariates:
        return Covariates(
            np.ascontiguousarray(self.values[:, list(kept)]),
            tuple(self.columns[position] for position in kept),
            tuple(self.owners[position] for position in kept),
            self.constant,
            self.folded,
            self.share_folded,
        )
