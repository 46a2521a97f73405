"""The dense system of the outer parameters, factored anew for every value of their prior scales.

Chains are vectorised, but LAPACK calls batched over chains can wait for each other for ever on a machine
with few cores (seen in XLA on two), so the factorisation and its derivative are done one chain at a time.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap


def _solve(
    scale: jax.Array, z: jax.Array, M: jax.Array, pull: jax.Array, proper: jax.Array
) -> tuple[jax.Array, jax.Array]:
    low = jnp.linalg.cholesky(jnp.diag(proper) + scale[:, None] * M * scale)
    half = jax.scipy.linalg.solve_triangular(low, scale * pull, lower=True)
    standard = jax.scipy.linalg.solve_triangular(low.T, half + z, lower=False)
    return standard, jnp.sum(jnp.log(jnp.diagonal(low)))


@jax.custom_vjp
def solve_outer(
    scale: jax.Array, z: jax.Array, M: jax.Array, pull: jax.Array, proper: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """K^-1 S pull + R'^-1 z and log det R, with K = P + S M S = R R'.

    Parameters
    ----------
    scale, z, pull, proper : (m,) prior scales S, coordinates, slope at the prior mean, diagonal of P
    M : (m, m) curvature
    """
    return sequential_vmap(_solve)(scale, z, M, pull, proper)


def _forward(scale, z, M, pull, proper):
    return solve_outer(scale, z, M, pull, proper), (scale, z, M, pull, proper)


def _backward(saved, cotangent):
    def pulled(scale, z, M, pull, proper, to_standard, to_log_det):
        _, back = jax.vjp(lambda s, z: _solve(s, z, M, pull, proper), scale, z)
        return back((to_standard, to_log_det))

    to_scale, to_z = sequential_vmap(pulled)(*saved, *cotangent)
    return to_scale, to_z, None, None, None


solve_outer.defvjp(_forward, _backward)
