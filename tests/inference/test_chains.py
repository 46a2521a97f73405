"""Chains of an accelerator are computed together: the same draws as one by one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import hitlbayes as hb
from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import find_anchor
from hitlbayes.inference.chains import advance, advance_together, begin
from hitlbayes.inference.expansion import State
from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.runtime import on_processor, session
from hitlbayes.inference.surrogate import flat
from hitlbayes.studies.did import did_model

FIRST = 5  # draws: later, what rounding did to one trajectory has grown
SINGLE = 1e-3  # of a coordinate: single precision through some ten passes over the data
CELLS = {"workers": 20, "periods": 4, "start": 2, "chats_per_cell": 6.0}


def test_chains_computed_together_make_the_draws_of_each_alone() -> None:
    model = did_model(hb.simulate_cells(seed=3, family="bernoulli", **CELLS), outcome="y").model
    layout = model.layout
    with session():
        problem, beliefs, focus = jax.tree.map(jnp.asarray, (model.data, model.beliefs, model.focus))
        assert on_processor()
        sizes = (layout.n_units, layout.width), (layout.slots, layout.columns)
        state = State(jnp.asarray(model.start), jnp.asarray(model.outer), *map(jnp.zeros, sizes))
        anchor = find_anchor(state, problem, beliefs, layout=layout)
        target = hmc.single(hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper)))
        keys, angle, flag = jax.random.split(jax.random.key(1), 2), jnp.asarray(-0.5), jnp.asarray(False)
        walkers = [begin(key, target, angle, layout=layout) for key in keys]
        alone = [advance(walker, target, narrowed(focus), flag, layout=layout)[1] for walker in walkers]
        stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *walkers)
        _, together = advance_together(stacked, target, narrowed(focus), flag, layout=layout)
    for i, record in enumerate(alone):
        for one, both in zip(jax.tree.leaves(record), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(both[i, :FIRST], one[:FIRST], atol=SINGLE, rtol=SINGLE)
    assert not np.allclose(alone[0].kept.psi, alone[1].kept.psi)
