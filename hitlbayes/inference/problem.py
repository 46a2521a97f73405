"""What every sampler is given: a mixed model as arrays.

The linear predictor of row r, with unit i = unit[r], is

    eta_r = offset_r + X_r b + a_r' u_i + sum_k m_k[group_k[r]] + delta_{shock[r]},

u_i the unit's block of effects on the basis a_r (`hitlbayes.inference.blocks`), m_k crossed groups
(periods, ...), delta the unit-period shock. Rows of one shock belong to one unit and share a_r.

Shocks are laid out on a grid of T slots by C columns, padded with shocks that no data touch. A column is a
unit, so that sums over a unit are sums over an axis, on any device; or, where units have very different
numbers of shocks, a part of one. Where the slot is the level of a crossed group (one shock per unit and
period), the group is *aligned*. Where every row is its own shock, rows lie on the same grid: below, R stands
for (T, C) there, and for a flat axis where several rows share a shock.
Every array is an argument of the compiled programs, never a constant inside them. Columns lie along the last
axis, so that inner loops are long and never divide an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from hitlbayes.inference.blocks import BLOCKS

# numpy's outside of compiled programs, JAX's within: the same records and functions serve both.
Array: TypeAlias = Any


class Problem(NamedTuple):
    """The data of a mixed model.

    stats : (S, R) sufficient statistics of each row (see `hitlbayes.spec.families`)
    offset : (R,) known part of the linear predictor
    X : (P, R) covariates
    groups : one (R,) index per crossed group
    shock : (R,) index of the row's shock in the flat grid, increasing; empty where the rows are the shocks
    basis : (q, T, C) the unit's basis at each shock
    column : (C,) unit of each column, increasing; empty where the columns are the units
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
    column: Array
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
    bend : (k_scales,) w of `hitlbayes.inference.hyper.scale_at`: how the sampler's coordinate bends from
        straight, where a scale may be zero, to logarithmic (w > 0) or quadratic (w < 0) well above |w|
    slope, sharpness : (k_correlations,) where the data put correlation times scale, and one over its
        variance: they make the coordinates of the correlations (`hitlbayes.inference.hyper.natural`)
    shear : () by what share the drift's variance falls as that of the effect grows by one (`natural` too)
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
    shear: Array


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes and names that fix a compiled program (hashable).

    middle : the cutpoint that others are counted from, which the data know well
    """

    family: str
    block: str
    n_coef: int
    n_cut: int
    n_levels: tuple[int, ...]
    aligned: tuple[bool, ...]
    n_units: int
    columns: int
    slots: int
    has_shock: bool
    n_aux: int
    middle: int = 0

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
        return self.columns * self.slots

    @property
    def width(self) -> int:
        """Columns of the unit's block."""
        return BLOCKS[self.block].width

    @property
    def n_latent(self) -> int:
        """Length of the sampler's position."""
        return self.n_hyper + self.n_outer + self.n_units * self.width + self.has_shock * self.n_shocks


def outer_prior(
    groups: jax.Array, beliefs: Beliefs, layout: Layout
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Prior location, scale and precision flag (m,) of the outer parameters; cutpoints count as flat here.

    groups (g,) are the crossed groups' signed scales.
    """
    dtype = beliefs.coef_loc.dtype
    loc = jnp.concatenate([beliefs.coef_loc, jnp.zeros(layout.n_outer - layout.n_coef, dtype)])
    levels = [jnp.broadcast_to(groups[k], (size,)) for k, size in enumerate(layout.n_levels)]
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


def cutpoints(free: Array, middle: int, *, xp: Any = jnp) -> Array:
    """Increasing cutpoints (..., K-1) from free ones: that at `middle`, then the logs of gaps in order."""
    if free.shape[-1] < 2:
        return free
    first, gaps = free[..., :1], xp.exp(free[..., 1:])
    above = xp.concatenate([xp.zeros_like(first), xp.cumsum(gaps, axis=-1)], axis=-1)
    return first + (above - above[..., middle, None])


def cutpoint_logprior(free: jax.Array, concentration: jax.Array, middle: int) -> jax.Array:
    """Log density of the free cutpoints whose category probabilities at eta = 0 are Dirichlet."""
    cut = cutpoints(free, middle)
    below = jnp.concatenate([jnp.zeros(1, cut.dtype), jax.nn.sigmoid(cut), jnp.ones(1, cut.dtype)])
    log_probability = jnp.log(jnp.maximum(jnp.diff(below), jnp.finfo(cut.dtype).tiny))
    log_slope = jax.nn.log_sigmoid(cut) + jax.nn.log_sigmoid(-cut)
    return jnp.sum((concentration - 1.0) * log_probability) + jnp.sum(log_slope) + jnp.sum(free[1:])
