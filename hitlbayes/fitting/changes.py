"""Average changes in the mean response between two linear predictors, draw by draw.

What a treatment changes depends, outside of Gaussian models, on where the linear predictor stands. A shock
that was not seen moves it, so the response is averaged over the shock's distribution: by Gauss-Hermite
quadrature for probabilities, in closed form for counts.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from hitlbayes.inference.runtime import in_threads
from hitlbayes.versions import usable_cores

NODES = 5  # of the quadrature over a shock: a logistic curve at an SD of one is met to 1e-4
LARGEST = 80.0  # a linear predictor beyond this is certain in double precision, and its exponential is not


def average_changes(
    family: str,
    before: np.ndarray,
    change: np.ndarray,
    weights: csr_array,
    *,
    cutpoints: np.ndarray | None = None,
    shock: np.ndarray | None = None,
) -> np.ndarray:
    """Weighted averages of the change in the mean response when `change` is added to the predictor.

    Parameters
    ----------
    family : {"gaussian", "bernoulli", "ordinal", "count"}
    before, change : (D, R) linear predictor without its shock, and what is added, of each draw and row
    weights : (G, R)
    cutpoints : (D, K - 1) of an ordinal outcome
    shock : (D,) SD of the rows' shocks

    Returns
    -------
    (D, G, J) changes in P(outcome > j) for each cutpoint (ordinal), else in the mean response, J = 1

    Examples
    --------
    >>> half = csr_array(np.array([[0.5, 0.5]]))
    >>> average_changes("gaussian", np.zeros((1, 2)), np.array([[1.0, 3.0]]), half)[0, 0, 0]
    np.float64(2.0)
    """
    if family == "gaussian":
        return _average(weights, change)[..., None]
    shock = np.zeros(len(before)) if shock is None else shock
    if family == "count":
        m = np.exp(before + 0.5 * shock[:, None] ** 2)
        return _average(weights, m * np.expm1(change))[..., None]
    above = np.zeros((len(before), 1)) if family == "bernoulli" else cutpoints
    assert above is not None
    edges = np.linspace(0, len(before), usable_cores() + 1).astype(int)

    def of_part(i: int) -> np.ndarray:
        some = slice(edges[i], edges[i + 1])
        return _probabilities(before[some], change[some], weights, above=above[some], shock=shock[some])

    return np.concatenate(in_threads(of_part, len(edges) - 1))


def _probabilities(
    before: np.ndarray, change: np.ndarray, weights: csr_array, *, above: np.ndarray, shock: np.ndarray
) -> np.ndarray:
    """Average changes (D, G, J) in the probabilities above each cutpoint (D, J)."""
    odds = np.exp(np.clip(before, -LARGEST, LARGEST))
    after = np.exp(np.clip(before + change, -LARGEST, LARGEST))
    nodes, columns = list(zip(*shock_nodes(shock), strict=True)), []
    for cut in above.T:
        moved = np.zeros_like(odds)
        for node, weight in nodes:
            ease = np.exp(node - cut)[:, None]
            moved += weight * (1.0 / (1.0 + odds * ease) - 1.0 / (1.0 + after * ease))
        columns.append(_average(weights, moved))
    return np.stack(columns, axis=-1)


def shock_nodes(shock: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Nodes, each (D,), and weights of a normal with SD `shock` (D,); one node where it is always 0."""
    if not np.any(shock > 0):
        return [np.zeros_like(shock)], np.ones(1)
    z, w = np.polynomial.hermite_e.hermegauss(NODES)
    return [shock * node for node in z], w / w.sum()


def _average(weights: csr_array, values: np.ndarray) -> np.ndarray:
    return np.asarray((weights @ values.T).T)
