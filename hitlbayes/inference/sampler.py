"""Several chains of split Hamiltonian Monte Carlo: pilot, re-centring, sampling.

A short pilot from the Laplace mode tells where the hyperparameters really are and how they covary; the
map is made once more there, the angle adapted, and sampling begins. The re-centring costs a few Newton
steps and repairs the case in which the mode of the scales lies far from their mean.

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
from jax.random import split

from hitlbayes.inference import hmc
from hitlbayes.inference.anchor import anchor_at, find_anchor, settle_at
from hitlbayes.inference.effects import Focus
from hitlbayes.inference.laplace import Anchor, State
from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.rebend import rebend, stretch
from hitlbayes.inference.runtime import Progress, in_threads, meanwhile, on_processor, quick_jit, silent
from hitlbayes.inference.surrogate import Surrogate, fitted, flat

T = TypeVar("T")

BLOCK = 50
PILOT_BLOCKS = 2
SETTLE_BLOCKS = 1
FIRST_ANGLE = 0.7


class Record(NamedTuple):
    """What is kept of each draw; arrays lead with (chains, draws, ...).

    kept : the model's state and effects
    acceptance, diverged : () of the trajectory
    slope : (k,) of -R along the hyperparameters' coordinates, at the draw
    """

    kept: hmc.Kept
    acceptance: jax.Array
    diverged: jax.Array
    slope: jax.Array


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


@partial(quick_jit, static_argnames="layout")
def advance(
    walker: hmc.Walker, target: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of one chain."""

    def body(walker: hmc.Walker, _: None) -> tuple[hmc.Walker, Record]:
        walker, step = hmc.draw(walker, target, focus, layout=layout, adapt=adapt)
        return walker, Record(walker.kept, step.acceptance, step.diverged, walker.slope[: layout.n_hyper])

    return jax.lax.scan(body, walker, None, length=BLOCK)


@partial(quick_jit, static_argnames="layout")
def advance_together(
    walkers: hmc.Walker, target: hmc.Target, focus: Focus, adapt: jax.Array, *, layout: Layout
) -> tuple[hmc.Walker, Record]:
    """BLOCK draws of every chain at once; arrays of walkers and records lead with the chains."""
    one = partial(advance, target=target, focus=focus, adapt=adapt, layout=layout)
    return jax.vmap(lambda walker: one(walker))(walkers)


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
    flag = jnp.asarray(adapt)

    def one(i: int) -> None:
        keep(i, *advance(walkers[i], target, focus, flag, layout=layout))

    if on_processor(target.problem):
        in_threads(one, len(walkers))
        return
    together = jax.tree.map(lambda *parts: jnp.stack(parts), *walkers)
    moved = advance_together(together, target, focus, flag, layout=layout)
    for i in range(len(walkers)):
        keep(i, *jax.tree.map(lambda a, i=i: a[i], moved))


@partial(quick_jit, static_argnames="layout", seldom=True)
def begin(key: jax.Array, target: hmc.Target, log_angle: jax.Array, *, layout: Layout) -> hmc.Walker:
    """A chain at a draw of the standard normal."""
    return hmc.start(key, target, layout=layout, log_angle=log_angle)


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
    problem, beliefs, focus, state = jax.tree.map(jnp.asarray, (problem, beliefs, focus, state))
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
    return Sampled(record, start.anchor, start.beliefs, float(jnp.exp(start.walkers[0].log_angle)))


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
    log_angle = jnp.mean(jnp.stack([walker.averages[1] for walker in walkers]))
    walkers = [walker._replace(log_angle=log_angle) for walker in walkers]
    return Start(anchor, bent, target.surrogate, tuple(walkers))


def compile_advance(anchor: Any, problem: Problem, beliefs: Beliefs, focus: Focus, *, layout: Layout) -> None:
    """Have the program of `advance` ready, from the shapes of its arguments (an anchor's) alone."""
    target = _single.eval_shape(hmc.Target(anchor, problem, beliefs, flat(layout.n_hyper)))
    walker = begin.eval_shape(jax.random.key(0), target, jnp.zeros(()), layout=layout)  # type: ignore[attr-defined]
    if on_processor(problem):
        advance.lower(walker, target, focus, jnp.asarray(True), layout=layout).compile()  # type: ignore[attr-defined]


def warm_up(
    key: jax.Array, target: hmc.Target, focus: Focus, *, layout: Layout, chains: int, blocks: int
) -> tuple[list[hmc.Walker], hmc.Target, np.ndarray]:
    """Chains with angles adapted, the target with its surrogate, and hyperparameters (draws, k).

    A first block, whose draws are not among those returned, learns the surrogate; all of them mend it.
    """
    walkers = [begin(k, target, jnp.asarray(np.log(FIRST_ANGLE)), layout=layout) for k in split(key, chains)]
    afresh = walkers[0].averages
    seen: list[list[Record]] = []
    for block in range(blocks + 1):
        target = target._replace(surrogate=learnt(seen, target, layout=layout)) if block == 1 else target
        moved: dict[int, tuple[hmc.Walker, Record]] = {}

        def keep(i: int, walker: hmc.Walker, record: Record) -> None:
            moved[i] = walker, record  # noqa: B023

        now = [walker._replace(averages=afresh) for walker in walkers]
        advance_each(now, target, focus, adapt=True, layout=layout, keep=keep)
        walkers = [moved[i][0] for i in range(chains)]
        seen.append([moved[i][1] for i in range(chains)])
    target = target._replace(surrogate=learnt(seen, target, layout=layout))
    psi = np.concatenate([record.kept.psi for records in seen[1:] for record in records])
    return walkers, target, psi


def learnt(seen: list[list[Record]], target: hmc.Target, *, layout: Layout) -> Surrogate:
    """The surrogate that fits the slopes of these records, those on the way in left out."""
    late = [slice(BLOCK // 2, None), *[slice(None)] * len(seen)]
    psi, slope = (
        np.concatenate(
            [part(record)[rows] for block, rows in zip(seen, late, strict=False) for record in block]
        )
        for part in (lambda record: record.kept.psi, lambda record: record.slope)
    )
    z = np.linalg.solve(np.asarray(target.anchor.root), (psi - np.asarray(target.anchor.psi)).T).T
    return fitted(z, slope)


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
    kept = (
        None if storage is not None else room(walkers[0], target, focus, layout, chains=chains, draws=draws)
    )
    if storage is not None:
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
        now = [at[i] for i in behind]
        advance_each(
            now,
            target,
            focus,
            adapt=False,
            layout=layout,
            keep=lambda i, walker, record, behind=tuple(behind): keep(behind[i], walker, record),
        )
    return kept


def room(
    walker: hmc.Walker, target: hmc.Target, focus: Focus, layout: Layout, *, chains: int, draws: int
) -> Record:
    """Arrays (chains, draws, ...) for all records; blocks that are joined later would be there twice."""
    flag = jnp.asarray(False)
    _, like = advance.eval_shape(walker, target, focus, flag, layout=layout)  # type: ignore[attr-defined]
    return jax.tree.map(lambda a: np.empty((chains, draws, *a.shape[1:]), a.dtype), like)


def blank_start(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout, chains: int) -> Start:
    """Shapes of what `prepare` makes."""
    anchor = anchor_at.eval_shape(state, problem, beliefs, layout=layout)  # type: ignore[attr-defined]
    none, key = flat(layout.n_hyper), jax.random.key(0)
    target = hmc.Target(anchor, problem, beliefs, none)
    walker = begin.eval_shape(key, target, jnp.zeros(()), layout=layout)  # type: ignore[attr-defined]
    return Start(anchor, beliefs, none, (walker,) * chains)


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
    return anchor._replace(root=jnp.asarray(np.linalg.cholesky(spread)))
