"""Gaussian outcomes: the closed forms are PyMC's density with the effects integrated out."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hitlbayes.fitting.model import Model
from hitlbayes.inference.marginal import draw_effects, log_posterior, sums_at

from .chats import chat_log, engine_model, unlike_priors
from .exactness import foretold_change, log_jacobian, pymc_coefs, pymc_conditional, pymc_model, pymc_scales

POINTS = 50
TOLERANCE = 1e-8  # relative to the log density: double precision, one dense solve of some sixty effects
DRAWS = 4096
CHANCE = 1e-6  # of a correct sampler failing, each comparison

FORMULAS = {"worker-days": None, "covariates": "~ C(urgency) + vip"}


def gaussian(chats, formula: str | None) -> Model:
    """The engine's model, its arrays in double precision (call inside `enable_x64`)."""
    model = engine_model(chats, family="gaussian", formula=formula, priors=unlike_priors("gaussian"))
    data, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
    return replace(model, data=data, beliefs=beliefs)


def random_psi(count: int, layout) -> np.ndarray:
    """Signed scales, correlations' and residual SDs' coordinates, well away from the prior's centre."""
    rng = np.random.default_rng(8)
    scales = rng.choice([-1, 1], (count, layout.n_scales)) * rng.uniform(0.8, 2.5, (count, layout.n_scales))
    return np.column_stack([scales, rng.normal(0.0, 0.6, (count, layout.n_hyper - layout.n_scales))])


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_marginal_and_pymc_differ_by_a_constant(formula: str | None) -> None:
    chats = chat_log(20)
    with jax.enable_x64(True):
        model = gaussian(chats, formula)
        psi = random_psi(POINTS, model.layout)
        engine = np.asarray(log_posterior(jnp.asarray(psi), model.data, model.beliefs, layout=model.layout))

        def scales(p):
            return pymc_scales(p, model)

        jacobian, points = jax.jit(jax.vmap(lambda p: (log_jacobian(scales, p), scales(p))))(psi)
        jacobian, points = jax.tree.map(np.asarray, (jacobian, points))
    reference = pymc_conditional(pymc_model(chats, model))
    pymc = [reference({name: v[k] for name, v in points.items()}).log_marginal for k in range(POINTS)]
    difference = engine - jacobian - pymc
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(difference) < TOLERANCE * np.abs(pymc).max()


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_conditional_draws_have_the_exact_mean_and_covariance(formula: str | None) -> None:
    chats = chat_log(21)
    with jax.enable_x64(True):
        model = gaussian(chats, formula)
        layout, psi = model.layout, random_psi(1, model.layout)
        many = jnp.tile(jnp.asarray(psi), (DRAWS, 1))
        drawn = draw_effects(
            many,
            sums_at(many, model.data, model.beliefs, layout=layout),
            jax.random.key(4),
            model.data,
            model.beliefs,
            layout=layout,
        )
        drawn, scales = jax.tree.map(np.asarray, (drawn, pymc_scales(jnp.asarray(psi[0]), model)))
    reference = pymc_conditional(pymc_model(chats, model))(scales)

    coef, period = pymc_coefs(drawn.outer[:, : layout.n_coef], model), drawn.outer[:, layout.n_coef :]
    level, change = (drawn.unit[:, :, j] for j in range(2))
    own = change - foretold_change(scales, model.structure.unit_class) * level
    draws = np.column_stack([coef, *(model.scale * effect for effect in (period, level, own))])
    d = draws.shape[1]
    covariance = np.linalg.inv(reference.precision)[:d, :d]
    white = np.linalg.solve(np.linalg.cholesky(covariance), (draws - reference.mean[:d]).T)
    assert DRAWS * np.sum(white.mean(axis=1) ** 2) < stats.chi2.isf(CHANCE, d)
    upper = np.triu_indices(d)
    products = (white @ white.T / DRAWS - np.eye(d))[upper]
    z = products * np.sqrt(DRAWS / (1.0 + (upper[0] == upper[1])))  # squares vary twice as much as products
    assert np.abs(z).max() < stats.norm.isf(CHANCE / len(z))
