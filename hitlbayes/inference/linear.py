"""Small dense algebra for every unit at once: q x q matrices whose entries are arrays over units.

A vector is a tuple of q arrays (N,) or (m, N), a matrix a tuple of q rows of arrays (N,). LAPACK calls on
thousands of 2 x 2 matrices cost far more than their arithmetic, and arrays with an axis of length two are
slow to loop over; unrolled, all of it fuses.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Vector = tuple[jax.Array, ...]
Matrix = tuple[Vector, ...]


def symmetric(lower: Vector) -> Matrix:
    """The matrices whose lower triangle is given, row by row."""
    q = int((2 * len(lower)) ** 0.5)
    at = [[max(i, j) * (max(i, j) + 1) // 2 + min(i, j) for j in range(q)] for i in range(q)]
    return tuple(tuple(lower[place] for place in row) for row in at)


def cholesky(a: Matrix) -> Matrix:
    """Rows of the lower factors, up to the diagonal, of positive definite matrices (lower triangle read)."""
    low: list[list[jax.Array]] = []
    for i in range(len(a)):
        low.append([])
        for j in range(i + 1):
            rest = a[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i].append(jnp.sqrt(rest) if i == j else rest / low[j][j])
    return tuple(map(tuple, low))


def solve_lower(low: Matrix, b: Vector) -> Vector:
    """x with L x = b."""
    x: list[jax.Array] = []
    for i in range(len(low)):
        rest = b[i] - sum(low[i][k] * x[k] for k in range(i))
        x.append(rest / low[i][i])
    return tuple(x)


def solve_upper(low: Matrix, b: Vector) -> Vector:
    """x with L' x = b."""
    q = len(low)
    x: dict[int, jax.Array] = {}
    for i in reversed(range(q)):
        rest = b[i] - sum(low[k][i] * x[k] for k in range(i + 1, q))
        x[i] = rest / low[i][i]
    return tuple(x[i] for i in range(q))


def multiply(a: Matrix, x: Vector) -> Vector:
    """A x."""
    return tuple(sum(entry * x[j] for j, entry in enumerate(row)) for row in a)  # type: ignore[misc]


def multiply_transposed(a: Matrix, x: Vector) -> Vector:
    """A' x."""
    return multiply(tuple(zip(*a, strict=True)), x)


def log_determinants(low: Matrix) -> jax.Array:
    """log det of each lower factor (N,)."""
    return sum(jnp.log(row[i]) for i, row in enumerate(low))  # type: ignore[return-value]
