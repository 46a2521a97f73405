"""The grid of shocks: every shock in a place of its own, and the same density however units are laid out."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hitlbayes as hb
from hitlbayes.fitting import slots as slots_module
from hitlbayes.fitting.model import Model
from hitlbayes.fitting.slots import make_slots
from hitlbayes.inference.anchor import find_anchor
from hitlbayes.inference.expansion import State
from hitlbayes.inference.laplace import by_role, log_density
from hitlbayes.inference.runtime import session
from hitlbayes.studies.did import did_model
from hitlbayes.twin.cells import Cells

DIGITS = 1e-9  # relative: sums of the same numbers in another order, in double precision
POINTS = 5


@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_every_shock_has_a_place_of_its_own_in_a_column_of_its_unit(counts: list[int]) -> None:
    unit = np.repeat(np.arange(len(counts)), counts)
    made = make_slots(unit, [], [], n_units=len(counts))
    assert made.size == made.columns * made.slots
    assert len(np.unique(made.position)) == len(unit)
    column = made.position % made.columns
    assert np.all(made.position < made.size)
    np.testing.assert_array_equal(made.column[column] if made.column.size else column, unit)
    assert np.all(np.diff(made.column) >= 0)


def test_units_of_one_size_stay_whole_and_unlike_ones_are_folded() -> None:
    same = make_slots(np.repeat(np.arange(50), 20), [], [], n_units=50)
    assert (same.columns, same.column.size) == (same.n_units, 0)
    unlike = make_slots(np.repeat(np.arange(50), np.r_[[400], np.full(49, 10)]), [], [], n_units=50)
    assert unlike.column.size == unlike.columns
    assert unlike.size < 50 * 400 / 4


def hours(family: str) -> Cells:
    """Cells of units with very different numbers of periods."""
    made = hb.simulate_cells(
        seed=4, workers=24, periods=40, start=20, chats_per_cell=4.0, family=family, sd_shock=0.3
    )
    rng = np.random.default_rng(1)
    few = (made.cells["unit"] > 4) & (rng.uniform(size=len(made.cells)) < 0.8)
    return replace(made, cells=made.cells[~few].reset_index(drop=True))


def density_of(model: Model, points: np.ndarray) -> np.ndarray:
    """Log density at points whose shocks' coordinates are given by cell, in the order of the cells."""
    layout = model.layout
    head = layout.n_hyper + layout.n_outer
    place = places_of(model)
    with session():
        problem, beliefs = jax.tree.map(jnp.asarray, (model.data, model.beliefs))
        sizes = (layout.n_units, layout.width), (layout.slots, layout.columns)
        state = State(jnp.asarray(model.start), jnp.asarray(model.outer), *map(jnp.zeros, sizes))
        anchor = find_anchor(state, problem, beliefs, layout=layout)
        anchor = anchor._replace(root=jnp.eye(layout.n_hyper))
        found = []
        for point in points:
            z = np.zeros(layout.n_latent)
            body = head + layout.n_units * layout.width
            z[:body] = point[:body]
            shocks = np.zeros(layout.n_shocks)
            shocks[place] = point[body : body + len(place)]
            z[body:] = shocks
            found.append(float(log_density(jnp.asarray(z), anchor, problem, beliefs, layout=layout)))
            assert by_role(jnp.asarray(z), layout).shock.shape == (layout.slots, layout.columns)
    return np.array(found)


def places_of(model: Model) -> np.ndarray:
    """Place of each shock on the model's grid, from where its data are."""
    structure = model.structure
    pair = structure.unit.codes.astype(np.int64) * (structure.period.max() + 1) + structure.period
    unit = structure.unit.codes[np.unique(pair, return_index=True)[1]]
    return make_slots(unit, [], [], n_units=len(structure.unit.labels)).position


@pytest.mark.parametrize("family", ["ordinal", pytest.param("bernoulli", marks=pytest.mark.slow)])
def test_a_folded_unit_has_the_density_of_a_whole_one(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "ALIGN_WASTE", -1e9)
    folded = did_model(hours(family), outcome="y").model
    rng = np.random.default_rng(2)
    points = 0.3 * rng.standard_normal((POINTS, folded.layout.n_latent + folded.layout.n_shocks))
    found = density_of(folded, points)
    monkeypatch.setattr(slots_module, "FOLD_GAIN", 0.0)
    whole = did_model(hours(family), outcome="y").model
    assert folded.layout.columns > folded.layout.n_units == whole.layout.columns
    exact = density_of(whole, points)
    assert np.ptp(exact) > 1.0
    np.testing.assert_allclose(
        found - found[0], exact - exact[0], rtol=DIGITS, atol=DIGITS * np.abs(exact).max()
    )
