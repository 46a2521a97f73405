"""No-U-Turn sampling by NumPyro: the fallback where a faster scheme cannot be trusted, and the check.

The same densities in the same coordinates: `sample_hyper_by_nuts` draws the hyperparameters of a Gaussian
model from its exact marginal density; `sample_latent_by_nuts` draws Laplace coordinates.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import MCMC, NUTS

from hitlbayes.inference.hmc import Target
from hitlbayes.inference.laplace import log_density
from hitlbayes.inference.marginal import Means, log_densities
from hitlbayes.inference.problem import Beliefs, Layout
from hitlbayes.inference.runtime import Progress, silent

WARMUP = 500


def sample_hyper_by_nuts(
    psi: np.ndarray,
    data: Means,
    beliefs: Beliefs,
    *,
    layout: Layout,
    draws: int,
    chains: int,
    seed: int,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """Hyperparameters of a Gaussian model (chains * draws, k), and which draws diverged (chains, draws)."""
    data, beliefs = jax.tree.map(jnp.asarray, (data, beliefs))
    progress("sampling the hyperparameters with NUTS", 0.1)

    def potential(p: jax.Array) -> jax.Array:
        return -log_densities(p[None], data, beliefs, layout=layout)[0]

    points, diverging = _nuts(
        potential, jnp.asarray(psi), draws=draws, chains=chains, seed=seed, warmup=WARMUP
    )
    return points.reshape(-1, points.shape[-1]), diverging


def sample_latent_by_nuts(
    target: Target, *, layout: Layout, draws: int, chains: int, seed: int, warmup: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of Laplace coordinates (chains, draws, n), and which of them diverged (chains, draws)."""

    def potential(z: jax.Array) -> jax.Array:
        return -log_density(z, *target, layout=layout)

    start = jnp.zeros(layout.n_latent)
    return _nuts(potential, start, draws=draws, chains=chains, seed=seed, warmup=warmup)


def _nuts(
    potential, start: jax.Array, *, draws: int, chains: int, seed: int, warmup: int
) -> tuple[np.ndarray, np.ndarray]:
    kernel = NUTS(potential_fn=potential, target_accept_prob=0.9)
    mcmc = MCMC(
        kernel,
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    key, jitter = jax.random.split(jax.random.key(seed))
    begin = start + 0.1 * jax.random.normal(jitter, (chains, *start.shape))
    mcmc.run(key, init_params=begin if chains > 1 else begin[0], extra_fields=("diverging",))
    samples = np.asarray(mcmc.get_samples(group_by_chain=True))
    return samples, np.asarray(mcmc.get_extra_fields(group_by_chain=True)["diverging"])
