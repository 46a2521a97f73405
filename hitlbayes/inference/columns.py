"""What the columns of a Gaussian model are made of, so that sums over the data are taken once for many.

A covariate of a unit-period is nearly always one of two things: a combination of the unit's basis, with
weights of the unit's own (the arm, the treatment, a mean over the unit's periods), or a value of a crossed
group's level (a mean over the period's units). Sums that it enters then follow from sums over each unit's
basis and over each level, which the effects of units and levels need anyway. What is neither stays a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.problem import Array

ROUNDING = 1e-12  # of a column's largest value


class Columns(NamedTuple):
    """Columns X_p = sum_k own[k, p] basis_k + sum_l level[p, l] 1[row at level l] + sum_r share[p, r] rest_r.

    own : (q, P, N); level : (P, L) with the levels of all crossed groups; share : (P, R); rest : (R, T, N)
    """

    own: Array
    level: Array
    share: Array
    rest: Array


def make_columns(
    X: np.ndarray,
    *,
    basis: np.ndarray,
    unit: np.ndarray,
    groups: Sequence[np.ndarray],
    sizes: Sequence[int],
    n_units: int,
    put: Callable[[np.ndarray], np.ndarray],
) -> Columns:
    """What columns X (D, P) are made of.

    Parameters
    ----------
    basis : (D, q) of each unit-period's unit
    unit : (D,) unit of each unit-period; n_units of them, padding included
    groups, sizes : (D,) level of each crossed group, and how many it has
    put : lays values (D, R) out on the grid of slots and units
    """
    near = ROUNDING * np.max(np.abs(X), axis=0, initial=1e-300)
    weights = _unit_weights(X, basis=basis, unit=unit, n_units=n_units)
    values = sum(w[:, unit] * a for w, a in zip(weights, basis.T, strict=True))
    inside = np.max(np.abs(X.T - values), axis=1, initial=0.0) <= near
    own, left = np.where(inside[:, None], weights, 0.0), ~inside
    level = np.zeros((X.shape[1], sum(sizes)))
    for group, size, start in zip(groups, sizes, np.cumsum([0, *sizes]), strict=False):
        value = np.zeros((size, X.shape[1]))
        value[group] = X
        same = left & (np.max(np.abs(X - value[group]), axis=0, initial=0.0) <= near)
        level[same, start : start + size] = value.T[same]
        left = left & ~same
    return Columns(own, level, np.eye(X.shape[1])[:, left], put(X[:, left]))


def _unit_weights(X: np.ndarray, *, basis: np.ndarray, unit: np.ndarray, n_units: int) -> np.ndarray:
    """Least-squares weights (q, P, n_units) of each unit's columns on its basis."""

    def by_unit(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sums = [[np.bincount(unit, x * y, n_units) for y in b.T] for x in a.T]
        return np.reshape(sums, (a.shape[1], b.shape[1], n_units)).transpose(2, 0, 1)

    found = np.linalg.pinv(by_unit(basis, basis), hermitian=True) @ by_unit(basis, X)
    return found.transpose(1, 2, 0)


def parts_to_outer(level: Array, share: Array) -> jax.Array:
    """How outer parameters (m,) are made of the parts (P + L + R): columns of units, levels, what is left."""
    P, L = level.shape
    top = jnp.concatenate([jnp.eye(P, dtype=level.dtype), level, share], axis=1)
    return jnp.concatenate([top, jnp.eye(L, top.shape[1], P, dtype=top.dtype)])
