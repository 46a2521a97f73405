"""The sampled density is the reference model's: collapsed cells against PyMC on chat rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.laplace import State, log_density, make_anchor, place

from .cells import chat_log, collapse, slots_with_chats
from .exactness import log_jacobian, pymc_density, pymc_model, pymc_values, unlike_priors

POINTS = 50
TOLERANCE = 1e-8  # relative to the log density: double precision, sums of a few hundred terms
COVARIATES = ("vip", "urgency")  # they split cells: several rows share a worker-day's shock
CASES = {
    "bernoulli": ("bernoulli", ()),
    "bernoulli-covariates": ("bernoulli", COVARIATES),
    "ordinal": ("ordinal", ()),
    "ordinal-covariates": ("ordinal", COVARIATES),
    "poisson-covariates": ("poisson", COVARIATES),
    "negative-binomial": ("count", ()),
}


def rough_state(layout, *, seed: int) -> State:
    """Somewhere that is no mode: exactness must not hang on a good anchor."""
    rng = np.random.default_rng(seed)
    outer = 0.3 * rng.normal(size=layout.n_outer)
    psi = np.r_[rng.uniform(0.2, 0.9, layout.n_scales), rng.normal(0, 0.4, layout.n_hyper - layout.n_scales)]
    unit = 0.3 * rng.normal(size=(layout.n_units, layout.width))
    return State(*map(jnp.asarray, (psi, outer, unit, 0.3 * rng.normal(size=layout.n_shocks))))


@pytest.mark.parametrize(("family", "controls"), CASES.values(), ids=CASES)
def test_engine_and_pymc_differ_by_a_constant(family: str, controls: tuple[str, ...]) -> None:
    chats = chat_log(20)
    with jax.enable_x64(True):
        problem, layout = collapse(chats, family=family, controls=controls)
        priors = unlike_priors(layout)
        seen = slots_with_chats(chats)
        problem, priors = jax.tree.map(jnp.asarray, (problem, priors))
        anchor = jax.jit(make_anchor, static_argnames="layout")(
            rough_state(layout, seed=3), problem, priors, layout=layout
        )

        def values(z):
            state, _ = place(z, anchor, problem, priors, layout=layout)
            return pymc_values(state, seen, problem.unit_class, priors, layout=layout)

        def at(z):
            engine = log_density(z, anchor, problem, priors, layout=layout)
            return engine - log_jacobian(values, z), values(z)

        # lax.map, not vmap: batched triangular solves can lock up XLA's pool on a machine with two cores.
        z = jax.random.normal(jax.random.key(5), (POINTS, layout.n_latent))
        engine, points = jax.jit(lambda z: jax.lax.map(at, z))(z)
        engine = np.asarray(engine)
    reference = pymc_density(pymc_model(chats, family=family, controls=controls, priors=priors))
    pymc = np.array([reference({name: value[k] for name, value in points.items()}) for k in range(POINTS)])
    assert np.isfinite(pymc).all()
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(engine - pymc) < TOLERANCE * np.abs(pymc).max()
