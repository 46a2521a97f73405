"""Standard normal draws for a sampler's momenta, one for every coordinate.

Random bits are Threefry's, as the compiler makes them (`jax.lax.rng_bit_generator`), and pairs of words
become normal by Box and Muller (1958, doi:10.1214/aoms/1177706645). `jax.random.normal` hashes twice as many
words and inverts the error function: on a processor that was half the time of a draw.
"""

from __future__ import annotations

from functools import partial
from math import factorial, pi

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

WORDS = 2.0**32
LANES = 64  # a loop over a length that these do not divide would not be vectorised


def normals(key: jax.Array, size: int) -> jax.Array:
    """`size` independent standard normal draws in single precision; the same key gives the same draws.

    Examples
    --------
    >>> z = normals(jax.random.key(1), 100_000)
    >>> bool(abs(z.mean()) < 0.02), bool(abs(z.std() - 1.0) < 0.02)
    (True, True)
    """
    half = -(-size // (2 * LANES)) * LANES
    words = jnp.concatenate([jax.random.key_data(key).reshape(-1), jnp.zeros(2, jnp.uint32)])[:4]
    # One key at a time: for many at once, what a chain gets would depend on which chains are beside it.
    bits = jax.lax.optimization_barrier(sequential_vmap(partial(_bits, half))(words))
    radius = jnp.sqrt(-2.0 * jnp.log((bits[0].astype(jnp.float32) + 0.5) / WORDS))
    return (radius * circle(bits[1])).reshape(-1)[:size]


def circle(bits: jax.Array) -> jax.Array:
    """Points (2, n) on the unit circle from bits (n,): 30 of them an angle, 2 a quarter turn."""
    x = jax.lax.bitcast_convert_type(bits << 2, jnp.int32).astype(jnp.float32) * (pi / 2.0 / WORDS)
    # Within an eighth of a turn these terms are exact to single precision, and no angle needs reducing.
    square = x**2
    cosine = sum((-1) ** k / factorial(2 * k) * square**k for k in range(5))
    sine = x * sum((-1) ** k / factorial(2 * k + 1) * square**k for k in range(5))
    side = jnp.where((bits >> 30) & 1 == 1, -1.0, 1.0).astype(jnp.float32)
    # Both coordinates in one loop: joined afterwards, they would be slow.
    second = jax.lax.broadcasted_iota(jnp.uint32, (2, 1), 0)
    return side * jnp.where((bits >> 31) ^ second == 1, sine, cosine)


def _bits(half: int, words: jax.Array) -> jax.Array:
    algorithm = jax.lax.RandomAlgorithm.RNG_THREE_FRY
    return jax.lax.rng_bit_generator(words, (2, half), jnp.uint32, algorithm=algorithm)[1]
