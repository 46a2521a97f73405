"""Shocks and rows of the density in Laplace coordinates, their derivatives written out.

Everything of the size of the data happens in two functions. `collect` sums what the rows tell of each unit
once its shocks are integrated out; `finish` places the shocks and adds up the log likelihood. Reverse-mode
differentiation of such long chains of element-wise steps makes a compiler compute them many times over;
here each derivative is one more pass over the same arrays.

With V = 1 / (1 + tau^2 Q), l the pseudo-slope, a the unit's basis and u its effects, the shock is

    delta = tau s,   s = tau V (l - Q a'u) + sqrt(V) z,   log prior + log |d delta / d z| = -s^2/2 + log(V)/2.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.linear import Vector
from hitlbayes.inference.rows import Moved, moved_rows
from hitlbayes.inference.sums import over_slots, total


class Grid(NamedTuple):
    """The data's part, as it was when the map was made.

    Q : (T, C) curvature by shock; basis : (q, T, C); inside : (T, C) unit and shock parts of the predictor
    counts, above : (J + 1, R), (K-1,) of `hitlbayes.inference.rows.counted`; at : (J, R) of `anchored` there
    shock : (R,) index of each row's shock, empty where rows are the shocks
    """

    Q: jax.Array
    basis: jax.Array
    inside: jax.Array
    counts: jax.Array
    at: jax.Array
    shock: jax.Array
    above: jax.Array


def spread(by_shock: jax.Array, shock: jax.Array) -> jax.Array:
    """Values by shock (T, C) to rows (R,); an empty `shock` says that rows are the shocks."""
    return by_shock.reshape(-1)[shock] if shock.shape[0] else by_shock


def gather(by_row: jax.Array, shock: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Sum over the rows of each shock: (..., R) to (..., T, C)."""
    if not shock.shape[0]:
        return by_row
    summed = jax.ops.segment_sum(by_row.T, shock, math.prod(shape), indices_are_sorted=True)
    return summed.T.reshape(*by_row.shape[:-1], *shape)


def pairs(width: int) -> list[tuple[int, int]]:
    """Entries of a unit's symmetric block that are kept: its lower triangle."""
    return [(i, j) for i in range(width) for j in range(i + 1)]


@jax.custom_vjp
def collect(tau: jax.Array, ell: jax.Array, Q: jax.Array, basis: jax.Array) -> tuple[Vector, Vector]:
    """Curvature and slope of units' blocks by column, shocks integrated out: (C,) per pair and effect."""
    keep = 1.0 / (1.0 + tau**2 * Q)
    weight, slope = keep * Q, keep * ell
    curvature = tuple(over_slots(weight * basis[i] * basis[j]) for i, j in pairs(len(basis)))
    return curvature, tuple(over_slots(slope * a) for a in basis)


def _collect_forward(tau, ell, Q, basis):
    return collect(tau, ell, Q, basis), (tau, ell, Q, basis)


def _collect_backward(saved, cotangent):
    tau, ell, Q, basis = saved
    to_curvature, to_slope = cotangent
    keep = 1.0 / (1.0 + tau**2 * Q)
    to_ell = sum(a * s for a, s in zip(basis, to_slope, strict=True))
    to_weight = sum(
        basis[i] * basis[j] * s for (i, j), s in zip(pairs(len(basis)), to_curvature, strict=True)
    )
    to_keep = Q * to_weight + ell * to_ell
    return total(to_keep * Q * keep**2).astype(tau.dtype) * (-2.0 * tau), keep * to_ell, None, None


collect.defvjp(_collect_forward, _collect_backward)


class Small(NamedTuple):
    """What `finish` is a function of, besides the arrays of the data's size.

    tau : () the shocks' scale; over : () overdispersion; cut_move : (K-1,) moves of the cutpoints
    unit : a (C,) for each column of the units' blocks, at the grid's columns
    """

    tau: jax.Array
    over: jax.Array
    cut_move: jax.Array
    unit: Vector


def at_columns(values: Vector, column: jax.Array) -> Vector:
    """Values of units (N,) at the grid's columns (C,); an empty `column` says that columns are the units."""
    if not column.shape[0]:
        return values
    return tuple(a.at[column].get(indices_are_sorted=True, mode="promise_in_bounds") for a in values)


def by_unit(by_column: jax.Array, column: jax.Array, n_units: int) -> jax.Array:
    """Sum over the columns of each unit: (..., C) to (..., N)."""
    if not column.shape[0]:
        return by_column
    made = jnp.zeros((*by_column.shape[:-1], n_units), by_column.dtype)
    return made.at[..., column].add(by_column, indices_are_sorted=True, mode="promise_in_bounds")


def level_at(unit: Vector, basis: jax.Array) -> jax.Array:
    """Value of each unit's block at each shock (T, C), from values at the columns."""
    return sum(a * u for a, u in zip(basis, unit, strict=True))  # type: ignore[return-value]


def shock_at(small: Small, ell: jax.Array, z: jax.Array, grid: Grid) -> jax.Array:
    """Shocks (T, C) at coordinates z (T, C); zero where the model has none, z then being (0, C)."""
    if not z.shape[0]:
        return jnp.zeros(grid.Q.shape, z.dtype)
    tau = small.tau.astype(z.dtype)
    keep = 1.0 / (1.0 + tau**2 * grid.Q)
    rest = ell - grid.Q * level_at(small.unit, grid.basis)
    return tau * (tau * keep * rest + jnp.sqrt(keep) * z)


def finish(
    family: str, small: Small, shift: jax.Array, ell: jax.Array, z: jax.Array, grid: Grid
) -> jax.Array:
    """Log likelihood of the rows, plus log prior and log-Jacobian of the shocks, up to a constant.

    Parameters
    ----------
    shift : (R,) move of the predictor's outer part since the anchor
    ell : (T, C) pseudo-slope by shock
    z : (T, C) coordinates of the shocks; (0, C) where the model has none
    """
    return _finish(small, shift, ell, z, grid, family)


def delta_at(small: Small, shift: jax.Array, ell: jax.Array, z: jax.Array, grid: Grid) -> jax.Array:
    """Move of each row's linear predictor since the anchor (R,)."""
    inner = level_at(small.unit, grid.basis) + shock_at(small, ell, z, grid)
    return shift + spread(inner - grid.inside, grid.shock)


def _value_and_slopes(
    family: str, small: Small, shift: jax.Array, ell: jax.Array, z: jax.Array, grid: Grid
) -> tuple[jax.Array, tuple]:
    delta = delta_at(small, shift, ell, z, grid)
    moved = moved_rows(family, delta, grid.counts, grid.at, small.cut_move, small.over, grid.above)
    slope = gather(moved.slope, grid.shock, grid.Q.shape)
    if not z.shape[0]:
        to_unit = tuple(over_slots(a * slope) for a in grid.basis)
        none = jnp.zeros((), slope.dtype)
        return moved.value, _slopes(small, moved, none, to_unit, none * ell, z)
    tau, Q = small.tau.astype(z.dtype), grid.Q
    keep = 1.0 / (1.0 + tau**2 * Q)
    root = jnp.sqrt(keep)
    rest = ell - Q * level_at(small.unit, grid.basis)
    s = tau * keep * rest + root * z
    value = moved.value + total(0.5 * (jnp.log(keep) - s**2))
    to_s = tau * slope - s
    to_rest = tau * keep * to_s
    to_unit = tuple(over_slots(a * (slope - Q * to_rest)) for a in grid.basis)
    # d keep / d tau = -2 tau Q keep^2, d root / d tau = -tau Q keep root
    from_tau = keep * rest * (1.0 - 2.0 * tau**2 * Q * keep) - tau * Q * keep * root * z
    to_tau = total(to_s * from_tau + slope * s - tau * Q * keep)
    return value, _slopes(small, moved, to_tau, to_unit, to_rest, root * to_s)


def _slopes(small: Small, moved: Moved, to_tau, to_unit, to_ell, to_z) -> tuple:
    to_small = Small(to_tau, moved.to_over, moved.to_cut, to_unit)
    return jax.tree.map(lambda a, b: a.astype(b.dtype), to_small, small), moved.slope, to_ell, to_z


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _finish(
    small: Small, shift: jax.Array, ell: jax.Array, z: jax.Array, grid: Grid, family: str
) -> jax.Array:
    return _value_and_slopes(family, small, shift, ell, z, grid)[0]


def _finish_forward(small, shift, ell, z, grid, family):
    return _value_and_slopes(family, small, shift, ell, z, grid)


def _finish_backward(family, slopes, cotangent):
    return (*jax.tree.map(lambda a: (cotangent * a).astype(a.dtype), slopes), None)


_finish.defvjp(_finish_forward, _finish_backward)
