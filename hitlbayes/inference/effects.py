"""Effects on the treated, computed beside each draw.

For a draw of the model the effect on a treated row is the response with the treatment less the response
without it, both at the row's own realised shock, period and unit effects (g-computation). Only sums over
the treated rows are kept, so nothing of the size of draws x rows is ever stored.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.blocks import BLOCKS, split_effect
from hitlbayes.inference.problem import Array, Beliefs, Layout, cutpoints, split_outer, unpack_hyper
from hitlbayes.spec.families import mean_response


class Focus(NamedTuple):
    """Which rows are treated, and how they count.

    rows : (F,) positions of treated rows; padded with rows of weight zero
    unit : (F,) their units
    chats, cells : (F,) weights that add to one: by observation, and by row
    in_unit : (F,) weights that add to one within each unit
    steps : (J,) what crossing each category adds to the outcome (ordinal), else a single one
    """

    rows: Array
    unit: Array
    chats: Array
    cells: Array
    in_unit: Array
    steps: Array


class Drawn(NamedTuple):
    """Effects of one draw.

    own : (N,) each unit's effect on the linear predictor, population mean included
    average : (2, J) weighted by observation and by row: ordinal, the change in P(outcome > j) for each
        j below K; otherwise the change in the mean response, J = 1
    unit : (N,) each unit's average change in the mean response; zero for untreated units
    """

    own: jax.Array
    average: jax.Array
    unit: jax.Array


def own_effects(
    unit: jax.Array, outer: jax.Array, psi: jax.Array, key: jax.Array, *, beliefs: Beliefs, layout: Layout
) -> jax.Array:
    """Each unit's treatment effect on the linear predictor (N,): the first coefficient plus its own part."""
    hyper = unpack_hyper(psi, layout, beliefs)
    if layout.block == "did":
        own = split_effect(unit, hyper.block, hyper.rho, jax.random.normal(key, unit.shape[:1], unit.dtype))
    else:
        own = unit[:, 1] if "effect" in BLOCKS[layout.block].components else jnp.zeros_like(unit[:, 0])
    return own + outer[0] if layout.n_coef else own


def effects_on_treated(
    eta: jax.Array, own: jax.Array, outer: jax.Array, focus: Focus, *, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Average and unit effects (`Drawn.average`, `Drawn.unit`) at linear predictor eta (R,)."""
    cut = cutpoints(split_outer(outer, layout)[2])
    after = eta.reshape(-1)[focus.rows]
    before = after - own[focus.unit]
    if layout.family == "ordinal":
        change = jax.nn.sigmoid(after[:, None] - cut) - jax.nn.sigmoid(before[:, None] - cut)
    else:
        change = mean_response(layout.family, after, cut) - mean_response(layout.family, before, cut)
        change = change[:, None]
    average = jnp.stack([focus.chats @ change, focus.cells @ change])
    unit = jax.ops.segment_sum(focus.in_unit * (change @ focus.steps), focus.unit, layout.n_units)
    return average, unit
