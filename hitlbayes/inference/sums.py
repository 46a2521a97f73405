"""Sums that a processor's compiler does not slow down.

XLA computes several sums over an axis together, and then does not vectorise them; sums over the last axis it
evaluates in windows, one at a time. A product with ones is one call of a routine for matrices instead.
"""

from __future__ import annotations

from math import prod

import jax
import jax.numpy as jnp

LANES = 32
FEW = 4096  # entries whose sum costs less than a call
FACTORS = 16  # whose product stays far from the smallest number
EXACT = jax.lax.Precision.HIGHEST  # accelerators would round factors otherwise


def over_slots(x: jax.Array, dtype: jnp.dtype | None = None) -> jax.Array:
    """Sum over the first axis."""
    x = x.astype(dtype or x.dtype)
    flat = x.reshape(x.shape[0], prod(x.shape[1:]))
    return jnp.matmul(jnp.ones(x.shape[0], x.dtype), flat, precision=EXACT).reshape(x.shape[1:])


def over_units(x: jax.Array) -> jax.Array:
    """Sum over the last axis."""
    flat = x.reshape(prod(x.shape[:-1]), x.shape[-1])
    return jnp.matmul(flat, jnp.ones(x.shape[-1], x.dtype), precision=EXACT).reshape(x.shape[:-1])


def total(x: jax.Array) -> jax.Array:
    """Sum of all entries in double precision, where there is any."""
    wide = jnp.result_type(float)
    while x.ndim > 1:
        x = over_slots(x, wide)
    x = x.reshape(-1)
    if x.size <= FEW:
        return jnp.sum(x, dtype=wide)
    even = x.size - x.size % LANES
    rest = jnp.sum(x[even:], dtype=wide)
    return rest + total(over_slots(x[:even].reshape(LANES, -1), wide))


def log_products(x: jax.Array) -> jax.Array:
    """Logarithms of factors in (0, 1] summed over the first axis, one logarithm for several factors."""
    return sum(jnp.log(jnp.prod(x[i : i + FACTORS], axis=0)) for i in range(0, x.shape[0], FACTORS))  # type: ignore[return-value]
