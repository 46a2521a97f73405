"""Chains begin at a draw of the standard normal, wherever that is, and are judged by its density."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import hitlbayes as hb
from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import find_anchor
from hitlbayes.inference.expansion import State
from hitlbayes.inference.hyper import unpack_hyper
from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.runtime import session
from hitlbayes.inference.surrogate import flat
from hitlbayes.studies.did import did_model

CLOSE = 0.1  # half a posterior SD of a logit from 120 trials: prior, skewness and chance
SHOCK, ROUGH = 0.4, 0.3  # 240 shocks tell their SD to a twentieth; the map need only be near
CELLS = {"workers": 40, "periods": 6, "start": 3, "chats_per_cell": 6.0, "sd_drift": 0.1, "sd_effect": 0.2}


def test_the_first_draw_of_a_chain_is_its_start() -> None:
    model = did_model(hb.simulate_cells(seed=2, family="ordinal", **CELLS), outcome="y").model
    layout = model.layout
    with session():
        problem, beliefs, focus = jax.tree.map(jnp.asarray, (model.data, model.beliefs, model.focus))
        sizes = (layout.n_units, layout.width), (layout.slots, layout.columns)
        state = State(jnp.asarray(model.start), jnp.asarray(model.outer), *map(jnp.zeros, sizes))
        anchor = find_anchor(state, problem, beliefs, layout=layout)
        target = hmc.single(hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper)))
        begun = hmc.start(jax.random.key(1), target, layout=layout, log_angle=jnp.asarray(0.0))
        moved, step = hmc.draw(begun, target, narrowed(focus), layout=layout, adapt=jnp.asarray(True))
        (value, _), slope = hmc.density_and_slope(begun.z, target, layout=layout)
    jax.tree.map(np.testing.assert_array_equal, moved.z, begun.z)
    assert float(step.acceptance) == 1.0
    np.testing.assert_allclose(float(moved.value), float(value))
    for one, other in zip(jax.tree.leaves(moved.slope), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)  # single precision


def test_a_scale_that_begins_at_zero_is_found_where_the_data_have_it() -> None:
    cells = hb.simulate_cells(seed=2, family="count", **CELLS | {"chats_per_cell": 40.0, "sd_shock": SHOCK})
    model = did_model(cells, outcome="y").model
    layout = model.layout
    with session():
        problem, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        sizes = (layout.n_units, layout.width), (layout.slots, layout.columns)
        start = jnp.asarray(model.start).at[: layout.n_scales - 1].set(0.0)  # the last is the overdispersion
        state = State(start, jnp.asarray(model.outer), *map(jnp.zeros, sizes))
        anchor = find_anchor(state, problem, beliefs, layout=layout)
        shock = unpack_hyper(anchor.psi, layout, beliefs).shock
    assert abs(float(shock)) == pytest.approx(SHOCK, rel=ROUGH)


def test_chains_that_begin_far_out_come_back() -> None:
    fit = hb.fit_did(
        hb.simulate_cells(seed=2, family="ordinal", **CELLS), outcome="y", draws=100, progress=False
    )
    assert not fit.posterior["sample_stats"]["diverging"].any()


def test_a_model_whose_scales_are_all_held_is_fitted() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "y": rng.binomial(1, 0.3, 120)})
    fit = hb.fit_mixed(
        frame,
        outcome="y",
        family="bernoulli",
        groups=["g"],
        priors={"sd_g": hb.fixed(0)},
        draws=200,
        progress=False,
    )
    intercept = fit.tidy().set_index("term").loc["intercept", "mean"]
    assert abs(intercept - np.log(frame["y"].mean() / (1 - frame["y"].mean()))) < CLOSE
