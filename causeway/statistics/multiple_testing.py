"""Several variants, one error rate."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm (1979) adjusted p-values by name: p < alpha then keeps the family-wise error rate at alpha.

    The i-th smallest of m is multiplied by m - i + 1, never falls below the one before it, and ends at 1.

    >>> holm({"mens": 0.01, "womens": 0.04})
    {'mens': 0.02, 'womens': 0.04}
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
