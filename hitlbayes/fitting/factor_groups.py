"""Effects of groups in the coordinates of `hitlbayes.fitting.factor_map`, their derivatives written out.

For every group at once, with A positive definite and L L' = A,

    e = L'^-1 (L^-1 b + z),      log |d e / d z| = - sum log L_kk.

Given slopes g of e, and u = L^-1 g, v = L'^-1 u, y = L^-1 b + z, those of b are v, of z are u, and of A

    (L'^-1 P L^-1 + its transpose) / 2,   P the lower half of -y u' - u (y - z)', its diagonal halved

(Murray 2016, arXiv:1602.07527, for the Cholesky factor's part). Groups lie along the last axis: LAPACK's
calls on hundreds of small matrices cost far more than their arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Root(NamedTuple):
    """Cholesky factors by column k: its diagonal (G,), what is below it (M - k - 1, G)."""

    diagonal: tuple[jax.Array, ...]
    below: tuple[jax.Array, ...]


def place_groups(
    scales: jax.Array, loading: jax.Array, J: jax.Array, h: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standardised effects of groups (1 + M, G), those on the links' scales (M, G), the log-Jacobian (G,).

    The links' scales see S e, with S = [scales_0 loading, diag(scales_1, ...)].

    Parameters
    ----------
    scales, loading : (1 + M,), (M,)
    J, h : (M, M, G), (M, G) curvature and slope of the effects on the links' scales
    z : (1 + M, G) coordinates
    """
    shared, own = (scales[0] * loading)[:, None], scales[1:, None]
    pulled = jnp.tensordot(shared[:, 0], J, 1)
    first = jnp.sqrt(1.0 + jnp.sum(shared * pulled, axis=0))
    tie = own * pulled / first
    rest = own[:, None] * own * J - tie[:, None] * tie + jnp.eye(len(own), dtype=J.dtype)[..., None]
    mean = jnp.sum(shared * h, axis=0) / first
    others, log_slope = solved(rest, own * h - tie * mean, z[1:])
    common = (mean + z[0] - jnp.sum(tie * others, axis=0)) / first
    effects = jnp.concatenate([common[None], others])
    return effects, shared * common + own * others, log_slope - jnp.log(first)


@jax.custom_vjp
def solved(A: jax.Array, b: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """e (M, G) and the log-Jacobian (G,) for A (M, M, G), b and z (M, G)."""
    return _forward(A, b, z)[0]


def _forward(A: jax.Array, b: jax.Array, z: jax.Array) -> tuple[tuple[jax.Array, jax.Array], tuple]:
    root = cholesky(A)
    mean = lower(root, b)
    moved = [a + c for a, c in zip(mean, z, strict=True)]
    log_slope = -sum(map(jnp.log, root.diagonal))
    return (jnp.stack(upper(root, moved)), log_slope), (root, mean, moved)  # type: ignore[return-value]


def _backward(saved: tuple, slopes: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
    root, mean, moved = saved
    to_e, to_log = slopes
    u = lower(root, to_e)
    v, every = upper(root, u), jnp.stack(u)
    means = jnp.stack(mean)
    rows = []
    for k in range(len(u)):
        half = jnp.where(jnp.arange(len(u)) < k, 1.0, jnp.where(jnp.arange(len(u)) == k, 0.5, 0.0))
        row = -(moved[k] * every + u[k] * means)
        rows.append((half.astype(every.dtype)[:, None] * row).at[k].add(-0.5 * to_log))
    left = upper(root, rows)
    # Y L = X is L' Y' = X'.
    both = jnp.stack(upper(root, jnp.stack(left).swapaxes(0, 1)))
    return 0.5 * (both + both.swapaxes(0, 1)), jnp.stack(v), every


solved.defvjp(_forward, _backward)


def cholesky(A: jax.Array) -> Root:
    """Factors of (M, M, G)."""
    diagonal, below = [], []
    for _ in range(len(A)):
        # Kept apart, or the compiler computes what was taken off before anew for every entry.
        A = jax.lax.optimization_barrier(A)
        diagonal.append(jnp.sqrt(A[0, 0]))
        below.append(jax.lax.optimization_barrier(A[1:, 0] / diagonal[-1]))
        A = A[1:, 1:] - below[-1][:, None] * below[-1]
    return Root(tuple(diagonal), tuple(below))


def lower(root: Root, b: jax.Array) -> list[jax.Array]:
    """x with L x = b, b (M, G); x by row."""
    x = []
    for diagonal, below in zip(*root, strict=True):
        x.append(b[0] / diagonal)
        b = jax.lax.optimization_barrier(b[1:] - below * x[-1])
    return x


def upper(root: Root, b: jax.Array | list[jax.Array]) -> list[jax.Array]:
    """x with L' x = b, whose rows are (G,) or (n, G); x by row."""
    x: list[jax.Array] = []
    for k in reversed(range(len(root.diagonal))):
        rest = b[k] - sum(a * c for a, c in zip(root.below[k], x, strict=True))
        x.insert(0, jax.lax.optimization_barrier(rest / root.diagonal[k]))
    return x
