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
from hitlbayes.inference.rebend import rebend
from hitlbayes.inference.runtime import Progress, in_threads, silent

BLOCK = 50
PILOT_BLOCKS = 3
SETTLE_BLOCKS = 2
FIRST_ANGLE = 0.7


class Record(NamedTuple):
    """What is kept of each draw; every array leads with (draws,).

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
    """Records by chain, (chains, draws, ...), and how they were made."""

    record: Record
    anchor: Anchor
    beliefs: Beliefs
    angles: np.ndarray


@partial(jax.jit, static_argnames="layout")
def run_block(
    walker: hmc.Walker, exact: hmc.Target, low: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of one chain."""

    def body(walker: hmc.Walker, _: None) -> tuple[hmc.Walker, Record]:
        walker, step = hmc.draw(walker, exact, low, layout=layout, adapt=adapt)
        drawn = describe(walker.state, jax.random.fold_in(walker.key, 1), focus, exact, layout=layout)
        state = walker.state
        return walker, Record(state.psi, state.outer, state.unit, drawn, step.acceptance, step.diverged)

    return jax.lax.scan(body, walker, None, length=BLOCK)


def describe(state: State, key: jax.Array, focus: Focus, exact: hmc.Target, *, layout: Layout) -> Drawn:
    """Effects of one draw."""
    eta = outer_predictor(state.outer, exact.problem, layout)
    eta = eta + inner_predictor(state.unit, state.shock, exact.problem, layout)
    own = own_effects(state.unit, state.outer, state.psi, key, beliefs=exact.beliefs, layout=layout)
    return Drawn(own, *effects_on_treated(eta, own, state.outer, focus, layout=layout))


@partial(jax.jit, static_argnames="layout")
def start_walker(key: jax.Array, exact: hmc.Target, low: hmc.Target, *, layout: Layout) -> hmc.Walker:
    """A chain at a draw of the standard normal."""
    return hmc.start(key, exact, low, layout=layout, angle=FIRST_ANGLE)


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
    anchor = find_anchor(state, problem, beliefs, layout=layout).anchor
    keys = jax.random.split(jax.random.key(seed), 2 * chains)
    pilot = _Run(anchor, problem, beliefs, focus, layout=layout, progress=progress)
    pilot.warm(keys[:chains], blocks=PILOT_BLOCKS)
    weights = np.full(len(pilot.last_psi), 1.0 / len(pilot.last_psi))
    psi, beliefs = rebend(pilot.last_psi, weights, beliefs, layout=layout)
    anchor = recentre(anchor, psi, problem, beliefs, layout=layout)
    run = _Run(anchor, problem, beliefs, focus, layout=layout, progress=progress)
    walkers = run.warm(keys[chains:], blocks=SETTLE_BLOCKS)
    walkers = [hmc.settle_angle(w) for w in walkers]
    record = run.draw(walkers, draws=draws)
    return Sampled(record, anchor, beliefs, np.array([float(jnp.exp(w.log_angle)) for w in walkers]))


def recentre(
    anchor: Anchor, psi: np.ndarray, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> Anchor:
    """The map made again at the pilot's mean hyperparameters, with the pilot's covariance.

    psi (draws, k) holds each chain's draws on one side of every sign; the covariance is pulled towards the
    first map's, as if that had been seen in twice as many draws as there are hyperparameters.
    """
    centre = np.asarray(anchor.psi)
    free = np.isnan(np.asarray(beliefs.fixed))
    psi = np.where(free, psi, centre)
    root = np.asarray(anchor.root)
    weight = 2.0 * len(centre) / (2.0 * len(centre) + len(psi) / 5.0)
    spread = weight * root @ root.T + (1 - weight) * np.atleast_2d(np.cov(psi.T))
    spread[~free, :], spread[:, ~free] = 0.0, 0.0
    spread[~free, ~free] = 1.0
    anchor = settle_at(anchor, psi.mean(axis=0), problem, beliefs, layout=layout)
    return anchor._replace(root=jnp.asarray(np.linalg.cholesky(spread)))


class _Run:
    """Chains at one anchor: the compiled blocks, driven from threads."""

    def __init__(
        self,
        anchor: Anchor,
        problem: Problem,
        beliefs: Beliefs,
        focus: Focus,
        *,
        layout: Layout,
        progress: Progress,
    ) -> None:
        self.exact = hmc.Target(anchor, problem, beliefs)
        self.low = hmc.single(self.exact)
        self.focus, self.layout, self.progress = focus, layout, progress
        self.last_psi = np.zeros((0, layout.n_hyper))

    def warm(self, keys: jax.Array, *, blocks: int) -> list[hmc.Walker]:
        """Start chains and adapt their angles."""

        def one(chain: int) -> tuple[hmc.Walker, list[np.ndarray]]:
            walker, seen = start_walker(keys[chain], self.exact, self.low, layout=self.layout), []
            for _ in range(blocks):
                walker, record = self._block(walker, adapt=True)
                seen.append(np.asarray(record.psi))
            return walker, seen

        self.progress("warming up", 0.0)
        done = in_threads(one, len(keys))
        # The first block still carries the starting point.
        self.last_psi = (
            np.concatenate([np.concatenate(seen[1:]) for _, seen in done]) if blocks > 1 else self.last_psi
        )
        return [walker for walker, _ in done]

    def draw(self, walkers: list[hmc.Walker], *, draws: int) -> Record:
        """`draws` draws of every chain: arrays (chains, draws, ...)."""
        blocks = -(-draws // BLOCK)
        finished = [0] * len(walkers)

        def one(chain: int) -> Record:
            walker, records = walkers[chain], []
            for _ in range(blocks):
                walker, record = self._block(walker, adapt=False)
                records.append(jax.tree.map(np.asarray, record))
                finished[chain] += 1
                self.progress("sampling", sum(finished) / (blocks * len(walkers)))
            return jax.tree.map(lambda *parts: np.concatenate(parts)[:draws], *records)

        return jax.tree.map(lambda *chains: np.stack(chains), *in_threads(one, len(walkers)))

    def _block(self, walker: hmc.Walker, *, adapt: bool) -> tuple[hmc.Walker, Record]:
        flag = jnp.asarray(adapt)
        return jax.block_until_ready(
            run_block(walker, self.exact, self.low, self.focus, flag, layout=self.layout)
        )
