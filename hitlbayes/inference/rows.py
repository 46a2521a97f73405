"""Log likelihood of rows as their linear predictor moves away from where the map was made.

With delta = eta - eta* and, for the cutpoints, their own moves, a row's term less its value at the anchor is

    sum_j [ upper_j d_j - both_j log(1 + p_j (e^{d_j} - 1)) ],   d_j = delta - (c_j - c_j*),

p_j the probability above cutpoint j at the anchor (one cutpoint that never moves, for a binary outcome).
Nothing large is ever subtracted from something large, so single precision keeps a millionth of a row's
*move*, however many chats are in the row. The value of counts is computed, and every sum taken, in double
precision.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.sums import over_units, total
from hitlbayes.spec.families import FAR, over_rows, row_loglik

NEARLY_POISSON = 1e-2


class Moved(NamedTuple):
    """Rows at a move of their predictor, the anchor's value taken off (ordinal, bernoulli).

    value : () sum of the rows' terms
    slope : (R,) derivative in eta
    to_cut : (K-1,) derivative in each cutpoint
    to_over : () derivative in the overdispersion
    """

    value: jax.Array
    slope: jax.Array
    to_cut: jax.Array
    to_over: jax.Array


def anchored(family: str, eta: jax.Array, cut: jax.Array) -> jax.Array:
    """What `moved_rows` must know of the anchor: probabilities above each cutpoint (J, R), or eta (1, R)."""
    if family == "count":
        return eta[None]
    return jax.nn.sigmoid(eta - over_rows(cut if family == "ordinal" else jnp.zeros(1, eta.dtype), eta))


def counted(family: str, stats: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What `moved_rows` must know of the data: sums by row (J + 1, R), and by cutpoint (K-1,), ordinal only.

    stats : (S, R) as `hitlbayes.spec.families.row_loglik` reads them
    """
    if family != "ordinal":
        return stats, jnp.zeros(0, stats.dtype)
    both, upper = jnp.split(stats, 2)
    # What is linear in the moves needs sums of the data alone.
    return jnp.concatenate([both, jnp.sum(upper, axis=0, keepdims=True)]), _sums(upper)


def moved_rows(
    family: str,
    delta: jax.Array,
    counts: jax.Array,
    at: jax.Array,
    cut_move: jax.Array,
    over: jax.Array,
    above: jax.Array,
) -> Moved:
    """Value and slopes of the rows' terms at a move delta (R,) of their linear predictor.

    Parameters
    ----------
    counts, above : (J + 1, R), (K-1,) of `counted`
    at : (J, R) of `anchored`
    cut_move : (K-1,) how far each cutpoint has moved, ordinal only
    over : () overdispersion, count only
    """
    if family == "count":
        return _counts(at[0] + delta, counts, over)
    if family == "bernoulli":
        none = jnp.zeros(1, delta.dtype)
        return _logits(delta, counts, at, none, none)._replace(to_cut=jnp.zeros(0, delta.dtype))
    return _logits(delta, counts, at, cut_move, above)


def _logits(
    delta: jax.Array, counts: jax.Array, at: jax.Array, cut_move: jax.Array, above: jax.Array
) -> Moved:
    both, by_row = counts[:-1], counts[-1]
    dtype, delta = delta.dtype, jnp.clip(delta, -FAR, FAR)  # the same in odds and in logits
    grown = jax.lax.optimization_barrier(jnp.expm1(delta))
    factor, less = (
        over_rows(jax.lax.optimization_barrier(f(-cut_move)).astype(dtype), delta)
        for f in (jnp.exp, jnp.expm1)
    )
    part = at * (grown * factor + less)
    whole = 1.0 + part
    expected = both * (at + part) / whole
    # log1p would cost twice as much as the logarithm does, for digits that the sum over rows does not keep.
    value = total(by_row * delta - jnp.sum(both * jnp.log(whole), axis=0)) - above @ cut_move
    slope = by_row - jnp.sum(expected, axis=0)
    return Moved(value, slope, _sums(expected) - above, jnp.zeros((), dtype))


def _sums(x: jax.Array) -> jax.Array:
    """Sum over rows of each of (J, R)."""
    return jnp.sum(over_units(x).reshape(len(x), -1), axis=1, dtype=jnp.result_type(float))


def _counts(eta: jax.Array, stats: jax.Array, over: jax.Array) -> Moved:
    n, sums, x = stats[0], stats[1], over.astype(eta.dtype)
    m = jnp.exp(eta)
    t = x**2 * m
    slope = (sums - n * m) / (1.0 + t)
    near = t < NEARLY_POISSON
    safe = jnp.where(near, 1.0, t)
    # Derivative of log(1 + t) / t.
    bend = jnp.where(near, -0.5 + t * (2 / 3 - 0.75 * t), (1 / (1 + safe) - jnp.log1p(safe) / safe) / safe)
    to_over = 2.0 * x * total(m * (-sums / (1.0 + t) - n * m * bend))
    wide = jnp.result_type(float)
    value = row_loglik("count", eta.astype(wide), stats.astype(wide), jnp.zeros(0, wide), over.astype(wide))
    return Moved(value, slope, jnp.zeros(0, eta.dtype), to_over)
