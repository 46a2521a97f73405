"""What every sampler is given: a mixed model as arrays.

The linear predictor of row r, with unit i = unit[r], is

    eta_r = offset_r + X_r b + a_r' u_i + sum_k m_k[group_k[r]] + delta_{shock[r]},

u_i the unit's block of effects on the basis a_r (`hitlbayes.inference.blocks`), m_k crossed groups
(periods, ...), delta the unit-period shock. Rows of one shock belong to one unit and share a_r.

Shocks are laid out on a grid of T slots by N units, padded with shocks that no data touch. Sums over a unit
are then sums over an axis, on any device. Where the slot is the level of a crossed group (one shock per unit
and period), the group is *aligned*. Where every row is its own shock, rows lie on the same grid: below, R
stands for (T, N) there, and for a flat axis where several rows share a shock.
Every array is an argument of the compiled programs, never a constant inside them. Units lie along the last
axis, so that inner loops are long and never divide an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.blocks import BLOCKS

Array = jax.Array | np.ndarray


class Problem(NamedTuple):
    """The data of a mixed model.

    stats : (S, R) sufficient statistics of each row (see `hitlbayes.spec.families`)
    offset : (R,) known part of the linear predictor
    X : (P, R) covariates
    groups : one (R,) index per crossed group
    shock : (R,) index of the row's shock in the flat grid, increasing; empty where the rows are the shocks
    basis : (q, T, N) the unit's basis at each shock
    unit_class : (N,) which factor of the block applies (treated or control)
    categories : (K,) total count of each category, ordinal only
    above : (V,) how many values lie above 0, 1, ..., count only
    """

    stats: Array
    offset: Array
    X: Array
    groups: tuple[Array, ...]
    shock: Array
    basis: Array
    unit_class: Array
    categories: Array
    above: Array


class Beliefs(NamedTuple):
    """The priors, as numbers.

    coef_loc, coef_sd : (P,) normal priors of the coefficients
    scale_sd : (k_scales,) standard deviation of each signed scale (half-normal on its absolute value)
    lkj : () concentration of each correlation: density proportional to (1 - rho^2)^(lkj - 1)
    aux_sd : (k_aux,) half-normal scale of each residual SD (Gaussian)
    concentration : (K,) Dirichlet on the category probabilities at eta = 0 (ordinal)
    fixed : (k,) value at which a hyperparameter is held; NaN where it is free
    bend : (k_scales,) w of `scale_at`: how the sampler's coordinate bends from straight, where a scale may
        be zero, to logarithmic (w > 0) or quadratic (w < 0) well above |w|
    slope, sharpness : (k_correlations,) where the data put correlation times scale, and one over its
        variance: they make the coordinates of the correlations (`natural`)
    """

    coef_loc: Array
    coef_sd: Array
    scale_sd: Array
    lkj: Array
    aux_sd: Array
    concentration: Array
    fixed: Array
    bend: Array
    slope: Array
    sharpness: Array


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes and names that fix a compiled program (hashable)."""

    family: str
    block: str
    n_coef: int
    n_cut: int
    n_levels: tuple[int, ...]
    aligned: tuple[bool, ...]
    n_units: int
    slots: int
    has_shock: bool
    n_aux: int

    @property
    def n_scales(self) -> int:
        """Signed scales: the block's, one a crossed group, one for the shock, the overdispersion."""
        return len(BLOCKS[self.block].scales) + len(self.n_levels) + self.has_shock + (self.family == "count")

    @property
    def n_hyper(self) -> int:
        """Scales, correlations and auxiliary parameters."""
        return self.n_scales + len(BLOCKS[self.block].correlations) + self.n_aux

    @property
    def n_outer(self) -> int:
        """Coefficients, levels of the crossed groups, cutpoints: what is solved densely."""
        return self.n_coef + self.n_cut + sum(self.n_levels)

    @property
    def n_shocks(self) -> int:
        """Shocks, padding included."""
        return self.n_units * self.slots

    @property
    def width(self) -> int:
        """Columns of the unit's block."""
        return BLOCKS[self.block].width

    @property
    def n_latent(self) -> int:
        """Length of the sampler's position."""
        return self.n_hyper + self.n_outer + self.n_units * self.width + self.has_shock * self.n_shocks


class Hyper(NamedTuple):
    """The hyperparameters by role (`unpack_hyper`): signed scales, correlations, log residual SDs."""

    block: jax.Array
    groups: jax.Array
    shock: jax.Array
    over: jax.Array
    rho: jax.Array
    log_sigma: jax.Array


class Natural(NamedTuple):
    """Coordinates undone: signed scales, correlations as atanh, log residual SDs; precision of each atanh."""

    scale: Array
    atanh: Array
    log_sigma: Array
    precision: Array


def natural(psi: Array, layout: Layout, beliefs: Beliefs, *, xp: Any = jnp) -> Natural:
    """Hyperparameters at coordinates psi (..., k); `xp` is numpy or jax.numpy.

    Scales are `scale_at` their coordinates. What the data know of a correlation rho is how large rho times
    its scale s is: much about rho where s is large, nothing where s is zero. So the coordinate of y =
    atanh(rho) is standardised by what prior and data together say of y at that s, y | s ~ N(s a v / P, 1 / P)
    with P = 2 lkj + s^2 v, a the `slope`, v the `sharpness`; the funnel between s and rho is gone, and
    nothing happens at s = 0.
    """
    n, block = layout.n_scales, BLOCKS[layout.block]
    c = len(block.correlations)
    free = xp.isnan(beliefs.fixed)
    scale = xp.where(free[:n], scale_at(psi[..., :n], beliefs.bend, xp=xp), beliefs.fixed[:n])
    rest = xp.where(free[n:], psi[..., n:], beliefs.fixed[n:])
    pull, precision = pull_of(scale, layout, beliefs, xp=xp)
    held = xp.arctanh(xp.where(free[n : n + c], 0.0, rest[..., :c]))
    atanh = xp.where(free[n : n + c], (pull + xp.sqrt(precision) * rest[..., :c]) / precision, held)
    return Natural(scale, atanh, rest[..., c:], precision)


def scale_at(x: Array, bend: Array, *, xp: Any = jnp) -> Array:
    """Signed scale at coordinate x: w sinh(x) for w > 0; |w| u with u sqrt(1 + u^2) = x for w < 0.

    The first suits a scale with a tail away from zero, the second one whose square is nearly normal, as a
    variance that the data can hardly tell from zero.
    """
    narrow = xp.sqrt(2.0 / (1.0 + xp.sqrt(1.0 + 4.0 * x**2)))
    # Each branch sees only what it is for, so that neither overflows in the other's derivative.
    return xp.where(bend > 0, bend * xp.sinh(xp.where(bend > 0, x, 0.0)), xp.abs(bend) * x * narrow)


def coordinate_of(scale: Array, bend: Array, *, xp: Any = jnp) -> Array:
    """The coordinate x of `scale_at`."""
    u = scale / xp.abs(bend)
    return xp.where(bend > 0, xp.arcsinh(u), u * xp.sqrt(1.0 + u**2))


def log_slope(scale: Array, bend: Array, *, xp: Any = jnp) -> Array:
    """log |d scale / d x| of `scale_at`."""
    square = (scale / bend) ** 2
    rise = 0.5 * xp.log1p(square)
    return xp.log(xp.abs(bend)) + xp.where(bend > 0, rise, rise - xp.log1p(2.0 * square))


def pull_of(scale: Array, layout: Layout, beliefs: Beliefs, *, xp: Any = jnp) -> tuple[Array, Array]:
    """Precision times mean, and precision, of each correlation's atanh at signed scales (..., k_scales)."""
    block = BLOCKS[layout.block]
    s = scale[..., [block.scales.index(name) for name in block.correlations]]
    level = scale[..., :1]
    # The sign of the level's scale, smoothly: turning it turns every correlation with the level.
    side = level / xp.sqrt(level**2 + beliefs.bend[:1] ** 2)
    return s * side * beliefs.slope * beliefs.sharpness, 2.0 * beliefs.lkj + s**2 * beliefs.sharpness


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
    scale, atanh, log_sigma, precision = natural(psi, layout, beliefs)
    log_scales = -0.5 * (scale / beliefs.scale_sd) ** 2 + log_slope(scale, beliefs.bend)
    # d tanh(y)/dy = 1 - tanh(y)^2 raises the exponent by one; dy/dx = precision^(-1/2).
    log_rho = -2.0 * beliefs.lkj * _log_cosh(atanh) - 0.5 * jnp.log(precision)
    log_aux = -0.5 * (jnp.exp(log_sigma) / beliefs.aux_sd) ** 2 + log_sigma
    terms = jnp.concatenate([log_scales, log_rho, log_aux])
    return jnp.sum(jnp.where(jnp.isnan(beliefs.fixed), terms, -0.5 * psi**2))


def _log_cosh(x: jax.Array) -> jax.Array:
    return jnp.logaddexp(x, -x) - jnp.log(2.0)


def outer_prior(hyper: Hyper, beliefs: Beliefs, layout: Layout) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Prior location, scale and precision flag (m,) of the outer parameters; cutpoints count as flat here."""
    dtype = beliefs.coef_loc.dtype
    loc = jnp.concatenate([beliefs.coef_loc, jnp.zeros(layout.n_outer - layout.n_coef, dtype)])
    levels = [jnp.broadcast_to(hyper.groups[k], (size,)) for k, size in enumerate(layout.n_levels)]
    scale = jnp.concatenate([beliefs.coef_sd, *levels, jnp.ones(layout.n_cut, dtype)])
    proper = jnp.concatenate([jnp.ones(layout.n_outer - layout.n_cut, dtype), jnp.zeros(layout.n_cut, dtype)])
    return loc, scale, proper


def split_outer(outer: jax.Array, layout: Layout) -> tuple[jax.Array, tuple[jax.Array, ...], jax.Array]:
    """Coefficients (P,), the effects of each crossed group, and the free cutpoints (K-1,)."""
    levels, start = [], layout.n_coef
    for size in layout.n_levels:
        levels.append(outer[start : start + size])
        start += size
    return outer[: layout.n_coef], tuple(levels), outer[start:]


def cutpoints(free: jax.Array) -> jax.Array:
    """Increasing cutpoints from a free vector: the first, then the logs of the gaps."""
    if free.shape[0] < 2:
        return free
    return free[0] + jnp.concatenate([jnp.zeros(1, free.dtype), jnp.cumsum(jnp.exp(free[1:]))])


def cutpoint_logprior(free: jax.Array, concentration: jax.Array) -> jax.Array:
    """Log density of the free cutpoints whose category probabilities at eta = 0 are Dirichlet."""
    cut = cutpoints(free)
    below = jnp.concatenate([jnp.zeros(1, cut.dtype), jax.nn.sigmoid(cut), jnp.ones(1, cut.dtype)])
    log_probability = jnp.log(jnp.maximum(jnp.diff(below), jnp.finfo(cut.dtype).tiny))
    log_slope = jax.nn.log_sigmoid(cut) + jax.nn.log_sigmoid(-cut)
    return jnp.sum((concentration - 1.0) * log_probability) + jnp.sum(log_slope) + jnp.sum(free[1:])
