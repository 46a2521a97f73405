"""No-U-Turn sampling by NumPyro: the fallback where a faster scheme cannot be trusted, and the check.

The same densities in the same coordinates: `sample_hyper_by_nuts` draws the hyperparameters of a Gaussian
model from its exact marginal density; `sample_latent_by_nuts` draws Laplace coordinates of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import MCMC, NUTS

from hitlbayes.inference.chains import Record
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.hmc import Kept, Target, describe
from hitlbayes.inference.laplace import by_role, density_and_point, log_density
from hitlbayes.inference.marginal import Means, log_densities
from hitlbayes.inference.normals import normals
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

    points, told = _nuts(potential, jnp.asarray(psi), draws=draws, chains=chains, seed=seed)
    return points.reshape(-1, points.shape[-1]), told["diverging"]


def sample_latent_by_nuts(
    target: Target, focus: Focus, *, layout: Layout, draws: int, chains: int, seed: int
) -> Record:
    """Draws in Laplace coordinates (chains, draws, ...), kept as split trajectories' are, but for slopes."""

    def potential(z: jax.Array) -> jax.Array:
        return -log_density(z, target.anchor, target.problem, target.beliefs, layout=layout)

    z, told = _nuts(potential, jnp.zeros(layout.n_latent), draws=draws, chains=chains, seed=seed)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), (chains, draws))
    kept = jax.tree.map(np.asarray, _told(z, keys, target, focus, layout=layout))
    slope = np.full((chains, draws, layout.n_hyper), np.nan)
    return Record(kept, told["accept_prob"], told["diverging"], slope)


@partial(jax.jit, static_argnames="layout")
def _told(z: jax.Array, keys: jax.Array, target: Target, focus: Focus, *, layout: Layout) -> Kept:
    """What is kept of coordinates (chains, draws, n)."""

    def one(at: tuple[jax.Array, jax.Array]) -> Kept:
        z, key = at
        roles = by_role(z, layout)
        _, point = density_and_point(roles, target.anchor, target.problem, target.beliefs, layout=layout)
        return describe(point, normals(key, layout.n_units), target, focus, layout=layout)

    return jax.lax.map(lambda chain: jax.lax.map(one, chain), (z, keys))


def _nuts(
    potential: Callable[[jax.Array], jax.Array], start: jax.Array, *, draws: int, chains: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points (chains, draws, n), and of each whether it diverged and the mean acceptance on its way."""
    kernel = NUTS(potential_fn=potential, target_accept_prob=0.9)
    mcmc = MCMC(
        kernel,
        num_warmup=WARMUP,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    key, jitter = jax.random.split(jax.random.key(seed))
    begin = start + 0.1 * jax.random.normal(jitter, (chains, *start.shape))
    extra = ("diverging", "accept_prob")
    mcmc.run(key, init_params=begin if chains > 1 else begin[0], extra_fields=extra)
    told = mcmc.get_extra_fields(group_by_chain=True)
    return np.asarray(mcmc.get_samples(group_by_chain=True)), {name: np.asarray(told[name]) for name in extra}
