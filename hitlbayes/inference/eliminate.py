"""Shocks and units solved out of a quadratic model, exactly.

Rows are already summed by shock: curvature Q (T, C), pseudo-slope l (T, C), and kappa (m, T, C), the
cross-curvature with the outer parameters. Shocks are scalars, units q x q blocks, so the cost is linear
in both; what is left is the outer system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference import linear
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.hyper import Hyper
from hitlbayes.inference.linear import Matrix, Vector
from hitlbayes.inference.problem import Array, Layout, Problem
from hitlbayes.inference.shocks import by_unit, pairs
from hitlbayes.inference.sums import over_slots, total


class Units(NamedTuple):
    """The units' own system at given hyperparameters.

    keep : (T, C) 1 / (1 + tau^2 Q), what a shock leaves of its rows' curvature
    curvature : what is left by unit, a (N,) for each of `pairs`
    factor : q x q matrices L, with u = L e a priori
    low : their Cholesky factors of I + L' J L
    """

    keep: jax.Array
    curvature: Vector
    factor: Matrix
    low: Matrix


def unit_system(
    hyper: Hyper,
    Q: jax.Array,
    *,
    basis: Array,
    unit_class: Array,
    layout: Layout,
    column: Array | None = None,
) -> Units:
    """Factor of every unit's block once its shocks are integrated out, in the hyperparameters' precision.

    basis, unit_class, column : as in `hitlbayes.inference.problem.Problem`; without column, columns are units
    """
    keep = jax.lax.optimization_barrier(1.0 / (1.0 + hyper.shock.astype(Q.dtype) ** 2 * Q))
    weight, wide = Q * keep, hyper.block.dtype
    curvature = tuple(over_slots(weight * basis[i] * basis[j]) for i, j in pairs(layout.width))
    if column is not None:
        curvature = tuple(by_unit(a, column, layout.n_units) for a in curvature)
    curvature = tuple(a.astype(wide) for a in curvature)
    return Units(keep, curvature, *unit_factors(hyper, curvature, unit_class, layout=layout))


def unit_factors(
    hyper: Hyper, curvature: tuple[jax.Array, ...], unit_class: jax.Array, *, layout: Layout
) -> tuple[Matrix, Matrix]:
    """`Units.factor` and `Units.low` of blocks whose data have this curvature: a (N,) for each of `pairs`."""
    q, factors = layout.width, BLOCKS[layout.block].factor(hyper.block, hyper.rho).astype(curvature[0].dtype)
    # A product with indicators: its derivative is one more, and scatters nothing.
    member = jax.nn.one_hot(unit_class, len(factors), axis=0, dtype=factors.dtype)
    flat = factors.reshape(len(factors), q * q).T @ member
    L = tuple(tuple(flat[q * i : q * (i + 1)]) for i in range(q))
    J = dict(zip(pairs(q), curvature, strict=True))
    JL = [[sum(J[max(i, k), min(i, k)] * L[k][j] for k in range(q)) for j in range(q)] for i in range(q)]
    inner = tuple(
        tuple(sum(L[k][i] * JL[k][j] for k in range(q)) + (1.0 if i == j else 0.0) for j in range(i + 1))
        for i in range(q)
    )
    return L, linear.cholesky(inner)  # type: ignore[arg-type]


def reduce_outer(
    kappa: jax.Array, ell: jax.Array, hyper: Hyper, units: Units, *, problem: Problem, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """What elimination takes from the outer system: curvature (m, m) and slope (m,)."""
    t, m = hyper.shock**2 * units.keep, kappa.shape[0]

    def summed(by_shock: jax.Array) -> jax.Array:
        return by_unit(jnp.sum(by_shock, axis=-2), problem.column, layout.n_units)

    cross = tuple(summed(a * units.keep * kappa) for a in problem.basis)
    lin = tuple(summed(a * units.keep * ell) for a in problem.basis)
    M, slope, _ = reduce_units([cross], lin, units)
    flat, by_shock = (a.reshape(m, ell.size) for a in (kappa, t * kappa))
    return M + by_shock @ flat.T, slope + by_shock @ ell.reshape(-1)


def reduce_units(
    cross: Sequence[Vector], lin: Vector, units: Units
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What units take from an outer system whose cross-curvature with their blocks is `cross`.

    Parameters
    ----------
    cross : for each part of the outer parameters, q of (m_k, N); joined, they would be slow to loop over
    lin : q of (N,), slope of the blocks

    Returns
    -------
    Curvature (m, m), slope (m,) and twice the value ().
    """

    halves, own = [whitened(units, part) for part in cross], whitened(units, lin)
    parts = range(len(halves))
    lower = [[_products(halves[a], halves[b]) for b in parts[: a + 1]] for a in parts]
    M = [[lower[a][b] if b <= a else lower[b][a].T for b in parts] for a in parts]
    slope = [sum(h @ e for h, e in zip(half, own, strict=True)) for half in halves]
    explained = sum(total(e**2) for e in own)
    if not halves:
        return jnp.zeros((0, 0), lin[0].dtype), jnp.zeros(0, lin[0].dtype), explained  # type: ignore[return-value]
    return jnp.block(M), jnp.concatenate(slope), explained  # type: ignore[return-value]


def explained_by(units: Units, v: Vector) -> Vector:
    """What a slope v, q of (m, N), moves the units' blocks by: (J + (L L')^-1)^-1 v."""
    return linear.multiply(units.factor, linear.solve_upper(units.low, whitened(units, v)))


def whitened(units: Units, v: Vector) -> Vector:
    """R^-1 L' v of a slope v, q of (N,) or (m, N), R R' = I + L' J L."""
    return linear.solve_lower(units.low, linear.multiply_transposed(units.factor, v))


def _products(a: Vector, b: Vector) -> jax.Array:
    return sum(x @ y.T for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
