"""Several variants and several metrics, one declared family, one error rate.

A member of the family without a p-value (None: nothing could be tested) still counts: the family was declared before
the data were seen. It is treated as a p-value of 1 and stays None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, overload

Correction = Literal["none", "bonferroni", "preferential_bonferroni", "holm", "benjamini_hochberg"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What the family does to one of its members.

    p_value: adjusted; None where there was none. rejected: whether it is at most alpha.
    interval_alpha: error rate to make this member's own interval with, as `adjust` says.
    """

    p_value: float | None
    rejected: bool
    interval_alpha: float


def adjust(
    p_values: Mapping[str, float | None],
    *,
    method: Correction,
    alpha: float = 0.05,
    primary: Collection[str] = (),
    primary_share: float = 0.5,
) -> dict[str, Adjustment]:
    """Adjusted p-values and the error rates of the intervals that go with them, by name.

    interval_alpha by method, for a family of m:
    - bonferroni, preferential_bonferroni: the member's own share of alpha. All intervals together cover with
      1 - alpha, and one excludes zero exactly when its hypothesis is rejected.
    - holm: alpha / m, as Bonferroni. They are simultaneous, but wider than the step-down test: a hypothesis may be
      rejected although its interval holds zero. Step-down intervals that agree with the test would be one-sided
      (Strassburger & Bretz 2008).
    - benjamini_hochberg: alpha * max(R, 1) / m with R rejections, the false-coverage-rate intervals of Benjamini &
      Yekutieli (2005, JASA 100, 71-81): of the intervals of what was found, 1 - alpha cover on average, and they
      exclude zero exactly when the hypothesis is rejected.
    - none: alpha.

    primary, primary_share: for preferential_bonferroni alone.
    Raises ValueError for a p-value outside [0, 1] and an alpha outside (0, 1).

    >>> found = adjust({"revenue": 0.02, "visits": 0.3}, method="bonferroni")
    >>> found["revenue"]
    Adjustment(p_value=0.04, rejected=True, interval_alpha=0.025)
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1: {alpha}")
    m = len(p_values)
    match method:
        case "none":
            adjusted, alphas = _checked(p_values), dict.fromkeys(p_values, alpha)
        case "bonferroni":
            adjusted, alphas = bonferroni(p_values), dict.fromkeys(p_values, alpha / max(m, 1))
        case "holm":
            adjusted, alphas = holm(p_values), dict.fromkeys(p_values, alpha / max(m, 1))
        case "preferential_bonferroni":
            adjusted = preferential_bonferroni(p_values, primary=primary, primary_share=primary_share)
            shares = preferential_shares(p_values, primary=primary, primary_share=primary_share)
            alphas = {name: alpha * share for name, share in shares.items()}
        case "benjamini_hochberg":
            adjusted = benjamini_hochberg(p_values)
            found = sum(p is not None and p <= alpha for p in adjusted.values())
            alphas = dict.fromkeys(p_values, alpha * max(found, 1) / max(m, 1))
    return {
        name: Adjustment(p, rejected=p is not None and p <= alpha, interval_alpha=alphas[name])
        for name, p in adjusted.items()
    }


@overload
def holm(p_values: Mapping[str, float]) -> dict[str, float]: ...
@overload
def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]: ...
def holm(p_values: Mapping[str, float] | Mapping[str, float | None]) -> Mapping[str, float | None]:
    """Holm (1979) adjusted p-values by name: p <= alpha then keeps the family-wise error rate at alpha.

    The i-th smallest of m is multiplied by m - i + 1, never falls below the one before it, and ends at 1.

    >>> holm({"mens": 0.01, "womens": 0.04})
    {'mens': 0.02, 'womens': 0.04}
    """
    checked = _checked(p_values)
    adjusted: dict[str, float | None] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(_ascending(checked)):
        largest = max(largest, min(1.0, (len(checked) - rank) * p))
        adjusted[name] = largest
    return {name: adjusted.get(name) for name in checked}


def benjamini_hochberg(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Benjamini & Hochberg (1995) adjusted p-values by name: q <= alpha keeps the false discovery rate at alpha.

    The i-th smallest of m is multiplied by m / i and never exceeds the one after it. For independent or positively
    dependent tests (Benjamini & Yekutieli 2001, theorem 1.2).

    >>> benjamini_hochberg({"a": 0.01, "b": 0.02, "c": 0.9})
    {'a': 0.03, 'b': 0.03, 'c': 0.9}
    """
    checked = _checked(p_values)
    adjusted: dict[str, float | None] = {}
    smallest = 1.0
    ascending = _ascending(checked)
    for rank in range(len(ascending), 0, -1):
        name, p = ascending[rank - 1]
        smallest = min(smallest, p * (len(checked) / rank))
        adjusted[name] = smallest
    return {name: adjusted.get(name) for name in checked}


def bonferroni(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """p-values times the size of the family, at most 1: p <= alpha keeps the family-wise error rate at alpha.

    >>> bonferroni({"a": 0.01, "b": 0.7})
    {'a': 0.02, 'b': 1.0}
    """
    checked = _checked(p_values)
    return {name: None if p is None else min(1.0, len(checked) * p) for name, p in checked.items()}


def preferential_bonferroni(
    p_values: Mapping[str, float | None], *, primary: Collection[str], primary_share: float = 0.5
) -> dict[str, float | None]:
    """Bonferroni with a reserved share of alpha for the primary metric: each p-value over its share, at most 1.

    The power for the primary metric then does not depend on how many other metrics are looked at. With k variants, m
    metrics of which one is primary and gamma = primary_share, a primary comparison is tested at gamma alpha / k and
    any other at (1 - gamma) alpha / (k (m - 1)): Eppo's "preferential Bonferroni" (docs.geteppo.com,
    statistics/multiple-testing), a weighted Bonferroni procedure (Rosenthal & Rubin 1983).

    primary: names of the primary comparisons, one for each variant. primary_share: between 0 and 1; the whole of alpha
    where one of the two groups is empty.
    Raises ValueError for an unknown primary name or a share outside (0, 1).

    >>> preferential_bonferroni({"revenue": 0.02, "visits": 0.02, "returns": 0.02}, primary=["revenue"])
    {'revenue': 0.04, 'visits': 0.08, 'returns': 0.08}
    """
    shares = preferential_shares(p_values, primary=primary, primary_share=primary_share)
    return {name: None if p is None else min(1.0, p / shares[name]) for name, p in _checked(p_values).items()}


def preferential_shares(names: Collection[str], *, primary: Collection[str], primary_share: float) -> dict[str, float]:
    """The share of alpha of each member of the family; the shares add up to 1. See `preferential_bonferroni`."""
    if not 0 < primary_share < 1:
        raise ValueError(f"the primary metric's share of alpha must lie between 0 and 1: {primary_share}")
    unknown = sorted(set(primary) - set(names))
    if unknown:
        raise ValueError(f"primary comparisons that are not in the family: {unknown}")
    n_primary = len(set(primary))
    n_other = len(names) - n_primary
    of_primary = primary_share if n_other else 1.0
    of_other = 1 - primary_share if n_primary else 1.0
    return {name: of_primary / n_primary if name in primary else of_other / n_other for name in names}


def _checked(p_values: Mapping[str, float] | Mapping[str, float | None]) -> dict[str, float | None]:
    for name, p in p_values.items():
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"the p-value of {name!r} is not between 0 and 1: {p}")
    return dict(p_values)


def _ascending(p_values: Mapping[str, float | None]) -> list[tuple[str, float]]:
    return sorted(((name, p) for name, p in p_values.items() if p is not None), key=lambda pair: pair[1])
