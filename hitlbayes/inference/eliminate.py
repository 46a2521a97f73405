"""Shocks and units solved out of a quadratic model, exactly.

Rows are already summed by shock: curvature Q (T, N), pseudo-slope l (T, N), and kappa (m, T, N), the
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

    keep : (T, N) 1 / (1 + tau^2 Q), what a shock leaves of its rows' curvature
    factor : (N, q, q) L, with u = L e a priori
    low : (N, q, q) Cholesky factor of I + L' J L
    """

    keep: jax.Array
    factor: jax.Array
    low: jax.Array


def by_unit(by_shock: jax.Array) -> jax.Array:
    """Sum over the shocks of each unit: (..., T, N) to (..., N)."""
    return jnp.sum(by_shock, axis=-2)


def at_shock(unit: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Value of each unit's block on the basis of each of its shocks: (N, q) to (T, N)."""
    return sum(problem.basis[j] * unit[:, j] for j in range(layout.width))


def unit_system(hyper: Hyper, Q: jax.Array, problem: Problem, layout: Layout) -> Units:
    """Factor of every unit's block once its shocks are integrated out."""
    keep = 1.0 / (1.0 + hyper.shock**2 * Q)
    factor = BLOCKS[layout.block].factor(hyper.block, hyper.rho)[problem.unit_class]
    q, weight, basis = layout.width, Q * keep, problem.basis
    pairs = [(i, j) for i in range(q) for j in range(i + 1)]
    sums = [by_unit(weight * basis[i] * basis[j]) for i, j in pairs]
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
        [by_unit(problem.basis[j] * units.keep * kappa).T for j in range(layout.width)],
        axis=1,
    )
    half = linear.solve_lower(units.low, project(units.factor, cross)).reshape(-1, kappa.shape[0])
    lin = by_unit(problem.basis * (units.keep * ell)).T
    own = linear.solve_lower(units.low, project(units.factor, lin)).reshape(-1)
    flat, by_shock = (a.reshape(kappa.shape[0], ell.size) for a in (kappa, t * kappa))
    M = by_shock @ flat.T + half.T @ half
    return M, by_shock @ ell.reshape(-1) + half.T @ own, jnp.sum(t * ell**2) + jnp.sum(own**2)
