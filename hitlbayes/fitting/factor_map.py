"""Coordinates in which the posterior of `hitlbayes.fitting.factor` is nearly a standard normal.

At a mode of the effects the likelihood is expanded in eta: score g_km and curvature q_km. Were it Gaussian,
every level could be drawn given those above it: columns given psi, periods given columns, units given both,
chats given all. The map does that with the expansion and carries its log-Jacobian in the density, so nothing
is approximated (transport-map HMC: Osmundsen, Kleppe and Liesenfeld 2021). Scales and loadings enter each
level's precision, which takes out the funnels between scales and effects.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from hitlbayes.fitting.factor import (
    COUNTS,
    Data,
    Layout,
    Psi,
    State,
    coefficients,
    column_scales,
    excess,
    group_effects,
    log_likelihood,
    log_prior,
    predictor,
    split_outer,
    split_psi,
)
from hitlbayes.inference.precision import with_narrow
from hitlbayes.inference.runtime import SELDOM, quick_jit
from hitlbayes.inference.sums import total

LEAST_CURVATURE = 1e-3


class Anchor(NamedTuple):
    """The expansion at a mode.

    psi, root : (k,), (k, k) centre and Cholesky root of the coordinates of psi
    eta, score, curvature : (M, n), less the parts of score and curvature that `own_expansion` gives
    weight : (M, n) the curvature at the anchor's psi; half : (M, n) q lambda / sqrt(1 + sum lambda^2 q)
    slopes : (1 + P, M) intercepts and B; unit, period : (N, M), (T, M) effects on the links' scales
    outer_J, outer_h : of `slopes`, flat, all else integrated out
    period_J, period_h, period_C : (T, M, M), (T, M), (T, M, (1 + P) M), units integrated out
    unit_J, unit_h : (N, M, M), (N, M), chats integrated out
    """

    psi: jax.Array
    root: jax.Array
    eta: jax.Array
    score: jax.Array
    curvature: jax.Array
    weight: jax.Array
    half: jax.Array
    slopes: jax.Array
    unit: jax.Array
    period: jax.Array
    outer_J: jax.Array
    outer_h: jax.Array
    period_J: jax.Array
    period_h: jax.Array
    period_C: jax.Array
    unit_J: jax.Array
    unit_h: jax.Array


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


def own_expansion(eta: jax.Array, psi: Psi, data: Data, layout: Layout) -> tuple[jax.Array, jax.Array]:
    """Score and curvature (M, n) in eta of delays and (as if not truncated) counts; zero elsewhere."""
    score, curvature = [], []
    sigma, over = (iter(a.astype(eta.dtype)) for a in (psi.log_sigma, excess(psi.over)))
    for m, family in enumerate(layout.families):
        y = data.y[m]
        if family == "lognormal":
            weight = jnp.exp(-2 * next(sigma))
            score.append(weight * (y - eta[m]))
            curvature.append(jnp.full_like(y, weight))
        elif family in COUNTS:
            more, mean = next(over), jnp.exp(eta[m] + data.offset[m])
            score.append(y - (1 + y * more) * mean / (1 + more * mean))
            curvature.append((1 + y * more) * mean / (1 + more * mean) ** 2)
        else:
            score.append(jnp.zeros_like(y))
            curvature.append(jnp.zeros_like(y))
    return data.seen * jnp.stack(score), data.seen * jnp.stack(curvature)


def group_scaling(scales: jax.Array, loading: jax.Array) -> jax.Array:
    """(M, 1 + M) from standardised effects of a group to those on the links' scales."""
    return jnp.hstack([(scales[0] * loading)[:, None], jnp.diag(scales[1:])])


def outer_scaling(psi: Psi, data: Data, layout: Layout) -> jax.Array:
    """((1 + P) M, M + P (1 + M)) from standardised intercepts and columns' effects to slopes."""
    m, p = layout.measures, layout.columns
    common = jnp.einsum("pq,m->pmq", jnp.diag(data.common), psi.loading).reshape(p * m, p)
    lower = jnp.hstack([jnp.zeros((p * m, m)), common, jnp.diag(column_scales(psi, data).ravel())])
    upper = jnp.hstack([jnp.diag(data.spread), jnp.zeros((m, p * (1 + m)))])
    return jnp.vstack([upper, lower])


def expand(state: State, root: np.ndarray, data: Data, layout: Layout) -> Anchor:
    """The expansion at a state whose effects are at their mode, with a root for psi."""
    psi = state.psi
    eta, score, curvature = (np.asarray(a) for a in _derivatives(state, data, layout=layout))
    curvature = np.where(np.asarray(data.seen) > 0, np.maximum(curvature, LEAST_CURVATURE), 0.0)
    loading = np.asarray(psi.loading)
    ours = [np.asarray(a) for a in own_expansion(eta, psi, data, layout)]
    half = curvature * loading[:, None] / np.sqrt(1.0 + loading**2 @ curvature)
    m, unit_of, period_of = layout.measures, np.asarray(data.unit), np.asarray(data.period)
    weights = -half[:, None] * half[None]
    weights[np.arange(m), np.arange(m)] += curvature

    unit_J = np.stack([_sums(weights[a], unit_of, layout.units) for a in range(m)], axis=1)
    unit_J = np.moveaxis(unit_J, 2, 0)
    unit_J = 0.5 * (unit_J + np.swapaxes(unit_J, 1, 2))
    both = _marginal_information(weights, unit_J, psi, data, layout)
    P = 1 + layout.columns
    outer, rest = slice(0, P * m), slice(P * m, None)
    blocks = both[rest, rest].reshape(layout.periods, m, layout.periods, m)
    period_J = blocks[np.arange(layout.periods), :, np.arange(layout.periods)]
    U = np.kron(np.eye(layout.periods), np.asarray(group_scaling(psi.period, psi.loading)))
    tied = U.T @ both[rest, outer]
    outer_J = both[outer, outer] - tied.T @ np.linalg.solve(
        np.eye(len(tied)) + U.T @ both[rest, rest] @ U, tied
    )

    intercept, B = coefficients(state, data)
    slopes = np.vstack([np.asarray(intercept)[None], np.asarray(B)])
    unit = np.asarray(group_effects(state.unit, psi.unit, psi.loading))
    period = np.asarray(group_effects(state.period, psi.period, psi.loading))
    ones_X = np.vstack([np.ones(layout.chats), np.asarray(data.X)])
    unit_h = np.einsum("iab,ib->ia", unit_J, unit) + _sums(score, unit_of, layout.units).T
    period_h = np.einsum("tab,tb->ta", period_J, period) + _sums(score, period_of, layout.periods).T
    # priors of intercepts are centred: the standardised scale begins at `centre`
    offset = slopes.copy()
    offset[0] -= np.asarray(data.centre)
    outer_h = outer_J @ offset.ravel() + (ones_X @ score.T).ravel()
    return Anchor(
        *jax.tree.map(
            jnp.asarray,
            (
                flat_psi(psi),
                root,
                eta,
                score - ours[0],
                curvature - ours[1],
                curvature,
                half,
                slopes,
                unit,
                period,
                outer_J,
                outer_h,
                period_J,
                period_h,
                both[rest, outer].reshape(layout.periods, m, P * m),
                unit_J,
                unit_h,
            ),
        )
    )


def flat_psi(psi: Psi) -> jax.Array:
    """Psi as one array."""
    return jnp.concatenate([jnp.ravel(a) for a in psi])


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


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def _derivatives(state: State, data: Data, *, layout: Layout) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Predictor, score and curvature (M, n) of the log likelihood in it, which is a sum over entries."""
    eta = predictor(state, data)
    slope = jax.grad(lambda e: log_likelihood(e, state.psi, data, layout))
    score, turned = jax.jvp(slope, (eta,), (jnp.ones_like(eta),))
    return eta, score, -turned


def _marginal_information(
    weights: np.ndarray, unit_J: np.ndarray, psi: Psi, data: Data, layout: Layout
) -> np.ndarray:
    """Information on slopes and period effects, ((1 + P + T) M)^2, chats and units integrated out."""
    m, unit_of = layout.measures, np.asarray(data.unit)
    indicator = np.zeros((layout.periods, layout.chats))
    indicator[np.asarray(data.period), np.arange(layout.chats)] = 1.0
    Z = np.vstack([np.ones(layout.chats), np.asarray(data.X), indicator])
    J = np.empty((len(Z), m, len(Z), m))
    tied = np.empty((layout.units, len(Z), m, m))
    for a in range(m):
        for b in range(m):
            J[:, a, :, b] = (Z * weights[a, b]) @ Z.T
            tied[:, :, a, b] = _sums(Z * weights[a, b], unit_of, layout.units).T
    U = np.asarray(group_scaling(psi.unit, psi.loading))
    inner = np.linalg.inv(np.eye(1 + m) + U.T @ unit_J @ U)
    spread = U @ inner @ U.T  # (N, M, M): what is known of a unit's effects, given all else
    flat = tied.reshape(layout.units, -1, m)
    one, other = (np.swapaxes(a, 1, 2).reshape(-1, flat.shape[1]) for a in (flat @ spread, flat))
    taken = one.T @ other
    return J.reshape(len(flat[0]), -1) - taken


def _sums(values: np.ndarray, codes: np.ndarray, groups: int) -> np.ndarray:
    """Sums (rows, groups) of values (rows, n) by code."""
    return np.stack([np.bincount(codes, row, groups) for row in values])
