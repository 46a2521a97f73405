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
from hitlbayes.inference.columns import parts_to_outer
from hitlbayes.inference.eliminate import whitened
from hitlbayes.inference.hyper import Hyper, hyper_logprior, unpack_hyper
from hitlbayes.inference.precision import with_narrow
from hitlbayes.inference.problem import Array, Beliefs, Layout, outer_prior
from hitlbayes.inference.runtime import SELDOM, quick_jit
from hitlbayes.inference.shocks import level_at
from hitlbayes.inference.sums import over_slots
from hitlbayes.inference.unit_sums import Part, Sums, eliminate, unit_sums


class Means(NamedTuple):
    """Gaussian data.

    parts : the units' data, cut into parts (C, ...)
    level, share : (P, L), (P, R) of `hitlbayes.inference.columns.Columns`
    within : (G, P + 1, P + 1) scatter of (X, y) within unit-periods, by residual SD
    counts : (G,) observations behind each residual SD (chats, or rows where n is a precision)
    """

    parts: Part
    level: Array
    share: Array
    within: Array
    counts: Array


def single(data: Means) -> Means:
    """The same data with every array of their size in single precision."""
    return data._replace(parts=with_narrow(data.parts, ("n", "y", "own", "rest", "basis", "phase")))


class Solved(NamedTuple):
    """The outer system solved at one psi.

    value : () log posterior density of psi
    low, loc, scale, half : the outer parameters are o = loc + scale * low'^-1 (half + z)
    """

    value: jax.Array
    low: jax.Array
    loc: jax.Array
    scale: jax.Array
    half: jax.Array


def sum_units(psi: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout) -> Sums:
    """Sums over all units at each of hyperparameters psi (B, k): arrays (B, ...).

    The loop over parts is the outer one: a part's arrays are read from memory once.
    """

    def of_part(part: Part) -> Sums:
        made = jax.lax.map(lambda p: unit_sums(unpack_hyper(p, layout, beliefs), part, layout=layout), psi)
        return jax.tree.map(lambda a: a.astype(psi.dtype), made)

    shapes = jax.eval_shape(of_part, jax.tree.map(lambda a: a[0], data.parts))
    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    return jax.lax.scan(
        lambda found, part: (jax.tree.map(jnp.add, found, of_part(part)), None), nothing, data.parts
    )[0]


def solve(psi: jax.Array, sums: Sums, data: Means, beliefs: Beliefs, *, layout: Layout) -> Solved:
    """Solve the outer system at hyperparameters psi (k,)."""
    hyper = unpack_hyper(psi, layout, beliefs)
    inner, P = data.within * jnp.exp(-2.0 * hyper.log_sigma)[:, None, None], layout.n_coef
    to_outer = parts_to_outer(data.level, data.share)
    M, g = to_outer @ sums.curvature @ to_outer.T, to_outer @ sums.slope
    M = M.at[:P, :P].add(jnp.sum(inner[:, :P, :P], axis=0))
    g = g.at[:P].add(jnp.sum(inner[:, :P, P], axis=0))
    loc, scale, _ = outer_prior(hyper.groups, beliefs, layout)
    low = jnp.linalg.cholesky(jnp.eye(layout.n_outer, dtype=M.dtype) + scale[:, None] * M * scale)
    half = jax.scipy.linalg.solve_triangular(low, scale * (g - M @ loc), lower=True)
    quadratic = sums.quadratic + jnp.sum(inner[:, P, P])
    quadratic = quadratic - jnp.sum(half**2) - 2.0 * loc @ g + loc @ M @ loc
    value = (
        sums.log_det
        - data.counts @ hyper.log_sigma
        - jnp.sum(jnp.log(jnp.diagonal(low)))
        - 0.5 * quadratic
        + hyper_logprior(psi, layout, beliefs)
    )
    return Solved(value, low, loc, scale, half)


def log_densities(psi: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout) -> jax.Array:
    """Log posterior densities (B,) of a batch of hyperparameters (B, k), up to one constant."""
    return values(psi, sum_units(psi, data, beliefs, layout=layout), data, beliefs, layout=layout)


def values(psi: jax.Array, sums: Sums, data: Means, beliefs: Beliefs, *, layout: Layout) -> jax.Array:
    """`log_densities` from the units' sums at each of psi."""
    return jax.lax.map(lambda at: solve(at[0], at[1], data, beliefs, layout=layout).value, (psi, sums))


# Products of matrices are most of it, which are as fast however loops are compiled.
sums_at, values_at, log_posterior = (
    quick_jit(task, static_argnames="layout", options=SELDOM) for task in (sum_units, values, log_densities)
)


class Effects(NamedTuple):
    """Conditional draws: outer (m,), unit (N, q); outer_mean (m,) is the exact conditional mean."""

    outer: jax.Array
    outer_mean: jax.Array
    unit: jax.Array


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def draw_effects(
    psi: jax.Array, sums: Sums, key: jax.Array, data: Means, beliefs: Beliefs, *, layout: Layout
) -> Effects:
    """Exact draws of outer parameters (B, m) and unit blocks (B, N, q), one for each of psi (B, k).

    sums : the units' sums at psi, arrays (B, ...), of `sum_units`
    """
    k_outer, k_unit = jax.random.split(key)
    (C, _, n), B, q = data.parts.n.shape, len(psi), layout.width
    z_outer = jax.random.normal(k_outer, (B, layout.n_outer), psi.dtype)
    z_unit = jax.random.normal(k_unit, (B, C, q, n), data.parts.y.dtype)
    to_outer = parts_to_outer(data.level, data.share)

    def outer_at(at: tuple[jax.Array, Sums, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        p, sums, z = at
        solved = solve(p, sums, data, beliefs, layout=layout)
        both = jnp.stack([solved.half + z, solved.half], axis=1)
        back = jax.scipy.linalg.solve_triangular(solved.low.T, both, lower=False)
        outer, mean = (solved.loc + solved.scale * back[:, j] for j in range(2))
        return outer, mean, outer @ to_outer

    def of_part(_: None, at: tuple[Part, jax.Array]) -> tuple[None, jax.Array]:
        part, z_part = at

        def of_draw(at: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            p, outer, z = at
            return draw_units(unpack_hyper(p, layout, beliefs), outer, z, part, layout=layout)

        return None, jax.lax.map(of_draw, (psi, by_part, z_part))

    outer, mean, by_part = jax.lax.map(outer_at, (psi, sums, z_outer))
    _, unit = jax.lax.scan(of_part, None, (data.parts, z_unit.swapaxes(0, 1)))
    return Effects(outer, mean, unit.transpose(1, 0, 3, 2).reshape(B, layout.n_units, q))


def draw_units(hyper: Hyper, outer: jax.Array, noise: jax.Array, part: Part, *, layout: Layout) -> jax.Array:
    """Exact draws (q, n) of a part's units given the outer parameters, by part of their design (s,)."""
    Q, ell, units = eliminate(hyper, part, layout=layout)
    slope = jax.lax.optimization_barrier(units.keep * (ell - Q * outer_mean(outer, part, layout)))
    lin = tuple(over_slots(a * slope) for a in part.basis)
    e = whitened(units, lin)
    e = linear.solve_upper(units.low, tuple(a + b for a, b in zip(e, noise, strict=True)))
    return jnp.stack(linear.multiply(units.factor, e)).astype(noise.dtype)


def outer_mean(outer: jax.Array, part: Part, layout: Layout) -> jax.Array:
    """Part of the mean that outer parameters make (T, n), by part of their design (s,)."""
    outer = outer.astype(part.basis.dtype)
    weights = tuple(outer[: layout.n_coef] @ a for a in part.own)
    mean, start = level_at(weights, part.basis), layout.n_coef
    for index, size, aligned in zip(part.groups, layout.n_levels, layout.aligned, strict=True):
        effect = outer[start : start + size]
        mean = mean + (effect[:, None] if aligned else effect[index])
        start += size
    return mean + jnp.einsum("r,trn->tn", outer[start:], part.rest) if part.rest.shape[1] else mean
