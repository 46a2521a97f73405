"""Draws of a Gaussian model: hyperparameters by importance sampling, effects exactly given them.

The proposal is a multivariate t (`hitlbayes.inference.proposal`), bent and matched by small pilot samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from hitlbayes.inference import psis
from hitlbayes.inference.effects import own_effects
from hitlbayes.inference.hyper import turned
from hitlbayes.inference.importance import pilot, weigh
from hitlbayes.inference.marginal import Means, draw_effects, single, sums_at, values_at
from hitlbayes.inference.problem import Beliefs, Layout
from hitlbayes.inference.proposal import Density, match_moments
from hitlbayes.inference.rebend import rebend
from hitlbayes.inference.runtime import SELDOM, Progress, in_threads, quick_jit, silent
from hitlbayes.inference.unit_sums import Sums

T = TypeVar("T")

BATCH, TRIED = 64, 16  # draws of effects, and points weighed, that one core takes at once
ROOM, ROOM_AT_ONCE = 2**26, 2**22  # numbers in the units' sums that are kept, and that are made at once
MOST_KEPT = 2  # points for each draw, usually
PILOT = 768  # a covariance of eleven hyperparameters from a few hundred effective draws
ENOUGH = 0.82  # effective points for each draw that is kept
WIDE_PRIOR = 30.0  # from where on sums in single precision lose what a nearly flat prior leaves to the data


class Weighed(NamedTuple):
    """Draws psi (n, k) of the hyperparameters, resampled by their importance weights.

    beliefs : with the coordinates of psi
    k_hat, effective : of the weights
    sums : the units' sums at psi, arrays (n, ...); None where they would be large
    """

    psi: np.ndarray
    beliefs: Beliefs
    k_hat: float
    effective: float
    sums: Sums | None = None


def sample_hyper(
    psi: np.ndarray,
    data: Means,
    beliefs: Beliefs,
    *,
    layout: Layout,
    draws: int,
    seed: int,
    progress: Progress = silent,
) -> Weighed:
    """`draws` draws of the hyperparameters; psi (k,) is where the search for the mode begins."""
    rng = np.random.default_rng(seed)
    free = np.isnan(np.asarray(beliefs.fixed))
    signs = reflections(layout, free)
    near, beliefs = jax.device_put((narrow_where_safe(data, beliefs, layout), beliefs))
    base = np.where(free, psi, 0.0)

    def whole(points: np.ndarray) -> np.ndarray:
        full = np.tile(base, (len(points), 1))
        full[:, free] = points
        return full

    kept: list[Sums] | None = [] if size_of_sums(data) * MOST_KEPT * draws <= ROOM else None

    def density_with(beliefs: Beliefs, kept: list[Sums] | None = None) -> Density:
        return lambda points: evaluate(whole(points), near, beliefs, layout=layout, kept=kept)

    progress("finding the mode", 0.0)
    points, weights = pilot(density_with(beliefs), psi[free], signs, size=PILOT, rng=rng)
    moved, beliefs = rebend(whole(points), weights, beliefs, layout=layout)
    points, weighed = weigh(
        match_moments(moved[:, free], weights),
        density_with(beliefs, kept),
        signs,
        first=2 * PILOT,
        enough=ENOUGH * draws,
        rng=rng,
        progress=progress,
    )
    chosen = psis.resample(weighed.log_weights, draws, rng=rng)
    sums = jax.tree.map(lambda *rounds: np.concatenate(rounds)[chosen], *kept) if kept else None
    return Weighed(whole(points[chosen]), beliefs, weighed.k_hat, weighed.effective, sums)


def narrow_where_safe(data: Means, beliefs: Beliefs, layout: Layout) -> Means:
    """The data in single precision, unless a coefficient's prior SD or a scale that is held is wide."""
    held = np.nan_to_num(np.asarray(beliefs.fixed)[: layout.n_scales])
    widest = np.max(np.concatenate([np.asarray(beliefs.coef_sd), np.abs(held)]), initial=0.0)
    return single(data) if widest < WIDE_PRIOR else data


def size_of_sums(data: Means) -> int:
    """Numbers in the units' sums at one point."""
    return (data.level.shape[0] + data.level.shape[1] + data.share.shape[1]) ** 2


def evaluate(
    points: np.ndarray, data: Means, beliefs: Beliefs, *, layout: Layout, kept: list[Sums] | None = None
) -> np.ndarray:
    """Log posterior density of each point (n, k), minus infinity where it cannot be computed.

    kept : where the units' sums at the points go
    """
    n, padded = len(points), _in_batches(points, _at_once(data))

    def one(i: int) -> tuple[np.ndarray, Sums | None]:
        sums = sums_at(padded[i], data, beliefs, layout=layout)
        found = np.asarray(values_at(padded[i], sums, data, beliefs, layout=layout))
        return found, None if kept is None else jax.tree.map(np.asarray, sums)

    done = in_threads(one, len(padded))
    if kept is not None:
        kept.append(jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *(sums for _, sums in done)))
    return np.nan_to_num(np.concatenate([found for found, _ in done])[:n], nan=-np.inf)


def _at_once(data: Means) -> int:
    """Points that one core takes at once: a power of two."""
    return min(TRIED, 2 ** max(int(np.log2(ROOM_AT_ONCE / size_of_sums(data))), 0))


def _in_batches(points: np.ndarray, size: int) -> np.ndarray:
    """Points (n, ...) in batches (b, size, ...), the last filled up with the last point."""
    filled = np.concatenate([points, np.repeat(points[-1:], -len(points) % size, axis=0)])
    return filled.reshape(-1, size, *points.shape[1:])


def effect_batches(
    weighed: Weighed,
    data: Means,
    *,
    layout: Layout,
    seed: int,
    batches: Sequence[int],
    keep: Callable[[slice, tuple[np.ndarray, ...]], T],
) -> list[T]:
    """What `keep` makes of exact draws of all effects, one for each of n draws of psi, some batches of them.

    Parameters
    ----------
    batches : numbers of those wanted, BATCH draws each, the last as many as are left
    keep : called with the draws' places and the arrays: outer parameters and their exact conditional means
        (b, m), unit blocks (b, N, q), and units' effects on the linear predictor (b, N)
    """
    beliefs, n = weighed.beliefs, len(weighed.psi)
    padded = _in_batches(weighed.psi, BATCH)
    keys, data = jax.random.split(jax.random.key(seed), len(padded)), narrow_where_safe(data, beliefs, layout)

    def sums_of(i: int) -> Sums:
        if weighed.sums is None:
            parts = [sums_at(p, data, beliefs, layout=layout) for p in _in_batches(padded[i], _at_once(data))]
            return jax.tree.map(lambda *a: np.concatenate(a), *parts)
        rows = slice(i * BATCH, (i + 1) * BATCH)
        return jax.tree.map(lambda a: _in_batches(a[rows], BATCH)[0], weighed.sums)

    def one(j: int) -> T:
        i = batches[j]
        drawn = draw_effects(padded[i], sums_of(i), keys[i], data, beliefs, layout=layout)
        own = _own(drawn.unit, drawn.outer, padded[i], jax.random.fold_in(keys[i], 1), beliefs, layout=layout)
        rows = slice(i * BATCH, min((i + 1) * BATCH, n))
        arrays = (drawn.outer, drawn.outer_mean, drawn.unit, own)
        return keep(rows, tuple(np.asarray(a, float)[: rows.stop - rows.start] for a in arrays))

    return in_threads(one, len(batches))


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def _own(
    unit: jax.Array, outer: jax.Array, psi: jax.Array, key: jax.Array, beliefs: Beliefs, *, layout: Layout
):
    normal, wide = jax.random.normal(key, unit.shape[:2], unit.dtype), outer.dtype
    unit, normal = unit.astype(wide), normal.astype(wide)
    return jax.vmap(partial(own_effects, beliefs=beliefs, layout=layout))(unit, outer, psi, normal)


def reflections(layout: Layout, free: np.ndarray) -> np.ndarray:
    """Sign patterns (2^s, f) of the free hyperparameters that leave the posterior unchanged (`turned`)."""
    turning = np.flatnonzero(free[: layout.n_scales])
    patterns = []
    for signs in product((1.0, -1.0), repeat=len(turning)):
        full = np.ones(layout.n_scales)
        full[turning] = signs
        patterns.append(turned(full, layout)[free])
    return np.array(patterns)
