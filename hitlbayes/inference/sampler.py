"""Several chains of split Hamiltonian Monte Carlo: pilot, re-centring, sampling.

A short pilot from the Laplace mode tells where the hyperparameters really are and how they covary; the
map is made once more there, the angle adapted, and sampling begins. The re-centring costs a few Newton
steps and repairs the case in which the mode of the scales lies far from their mean.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import find_anchor, settle_at
from hitlbayes.inference.effects import Drawn, Focus, effects_on_treated, own_effects
from hitlbayes.inference.laplace import Anchor, State, inner_predictor, outer_predictor
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.rebend import rebend, stretch
from hitlbayes.inference.runtime import Progress, silent

BLOCK = 50
PILOT_BLOCKS = 3
SETTLE_BLOCKS = 2
FIRST_ANGLE = 0.7


class Record(NamedTuple):
    """What is kept of each draw; arrays lead with (draws, chains, ...) within a block.

    psi (k,), outer (m,), unit (N, q), drawn : the model's state and effects
    acceptance, diverged : () of the trajectory
    """

    psi: jax.Array
    outer: jax.Array
    unit: jax.Array
    drawn: Drawn
    acceptance: jax.Array
    diverged: jax.Array


class Sampled(NamedTuple):
    """Records by chain, (chains, draws, ...), and how they were made; the angle is in radians."""

    record: Record
    anchor: Anchor
    beliefs: Beliefs
    angle: float


@partial(jax.jit, static_argnames="layout")
def run_block(
    walkers: hmc.Walkers,
    exact: hmc.Target,
    low: hmc.Target,
    focus: Focus,
    adapt: jax.Array,
    *,
    layout: Layout,
) -> tuple[hmc.Walkers, Record]:
    """BLOCK draws of every chain."""

    def body(walkers: hmc.Walkers, _: None) -> tuple[hmc.Walkers, Record]:
        walkers, step = hmc.draw(walkers, exact, low, layout=layout, adapt=adapt)
        state = walkers.state
        keys = jax.random.split(jax.random.fold_in(walkers.key, 1), state.psi.shape[0])
        drawn = jax.vmap(lambda s, k: describe(s, k, focus, exact, layout=layout))(state, keys)
        return walkers, Record(state.psi, state.outer, state.unit, drawn, step.acceptance, step.diverged)

    return jax.lax.scan(body, walkers, None, length=BLOCK)


def describe(state: State, key: jax.Array, focus: Focus, exact: hmc.Target, *, layout: Layout) -> Drawn:
    """Effects of one draw."""
    eta = outer_predictor(state.outer, exact.problem, layout)
    eta = eta + inner_predictor(state.unit, state.shock, exact.problem, layout)
    own = own_effects(state.unit, state.outer, state.psi, key, beliefs=exact.beliefs, layout=layout)
    return Drawn(own, *effects_on_treated(eta, own, state.outer, focus, layout=layout))


@partial(jax.jit, static_argnames=("layout", "chains"))
def start_walkers(
    key: jax.Array, exact: hmc.Target, low: hmc.Target, *, layout: Layout, chains: int
) -> hmc.Walkers:
    """Chains at draws of the standard normal."""
    return hmc.start(key, exact, low, layout=layout, chains=chains, angle=FIRST_ANGLE)


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
) -> Sampled:
    """Draws of the posterior, `draws` from each of `chains` chains.

    Parameters
    ----------
    state : where the search for the mode begins
    progress : called with what is being done and the fraction of it that is done
    """
    problem, beliefs, focus, state = jax.tree.map(jnp.asarray, (problem, beliefs, focus, state))
    progress("finding the mode", 0.0)
    anchor = find_anchor(state, problem, beliefs, layout=layout)
    first, second = jax.random.split(jax.random.key(seed))
    progress("pilot", 0.0)
    target = hmc.Target(anchor, problem, beliefs)
    _, psi = warm_up(first, target, focus, layout=layout, chains=chains, blocks=PILOT_BLOCKS)
    moved, bent = rebend(psi, np.full(len(psi), 1.0 / len(psi)), beliefs, layout=layout)
    longer = stretch(psi, beliefs, bent, layout=layout)
    anchor = recentre(anchor, moved, problem, bent, stretch=longer, layout=layout)
    progress("adapting", 0.05)
    target = hmc.Target(anchor, problem, bent)
    walkers, _ = warm_up(second, target, focus, layout=layout, chains=chains, blocks=SETTLE_BLOCKS)
    walkers = hmc.settle_angle(walkers)
    record = run_chains(walkers, target, focus, layout=layout, draws=draws, progress=progress)
    return Sampled(record, anchor, bent, float(jnp.exp(walkers.log_angle)))


def warm_up(
    key: jax.Array, target: hmc.Target, focus: Focus, *, layout: Layout, chains: int, blocks: int
) -> tuple[hmc.Walkers, np.ndarray]:
    """Chains with their angle adapted, and the hyperparameters (draws, k) of all blocks but the first."""
    low, seen = hmc.single(target), []
    walkers = start_walkers(key, target, low, layout=layout, chains=chains)
    for _ in range(blocks):
        walkers, record = run_block(walkers, target, low, focus, jnp.asarray(True), layout=layout)
        seen.append(np.asarray(record.psi).reshape(-1, layout.n_hyper))
    return walkers, np.concatenate(seen[1:])


def run_chains(
    walkers: hmc.Walkers, target: hmc.Target, focus: Focus, *, layout: Layout, draws: int, progress: Progress
) -> Record:
    """`draws` draws of every chain: arrays (chains, draws, ...)."""
    low, records, blocks = hmc.single(target), [], -(-draws // BLOCK)
    for block in range(blocks):
        walkers, record = run_block(walkers, target, low, focus, jnp.asarray(False), layout=layout)
        records.append(jax.tree.map(np.asarray, record))
        progress("sampling", 0.1 + 0.9 * (block + 1) / blocks)
    return jax.tree.map(lambda *parts: np.swapaxes(np.concatenate(parts)[:draws], 0, 1), *records)


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

    psi (draws, k) holds each chain's draws on one side of every sign; the covariance is pulled towards the
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
    return anchor._replace(root=jnp.asarray(np.linalg.cholesky(spread)))
