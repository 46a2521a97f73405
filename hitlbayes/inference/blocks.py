"""How a unit's effects covary: the factor of its block's covariance, from signed scales and correlations.

A block is u = L e with e standard normal and L lower triangular, linear in the signed scales, so that
nothing happens at a scale of zero. In the ``did`` block a control unit has (level, drift) and a treated
one (level, drift + effect), both on the basis (1, post); the controls teach the drift:

    drift  = sd_drift  (rho_drift  e_1 + sqrt(1 - rho_drift^2)  e_2)
    effect = sd_effect (rho_effect e_1 + sqrt(1 - rho_effect^2) e_3)

Given a treated unit's block, its effect alone is normal (`split_effect`), so nothing is lost by sampling
the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Block(NamedTuple):
    """A unit's block: names of its scales and correlations, columns, and factor (classes, q, q).

    added : two scales of which some units show the first and others the sum of squares, if there are such
    """

    scales: tuple[str, ...]
    correlations: tuple[str, ...]
    width: int
    components: tuple[str, ...]
    factor: Callable[[jax.Array, jax.Array], jax.Array]
    added: tuple[str, str] | None = None


def _level(scale: jax.Array, rho: jax.Array) -> jax.Array:
    return scale.reshape(1, 1, 1)


def _slope(scale: jax.Array, rho: jax.Array) -> jax.Array:
    level, slope = scale
    zero = jnp.zeros_like(level)
    return jnp.stack([level, zero, slope * rho[0], slope * jnp.sqrt(1 - rho[0] ** 2)]).reshape(1, 2, 2)


def _did(scale: jax.Array, rho: jax.Array) -> jax.Array:
    level, drift, effect = scale
    own_drift, own_effect = drift * jnp.sqrt(1 - rho[0] ** 2), effect * jnp.sqrt(1 - rho[1] ** 2)
    zero = jnp.zeros_like(level)
    # The floor keeps the gradient finite where drift and effect are both exactly zero.
    own_sum = jnp.sqrt(own_drift**2 + own_effect**2 + 1e-24)
    control = jnp.stack([level, zero, drift * rho[0], own_drift])
    treated = jnp.stack([level, zero, drift * rho[0] + effect * rho[1], own_sum])
    return jnp.stack([control, treated]).reshape(2, 2, 2)


BLOCKS = {
    "level": Block(("level",), (), 1, ("level",), _level),
    "slope": Block(("level", "effect"), ("effect",), 2, ("level", "effect"), _slope),
    "did": Block(
        ("level", "drift", "effect"), ("drift", "effect"), 2, ("level", "post"), _did, ("drift", "effect")
    ),
}


def split_effect(block: jax.Array, scale: jax.Array, rho: jax.Array, z: jax.Array) -> jax.Array:
    """Each unit's own effect, given its level and its sum of drift and effect: an exact conditional draw.

    Parameters
    ----------
    block : (N, 2) level and drift + effect of treated units
    scale : (3,) signed scales of level, drift, effect
    rho : (2,) correlations of drift and of effect with the level
    z : (N,) standard normal draws

    Returns
    -------
    (N,) effects, with mean zero over the population of units
    """
    level, drift, effect = scale
    tiny = jnp.finfo(block.dtype).tiny
    standard = block[:, 0] / jnp.where(level == 0, 1.0, level)
    var_drift, var_effect = drift**2 * (1 - rho[0] ** 2), effect**2 * (1 - rho[1] ** 2)
    own = block[:, 1] - (drift * rho[0] + effect * rho[1]) * standard
    share = var_effect / (var_drift + var_effect + tiny)
    return effect * rho[1] * standard + share * own + jnp.sqrt(share * var_drift) * z
