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
    group_effects,
    log_likelihood,
    log_prior,
    split_outer,
    split_psi,
)
from hitlbayes.fitting.factor_expansion import LEAST_CURVATURE, Anchor, group_scaling, own_expansion
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
    outer, spent = _level(outer_scaling(psi, data, layout), anchor.outer_J, anchor.outer_h, z_outer)
    intercept, common, own = split_outer(outer, layout)
    empty = State(psi, intercept, common, own, *(jnp.zeros(0),) * 3)
    slopes = jnp.vstack([*(a.reshape(-1, m) for a in coefficients(empty, data))])
    moved = slopes - anchor.slopes

    period, of_period, more = _groups(
        psi.period,
        psi.loading,
        anchor.period_J,
        anchor.period_h - anchor.period_C @ moved.ravel(),
        z_period,
    )
    spent += more
    by_day, before = (a.astype(narrow).T[:, data.period] for a in (of_period, anchor.period))
    shift = _kept(_fitted(moved, data) + by_day - before)
    pull = _kept(anchor.weight * shift - anchor.half * _kept(jnp.sum(anchor.half * shift, axis=0)))
    lost = jax.ops.segment_sum(pull.T, data.unit, num_segments=layout.units, indices_are_sorted=True)
    unit, of_unit, more = _groups(psi.unit, psi.loading, anchor.unit_J, anchor.unit_h - lost, z_unit)
    spent += more

    own_eta = _kept(_fitted(slopes, data) + by_day + of_unit.astype(narrow).T[:, data.unit])
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
    chats = ("eta", "score", "curvature", "weight", "half")
    return with_narrow(anchor, chats), with_narrow(data, ("y", "seen", "offset", "X"))


def outer_scaling(psi: Psi, data: Data, layout: Layout) -> jax.Array:
    """((1 + P) M, M + P (1 + M)) from standardised intercepts and columns' effects to slopes."""
    m, p = layout.measures, layout.columns
    common = jnp.einsum("pq,m->pmq", jnp.diag(data.common), psi.loading).reshape(p * m, p)
    lower = jnp.hstack([jnp.zeros((p * m, m)), common, jnp.diag(column_scales(psi, data).ravel())])
    upper = jnp.hstack([jnp.diag(data.spread), jnp.zeros((m, p * (1 + m)))])
    return jnp.vstack([upper, lower])


def _fitted(slopes: jax.Array, data: Data) -> jax.Array:
    """Intercepts and columns' part (M, n) of the predictor, from slopes (1 + P, M)."""
    near = slopes.astype(data.X.dtype)
    return near[0][:, None] + near[1:].T @ data.X


def _kept(a: jax.Array) -> jax.Array:
    """The same array, computed once: the compiler would repeat its making in every loop that reads it."""
    return jax.lax.optimization_barrier(a)


def _groups(
    scales: jax.Array, loading: jax.Array, J: jax.Array, h: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standardised effects of groups (G, 1 + M), those on the links' scales (G, M), and the log-Jacobian."""
    scaling = group_scaling(scales, loading)
    level = jax.vmap(lambda J, h, z: _level(scaling, J, h, z))
    effects, spent = level(J, h, z.reshape(len(J), -1))
    return effects, group_effects(effects, scales, loading), jnp.sum(spent)


def _level(scaling: jax.Array, J: jax.Array, h: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Standardised effects given their expansion and coordinates, and the log-Jacobian."""
    precision = jnp.eye(scaling.shape[1]) + scaling.T @ J @ scaling
    root = jnp.linalg.cholesky(precision)
    mean = solve_triangular(root, scaling.T @ h, lower=True)
    effects = solve_triangular(root, mean + z, lower=True, trans="T")
    return effects, -jnp.sum(jnp.log(jnp.diagonal(root)))


def _split(z: jax.Array, layout: Layout) -> list[jax.Array]:
    parts, at = [], 0
    for size in layout.sizes:
        parts.append(z[at : at + size])
        at += size
    return parts
