"""Shocks and units solved out of a quadratic model, exactly.

Rows are already summed by shock: curvature Q (D,), pseudo-slope l (D,), and kappa (D, m), the
cross-curvature with the outer parameters. Shocks are scalars, units q x q blocks, so the cost is linear
in both; what is left is the outer system.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference import linear
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.problem import Hyper, Layout, Problem


class Units(NamedTuple):
    """The units' own system at given hyperparameters.

    keep : (D,) 1 / (1 + tau^2 Q), what a shock leaves of its rows' curvature
    factor : (N, q, q) L, with u = L e a priori
    low : (N, q, q) Cholesky factor of I + L' J L
    """

    keep: jax.Array
    factor: jax.Array
    low: jax.Array


def by_unit(by_shock: jax.Array, layout: Layout) -> jax.Array:
    """Sum over the shocks of each unit: (..., D) to (..., N)."""
    return jnp.sum(by_shock.reshape(*by_shock.shape[:-1], layout.n_units, layout.slots), axis=-1)


def at_shock(unit: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Value of each unit's block on the basis of each of its shocks: (N, q) to (D,)."""
    basis = problem.basis.reshape(layout.width, layout.n_units, layout.slots)
    return sum(basis[j] * unit[:, j, None] for j in range(layout.width)).reshape(-1)


def unit_system(hyper: Hyper, Q: jax.Array, problem: Problem, layout: Layout) -> Units:
    """Factor of every unit's block once its shocks are integrated out."""
    keep = 1.0 / (1.0 + hyper.shock**2 * Q)
    factor = BLOCKS[layout.block].factor(hyper.block, hyper.rho)[problem.unit_class]
    q, weight, basis = layout.width, Q * keep, problem.basis
    pairs = [(i, j) for i in range(q) for j in range(i + 1)]
    sums = [by_unit(weight * basis[i] * basis[j], layout) for i, j in pairs]
    J = dict(zip(pairs, sums, strict=True))
    J = jnp.stack([jnp.stack([J[max(i, j), min(i, j)] for j in range(q)], axis=1) for i in range(q)], axis=1)
    inner = jnp.eye(q, dtype=Q.dtype) + sum(
        factor[:, i, :, None] * J[:, i, j, None, None] * factor[:, j, None, :]
        for i in range(q)
        for j in range(q)
    )
    return Units(keep, factor, linear.cholesky(inner))


def project(factor: jax.Array, b: jax.Array) -> jax.Array:
    """L' b for stacks (N, q, q) and (N, q) or (N, q, m)."""
    wide = factor[..., None] if b.ndim == factor.ndim else factor
    return sum(wide[:, i] * b[:, i, None] for i in range(factor.shape[1]))


def lift(factor: jax.Array, e: jax.Array) -> jax.Array:
    """L e for stacks (N, q, q) and (N, q)."""
    return sum(factor[:, :, j] * e[:, j, None] for j in range(factor.shape[2]))


def reduce_outer(
    kappa: jax.Array, ell: jax.Array, hyper: Hyper, units: Units, *, problem: Problem, layout: Layout
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What elimination takes from the outer system: curvature (m, m), slope (m,), twice the value ()."""
    t = hyper.shock**2 * units.keep
    cross = jnp.stack(
        [by_unit(problem.basis[j] * units.keep * kappa.T, layout).T for j in range(layout.width)],
        axis=1,
    )
    half = linear.solve_lower(units.low, project(units.factor, cross)).reshape(-1, kappa.shape[1])
    lin = by_unit(problem.basis * (units.keep * ell), layout).T
    own = linear.solve_lower(units.low, project(units.factor, lin)).reshape(-1)
    M = kappa.T @ (t[:, None] * kappa) + half.T @ half
    return M, kappa.T @ (t * ell) + half.T @ own, jnp.sum(t * ell**2) + jnp.sum(own**2)
