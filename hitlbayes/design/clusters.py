"""Means of two arms whose rows come in units: differences, clustered standard errors, and other assignments.

Everything is computed from each unit's sum and number of rows, so that thousands of assignments cost little.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hitlbayes.design.assignments import p_value


class Contrast(NamedTuple):
    """Differences between arms (treated less control) under each assignment.

    difference : (assignments,); scores : (assignments, units), what each unit adds to the clustered variance.
    """

    difference: np.ndarray
    scores: np.ndarray

    def minus(self, other: Contrast) -> Contrast:
        """Difference of differences over the same units, for instance after less before."""
        return Contrast(self.difference - other.difference, self.scores - other.scores)

    def variance(self) -> np.ndarray:
        """Clustered variances (assignments,), without correction for the number of units."""
        return np.einsum("au,au->a", self.scores, self.scores)

    def studentized(self) -> np.ndarray:
        """Differences over their clustered standard errors (assignments,); 0 where both are nil."""
        difference = np.where(np.abs(self.difference) < 1e-14, 0.0, self.difference)
        return difference / np.sqrt(np.maximum(self.variance(), 1e-300))


def unit_sums(
    unit: np.ndarray, *, x: ArrayLike, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of x and of the weights of each unit; `unit` (n,) are codes, x (n,) has no gaps."""
    w = np.ones(len(unit)) if weights is None else weights
    return np.bincount(unit, w * np.asarray(x, float)), np.bincount(unit, w)


def contrast(total: np.ndarray, *, size: np.ndarray, arms: np.ndarray) -> Contrast:
    """Difference in means between arms: sums over sizes, each added up over the arm's units.

    Parameters
    ----------
    total, size : (units,) each unit's sum and number (or weight) of rows
    arms : (assignments, units) 0/1

    Examples
    --------
    >>> contrast(np.array([6.0, 1, 5]), size=np.array([2.0, 1, 2]), arms=np.array([[1, 0, 0]])).difference
    array([1.])
    """
    means, scores = [], []
    for chosen in (arms == 1, arms == 0):
        z = chosen.astype(float)
        number = z @ size
        mean = z @ total / number
        means.append(mean)
        scores.append(z * (total[None, :] - mean[:, None] * size[None, :]) / number[:, None])
    return Contrast(means[0] - means[1], scores[0] - scores[1])


def clustered_se(found: Contrast, *, units: int, rows: float) -> float:
    """Standard error of the actual difference, clustered by unit, as ordinary least squares has it (CR1)."""
    correction = units / (units - 1) * (rows - 1) / max(rows - 2, 1)
    return float(np.sqrt(correction * found.variance()[0]))


def clustered_p(found: Contrast, *, units: int, rows: float) -> float:
    """Two-sided p-value of the actual difference, t distributed with units - 1 degrees of freedom."""
    from scipy.stats import t

    se = clustered_se(found, units=units, rows=rows)
    return float(2 * t.sf(abs(found.difference[0]) / se, units - 1)) if se > 0 else np.nan


def joint_p(differences: np.ndarray) -> float:
    """P-value that all differences are nil: distance of the actual ones from those of other assignments.

    Parameters
    ----------
    differences : (assignments, variables), the actual one first

    Notes
    -----
    The distance is Mahalanobis', with the covariance over assignments (Hansen and Bowers 2008,
    doi:10.1214/08-STS254).
    """
    covariance = np.atleast_2d(np.cov(differences, rowvar=False))
    scale = np.sqrt(np.diag(covariance))
    kept = scale > 1e-12 * max(scale.max(initial=0.0), 1e-300)
    if not kept.any():
        return np.nan
    z = (differences - differences.mean(axis=0))[:, kept] / scale[kept]
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(z, rowvar=False)), rcond=1e-8, hermitian=True)
    return p_value(np.einsum("av,vw,aw->a", z, inverse, z))


class ArmMean(NamedTuple):
    """Mean of an arm with its standard error clustered by unit, and how many units and rows it has."""

    mean: float
    se: float
    units: int
    rows: float


def arm_mean(total: np.ndarray, *, size: np.ndarray) -> ArmMean:
    """Mean over the rows of one arm's units (ratio of sums) and its clustered standard error."""
    units, rows = int((size > 0).sum()), float(size.sum())
    if not rows:
        return ArmMean(np.nan, np.nan, 0, 0.0)
    mean = float(total.sum() / rows)
    spread = float(np.sum((total - mean * size) ** 2)) * units / max(units - 1, 1)
    return ArmMean(mean, float(np.sqrt(spread) / rows) if units > 1 else np.nan, units, rows)
