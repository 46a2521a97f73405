"""Effects on the treated, computed beside each draw.

For a draw of the model the effect on a treated row is the response with the treatment less the response
without it, both at the row's own realised shock, period and unit effects (g-computation). Only sums over
the treated rows are kept, so nothing of the size of draws x rows is ever stored.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.blocks import BLOCKS, split_effect
from hitlbayes.inference.hyper import unpack_hyper
from hitlbayes.inference.problem import Array, Beliefs, Layout, cutpoints, split_outer
from hitlbayes.inference.runtime import COARSE, bucket
from hitlbayes.spec.families import FAR, mean_response


class Focus(NamedTuple):
    """Which rows are treated, and how they count: S slots by M treated units, padded at weight zero.

    rows : (S, M) positions of treated rows
    unit : (M,) their units
    chats, cells : (S, M) weights that add to one: by observation, and by row
    in_unit : (S, M) weights that add to one within each unit
    steps : (J,) what crossing each category adds to the outcome (ordinal), else a single one
    """

    rows: Array
    unit: Array
    chats: Array
    cells: Array
    in_unit: Array
    steps: Array


def focus_on(
    place: np.ndarray, unit: np.ndarray, n: np.ndarray, *, steps: np.ndarray, usual: int = 1
) -> Focus:
    """Treated rows stored at `place` (F,), of `unit` (F,) and with `n` (F,) observations each.

    Sizes are rounded up, slots to `usual` at least, so that scopes share programs; where nothing is treated
    there is one row, of weight zero.
    """
    labels, code = np.unique(unit, return_inverse=True)
    count = np.bincount(code, minlength=1)
    order = np.argsort(code, kind="stable")
    rank = np.empty(len(code), np.int64)
    rank[order] = np.arange(len(code)) - np.repeat(np.cumsum(count) - count, count)
    slots = bucket(int(count.max(initial=usual)), steps=COARSE)
    shape = slots, bucket(max(len(labels), 1))

    def laid_out(values: np.ndarray) -> np.ndarray:
        made = np.zeros(shape, values.dtype)
        made[rank, code] = values
        return made

    by_unit = np.bincount(code, n, len(labels)) if len(labels) else np.ones(1)
    return Focus(
        laid_out(place.astype(np.int32)),
        np.concatenate([labels, np.zeros(shape[1] - len(labels))]).astype(np.int32),
        laid_out(n / max(n.sum(), 1e-300)),
        laid_out(np.full(len(n), 1.0 / max(len(n), 1))),
        laid_out(n / by_unit[code]),
        steps,
    )


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
    unit: jax.Array, outer: jax.Array, psi: jax.Array, normal: jax.Array, *, beliefs: Beliefs, layout: Layout
) -> jax.Array:
    """Each unit's treatment effect on the linear predictor (N,): the first coefficient plus its own part.

    normal (N,) are standard normal draws.
    """
    hyper = unpack_hyper(psi, layout, beliefs)
    scale, rho = hyper.block.astype(unit.dtype), hyper.rho.astype(unit.dtype)
    if layout.block == "did":
        own = split_effect(unit, scale, rho, normal)
    else:
        own = unit[:, 1] if "effect" in BLOCKS[layout.block].components else jnp.zeros_like(unit[:, 0])
    return own + outer[0].astype(unit.dtype) if layout.n_coef else own


def effects_on_treated(
    eta: jax.Array, own: jax.Array, outer: jax.Array, focus: Focus, *, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Average and unit effects (`Drawn.average`, `Drawn.unit`) at linear predictor eta (R,)."""
    cut = cutpoints(split_outer(outer, layout)[2], layout.middle).astype(eta.dtype)
    after = eta.reshape(-1)[focus.rows]
    before = after - own[focus.unit]
    if layout.family == "ordinal":
        # Odds are products, so that each row has two exponentials instead of two for each cutpoint.
        odds_after, odds_before = (jnp.exp(jnp.clip(eta, -FAR, FAR)) for eta in (after, before))
        relative = jax.lax.optimization_barrier(jnp.exp(-cut))
        change = [1.0 / (1.0 + odds_before * k) - 1.0 / (1.0 + odds_after * k) for k in relative]
    else:
        change = [mean_response(layout.family, after, cut) - mean_response(layout.family, before, cut)]
    average = jnp.stack([jnp.stack([jnp.sum(w * c) for c in change]) for w in (focus.chats, focus.cells)])
    moved = sum(step * c for step, c in zip(focus.steps, change, strict=True))
    by_unit = jnp.sum(focus.in_unit * moved, axis=0)
    return average, jnp.zeros(layout.n_units, eta.dtype).at[focus.unit].add(by_unit)
