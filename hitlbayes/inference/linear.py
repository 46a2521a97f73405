"""Small dense algebra on stacks of q x q blocks, unrolled so that the compiler fuses it.

LAPACK calls on thousands of 2 x 2 matrices cost far more than their arithmetic.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cholesky(a: jax.Array) -> jax.Array:
    """Lower factors (N, q, q) of a stack of positive definite matrices (N, q, q)."""
    q = a.shape[-1]
    low = [[jnp.zeros_like(a[..., 0, 0])] * q for _ in range(q)]
    for i in range(q):
        for j in range(i + 1):
            rest = a[..., i, j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = jnp.sqrt(rest) if i == j else rest / low[j][j]
    return jnp.stack([jnp.stack(row, axis=-1) for row in low], axis=-2)


def solve_lower(low: jax.Array, b: jax.Array) -> jax.Array:
    """x with L x = b for a stack of lower factors (N, q, q); b is (N, q) or (N, q, m)."""
    wide = low[..., None] if b.ndim == low.ndim else low
    x: list[jax.Array] = []
    for i in range(low.shape[-1]):
        x.append((b[:, i] - sum(wide[:, i, k] * x[k] for k in range(i))) / wide[:, i, i])
    return jnp.stack(x, axis=1)


def solve_upper(low: jax.Array, b: jax.Array) -> jax.Array:
    """x (N, q) with L' x = b for a stack of lower factors (N, q, q)."""
    q = low.shape[-1]
    x: dict[int, jax.Array] = {}
    for i in reversed(range(q)):
        x[i] = (b[:, i] - sum(low[:, k, i] * x[k] for k in range(i + 1, q))) / low[:, i, i]
    return jnp.stack([x[i] for i in range(q)], axis=1)


def log_determinant(low: jax.Array) -> jax.Array:
    """Sum over the stack of log det of the lower factors (N, q, q)."""
    return jnp.sum(jnp.log(jnp.diagonal(low, axis1=-2, axis2=-1)))
