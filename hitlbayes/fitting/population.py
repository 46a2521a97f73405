"""What a model says about units and rows that it has not seen, from draws of its parameters."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from hitlbayes.spec.cells import category_values


def correlated(sd: np.ndarray, rho: np.ndarray, level: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A unit's drift or effect from its standardised level and an independent standard normal.

    Parameters
    ----------
    sd, rho : its population SD and its correlation with the level, broadcast against the others
    level, own : standard normals (..., units)

    Examples
    --------
    >>> float(correlated(np.array(2.0), np.array(0.6), np.array(1.0), np.array(-1.0)))
    -0.4
    """
    return sd * (rho * level + np.sqrt(1.0 - rho**2) * own)


def mean_response(
    family: str, eta: np.ndarray, *, cutpoints: np.ndarray | None = None, labels: tuple = ()
) -> np.ndarray:
    """Expected outcome at the linear predictor: mean, probability, expected category or count.

    Parameters
    ----------
    eta : (..., R)
    cutpoints : (..., K - 1) of an ordinal outcome
    labels : its K categories; those that are not numbers count as 1 .. K

    Examples
    --------
    >>> float(mean_response("ordinal", np.array(0.0), cutpoints=np.array([0.0]), labels=(1, 5)))
    3.0
    """
    if family == "bernoulli":
        return expit(eta)
    if family == "count":
        return np.exp(eta)
    if family != "ordinal":
        return eta
    assert cutpoints is not None
    values = category_values(labels)
    mean = np.full(np.shape(eta), values[0])
    for j, step in enumerate(np.diff(values)):
        mean += step * expit(eta - cutpoints[..., j, None])
    return mean if mean.ndim else mean[()]


def category_shares(eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    """Probability of each category (..., K) of an ordinal outcome at eta (...), cutpoints (K - 1,)."""
    below = expit(cutpoints - eta[..., None])
    edges = [np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])]
    return np.diff(np.concatenate(edges, axis=-1), axis=-1)
