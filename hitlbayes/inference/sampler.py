"""Several chains of split Hamiltonian Monte Carlo: pilot, re-centring, sampling.

A short pilot from the Laplace mode tells where the hyperparameters really are and how they covary; the
map is made once more there, the angle adapted, and sampling begins. The re-centring costs a few Newton
steps and repairs the case in which the mode of the scales lies far from their mean. Each time, a first block
of draws also learns a surrogate of the hyperparameters' density, along which later trajectories move
(`hitlbayes.inference.surrogate`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.random import split

from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import anchor_at, find_anchor, settle_at
from hitlbayes.inference.chains import (
    BLOCK,
    Record,
    Storage,
    advance_each,
    advance_for,
    begin,
    pack,
    run_chains,
    unpack,
)
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.expansion import Anchor, State
from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.rebend import rebend, stretch
from hitlbayes.inference.runtime import Progress, meanwhile, on_processor, silent
from hitlbayes.inference.surrogate import Surrogate, fitted, flat
from hitlbayes.inference.trajectory import SHORT_TURN, afresh, settle

PILOT_BLOCKS = 2
SETTLE_BLOCKS = 1
FIRST_ANGLE = 0.7


class Start(NamedTuple):
    """What follows from warm-up: map, beliefs it was made with, surrogate, a walker for each chain."""

    anchor: Anchor
    beliefs: Beliefs
    surrogate: Surrogate
    walkers: tuple[hmc.Walker, ...]


class Sampled(NamedTuple):
    """Records by chain, (chains, draws, ...), and how they were made; the angle is in radians.

    The record is None where a `Storage` holds the draws.
    """

    record: Record | None
    anchor: Anchor
    beliefs: Beliefs
    angle: float


_single = jax.jit(hmc.single)


def sample(
    state: State,
    problem: Problem,
    beliefs: Beliefs,
    focus: Focus,
    *,
    layout: Layout,
    draws: int,
    chains: int,
    seed: int,
    progress: Progress = silent,
    storage: Storage | None = None,
) -> Sampled:
    """Draws of the posterior, `draws` from each of `chains` chains.

    Parameters
    ----------
    state : where the search for the mode begins
    progress : called with what is being done and the fraction of it that is done
    storage : where the draws go, and from where a run goes on; in memory by default
    """
    problem, beliefs, focus, state = jax.device_put((problem, beliefs, focus, state))
    focus = narrowed(focus)
    saved = None if storage is None else storage.begun()
    if saved is not None:
        start = unpack(saved, blank_start(state, problem, beliefs, layout=layout, chains=chains))
    else:
        start = prepare(
            state, problem, beliefs, focus, layout=layout, chains=chains, seed=seed, progress=progress
        )
        if storage is not None:
            storage.begin(pack(start))
    target = hmc.single(hmc.Target(start.anchor, problem, start.beliefs, start.surrogate))
    record = run_chains(
        start.walkers, target, focus, layout=layout, draws=draws, progress=progress, storage=storage
    )
    return Sampled(record, start.anchor, start.beliefs, float(np.exp(start.walkers[0].log_angle)))


def prepare(
    state: State,
    problem: Problem,
    beliefs: Beliefs,
    focus: Focus,
    *,
    layout: Layout,
    chains: int,
    seed: int,
    progress: Progress,
) -> Start:
    """Find the mode, make the map, make it once more after a pilot, and adapt the angle."""
    progress("finding the mode", 0.0)
    # Known first, so that the two threads below do not both trace it.
    shape = anchor_at.eval_shape(state, problem, beliefs, layout=layout)  # type: ignore[attr-defined]
    with meanwhile(partial(compile_advance, shape, problem, beliefs, focus, layout=layout)):
        anchor = find_anchor(state, problem, beliefs, layout=layout)
    first, second = split(jax.random.key(seed))
    progress("pilot", 0.0)
    none = flat(layout.n_hyper)
    target = hmc.single(hmc.Target(anchor, problem, beliefs, none))
    *_, psi = warm_up(first, target, focus, layout=layout, chains=chains, blocks=PILOT_BLOCKS)
    moved, bent = rebend(psi, np.full(len(psi), 1.0 / len(psi)), beliefs, layout=layout)
    longer = stretch(psi, beliefs, bent, layout=layout)
    anchor = recentre(anchor, moved, problem, bent, stretch=longer, layout=layout)
    progress("adapting", 0.05)
    target = hmc.single(hmc.Target(anchor, problem, bent, none))
    walkers, target, _ = warm_up(second, target, focus, layout=layout, chains=chains, blocks=SETTLE_BLOCKS)
    return Start(anchor, bent, target.surrogate, tuple(settle(walkers)))


def compile_advance(anchor: Any, problem: Problem, beliefs: Beliefs, focus: Focus, *, layout: Layout) -> None:
    """Have the program of `advance` ready, from the shapes of its arguments (an anchor's) alone."""
    target = _single.eval_shape(hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper)))
    walker = begin.eval_shape(jax.random.key(0), target, jnp.zeros(()), layout=layout)  # type: ignore[attr-defined]
    if on_processor():
        advance_for(layout).lower(walker, target, focus, jnp.asarray(True), layout=layout).compile()  # type: ignore[attr-defined]


def warm_up(
    key: jax.Array, target: hmc.Target, focus: Focus, *, layout: Layout, chains: int, blocks: int
) -> tuple[list[hmc.Walker], hmc.Target, np.ndarray]:
    """Chains with angles adapted, the target with its surrogate, and hyperparameters (draws, k).

    A first block, whose draws are not among those returned, learns the surrogate; all of them mend it.
    """
    walkers = [begin(k, target, np.log(FIRST_ANGLE), layout=layout) for k in split(key, chains)]
    psi, slope = np.empty((2, blocks + 1, chains, BLOCK, layout.n_hyper))
    for block in range(blocks + 1):
        if block == 1:
            target = learnt(target, psi[:block], slope[:block])
        short = target._replace(turn=SHORT_TURN) if block == 0 else target

        def keep(i: int, walker: hmc.Walker, record: Record) -> None:
            walkers[i], psi[block, i], slope[block, i] = walker, record.kept.psi, record.slope  # noqa: B023

        # What a chain learnt on its way in says nothing of the angle that suits where it has arrived.
        now = [walker._replace(averages=afresh(walker.log_angle)) for walker in walkers]
        advance_each(now, short, focus, adapt=True, layout=layout, keep=keep)
    return walkers, learnt(target, psi, slope), psi[1:].reshape(-1, layout.n_hyper)


def learnt(target: hmc.Target, psi: np.ndarray, slope: np.ndarray) -> hmc.Target:
    """The target with a surrogate fitted to slopes at psi (blocks, chains, BLOCK, k), the way in left out."""
    late = np.ones(psi.shape[:-1], bool)
    late[0, :, : BLOCK // 2] = False
    z = np.linalg.solve(np.asarray(target.anchor.root), (psi[late] - np.asarray(target.anchor.psi)).T).T
    return target._replace(surrogate=fitted(z, slope[late]))


def blank_start(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout, chains: int) -> Start:
    """Shapes of what `prepare` makes."""
    anchor = anchor_at.eval_shape(state, problem, beliefs, layout=layout)  # type: ignore[attr-defined]
    none, key = flat(layout.n_hyper), jax.random.key(0)
    target = hmc.Target(anchor, problem, beliefs, none)
    walker = begin.eval_shape(key, target, jnp.zeros(()), layout=layout)  # type: ignore[attr-defined]
    return Start(anchor, beliefs, none, (walker,) * chains)


def recentre(
    anchor: Anchor,
    psi: np.ndarray,
    problem: Problem,
    beliefs: Beliefs,
    *,
    stretch: np.ndarray,
    layout: Layout,
) -> Anchor:
    """The map made again at the pilot's mean hyperparameters, with the pilot's covariance.

    psi (draws, k) are the pilot's draws, scales positive; the covariance is pulled towards the
    first map's, as if that had been seen in twice as many draws as there are hyperparameters; `stretch`
    (k,) takes the first map's root to the coordinates of psi.
    """
    centre = psi.mean(axis=0)
    free = np.isnan(np.asarray(beliefs.fixed))
    psi = np.where(free, psi, centre)
    root = stretch[:, None] * np.asarray(anchor.root)
    weight = 2.0 * len(centre) / (2.0 * len(centre) + len(psi) / 5.0)
    spread = weight * root @ root.T + (1 - weight) * np.atleast_2d(np.cov(psi.T))
    spread[~free, :], spread[:, ~free] = 0.0, 0.0
    spread[~free, ~free] = 1.0
    anchor = settle_at(anchor, psi.mean(axis=0), problem, beliefs, layout=layout)
    return anchor._replace(root=jax.device_put(np.linalg.cholesky(spread)))
