"""Sums in double precision that XLA can vectorise on a processor.

It rewrites a sum of more than a few entries into windows that it evaluates one at a time; sums over a leading
axis, a few entries at a time, are left alone and run over the last axis at full width.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

LANES = 32  # up to which XLA leaves a sum as it is
FEW = 4096  # entries whose sum costs less than a program for it
FACTORS = 16  # whose product stays far from the smallest number


def over_slots(x: jax.Array, dtype: jnp.dtype | None = None) -> jax.Array:
    """Sum over the first axis, a few entries at a time: XLA is slow at longer sums on processors."""
    parts = [jnp.sum(x[i : i + LANES], axis=0, dtype=dtype) for i in range(0, max(x.shape[0], 1), LANES)]
    return sum(parts[1:], parts[0])


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
    return rest + total(jnp.sum(x[:even].reshape(LANES, -1), axis=0, dtype=wide))


def totals(x: jax.Array) -> jax.Array:
    """`total` of each entry of the first axis, in one program where there are few units."""
    if x.ndim != 3 or x.shape[-1] > FEW:
        return jnp.stack([total(one) for one in x])
    wide, slots = jnp.result_type(float), range(0, x.shape[1], LANES)
    return sum(jnp.sum(jnp.sum(x[:, i : i + LANES], axis=1, dtype=wide), axis=1) for i in slots)  # type: ignore[return-value]


def log_products(x: jax.Array) -> jax.Array:
    """Logarithms of factors in (0, 1] summed over the first axis, one logarithm for several factors."""
    return sum(jnp.log(jnp.prod(x[i : i + FACTORS], axis=0)) for i in range(0, x.shape[0], FACTORS))  # type: ignore[return-value]
