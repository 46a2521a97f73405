"""The sampled density is the reference model's: collapsed cells against PyMC on chat rows."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.expansion import State, make_anchor
from hitlbayes.inference.laplace import log_density, place
from hitlbayes.inference.problem import Layout

from .chats import chat_log, engine_model, unlike_priors
from .exactness import log_jacobian, pymc_density, pymc_model, pymc_values, slots_with_chats

POINTS = 50
TOLERANCE = 1e-8  # relative to the log density: double precision, sums of a few hundred terms
COVARIATES = "~ C(urgency) + vip"  # they split cells: several rows share a worker-day's shock
CASES = {
    "bernoulli": ("bernoulli", None, False),
    "bernoulli-covariates": ("bernoulli", COVARIATES, False),
    "ordinal": ("ordinal", None, False),
    "ordinal-covariates": ("ordinal", COVARIATES, False),
    "poisson-covariates": ("count", COVARIATES, True),
    "negative-binomial": ("count", None, False),
}


def rough_state(layout: Layout, *, seed: int) -> State:
    """Somewhere that is no mode: exactness must not hang on a good anchor."""
    rng = np.random.default_rng(seed)
    psi = np.r_[rng.uniform(0.5, 2.0, layout.n_scales), rng.normal(0, 0.4, layout.n_hyper - layout.n_scales)]
    sizes = layout.n_outer, (layout.n_units, layout.width), (layout.slots, layout.columns)
    return State(jnp.asarray(psi), *(jnp.asarray(0.3 * rng.normal(size=size)) for size in sizes))


@pytest.mark.parametrize(("family", "formula", "poisson"), CASES.values(), ids=CASES)
def test_engine_and_pymc_differ_by_a_constant(family: str, formula: str | None, poisson: bool) -> None:
    chats = chat_log(20)
    model = engine_model(chats, family=family, formula=formula, priors=unlike_priors(family, poisson=poisson))
    seen, layout = slots_with_chats(model.data), model.layout
    with jax.enable_x64(True):
        data, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        start = rough_state(layout, seed=3)
        anchor = jax.jit(make_anchor, static_argnames="layout")(start, data, beliefs, layout=layout)
        # Narrower hyperparameters: PyMC's differences of logistic functions cancel beyond some 35 logits.
        anchor = anchor._replace(root=0.5 * anchor.root)
        model = replace(model, beliefs=beliefs)

        def values(z):
            return pymc_values(place(z, anchor, data, beliefs, layout=layout), seen, model)

        def at(z):
            return log_density(z, anchor, data, beliefs, layout=layout) - log_jacobian(values, z), values(z)

        # lax.map, not vmap: batched triangular solves can lock up XLA's pool on a machine with two cores.
        z = jax.random.normal(jax.random.key(5), (POINTS, layout.n_latent))
        engine, points = jax.tree.map(np.asarray, jax.jit(lambda z: jax.lax.map(at, z))(z))
    reference = pymc_density(pymc_model(chats, model))
    pymc = np.array([reference({name: value[k] for name, value in points.items()}) for k in range(POINTS)])
    assert np.isfinite(pymc).all()
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(engine - pymc) < TOLERANCE * np.abs(pymc).max()
