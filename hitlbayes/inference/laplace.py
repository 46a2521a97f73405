"""Laplace coordinates: an exact change of variables in which the posterior is nearly standard normal.

Write a state as (psi, o, u, delta): hyperparameters; outer parameters o (coefficients, levels of crossed
groups, cutpoints); unit blocks; unit-period shocks. At an anchor (a mode at rough scales) each row's log
likelihood is replaced by its quadratic, with slope, curvature q_r and cross-curvature w_r with the
cutpoints. The quadratic model is a Gaussian that can be solved from the inside out, for any psi:

    shocks   V_d = tau^2 / (1 + tau^2 Q_d),      delta_d = V_d (l_d - Q_d a_d'u) + sqrt(V_d) z_d
    units    K_i = I + L' J_i L = R R',          u_i = L [K_i^-1 L' l_i + R'^-1 z_i]
    outer    Gaussian with precision P / S^2 + M and slope M (o* - m0) + g; its factor costs no factorisation
             of the size of the largest group (`hitlbayes.inference.outer`)

with Q_d the curvature of shock d, J_i = sum_d a a' Q_d / (1 + tau^2 Q_d), l the pseudo-slopes, which move
with o and the cutpoints, L(psi) the block's factor, S(psi) the prior scales, P one where a prior is proper,
and M, g the curvature and slope of the outer parameters once units and shocks are eliminated at the anchor.
The hyperparameters are psi = psi* + C z_psi, C from the curvature of the log density along them at z = 0.

The rows' likelihood is computed as a change since the anchor (`hitlbayes.inference.rows`), and what is of the
size of the data has its derivatives written out (`hitlbayes.inference.shocks`).

`log_density` is the log posterior at the image of z plus the log-Jacobian of the map: sampling z is exact
whatever the anchor; a good anchor only makes it fast. Each log scale of the Jacobian cancels against the
same term of the effect's prior, so a scale of zero is an ordinary point.
(Transport-map HMC: Osmundsen, Kleppe and Liesenfeld 2021.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference import linear
from hitlbayes.inference.eliminate import unit_factors
from hitlbayes.inference.expansion import Anchor, State, outer_predictor
from hitlbayes.inference.hyper import Hyper, hyper_logprior, unpack_hyper
from hitlbayes.inference.linear import Vector
from hitlbayes.inference.outer import solve_outer
from hitlbayes.inference.problem import (
    Beliefs,
    Layout,
    Problem,
    cutpoint_logprior,
    cutpoints,
    outer_prior,
    split_outer,
)
from hitlbayes.inference.shocks import (
    Grid,
    Small,
    at_columns,
    by_unit,
    collect,
    delta_at,
    finish,
    gather,
    shock_at,
)
from hitlbayes.inference.sums import total
from hitlbayes.spec.families import dataset_loglik


class Coordinates(NamedTuple):
    """Coordinates by role: psi (k,), outer (m,), unit a (N,) for each column of the blocks, shock (T, C)."""

    psi: jax.Array
    outer: jax.Array
    unit: Vector
    shock: jax.Array


def split(few: jax.Array, many: jax.Array, layout: Layout) -> Coordinates:
    """Coordinates by role: `few` (k + m,) of what is solved densely, `many` of units and shocks.

    A model without shocks has (0, C) of them.
    """
    k, size = layout.n_hyper, layout.n_units * layout.width
    unit = many[:size].reshape(layout.width, layout.n_units)
    return Coordinates(few[:k], few[k:], tuple(unit), many[size:].reshape(-1, layout.columns))


def by_role(z: jax.Array, layout: Layout) -> Coordinates:
    """Flat coordinates (n,) by role."""
    head, rest = jnp.split(z, [layout.n_hyper + layout.n_outer])
    return split(head, rest, layout)


class _Parts(NamedTuple):
    """What a point is made of before its shocks: see `place` and `hitlbayes.inference.shocks.finish`."""

    psi: jax.Array
    outer: jax.Array
    unit: Vector
    small: Small
    shift: jax.Array
    ell: jax.Array
    z_shock: jax.Array
    grid: Grid
    log_prior: jax.Array


def place(z: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> State:
    """The state at coordinates z (n,)."""
    parts = _parts(by_role(z, layout), anchor, problem, beliefs, layout=layout)
    shock = shock_at(parts.small, parts.ell, parts.z_shock, parts.grid)
    return State(parts.psi, parts.outer, jnp.stack(parts.unit, axis=1), shock)


def _parts(z: Coordinates, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> _Parts:
    shape, narrow, wide = (layout.slots, layout.columns), problem.X.dtype, anchor.psi.dtype
    psi = anchor.psi + anchor.root @ z.psi.astype(wide)
    hyper = unpack_hyper(psi, layout, beliefs)
    outer, log_outer = _place_outer(z.outer.astype(wide), anchor, hyper, beliefs=beliefs, layout=layout)
    free = split_outer(outer, layout)[2]
    cut_move = cutpoints(free, layout.middle) - anchor.cut
    shift = outer_predictor(outer - anchor.outer, problem, layout)
    crossing = cut_move.astype(narrow)
    ell = anchor.pseudo - anchor.curvature * shift
    ell = ell + jnp.tensordot(crossing, anchor.cross, 1)
    ell = gather(ell, problem.shock, shape)
    tau = hyper.shock.astype(narrow)
    curvature, slope = (
        tuple(by_unit(a, problem.column, layout.n_units) for a in sums)
        for sums in collect(tau, ell, anchor.Q, problem.basis)
    )
    factor, low = unit_factors(hyper, curvature, problem.unit_class, layout=layout)
    lin = linear.solve_lower(low, linear.multiply_transposed(factor, slope))
    standard = linear.solve_upper(low, tuple(a + b.astype(narrow) for a, b in zip(lin, z.unit, strict=True)))
    log_unit = -total(sum(0.5 * e**2 for e in standard) + linear.log_determinants(low))
    log_prior = hyper_logprior(psi, layout, beliefs) + log_outer + log_unit
    if layout.n_cut:
        log_prior = log_prior + cutpoint_logprior(free, beliefs.concentration, layout.middle)
    seen = anchor.counts, anchor.at, problem.shock, anchor.above
    grid = Grid(anchor.Q, problem.basis, anchor.inside, *seen)
    unit = linear.multiply(factor, standard)
    small = Small(tau, hyper.over, cut_move, at_columns(unit, problem.column))
    return _Parts(psi, outer, unit, small, shift, ell, z.shock.astype(narrow), grid, log_prior)


def _place_outer(
    z: jax.Array, anchor: Anchor, hyper: Hyper, *, beliefs: Beliefs, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Outer parameters (m,) at coordinates z, their log prior (cutpoints apart) plus log-Jacobian."""
    loc, scale, proper = outer_prior(hyper.groups, beliefs, layout)
    pull = anchor.M @ (anchor.outer - loc) + anchor.g
    standard, value = solve_outer(scale, z, pull, proper, system=anchor.system, layout=layout)
    return loc + scale * standard, value


def log_density(
    z: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> jax.Array:
    """Log posterior density of coordinates z (n,), up to a constant of the anchor."""
    return density_and_point(by_role(z, layout), anchor, problem, beliefs, layout=layout)[0]


class Point(NamedTuple):
    """What is told of a point beside its density: psi (k,), outer (m,), unit (N, q), eta (R,)."""

    psi: jax.Array
    outer: jax.Array
    unit: jax.Array
    eta: jax.Array


def density_and_point(
    z: Coordinates, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> tuple[jax.Array, Point]:
    """`log_density`, and the point at which it was evaluated.

    Arrays of the data's size are computed in the precision of `problem`, hyperparameters and outer
    parameters in that of the anchor's.
    """
    psi, outer, unit, small, shift, ell, z_shock, grid, log_prior = _parts(
        z, anchor, problem, beliefs, layout=layout
    )
    value = log_prior + finish(layout.family, small, shift, ell, z_shock, grid)
    cut = cutpoints(split_outer(outer, layout)[2], layout.middle)
    value = value + dataset_loglik(layout.family, problem.categories, problem.above, cut, small.over)
    eta = anchor.eta + delta_at(small, shift, ell, z_shock, grid)
    return value, Point(psi, outer, jnp.stack(unit, axis=1), eta)
