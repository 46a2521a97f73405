"""The outer parameters' part of the map: coefficients, levels of the crossed groups, cutpoints.

With units and shocks eliminated, the quadratic model says of x = o - loc, o the outer parameters, that
log p = -x' M x / 2 + h' x + log prior. The levels x_d of the largest group have prior scale tau; in the
eigenvectors U of their own curvature, M_dd = U diag(lambda) U', they are independent whatever tau is:

    x_d = U [v (U' h_d - W x_f) + sqrt(v) z_d],   v = tau^2 / (1 + tau^2 lambda),   W = U' M_df,

and the others, x_f = S y with prior scales S, follow from a system of their few dimensions:

    K = P + S (M_ff - W' diag(v) W) S = R R',   y = K^-1 S (h_f - W' v U' h_d) + R'^-1 z_f,

P one where a prior is proper. So a change of tau costs no factorisation of the size of the group.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.problem import Layout


class OuterSystem(NamedTuple):
    """M (m, m) made ready: U, lam (d, d), (d,) of the largest group, W (d, f), M_ff (f, f) of the others."""

    U: jax.Array
    lam: jax.Array
    W: jax.Array
    M_ff: jax.Array


def largest_group(layout: Layout) -> slice:
    """Where the levels of the largest crossed group stand among the outer parameters."""
    if not layout.n_levels:
        return slice(layout.n_coef, layout.n_coef)
    k = max(range(len(layout.n_levels)), key=lambda k: layout.n_levels[k])
    start = layout.n_coef + sum(layout.n_levels[:k])
    return slice(start, start + layout.n_levels[k])


def make_system(M: jax.Array, *, layout: Layout) -> OuterSystem:
    """The system of a curvature M (m, m)."""
    d = largest_group(layout)
    lam, U = jnp.linalg.eigh(M[d, d])
    return OuterSystem(U, jnp.maximum(lam, 0.0), U.T @ _others(M[d].T, d).T, _others(_others(M, d).T, d))


def solve_outer(
    scale: jax.Array, z: jax.Array, pull: jax.Array, proper: jax.Array, *, system: OuterSystem, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """x / S at coordinates z, and the log prior of x plus the log-Jacobian of the map, up to a constant.

    Parameters
    ----------
    scale, z, pull, proper : (m,) prior scales S, coordinates, slope h at the prior mean, diagonal of P
    """
    d = largest_group(layout)
    U, lam, W, M_ff = system
    s, h_f, P = (_others(a, d) for a in (scale, pull, proper))
    # All levels of a group share one scale.
    tau, h = scale[d.start] if len(lam) else jnp.zeros((), scale.dtype), U.T @ pull[d]
    keep = 1.0 / (1.0 + tau**2 * lam)
    v = tau**2 * keep
    low = jnp.linalg.cholesky(jnp.diag(P) + s[:, None] * (M_ff - W.T @ (v[:, None] * W)) * s)
    half = jax.scipy.linalg.solve_triangular(low, s * (h_f - W.T @ (v * h)), lower=True)
    y = jax.scipy.linalg.solve_triangular(low.T, half + _others(z, d), lower=False)
    inner = tau * keep * (h - W @ (s * y)) + jnp.sqrt(keep) * z[d]
    log_det = jnp.sum(jnp.log(jnp.diagonal(low)))
    value = -0.5 * jnp.sum(P * y**2) - log_det - 0.5 * jnp.sum(inner**2) + 0.5 * jnp.sum(jnp.log(keep))
    return jnp.concatenate([y[: d.start], U @ inner, y[d.start :]]), value


def _others(a: jax.Array, d: slice) -> jax.Array:
    """Entries along the first axis outside d."""
    return jnp.concatenate([a[: d.start], a[d.stop :]])
