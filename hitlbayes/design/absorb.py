"""What is left of a variable once unit effects and other regressors are taken out (Frisch-Waugh-Lovell)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse


@dataclass(frozen=True, slots=True)
class Absorbed:
    """A weighted projection, made once and applied to many columns.

    Attributes
    ----------
    starts : (units,) first row of each unit; rows are sorted by unit
    counts : (units,) rows of each unit
    weights : (n, 1)
    total : (units, 1) weights of each unit
    regressors : (n, k) sparse
    inverse : (k, k) generalised inverse of the regressors' cross-products within units
    demeaned : whether units have effects of their own
    """

    starts: np.ndarray
    counts: np.ndarray
    weights: np.ndarray
    total: np.ndarray
    regressors: Any
    inverse: np.ndarray
    demeaned: bool

    def residuals(self, columns: np.ndarray) -> np.ndarray:
        """Residuals (n, b) of columns (n, b)."""
        within = self._within(columns)
        slopes = self.inverse @ (self.regressors.T @ (self.weights * within))
        return within - self._within(self.regressors @ slopes)

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """Sums over the rows of each unit (units, b) of columns (n, b)."""
        return np.add.reduceat(columns, self.starts, axis=0)

    def _within(self, columns: np.ndarray) -> np.ndarray:
        if not self.demeaned:
            return columns
        means = self.sums(self.weights * columns) / self.total
        return columns - np.repeat(means, self.counts, axis=0)


def absorb(
    unit: np.ndarray, *, regressors: Any, weights: np.ndarray | None = None, demean: bool = True
) -> Absorbed:
    """The projection that takes out `regressors` and, with `demean`, an effect of each unit.

    Parameters
    ----------
    unit : (n,) codes 0 ... units - 1 in ascending order
    regressors : (n, k) dense or sparse
    weights : (n,) positive, or None for equal weights
    """
    counts = np.bincount(unit)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    w = np.ones((len(unit), 1)) if weights is None else np.asarray(weights, float)[:, None]
    x = sparse.csr_array(regressors)
    total = np.add.reduceat(w, starts, axis=0)
    weighted = x.multiply(w).tocsr()
    gram = np.asarray((x.T @ weighted).todense())
    if demean:
        rows = np.arange(len(unit))
        by_unit = sparse.csr_array((np.ones(len(unit)), (unit, rows)), shape=(len(counts), len(unit)))
        sums = by_unit @ weighted
        gram = gram - np.asarray((sums.T @ sums.multiply(1.0 / total).tocsr()).todense())
    inverse = np.linalg.pinv(gram, rcond=1e-11, hermitian=True)
    return Absorbed(starts, counts, w, total, x, inverse, demean)
