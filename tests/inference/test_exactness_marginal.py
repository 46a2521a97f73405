"""Gaussian outcomes: the closed forms are PyMC's density with the effects integrated out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hitlbayes.inference.marginal import draw_effects, log_posterior

from .cells import cell_means, chat_log
from .exactness import (
    foretold_change,
    log_jacobian,
    pymc_conditional,
    pymc_model,
    pymc_scales,
    unlike_priors,
)

POINTS = 50
TOLERANCE = 1e-8  # relative to the log density: double precision, one dense solve of some sixty effects
DRAWS = 4096
CHANCE = 1e-6  # of a correct sampler failing, each comparison

CONTROLS = [(), ("vip", "urgency")]
NAMES = ["worker-days", "covariates"]


def random_psi(count: int, n_hyper: int) -> np.ndarray:
    """Signed scales, correlations' and residual SDs' coordinates, well away from the prior's centre."""
    return np.random.default_rng(8).normal(0.0, 0.6, (count, n_hyper))


@pytest.mark.parametrize("controls", CONTROLS, ids=NAMES)
def test_marginal_and_pymc_differ_by_a_constant(controls: tuple[str, ...]) -> None:
    chats = chat_log(20)
    data, layout = cell_means(chats, controls=controls)
    priors = unlike_priors(layout)
    psi = random_psi(POINTS, layout.n_hyper)
    with jax.enable_x64(True):
        data, known = jax.tree.map(jnp.asarray, (data, priors))
        engine = np.asarray(log_posterior(jnp.asarray(psi), data, known, layout=layout))

        def scales(p):
            return pymc_scales(p, known, layout=layout)

        jacobian, points = jax.jit(jax.vmap(lambda p: (log_jacobian(scales, p), scales(p))))(psi)
        points = {name: np.asarray(value) for name, value in points.items()}
    reference = pymc_conditional(pymc_model(chats, family="gaussian", controls=controls, priors=priors))
    pymc = [reference({name: v[k] for name, v in points.items()}).log_marginal for k in range(POINTS)]
    difference = engine - np.asarray(jacobian) - pymc
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(difference) < TOLERANCE * np.abs(pymc).max()


@pytest.mark.parametrize("controls", CONTROLS, ids=NAMES)
def test_conditional_draws_have_the_exact_mean_and_covariance(controls: tuple[str, ...]) -> None:
    chats = chat_log(21)
    data, layout = cell_means(chats, controls=controls)
    priors = unlike_priors(layout)
    psi = random_psi(1, layout.n_hyper)[0]
    with jax.enable_x64(True):
        data, known = jax.tree.map(jnp.asarray, (data, priors))
        many = jnp.tile(jnp.asarray(psi), (DRAWS, 1))
        drawn = jax.tree.map(np.asarray, draw_effects(many, jax.random.key(4), data, known, layout=layout))
        scales = {k: np.asarray(v) for k, v in pymc_scales(jnp.asarray(psi), known, layout=layout).items()}
    reference = pymc_conditional(pymc_model(chats, family="gaussian", controls=controls, priors=priors))(
        scales
    )

    own = drawn.unit[:, :, 1] - foretold_change(scales, data.unit_class) * drawn.unit[:, :, 0]
    draws = np.concatenate([drawn.outer, drawn.unit[:, :, 0], own], axis=1)
    d = draws.shape[1]
    covariance = np.linalg.inv(reference.precision)[:d, :d]
    white = np.linalg.solve(np.linalg.cholesky(covariance), (draws - reference.mean[:d]).T)
    assert DRAWS * np.sum(white.mean(axis=1) ** 2) < stats.chi2.isf(CHANCE, d)
    upper = np.triu_indices(d)
    products = (white @ white.T / DRAWS - np.eye(d))[upper]
    z = products * np.sqrt(DRAWS / (1.0 + (upper[0] == upper[1])))  # squares vary twice as much as products
    assert np.abs(z).max() < stats.norm.isf(CHANCE / len(z))
