"""What the units of a Gaussian model say of everything else, summed over them.

A unit's shocks and its block of effects are solved out at given hyperparameters; what is left adds up over
units: curvature and slope of the outer parameters, a quadratic form and a log determinant. Units are taken in
parts that stay in a processor's cache while many hyperparameters are tried on them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference import linear
from hitlbayes.inference.eliminate import Units, explained_by, reduce_units, unit_system
from hitlbayes.inference.hyper import Hyper
from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.problem import Array, Layout
from hitlbayes.inference.sums import EXACT, log_products, over_slots, over_units, total

AT_ONCE = 2**15  # unit-periods whose arrays fit a core's cache


class Part(NamedTuple):
    """Some units' data, one row per unit-period on the grid of slots and units (T, n).

    n : (T, n) chats, or the precision weight; zero in empty slots
    y : (T, n) mean outcome
    own, rest : (q, P, n), (T, R, n) mean covariates, as `hitlbayes.inference.columns.Columns` makes them
    groups : one (T, n) index per crossed group
    basis : (q, T, n); unit_class : (n,)
    phase : (G, T, n) one where a residual SD applies, else zero (a gather would be far slower than a product)
    """

    n: Array
    y: Array
    own: Array
    rest: Array
    groups: tuple[Array, ...]
    basis: Array
    unit_class: Array
    phase: Array


class Sums(NamedTuple):
    """Sums over units, by part of the outer design (s = P + L + R: see `hitlbayes.inference.columns`).

    curvature, slope : (s, s), (s,)
    quadratic : () twice the loss that shocks, units and outer parameters have not explained
    log_det : () log determinants of shocks and units
    """

    curvature: jax.Array
    slope: jax.Array
    quadratic: jax.Array
    log_det: jax.Array


class Eliminated(NamedTuple):
    """Units at given hyperparameters: curvature Q and pseudo-slope (T, n), and the units' factors."""

    Q: jax.Array
    ell: jax.Array
    units: Units


def in_parts(every: Part, *, n_outer: int) -> Part:
    """The same data with a leading axis of parts (C, ...), equal in size and small enough for a cache."""
    slots, n_units = every.n.shape
    count = 1
    # A large outer system costs more to add up than a part costs to read.
    while slots * n_units > AT_ONCE * count and n_units % (2 * count) == 0 and n_outer**2 < AT_ONCE:
        count *= 2

    def cut(a: Array) -> Array:
        return np.moveaxis(a.reshape(*a.shape[:-1], count, n_units // count), -2, 0)

    return Part(*(tuple(map(cut, a)) if isinstance(a, tuple) else cut(a) for a in every))


def eliminate(hyper: Hyper, part: Part, *, layout: Layout) -> Eliminated:
    """Curvatures, pseudo-slopes and factors at given hyperparameters."""
    # Kept apart, or the compiler computes Q and its divisions anew for every sum that they enter.
    precision = jnp.tensordot(jnp.exp(-2.0 * hyper.log_sigma).astype(part.n.dtype), part.phase, 1)
    Q = jax.lax.optimization_barrier(part.n * precision)
    units = unit_system(hyper, Q, basis=part.basis, unit_class=part.unit_class, layout=layout)
    return Eliminated(Q, Q * part.y, units)


def unit_sums(hyper: Hyper, part: Part, *, layout: Layout) -> Sums:
    """Sums over the units of a part, shocks and blocks eliminated.

    The weight that shocks leave, w = Q / (1 + tau^2 Q), is the same for every part of the outer design, so
    the levels of a crossed group cost one scatter of w, or none where the group is aligned, and columns made
    of the unit's basis cost sums over units alone.
    """
    Q, ell, units = eliminate(hyper, part, layout=layout)
    own = tuple(part.own)
    w = jax.lax.optimization_barrier(Q * units.keep)
    weighted, slope = part.basis * w, units.keep * ell
    lin = tuple(over_slots(a * slope) for a in part.basis)
    cross = [tuple(_level_sums(weighted, part, k, layout)) for k in range(len(layout.n_levels))]
    if part.rest.shape[1]:
        cross.append(tuple(jnp.sum(a[:, None] * part.rest, axis=0) for a in weighted))
    less, taken, explained = reduce_units(cross, lin, narrowed(units, w.dtype))
    # Elimination is applied to the columns made of the basis, so that each product is taken once; in the
    # precision of the factors, for where data say much of a unit next to nothing is kept.
    seen = linear.multiply(linear.symmetric(units.curvature), own)
    kept = tuple((a - b).astype(w.dtype) for a, b in zip(own, explained_by(units, seen), strict=True))
    seen = narrowed(seen, w.dtype)
    top = [sum(a @ b.T for a, b in zip(kept, block, strict=True)) for block in (seen, *cross)]
    side = jnp.concatenate(top[1:], axis=1) if cross else jnp.zeros((layout.n_coef, 0), w.dtype)
    curvature = jnp.block([[top[0], side], [side.T, _direct(w, part, layout) - less]])
    on_own = sum(a @ b for a, b in zip(kept, lin, strict=True))
    on_others = jnp.concatenate(_onto_others(slope, part, layout)) - taken
    log_det = 0.5 * total(log_products(units.keep)) - total(linear.log_determinants(units.low))
    return Sums(curvature, jnp.concatenate([on_own, on_others]), total(slope * part.y) - explained, log_det)


def _level_sums(values: jax.Array, part: Part, k: int, layout: Layout) -> jax.Array:
    """Sum of values (q, T, n) over each level of group k and unit: (q, levels, n)."""
    size, (q, _, n) = layout.n_levels[k], values.shape
    if layout.aligned[k]:
        return values
    place = (part.groups[k] * n + jnp.arange(n)).reshape(-1)
    flat = jnp.zeros((q, n * size), values.dtype).at[:, place].add(values.reshape(q, -1))
    return flat.reshape(q, size, n)


def _onto_others(v: jax.Array, part: Part, layout: Layout) -> list[jax.Array]:
    """Sums of v (T, n) over each level of each crossed group, and against what is left of the columns."""
    on_rest = jnp.sum(jnp.einsum("trn,tn->tr", part.rest, v), axis=0)
    return [*(_onto_levels(v, part, k, layout) for k in range(len(layout.n_levels))), on_rest]


def _onto_levels(v: jax.Array, part: Part, k: int, layout: Layout) -> jax.Array:
    """Sums of v (T, n) over each level of group k."""
    if layout.aligned[k]:
        return over_units(v)
    return jax.ops.segment_sum(v.reshape(-1), part.groups[k].reshape(-1), layout.n_levels[k])


def _direct(w: jax.Array, part: Part, layout: Layout) -> jax.Array:
    """Weighted cross-product of the levels and of what is left of the columns."""
    groups = range(len(layout.n_levels))
    upper = [[_level_pairs(w, part, k, j, layout) for j in groups[k:]] for k in groups]
    if part.rest.shape[1]:
        by_slot, by_rest = _products_of_rest(w, part)
        for k, row in enumerate(upper):
            row.append(by_slot if layout.aligned[k] else _levels_of_rest(w, part, k, layout))
        upper.append([by_rest])
    if not upper:
        return jnp.zeros((0, 0), w.dtype)
    parts = range(len(upper))
    return jnp.block([[upper[a][b - a] if a <= b else upper[b][a - b].T for b in parts] for a in parts])


def _products_of_rest(w: jax.Array, part: Part) -> tuple[jax.Array, jax.Array]:
    """Weighted sums of what is left of the columns by slot (T, R), and its cross-product (R, R)."""

    def of_slot(found: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # A slot at a time stays in a processor's cache, for each of the products.
        x, w = at
        weighted = jax.lax.optimization_barrier(w * x)
        return found + jnp.matmul(weighted, x.T, precision=EXACT), over_units(weighted)

    size = part.rest.shape[1]
    products, by_slot = jax.lax.scan(of_slot, jnp.zeros((size, size), w.dtype), (part.rest, w))
    return by_slot, products


def _levels_of_rest(w: jax.Array, part: Part, k: int, layout: Layout) -> jax.Array:
    """Weighted sums of what is left of the columns over each level of group k (L, R)."""
    return jax.lax.map(lambda x: _onto_levels(w * x, part, k, layout), part.rest.swapaxes(0, 1)).T


def _level_pairs(w: jax.Array, part: Part, k: int, j: int, layout: Layout) -> jax.Array:
    """Sum of w over each pair of levels of groups k and j."""
    size, other = layout.n_levels[k], layout.n_levels[j]
    if k == j:
        return jnp.diag(_onto_levels(w, part, k, layout))
    pair = (part.groups[k] * other + part.groups[j]).reshape(-1)
    return jax.ops.segment_sum(w.reshape(-1), pair, size * other).reshape(size, other)
