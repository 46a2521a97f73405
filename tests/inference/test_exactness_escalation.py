"""The model of escalation types has the density of `models/escalation.py`, a row per matched chat in PyMC."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.model.transform.conditioning import remove_value_transforms

import hitlbayes as hb
from hitlbayes.design.covariates import read_covariates
from hitlbayes.fitting.model import Model
from hitlbayes.inference.expansion import State, make_anchor
from hitlbayes.inference.hyper import unpack_hyper
from hitlbayes.inference.laplace import log_density, place
from hitlbayes.inference.marginal import log_posterior
from hitlbayes.inference.problem import cutpoints, split_outer
from hitlbayes.studies.escalation_model import FLAT, type_cells, type_model

from .exactness import NOISE, build, log_jacobian, pymc_conditional, pymc_density, slots_with_chats

POINTS = 20
TOLERANCE = 1e-8  # relative to the log density: double precision, sums of a few hundred terms
EFFECTS = ("coef", "type_effect", "level", "response")
OUTCOMES = {"gaussian": "y", "bernoulli": "again", "ordinal": "stars"}
KINDS = ["control", "emotional", "human", "technical"]
SCALES = {"type": 0.7, "worker": 0.4, "response": 0.3, "pair": 0.5}
PRIORS = {"sd_type": hb.half_normal(0.7), "sd_worker": hb.half_normal(0.4), "sd_shock": hb.half_normal(0.3)}
PRIORS |= {"treatment": hb.normal(0, 0.8), "coef": hb.normal(0, 1.3)}


def matched_chats(n: int = 60, *, seed: int = 3) -> pd.DataFrame:
    """Synthetic matched chats of 12 workers, six in each arm, one covariate of two kinds."""
    rng = np.random.default_rng(seed)
    kind = np.array(KINDS)[rng.integers(0, len(KINDS), n)]
    chats = pd.DataFrame({"type": kind, "worker_id": rng.integers(0, 6, n) + 6 * (kind == "control")})
    chats["x"], chats["vip"] = rng.normal(size=n), rng.integers(0, 2, n)
    chats["y"], chats["again"] = rng.normal(2.0, 1.5, n), rng.integers(0, 2, n)
    chats["stars"] = np.r_[1:5, rng.integers(1, 5, n - 4)]
    return chats


def both(family: str, *, pooled: bool) -> tuple[Model, pm.Model]:
    """The engine's model and the reference of the same chats, columns and priors."""
    chats = matched_chats()
    given = read_covariates(
        chats.assign(escalated=(chats["type"] != "control").astype(int)), formula="escalated ~ x + vip"
    )
    cells = type_cells(chats, outcome=OUTCOMES[family], family=family, worker="worker_id", covariates=given)
    priors = PRIORS if family == "ordinal" else PRIORS | {"intercept": hb.normal(1.0, 2.0)}
    if family == "gaussian":
        priors = priors | {"sigma": hb.half_normal(0.9)}
    if not pooled:
        priors = {name: prior for name, prior in priors.items() if name != "sd_type"}
    model = type_model(cells, pooled=pooled, priors=priors)
    names = [name for name in model.design.names if name not in ("intercept", "treatment")]
    columns = pd.DataFrame(model.design.X, columns=list(model.design.names))[names]
    reference = build("escalation")(
        pd.concat([chats, columns.add_suffix(" (engine)")], axis=1),
        outcome=OUTCOMES[family],
        family=family,
        covariates=[f"{name} (engine)" for name in names],
        intercept_prior=(1.0, 2.0),
        treatment_scale=0.8,
        coef_scale=1.3,
        scales=SCALES,
        type_sd=None if pooled else FLAT * model.scale,
        sigma_scale=0.9,
        concentration=1.0,
        centered=True,
    )
    return model, remove_value_transforms(reference)


def scales(psi: jax.Array, model: Model) -> dict[str, jax.Array]:
    """The reference's scales at the engine's hyperparameters; held ones are noise."""
    hyper = unpack_hyper(psi, model.layout, model.beliefs)
    found = {
        "sd_worker": jnp.abs(hyper.block[0]) * model.scale,
        "sd_type": jnp.abs(hyper.groups[0]) * model.scale,
        "sd_response": jnp.abs(hyper.shock) * model.scale,
    }
    if model.cells.family == "gaussian":
        found["sigma"] = jnp.exp(hyper.log_sigma) * model.scale
    held = np.isfinite(np.asarray(model.beliefs.fixed))
    if held.any():
        found.pop("sd_type")
        found[NOISE] = psi[held]
    return found


def values(state: State, seen: np.ndarray, model: Model) -> dict[str, jax.Array]:
    """The reference's variables at an engine state, from the docstring of models/escalation.py alone."""
    coef, (types,), free = split_outer(state.outer, model.layout)
    names = list(model.design.names)
    first = [n for n in ("intercept", "treatment") if n in names]
    order = [names.index(n) for n in [*first, *(n for n in names if n not in first)]]
    found = scales(state.psi, model) | {
        "coef": coef[jnp.array(order)],
        "type_effect": types,
        "level": state.unit[:, 0],
        "response": state.shock.T[seen],
    }
    unseen = state.shock.T[~seen] / unpack_hyper(state.psi, model.layout, model.beliefs).shock
    found[NOISE] = jnp.concatenate([unseen, found.get(NOISE, jnp.zeros(0))])
    if model.layout.n_cut:
        found["probability"] = jnp.diff(jax.nn.sigmoid(cutpoints(free, model.layout.middle)), prepend=0.0)
    return found


@pytest.mark.parametrize(("family", "pooled"), [("bernoulli", True), ("ordinal", True), ("bernoulli", False)])
def test_engine_and_pymc_differ_by_a_constant(family: str, pooled: bool) -> None:
    model, reference = both(family, pooled=pooled)
    seen, layout = slots_with_chats(model.data), model.layout
    rng = np.random.default_rng(4)
    psi = np.r_[rng.uniform(0.5, 2, layout.n_scales), rng.normal(0, 0.4, layout.n_hyper - layout.n_scales)]
    sizes = layout.n_outer, (layout.n_units, layout.width), (layout.slots, layout.columns)
    with jax.enable_x64(True):
        data, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        start = State(jnp.asarray(psi), *(jnp.asarray(0.3 * rng.normal(size=size)) for size in sizes))
        anchor = jax.jit(make_anchor, static_argnames="layout")(start, data, beliefs, layout=layout)
        # Narrower hyperparameters: PyMC's differences of logistic functions cancel beyond some 35 logits.
        anchor = anchor._replace(root=0.5 * anchor.root)
        model = replace(model, beliefs=beliefs)

        def found(z):
            return values(place(z, anchor, data, beliefs, layout=layout), seen, model)

        def at(z):
            return log_density(z, anchor, data, beliefs, layout=layout) - log_jacobian(found, z), found(z)

        z = jax.random.normal(jax.random.key(6), (POINTS, layout.n_latent))
        engine, points = jax.tree.map(np.asarray, jax.jit(lambda z: jax.lax.map(at, z))(z))
    density = pymc_density(reference)
    pymc = np.array([density({name: v[k] for name, v in points.items()}) for k in range(POINTS)])
    assert np.isfinite(pymc).all()
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(engine - pymc) < TOLERANCE * np.abs(pymc).max()


@pytest.mark.parametrize("pooled", [True, False])
def test_gaussian_marginal_and_pymc_differ_by_a_constant(pooled: bool) -> None:
    model, reference = both("gaussian", pooled=pooled)
    layout, rng = model.layout, np.random.default_rng(8)
    psi = rng.choice([-1, 1], (POINTS, layout.n_hyper)) * rng.uniform(0.5, 2.0, (POINTS, layout.n_hyper))
    psi[:, layout.n_scales :] = rng.normal(0, 0.5, (POINTS, layout.n_hyper - layout.n_scales))
    with jax.enable_x64(True):
        data, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        model = replace(model, data=data, beliefs=beliefs)
        engine = np.asarray(log_posterior(jnp.asarray(psi), data, beliefs, layout=layout))
        one = jax.jit(jax.vmap(lambda p: (log_jacobian(lambda q: scales(q, model), p), scales(p, model))))
        jacobian, points = jax.tree.map(np.asarray, one(psi))
    noise = points.pop(NOISE, np.zeros((POINTS, 0)))
    conditional = pymc_conditional(reference, names=EFFECTS)
    pymc = [conditional({n: v[k] for n, v in points.items()}).log_marginal for k in range(POINTS)]
    difference = engine - jacobian - pymc + 0.5 * np.sum(noise**2, axis=1)
    assert np.ptp(pymc) > 10  # the points lie far apart, so that a constant difference says something
    assert np.ptp(difference) < TOLERANCE * np.abs(pymc).max()


def test_effect_is_treatment_and_the_type_less_the_control() -> None:
    _, reference = both("bernoulli", pooled=True)
    effect, coef, types = pm.draw(
        [reference[n] for n in ("effect", "coef", "type_effect")], draws=3, random_seed=1
    )
    np.testing.assert_allclose(effect, coef[:, [1]] + types[:, 1:] - types[:, [0]])


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"again": 2}, {}, "must be 0 or 1"),
        ({"type": "control"}, {}, "AI chats of some type"),
        ({"type": "human"}, {}, "chats of type 'control'"),
        ({"x": np.nan}, {}, "missing values"),
        ({}, {"family": "count"}, "expected one of"),
        ({"again": 1.5}, {"family": "ordinal"}, "whole numbers"),
    ],
)
def test_impossible_chats_are_refused(change, options, words: str) -> None:
    given = {"outcome": "again", "family": "bernoulli", "covariates": ["x"], **options}
    with pytest.raises(ValueError, match=words):
        build("escalation")(matched_chats().assign(**change), **given)
