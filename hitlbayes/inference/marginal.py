"""Gaussian outcomes: everything but the variances integrated out in closed form.

A unit-period's chats enter through n, their mean and the scatter about it; the scatter touches only the
residual variances (and covariates that vary within the unit-period). With Q_d = n_d / sigma_d^2 the means
follow the quadratic model of `hitlbayes.inference.eliminate` exactly, so for given hyperparameters psi
the log marginal likelihood is

    - sum_g N_g log sigma_g - (within scatter) / 2 + sum_d log(1 + tau^2 Q_d)^(-1/2) - sum_i log|R_i|
    - log|R_o| - [sum_d Q_d y_d^2 - (what shocks, units and the outer system explain)] / 2

where shocks leave Q_d y_d^2 / (1 + tau^2 Q_d) of the first sum. Given psi, outer parameters, units and
shocks are drawn exactly from the inside of the same factors. The few hyperparameters are drawn by importance
sampling from a multivariate t at the mode, the weights smoothed by their Pareto tail
(`hitlbayes.inference.psis`); their density is summed over arrays in single precision (`single`), what is
solved densely stays in double.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference import linear
from hitlbayes.inference.eliminate import Units, by_unit, reduce_units, unit_system
from hitlbayes.inference.precision import with_narrow
from hitlbayes.inference.problem import (
    Array,
    Beliefs,
    Layout,
    hyper_logprior,
    outer_prior,
    unpack_hyper,
)
from hitlbayes.inference.runtime import quick_jit
from hitlbayes.inference.sums import log_products, over_units, total


class Means(NamedTuple):
    """Gaussian data, one row per unit-period on the grid of slots and units (T, N).

    n : (T, N) chats, or the precision weight; zero in empty slots
    y : (T, N) mean outcome
    X : (P, T, N) mean covariates
    groups : one (T, N) index per crossed group
    basis : (q, T, N); unit_class : (N,)
    phase : (G, T, N) one where a residual SD applies, else zero (a gather would be far slower than a product)
    within : (G, P + 1, P + 1) scatter of (X, y) within unit-periods, by residual SD
    counts : (G,) observations behind each residual SD (chats, or rows where n is a precision)
    """

    n: Array
    y: Array
    X: Array
    groups: tuple[Array, ...]
    basis: Array
    unit_class: Array
    phase: Array
    within: Array
    counts: Array


def single(data: Means) -> Means:
    """The same data with every array of their size in single precision."""
    return with_narrow(data, ("n", "y", "X", "basis", "phase"))


class Solved(NamedTuple):
    """The quadratic model solved at one psi: what conditional draws need.

    value : () log posterior density of psi
    low, loc, scale, target : the outer system, o = loc + scale * (low'^-1)(low^-1 target + z)
    units, ell, Q : the units' factors, pseudo-slopes and curvatures (T, N)
    """

    value: jax.Array
    low: jax.Array
    loc: jax.Array
    scale: jax.Array
    target: jax.Array
    units: Units
    ell: jax.Array
    Q: jax.Array


def solve(psi: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout) -> Solved:
    """Solve the model at hyperparameters psi (k,)."""
    hyper = unpack_hyper(psi, layout, beliefs)
    variance = jnp.exp(2.0 * hyper.log_sigma)
    # Kept apart, or the compiler computes Q and its divisions anew for every sum that they enter.
    precision = jnp.tensordot((1.0 / variance).astype(data.n.dtype), data.phase, 1)
    Q = jax.lax.optimization_barrier(data.n * precision)
    ell = Q * data.y
    units = unit_system(hyper._replace(shock=hyper.shock.astype(Q.dtype)), Q, data, layout)
    M, g, explained = _outer_system(Q, ell, units, data, layout)
    M, g = M.astype(psi.dtype), g.astype(psi.dtype)
    inner = data.within / variance[:, None, None]
    P = layout.n_coef
    M = M.at[:P, :P].add(jnp.sum(inner[:, :P, :P], axis=0))
    g = g.at[:P].add(jnp.sum(inner[:, :P, P], axis=0))
    loc, scale, _ = outer_prior(hyper, beliefs, layout)
    low = jnp.linalg.cholesky(jnp.eye(layout.n_outer, dtype=M.dtype) + scale[:, None] * M * scale)
    target = scale * (g - M @ loc)
    half = jax.scipy.linalg.solve_triangular(low, target, lower=True)
    quadratic = total(units.keep * ell * data.y) + jnp.sum(inner[:, P, P]) - explained
    quadratic = quadratic - jnp.sum(half**2) - 2.0 * loc @ g + loc @ M @ loc
    value = (
        -data.counts @ hyper.log_sigma
        + 0.5 * total(log_products(units.keep))
        - total(linear.log_determinants(units.low))
        - jnp.sum(jnp.log(jnp.diagonal(low)))
        - 0.5 * quadratic
        + hyper_logprior(psi, layout, beliefs)
    )
    return Solved(value, low, loc, scale, target, units, ell, Q)


def _outer_system(
    Q: jax.Array, ell: jax.Array, units: Units, data: Means, layout: Layout
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Curvature and slope of the outer parameters with shocks and units eliminated, and what units explain.

    The weight that shocks leave, w = Q / (1 + tau^2 Q), is the same for every outer column, so the
    columns of a crossed group cost one scatter of w, or none where the group is aligned.
    """
    w = jax.lax.optimization_barrier(Q * units.keep)
    weighted = data.basis * w
    cross = [by_unit(weighted[:, None] * data.X)]
    cross += [_level_sums(weighted, data, k, layout) for k in range(len(layout.n_levels))]
    lin = tuple(by_unit(data.basis * (units.keep * ell)))
    M, slope, explained = reduce_units([tuple(block) for block in cross], lin, units)
    g = _onto_outer(units.keep * ell, data, layout) - slope
    return _direct(w, data, layout) - M, g, explained


def _level_sums(values: jax.Array, data: Means, k: int, layout: Layout) -> jax.Array:
    """Sum of values (q, T, N) over each level of group k and unit: (q, levels, N)."""
    size, q = layout.n_levels[k], layout.width
    if layout.aligned[k]:
        return values
    place = (data.groups[k] * layout.n_units + jnp.arange(layout.n_units)).reshape(-1)
    flat = jnp.zeros((q, layout.n_units * size), values.dtype).at[:, place].add(values.reshape(q, -1))
    return flat.reshape(q, size, layout.n_units)


def _onto_outer(v: jax.Array, data: Means, layout: Layout) -> jax.Array:
    """Transpose of the outer design times v: (T, N) to (m,)."""
    parts = [data.X.reshape(layout.n_coef, v.size) @ v.reshape(-1)]
    for index, size, aligned in zip(data.groups, layout.n_levels, layout.aligned, strict=True):
        if aligned:
            parts.append(over_units(v))
        else:
            parts.append(jax.ops.segment_sum(v.reshape(-1), index.reshape(-1), size))
    return jnp.concatenate(parts)


def _direct(w: jax.Array, data: Means, layout: Layout) -> jax.Array:
    """Weighted cross-product of the outer design (m, m)."""
    # Mapped: unrolled, an event study's column for every period would be compiled anew; one product of
    # matrices of few long rows is three times slower.
    top = jax.lax.map(lambda x: _onto_outer(w * x, data, layout), jnp.asarray(data.X))
    rows = [top]
    for k, size in enumerate(layout.n_levels):
        start = layout.n_coef + sum(layout.n_levels[:k])
        blocks = [top[:, start : start + size].T]
        for j, other in enumerate(layout.n_levels):
            blocks.append(_level_products(w, data, k, j, size, other, layout))
        rows.append(jnp.concatenate(blocks, axis=1))
    return jnp.concatenate(rows, axis=0)


def _level_products(w, data: Means, k: int, j: int, size: int, other: int, layout: Layout) -> jax.Array:
    """Sum of w over each pair of levels of groups k and j (size, other)."""
    if k == j:
        start = layout.n_coef + sum(layout.n_levels[:k])
        return jnp.diag(_onto_outer(w, data, layout)[start : start + size])
    pair = (data.groups[k] * other + data.groups[j]).reshape(-1)
    flat = jax.ops.segment_sum(w.reshape(-1), pair, size * other)
    return flat.reshape(size, other)


@partial(quick_jit, static_argnames="layout")
def log_posterior(psi: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout) -> jax.Array:
    """Log posterior densities (B,) of a batch of hyperparameters (B, k), up to one constant."""
    return jax.lax.map(lambda p: solve(p, data, beliefs, layout=layout).value, psi)


class Effects(NamedTuple):
    """Conditional draws: outer (m,), unit (N, q); outer_mean (m,) is the exact conditional mean."""

    outer: jax.Array
    outer_mean: jax.Array
    unit: jax.Array


@partial(quick_jit, static_argnames="layout")
def draw_effects(psi: jax.Array, key: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout) -> Effects:
    """Exact draws of outer parameters (B, m) and unit blocks (B, N, q), one for each of psi (B, k)."""

    def one(args: tuple[jax.Array, jax.Array]) -> Effects:
        p, k = args
        solved = solve(p, data, beliefs, layout=layout)
        k_outer, k_unit = jax.random.split(k)
        half = jax.scipy.linalg.solve_triangular(solved.low, solved.target, lower=True)
        z = jax.random.normal(k_outer, half.shape, half.dtype)
        back = jax.scipy.linalg.solve_triangular(
            solved.low.T, jnp.stack([half + z, half], axis=1), lower=False
        )
        outer, mean = (solved.loc + solved.scale * back[:, j] for j in range(2))
        ell = solved.ell - solved.Q * outer_mean(outer, data, layout)
        lin = tuple(by_unit(data.basis * (solved.units.keep * ell)))
        e = linear.solve_lower(solved.units.low, linear.multiply_transposed(solved.units.factor, lin))
        noise = jax.random.normal(k_unit, (len(e), layout.n_units), ell.dtype)
        e = linear.solve_upper(solved.units.low, tuple(a + b for a, b in zip(e, noise, strict=True)))
        return Effects(outer, mean, jnp.stack(linear.multiply(solved.units.factor, e), axis=1))

    return jax.lax.map(one, (psi, jax.random.split(key, psi.shape[0])))


def outer_mean(outer: jax.Array, data: Means, layout: Layout) -> jax.Array:
    """Part of the mean that outer parameters make (T, N)."""
    outer = outer.astype(data.X.dtype)
    mean, start = jnp.tensordot(outer[: layout.n_coef], data.X, 1), layout.n_coef
    for index, size, aligned in zip(data.groups, layout.n_levels, layout.aligned, strict=True):
        effect = outer[start : start + size]
        mean = mean + (effect[:, None] if aligned else effect[index])
        start += size
    return mean
