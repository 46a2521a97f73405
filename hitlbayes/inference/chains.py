"""Chains side by side: blocks of draws, where they are kept, and how a run that was cut short goes on.

What a chain goes on from is its walker. Where a `Storage` keeps the start and each block's draws and walker,
a run that was cut short goes on from the last whole block, and makes the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference import hmc
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.problem import Array, Layout
from hitlbayes.inference.runtime import SELDOM, SMALL, Progress, in_threads, on_processor, quick_jit

T = TypeVar("T")

BLOCK = 50
CACHED = 2**16  # coordinates, from where on arrays leave a core's cache


class Record(NamedTuple):
    """What is kept of each draw; arrays lead with (chains, draws, ...).

    kept : the model's state and effects
    acceptance, diverged : () of the trajectory
    slope : (k,) of -R along the hyperparameters' coordinates, at the draw
    """

    kept: hmc.Kept
    acceptance: Array
    diverged: Array
    slope: Array


class Storage(NamedTuple):
    """Callbacks that keep a run; what a run goes on from are arrays in a fixed order.

    begun : () -> what `begin` was given in an earlier run, None if there was none
    begin : (arrays) what follows from warm-up
    reached : (chain) -> how many of its blocks count, and the arrays that the last `put` was given
    put : (chain, block, record, arrays) a block's draws, and what the chain goes on from
    """

    begun: Callable[[], Sequence[np.ndarray] | None]
    begin: Callable[[Sequence[np.ndarray]], None]
    reached: Callable[[int], tuple[int, Sequence[np.ndarray]]]
    put: Callable[[int, int, Record, Sequence[np.ndarray]], None]


def block_of_draws(
    walker: hmc.Walker, target: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of one chain."""

    def body(walker: hmc.Walker, _: None) -> tuple[hmc.Walker, Record]:
        walker, step = hmc.draw(walker, target, focus, layout=layout, adapt=adapt)
        return walker, Record(walker.kept, step.acceptance, step.diverged, walker.slope.psi)

    return jax.lax.scan(body, walker, None, length=BLOCK)


def together(
    walkers: hmc.Walker, target: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of every chain at once; arrays of walkers and records lead with the chains."""
    return jax.vmap(lambda walker: block_of_draws(walker, target, focus, adapt, layout=layout))(walkers)


advance = quick_jit(block_of_draws, static_argnames="layout")
advance_small = quick_jit(block_of_draws, static_argnames="layout", options=SMALL)
advance_together = quick_jit(together, static_argnames="layout")


def advance_for(layout: Layout) -> Callable[..., tuple[hmc.Walker, Record]]:
    """The program that makes a chain's draws in a model of this size."""
    return advance_small if max(layout.n_latent, layout.n_shocks) < CACHED else advance


def advance_each(
    walkers: Sequence[hmc.Walker],
    target: hmc.Target,
    focus: Focus,
    *,
    adapt: bool,
    layout: Layout,
    keep: Callable[[int, hmc.Walker, Record], None],
) -> None:
    """BLOCK draws of every chain, handed to `keep` with the chain's number.

    On a processor each chain has a core; on an accelerator they are computed together.
    """
    flag, one_chain = jnp.asarray(adapt), advance_for(layout)

    def one(i: int) -> None:
        # Waited for here, so that no more chains run at once than there are cores.
        keep(i, *jax.block_until_ready(one_chain(walkers[i], target, focus, flag, layout=layout)))

    if on_processor():
        in_threads(one, len(walkers))
        return
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *walkers)
    moved = advance_together(stacked, target, focus, flag, layout=layout)
    for i in range(len(walkers)):
        keep(i, *jax.tree.map(lambda a, i=i: a[i], moved))


@partial(quick_jit, static_argnames="layout", options=SELDOM)
def begin(key: jax.Array, target: hmc.Target, log_angle: jax.Array, *, layout: Layout) -> hmc.Walker:
    """A chain at a draw of the standard normal."""
    return hmc.start(key, target, layout=layout, log_angle=log_angle)


def run_chains(
    walkers: Sequence[hmc.Walker],
    target: hmc.Target,
    focus: Focus,
    *,
    layout: Layout,
    draws: int,
    progress: Progress,
    storage: Storage | None = None,
) -> Record | None:
    """`draws` draws of every chain: arrays (chains, draws, ...), or None where a storage has them."""
    blocks, chains = -(-draws // BLOCK), len(walkers)
    at, done = list(walkers), [0] * chains
    kept = None
    if storage is None:
        kept = room(walkers[0], target, focus, layout, chains=chains, draws=draws)
    else:
        for i in range(chains):
            done[i], arrays = storage.reached(i)
            at[i] = unpack(arrays, walkers[i]) if done[i] else at[i]

    def keep(chain: int, walker: hmc.Walker, record: Record) -> None:
        at[chain], record = walker, jax.tree.map(np.asarray, record)
        if storage is not None:
            storage.put(chain, done[chain], record, pack(walker))
        else:
            rows = slice(BLOCK * done[chain], min(BLOCK * (done[chain] + 1), draws))
            for all_draws, block in zip(jax.tree.leaves(kept), jax.tree.leaves(record), strict=True):
                all_draws[chain, rows] = block[: rows.stop - rows.start]
        done[chain] += 1
        progress("sampling", 0.1 + 0.9 * sum(done) / (blocks * chains))

    progress("sampling", 0.1 + 0.9 * sum(done) / (blocks * chains))
    # Chains of an interrupted run may have come to different blocks.
    while behind := [i for i in range(chains) if done[i] == min(done) < blocks]:

        def keep_behind(i: int, walker: hmc.Walker, record: Record) -> None:
            keep(behind[i], walker, record)

        now = [at[i] for i in behind]
        advance_each(now, target, focus, adapt=False, layout=layout, keep=keep_behind)
    return kept


def room(
    walker: hmc.Walker, target: hmc.Target, focus: Focus, layout: Layout, *, chains: int, draws: int
) -> Record:
    """Arrays (chains, draws, ...) for all records; blocks that are joined later would be there twice."""
    flag = jnp.asarray(False)
    _, like = advance_for(layout).eval_shape(walker, target, focus, flag, layout=layout)  # type: ignore[attr-defined]
    return jax.tree.map(lambda a: np.empty((chains, draws, *a.shape[1:]), a.dtype), like)


def pack(tree: Any) -> list[np.ndarray]:
    """The leaves of a tree as numpy arrays; random keys as their data."""
    return [np.asarray(jax.random.key_data(a) if _is_key(a) else a) for a in jax.tree.leaves(tree)]


def unpack(arrays: Sequence[np.ndarray], like: T) -> T:
    """The tree of which `pack` gave the arrays; `like` has its structure."""
    leaves, structure = jax.tree.flatten(like)
    made = [
        jax.random.wrap_key_data(jnp.asarray(a)) if _is_key(leaf) else jnp.asarray(a)
        for a, leaf in zip(arrays, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, made)


def _is_key(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
