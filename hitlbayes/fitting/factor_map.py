"""Coordinates in which the posterior of `hitlbayes.fitting.factor` is nearly a standard normal.

At a mode of the effects the likelihood is expanded in eta: score g_km and curvature q_km. Were it Gaussian,
every level could be drawn given those above it: columns given psi, periods given columns, units given both,
chats given all. The map does that with the expansion and carries its log-Jacobian in the density, so nothing
is approximated (transport-map HMC: Osmundsen, Kleppe and Liesenfeld 2021). Scales and loadings enter each
level's precision, which takes out the funnels between scales and effects.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from hitlbayes.fitting.factor import (
    Data,
    Layout,
    Psi,
    State,
    coefficients,
    column_scales,
    split_outer,
    split_psi,
)
from hitlbayes.fitting.factor_density import log_likelihood, log_prior
from hitlbayes.fitting.factor_expansion import LEAST_CURVATURE, Anchor, own_expansion
from hitlbayes.fitting.factor_groups import place_groups
from hitlbayes.inference.precision import with_narrow
from hitlbayes.inference.sums import total


class Placed(NamedTuple):
    """The model's state, its predictor eta (M, n) and the map's log-Jacobian up to a constant."""

    state: State
    eta: jax.Array
    spent: jax.Array


def place(z: jax.Array, anchor: Anchor, data: Data, layout: Layout) -> Placed:
    """The model's state at coordinates z."""
    z_psi, z_outer, z_period, z_unit, z_chat = _split(z, layout)
    m, narrow = layout.measures, data.X.dtype
    psi = split_psi(anchor.psi + anchor.root @ z_psi, layout)
    loading = psi.loading.astype(narrow)
    outer, spent = _place_outer(psi, data, anchor, z_outer, layout)
    intercept, common, own = split_outer(outer, layout)
    empty = State(psi, intercept, common, own, *(jnp.zeros(0),) * 3)
    slopes = jnp.vstack([*(a.reshape(-1, m) for a in coefficients(empty, data))])
    moved = slopes - anchor.slopes

    pull = anchor.period_h - anchor.period_C @ moved.ravel()
    period, of_period, more = _of_groups(psi.period, psi.loading, anchor.period_J, pull, z_period)
    spent += more
    days_moved = (of_period - anchor.period).astype(narrow)
    shift = _kept(_fitted(moved, data) + days_moved[:, data.period])
    pull = _kept(anchor.weight * shift - anchor.half * _kept(jnp.sum(anchor.half * shift, axis=0)))
    lost = jax.ops.segment_sum(pull.T, data.unit, num_segments=layout.units, indices_are_sorted=True)
    pull = anchor.unit_h - lost.T
    unit, of_unit, more = _of_groups(psi.unit, psi.loading, anchor.unit_J, pull, z_unit)
    spent += more

    own_eta = _kept(anchor.outside + shift + of_unit.astype(narrow)[:, data.unit])
    # a chat's factor has little data: its precision must follow the dispersions of counts and delays
    score, curvature = own_expansion(anchor.eta, psi, data, layout)
    curvature = _kept(data.seen * jnp.maximum(anchor.curvature + curvature, LEAST_CURVATURE))
    precision = 1.0 + loading**2 @ curvature
    mean = loading @ (curvature * (anchor.eta - own_eta) + anchor.score + score) / precision
    chat = _kept(mean + z_chat.astype(narrow) / jnp.sqrt(precision))
    spent -= 0.5 * total(jnp.log(precision))
    state = State(psi, intercept, common, own, period, unit, chat)
    return Placed(state, own_eta + loading[:, None] * chat, spent)


def mapped_density(z: jax.Array, arguments: tuple[Anchor, Data], layout: Layout) -> jax.Array:
    """Log posterior density of coordinates z up to a constant."""
    anchor, data = arguments
    state, eta, spent = place(z, anchor, data, layout)
    return log_likelihood(eta, state.psi, data, layout) + log_prior(state, data, layout) + spent


def single(anchor: Anchor, data: Data) -> tuple[Anchor, Data]:
    """The same with every array over chats in single precision; sums and what is solved stay in double."""
    large = ("eta", "outside", "score", "curvature", "weight", "half", "unit_J", "unit_h")
    return with_narrow(anchor, large), with_narrow(data, ("y", "seen", "offset", "X"))


def _fitted(slopes: jax.Array, data: Data) -> jax.Array:
    """Intercepts and columns' part (M, n) of the predictor, from slopes (1 + P, M)."""
    near = slopes.astype(data.X.dtype)
    return near[0][:, None] + near[1:].T @ data.X


def _kept(a: jax.Array) -> jax.Array:
    """The same array, computed once: the compiler would repeat its making in every loop that reads it."""
    return jax.lax.optimization_barrier(a)


def _of_groups(
    scales: jax.Array, loading: jax.Array, J: jax.Array, h: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standardised effects (G, 1 + M), those on the links' scales (M, G), log-Jacobian, in J's precision."""
    scales, loading, h, z = (a.astype(J.dtype) for a in (scales, loading, h, z))
    effects, on_links, spent = place_groups(scales, loading, J, h, z.reshape(len(scales), -1))
    return effects.T, on_links, total(spent)


def _place_outer(
    psi: Psi, data: Data, anchor: Anchor, z: jax.Array, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Standardised intercepts' and columns' effects given their expansion, and the log-Jacobian."""
    curvature, slope = scaled_outer(psi, data, anchor.outer_J, anchor.outer_h, layout)
    root = jnp.linalg.cholesky(jnp.eye(len(slope)) + curvature)
    mean = solve_triangular(root, slope, lower=True)
    effects = solve_triangular(root, mean + z, lower=True, trans="T")
    return effects, -jnp.sum(jnp.log(jnp.diagonal(root)))


def scaled_outer(
    psi: Psi, data: Data, J: jax.Array, h: jax.Array, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """S' J S and S' h, with S from standardised intercepts' and columns' effects to slopes ((1 + P) M).

    S is never made: it scales, and sums over the measures that a column moves through the factor.
    """
    m, p = layout.measures, layout.columns
    own, common = column_scales(psi, data), data.common[:, None] * psi.loading

    def onto(a: jax.Array) -> jax.Array:
        """S' a of a ((1 + P) M, ...)."""
        a = a.reshape(1 + p, m, -1)
        parts = data.spread[:, None] * a[0], jnp.sum(common[..., None] * a[1:], axis=1)
        return jnp.concatenate([*parts, (own[..., None] * a[1:]).reshape(p * m, -1)])

    return onto(onto(J).T), onto(h)[:, 0]


def _split(z: jax.Array, layout: Layout) -> list[jax.Array]:
    parts, at = [], 0
    for size in layout.sizes:
        parts.append(z[at : at + size])
        at += size
    return parts
