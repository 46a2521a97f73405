"""The likelihood of `hitlbayes.fitting.factor` expanded at a mode of the effects: what it says of each level.

The likelihood is expanded in eta: score g_km and curvature q_km. Chats' factors, then units are integrated
out, which leaves the information on periods and, with those integrated out too, on columns.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.fitting.factor import COUNTS, Data, Layout, Psi, State, coefficients, group_effects, predictor
from hitlbayes.fitting.factor_density import excess, log_likelihood
from hitlbayes.inference.problem import Array
from hitlbayes.inference.runtime import SELDOM, quick_jit

LEAST_CURVATURE = 1e-3


class Anchor(NamedTuple):
    """The expansion at a mode.

    psi, root : (k,), (k, k) centre and Cholesky root of the coordinates of psi
    eta, outside : (M, n) the predictor, and its part that columns and periods make
    score, curvature : (M, n), less the parts that `own_expansion` gives
    weight : (M, n) the curvature at the anchor's psi; half : (M, n) q lambda / sqrt(1 + sum lambda^2 q)
    slopes : (1 + P, M) intercepts and B; period : (M, T) effects on the links' scales
    outer_J, outer_h : of `slopes`, flat, all else integrated out
    period_J, period_h, period_C : (M, M, T), (M, T), (M, T, (1 + P) M), units integrated out
    unit_J, unit_h : (M, M, N), (M, N), chats integrated out
    """

    psi: jax.Array
    root: jax.Array
    eta: jax.Array
    outside: jax.Array
    score: jax.Array
    curvature: jax.Array
    weight: jax.Array
    half: jax.Array
    slopes: jax.Array
    period: jax.Array
    outer_J: jax.Array
    outer_h: jax.Array
    period_J: jax.Array
    period_h: jax.Array
    period_C: jax.Array
    unit_J: jax.Array
    unit_h: jax.Array


def own_expansion(eta: Array, psi: Psi, data: Data, layout: Layout) -> tuple[jax.Array, jax.Array]:
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
                slopes.T @ ones_X + period.T[:, period_of],
                score - ours[0],
                curvature - ours[1],
                curvature,
                half,
                slopes,
                period.T,
                outer_J,
                outer_h,
                np.moveaxis(period_J, 0, 2),
                period_h.T,
                both[rest, outer].reshape(layout.periods, m, P * m).swapaxes(0, 1),
                np.moveaxis(unit_J, 0, 2),
                unit_h.T,
            ),
        )
    )


def flat_psi(psi: Psi) -> jax.Array:
    """Psi as one array."""
    return jnp.concatenate([jnp.ravel(a) for a in psi])


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
