"""How much clusters know of a slope: small-sample factor and degrees of freedom where there are no arms to count."""

from __future__ import annotations

import math

import numpy as np

from causeway.effects.influence import Array, Labels

# Below this share of what independent units would give, what clusters leave is rounding.
ROUNDING = 1e-10


def small_sample_of_slope(slope: Array, basis: Array, clusters: Labels, roots: Array) -> tuple[float, float]:
    """Factor of the sum of squared cluster sums, and its degrees of freedom.

    slope: (n,) what the coefficient takes of each row, so that it is slope @ outcome. basis: (n, k) orthonormal basis
    of all regressors. roots: (n,) roots of the weights; rows of all are scaled by them. clusters: (n,) labels.

    Cluster g contributes s_g = a_g'e_g, and were units independent and alike, s would have the covariance B = A M W M
    A' with M = I - QQ', W the weights and A the clusters' rows of the slope. Then E sum s**2 = tr B, where the variance
    is v = a'Wa, hence the factor v / tr B; and matching two moments gives (tr B)**2 / tr B**2 degrees of freedom (Bell
    & McCaffrey 2002, Survey Methodology 28, 169-181, sec. 4; the same idea as the effective number of clusters of
    Carter, Schnepel & Steigerwald 2017, Rev. Econ. Stat. 99, 698-709, which leaves out what the regressors take). G
    clusters alike have G - 1, less what covariates of whole clusters take. (nan, 0.0) where nothing is left.
    """
    _, index = np.unique(clusters, return_inverse=True)
    weights = roots**2
    weighted = slope * weights
    own = np.bincount(index, weights=slope * weighted)
    loadings = np.column_stack(
        [np.bincount(index, weights=column * values) for values in (slope, weighted) for column in basis.T]
    )
    k = basis.shape[1]
    of_basis = basis.T @ (basis * weights[:, None])
    # B = diag(own) + loadings @ middle @ loadings'.
    middle = np.block([[of_basis, -np.eye(k)], [-np.eye(k), np.zeros((k, k))]])
    on_diagonal = np.einsum("gi,ij,gj->g", loadings, middle, loadings, optimize=True)
    trace = float(own.sum() + on_diagonal.sum())
    if not trace > ROUNDING * float(own.sum()):
        return math.nan, 0.0
    product = middle @ (loadings.T @ loadings)
    of_squares = float(own @ own + 2 * own @ on_diagonal + np.sum(product * product.T))
    return float(own.sum()) / trace, trace**2 / of_squares


def cluster_sums(values: Array, clusters: Labels | None) -> Array:
    """Sums, (G, m), of the rows of `values`, (n, m), within clusters; the rows themselves without clusters."""
    if clusters is None:
        return values
    _, index = np.unique(clusters, return_inverse=True)
    return np.column_stack([np.bincount(index, weights=column) for column in values.T])


def conventional_factor(units: int, regressors: int, clusters: Labels | None) -> float:
    """HC1's n / (n - k), and CR1's G / (G - 1) (n - 1) / (n - k) with clusters (Cameron & Miller 2015, J. Human
    Resources 50, eq. 12): what statsmodels and Stata print. Infinite where nothing is left.
    """
    left = units - regressors
    if clusters is None:
        return units / left if left > 0 else math.inf
    groups = len(np.unique(clusters))
    return groups / (groups - 1) * (units - 1) / left if left > 0 and groups > 1 else math.inf
