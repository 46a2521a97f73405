"""The hyperparameters: coordinates in which a sampler sees them nearly normal, roles, prior.

A coordinate x is undone by `natural`, in three steps that begin at what is always true and are fitted to
pilot draws (`hitlbayes.inference.rebend`):

scale        s = w sinh(x), straight near zero and logarithmic beyond w; or |w| u with u sqrt(1 + u^2) = x,
             for a scale whose square is nearly normal. Scales are signed: nothing happens at zero.
shear        Treated units show the sum of drift and effect, d^2 + e^2, controls d^2 alone, so that d falls as
             e^2 grows: d = D / sqrt(1 + c e^2), and D has the coordinate.
correlation  What data know of a correlation rho is how large rho times its scale s is: much about rho where s
             is large, nothing where s is zero. So y = atanh(rho) is standardised by what prior and data
             together say of it at that s, y | s ~ N(s a v / P, 1 / P) with P = 2 lkj + s^2 v; the funnel
             between s and rho is gone. The prior's own tails are heavier, cosh(y)^(-2 lkj), and so are y's
             where s is small: y = s a v / P + t / sqrt(P) with t as `atanh_at` has it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.problem import Array, Beliefs, Layout


class Hyper(NamedTuple):
    """The hyperparameters by role (`unpack_hyper`): signed scales, correlations, log residual SDs."""

    block: jax.Array
    groups: jax.Array
    shock: jax.Array
    over: jax.Array
    rho: jax.Array
    log_sigma: jax.Array


class Natural(NamedTuple):
    """Coordinates undone: signed scales, correlations as atanh, log residual SDs.

    log_slope : log |d natural / d x| of each scale's and then each correlation's coordinate
    """

    scale: Array
    atanh: Array
    log_sigma: Array
    log_slope: Array


def natural(psi: Array, layout: Layout, beliefs: Beliefs, *, xp: Any = jnp) -> Natural:
    """Hyperparameters at coordinates psi (..., k); `xp` is numpy or jax.numpy."""
    n, c = layout.n_scales, len(BLOCKS[layout.block].correlations)
    free = xp.isnan(beliefs.fixed)
    plain = xp.where(free[:n], scale_at(psi[..., :n], beliefs.bend, xp=xp), beliefs.fixed[:n])
    fall = sheared(plain, layout, beliefs, xp=xp)
    scale = plain * xp.exp(fall)
    rest = xp.where(free[n:], psi[..., n:], beliefs.fixed[n:])
    pull, precision = pull_of(scale, layout, beliefs, xp=xp)
    held = xp.arctanh(xp.where(free[n : n + c], 0.0, rest[..., :c]))
    x = xp.where(free[n : n + c], rest[..., :c], 0.0)
    atanh, log_stretch = atanh_at(x, pull, precision, beliefs, xp=xp)
    slopes = [log_slope(plain, beliefs.bend, xp=xp) + fall, log_stretch]
    atanh = xp.where(free[n : n + c], atanh, held)
    return Natural(scale, atanh, rest[..., c:], xp.concatenate(slopes, axis=-1))


def coordinates_of(found: Natural, layout: Layout, beliefs: Beliefs) -> np.ndarray:
    """The coordinates (..., k) that `natural` undoes; what is held is left to the caller."""
    scale, atanh, log_sigma, _ = found
    plain = scale * np.exp(-sheared(scale, layout, beliefs, xp=np))
    pull, precision = pull_of(scale, layout, beliefs, xp=np)
    x = coordinate_of_atanh(atanh, pull, precision, beliefs)
    return np.concatenate([coordinate_of(plain, beliefs.bend), x, log_sigma], axis=-1)


def scale_at(x: Array, bend: Array, *, xp: Any = jnp) -> Array:
    """Signed scale at coordinate x: w sinh(x) for w > 0; |w| u with u sqrt(1 + u^2) = x for w < 0.

    The first suits a scale with a tail away from zero, the second one whose square is nearly normal, as a
    variance that the data can hardly tell from zero.
    """
    narrow = xp.sqrt(2.0 / (1.0 + xp.sqrt(1.0 + 4.0 * x**2)))
    # Each branch sees only what it is for, so that neither overflows in the other's derivative.
    return xp.where(bend > 0, bend * xp.sinh(xp.where(bend > 0, x, 0.0)), xp.abs(bend) * x * narrow)


def coordinate_of(scale: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """The coordinate x of `scale_at`."""
    u = scale / np.abs(bend)
    return np.where(bend > 0, np.arcsinh(u), u * np.sqrt(1.0 + u**2))


def log_slope(scale: Array, bend: Array, *, xp: Any = jnp) -> Array:
    """log |d scale / d x| of `scale_at`."""
    square = (scale / bend) ** 2
    rise = 0.5 * xp.log1p(square)
    return xp.log(xp.abs(bend)) + xp.where(bend > 0, rise, rise - xp.log1p(2.0 * square))


def sheared(scale: Array, layout: Layout, beliefs: Beliefs, *, xp: Any = jnp) -> Array:
    """What is added to the log of each scale (..., k_scales): -log(1 + c e^2) / 2 to the drift's alone."""
    added = BLOCKS[layout.block].added
    if added is None:
        return xp.zeros_like(scale)
    falling, rising = (BLOCKS[layout.block].scales.index(name) for name in added)
    here = xp.arange(layout.n_scales) == falling
    return xp.where(here, -0.5 * xp.log1p(beliefs.shear * scale[..., rising : rising + 1] ** 2), 0.0)


def pull_of(scale: Array, layout: Layout, beliefs: Beliefs, *, xp: Any = jnp) -> tuple[Array, Array]:
    """Precision times mean, and precision, of each correlation's atanh at signed scales (..., k_scales)."""
    block = BLOCKS[layout.block]
    s = scale[..., [block.scales.index(name) for name in block.correlations]]
    level = scale[..., :1]
    # The sign of the level's scale, smoothly: turning it turns every correlation with the level.
    side = level / xp.sqrt(level**2 + beliefs.bend[:1] ** 2)
    return s * side * beliefs.slope * beliefs.sharpness, 2.0 * beliefs.lkj + s**2 * beliefs.sharpness


def atanh_at(
    x: Array, pull: Array, precision: Array, beliefs: Beliefs, *, xp: Any = jnp
) -> tuple[Array, Array]:
    """atanh of correlations at coordinates x, and log of its slope: (pull + sqrt(P) t) / P, P the precision.

    With t = x sqrt(1 + c x^2) and c = lkj / (2 P^2), normal x make cosh(t / sqrt(P))^(-2 lkj) nearly, tails
    and middle, where there are no data (P = 2 lkj); where there are many, c is zero.
    """
    square = beliefs.lkj / (2.0 * precision**2) * x**2
    t, log_bent = x * xp.sqrt(1.0 + square), xp.log1p(2.0 * square) - 0.5 * xp.log1p(square)
    return (pull + xp.sqrt(precision) * t) / precision, log_bent - 0.5 * xp.log(precision)


def coordinate_of_atanh(
    atanh: np.ndarray, pull: np.ndarray, precision: np.ndarray, beliefs: Beliefs
) -> np.ndarray:
    """The coordinate x of `atanh_at`."""
    t = np.sqrt(precision) * (atanh - pull / precision)
    square = beliefs.lkj / (2.0 * precision**2) * t**2
    return t * np.sqrt(2.0 / (1.0 + np.sqrt(1.0 + 4.0 * square)))


def unpack_hyper(psi: jax.Array, layout: Layout, beliefs: Beliefs) -> Hyper:
    """Hyperparameters at coordinates psi (k,), by role."""
    scale, atanh, log_sigma, _ = natural(psi, layout, beliefs)
    a = len(BLOCKS[layout.block].scales)
    b = a + len(layout.n_levels)
    none = jnp.zeros((), psi.dtype)
    shock = scale[b] if layout.has_shock else none
    over = scale[layout.n_scales - 1] if layout.family == "count" else none
    # Kept apart, or the compiler computes sinh and tanh anew for every row.
    return jax.lax.optimization_barrier(Hyper(scale[:a], scale[a:b], shock, over, jnp.tanh(atanh), log_sigma))


def turned(signs: np.ndarray, layout: Layout) -> np.ndarray:
    """Signs (..., k) that leave the posterior unchanged: of the scales, as given, and what follows from them.

    Turning a scale's sign turns the effects it multiplies; a correlation follows the product of the signs of
    its two scales.
    """
    block, made = BLOCKS[layout.block], np.ones((*signs.shape[:-1], layout.n_hyper))
    made[..., : layout.n_scales] = signs
    for j, name in enumerate(block.correlations):
        made[..., layout.n_scales + j] = signs[..., 0] * signs[..., block.scales.index(name)]
    return made


def hyper_logprior(psi: jax.Array, layout: Layout, beliefs: Beliefs) -> jax.Array:
    """Log prior density of coordinates psi, up to a constant; a held entry counts as standard normal."""
    scale, atanh, log_sigma, slopes = natural(psi, layout, beliefs)
    log_scales = -0.5 * (scale / beliefs.scale_sd) ** 2
    # d tanh(y)/dy = 1 - tanh(y)^2 raises the exponent by one.
    log_rho = -2.0 * beliefs.lkj * _log_cosh(atanh)
    log_aux = -0.5 * (jnp.exp(log_sigma) / beliefs.aux_sd) ** 2 + log_sigma
    terms = jnp.concatenate([jnp.concatenate([log_scales, log_rho]) + slopes, log_aux])
    return jnp.sum(jnp.where(jnp.isnan(beliefs.fixed), terms, -0.5 * psi**2))


def _log_cosh(x: jax.Array) -> jax.Array:
    return jnp.logaddexp(x, -x) - jnp.log(2.0)
