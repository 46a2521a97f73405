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
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.laplace import Anchor, State
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.rebend import rebend, stretch
from hitlbayes.inference.runtime import Progress, in_threads, quick_jit, silent

BLOCK = 50
PILOT_BLOCKS = 3
SETTLE_BLOCKS = 2
FIRST_ANGLE = 0.7


class Record(NamedTuple):
    """What is kept of each draw; arrays lead with (chains, draws, ...).

    kept : the model's state and effects
    acceptance, diverged : () of the trajectory
    """

    kept: hmc.Kept
    acceptance: jax.Array
    diverged: jax.Array


class Sampled(NamedTuple):
    """Records by chain, (chains, draws, ...), and how they were made; the angle is in radians."""

    record: Record
    anchor: Anchor
    beliefs: Beliefs
    angle: float


@partial(quick_jit, static_argnames="layout")
def advance(
    walker: hmc.Walker, target: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of one chain."""

    def body(walker: hmc.Walker, _: None) -> tuple[hmc.Walker, Record]:
        walker, step = hmc.draw(walker, target, focus, layout=layout, adapt=adapt)
        return walker, Record(walker.kept, step.acceptance, step.diverged)

    return jax.lax.scan(body, walker, None, length=BLOCK)


@partial(jax.jit, static_argnames="layout")
def begin(key: jax.Array, target: hmc.Target, log_angle: jax.Array, *, layout: Layout) -> hmc.Walker:
    """A chain at a draw of the standard normal."""
    return hmc.start(key, target, layout=layout, log_angle=log_angle)


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
    anchor, focus = find_anchor(state, problem, beliefs, layout=layout), hmc.narrowed(focus)
    first, second = jax.random.split(jax.random.key(seed))
    progress("pilot", 0.0)
    target = hmc.single(hmc.Target(anchor, problem, beliefs))
    _, psi = warm_up(
        first, target, focus, layout=layout, chains=chains, blocks=PILOT_BLOCKS, log_angle=np.log(FIRST_ANGLE)
    )
    moved, bent = rebend(psi, np.full(len(psi), 1.0 / len(psi)), beliefs, layout=layout)
    longer = stretch(psi, beliefs, bent, layout=layout)
    anchor = recentre(anchor, moved, problem, bent, stretch=longer, layout=layout)
    progress("adapting", 0.05)
    target = hmc.single(hmc.Target(anchor, problem, bent))
    walkers, _ = warm_up(
        second,
        target,
        focus,
        layout=layout,
        chains=chains,
        blocks=SETTLE_BLOCKS,
        log_angle=np.log(FIRST_ANGLE),
    )
    log_angle = jnp.mean(jnp.stack([walker.averages[1] for walker in walkers]))
    walkers = [walker._replace(log_angle=log_angle) for walker in walkers]
    record = run_chains(walkers, target, focus, layout=layout, draws=draws, progress=progress)
    return Sampled(record, anchor, bent, float(jnp.exp(log_angle)))


def warm_up(
    key: jax.Array,
    target: hmc.Target,
    focus: Focus,
    *,
    layout: Layout,
    chains: int,
    blocks: int,
    log_angle: float,
) -> tuple[list[hmc.Walker], np.ndarray]:
    """Chains with their angles adapted, and the hyperparameters (draws, k) of all blocks but the first."""

    def one(key: jax.Array) -> tuple[hmc.Walker, np.ndarray]:
        walker, seen = begin(key, target, jnp.asarray(log_angle), layout=layout), []
        for _ in range(blocks):
            walker, record = advance(walker, target, focus, jnp.asarray(True), layout=layout)
            seen.append(np.asarray(record.kept.psi))
        return walker, np.concatenate(seen[1:])

    keys = jax.random.split(key, chains)
    made = in_threads(lambda i: one(keys[i]), chains)
    return [walker for walker, _ in made], np.concatenate([psi for _, psi in made])


def run_chains(
    walkers: list[hmc.Walker],
    target: hmc.Target,
    focus: Focus,
    *,
    layout: Layout,
    draws: int,
    progress: Progress,
) -> Record:
    """`draws` draws of every chain: arrays (chains, draws, ...)."""
    blocks, chains, done = -(-draws // BLOCK), len(walkers), [0] * len(walkers)

    def one(i: int) -> Record:
        walker, records = walkers[i], []
        for _ in range(blocks):
            walker, record = advance(walker, target, focus, jnp.asarray(False), layout=layout)
            records.append(jax.tree.map(np.asarray, record))
            done[i] += 1
            progress("sampling", 0.1 + 0.9 * sum(done) / (blocks * chains))
        return jax.tree.map(lambda *parts: np.concatenate(parts)[:draws], *records)

    return jax.tree.map(lambda *chains: np.stack(chains), *in_threads(one, chains))


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
