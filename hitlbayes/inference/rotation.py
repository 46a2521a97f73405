"""Split Hamiltonian Monte Carlo for any density near a standard normal, its hyperparameters first.

Trajectories are those of `hitlbayes.inference.trajectory`. Here the density is an argument, data are
arguments of the compiled program, and each chain runs in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.normals import normals
from hitlbayes.inference.runtime import SELDOM, SMALL, Progress, in_threads, known_options, silent
from hitlbayes.inference.surrogate import Surrogate, fitted
from hitlbayes.inference.trajectory import afresh, ended, jittered, rotations, travel

BLOCK = 50
TURN = 2.5  # radians of a trajectory: a direction wider than the pilot saw needs more than a quarter
WAY_IN = 10  # draws of a chain from which a surrogate learns nothing
FIRST_ANGLE = 0.3

LogDensity = Callable[[jax.Array, Any], jax.Array]
Record = Callable[[jax.Array, Any], Any]


class Place(NamedTuple):
    """Coordinates: psi (k,) of the hyperparameters, rest (n - k,)."""

    psi: jax.Array
    rest: jax.Array


class Near(NamedTuple):
    """The data, and the surrogate by which trajectories guess the slopes along psi."""

    data: Any
    surrogate: Surrogate


class Walker(NamedTuple):
    """One chain between draws.

    z, slope : position and gradient of -R; value : () log density; key : random key
    log_angle : () of a rotation, in radians; averages : (3,) state of dual averaging
    """

    z: Place
    slope: Place
    value: jax.Array
    key: jax.Array
    log_angle: jax.Array
    averages: jax.Array


class Turns(NamedTuple):
    """What is kept of draws; arrays lead with (chains, draws).

    z, slope : (k,) coordinates psi and gradient of -R along them
    """

    record: Any
    acceptance: np.ndarray
    diverging: np.ndarray
    z: np.ndarray
    slope: np.ndarray


class Programs(NamedTuple):
    """Compiled on first use: a chain's first state, BLOCK draws, from the data as arguments."""

    begin: Callable[[jax.Array, jax.Array, Any], Walker]
    advance: Callable[[Walker, Near, jax.Array], tuple[Walker, Any]]


def programs(log_density: LogDensity, record: Record, *, few: int) -> Programs:
    """Programs that sample `log_density(z, data)` and keep `record(z, data)` of each draw.

    The first `few` coordinates are the hyperparameters'.
    """

    def found_at(z: Place, data: Any) -> tuple[tuple[jax.Array, tuple[()]], Place]:
        def density(z: Place) -> jax.Array:
            return log_density(jnp.concatenate(z), data)

        value, slope = jax.value_and_grad(density)(z)
        return (value, ()), jax.tree.map(jnp.add, slope, z)

    def begin(z: jax.Array, key: jax.Array, data: Any) -> Walker:
        place = Place(*jnp.split(z, [few]))
        (value, _), slope = found_at(place, data)
        start = jnp.log(FIRST_ANGLE)
        return Walker(place, slope, value, key, start, afresh(start))

    def advance(walker: Walker, near: Near, adapt: jax.Array) -> tuple[Walker, Any]:
        def body(walker: Walker, _: None) -> tuple[Walker, Any]:
            walker, acceptance, diverged = _draw(walker, near, adapt, found_at=found_at)
            kept = record(jnp.concatenate(walker.z), near.data)
            return walker, (kept, acceptance, diverged, walker.z.psi, walker.slope.psi)

        return jax.lax.scan(body, walker, None, length=BLOCK)

    return Programs(
        jax.jit(begin, compiler_options=known_options(SELDOM)),
        jax.jit(advance, compiler_options=known_options(SMALL)),
    )


def start(
    made: Programs, data: Any, *, size: int, chains: int, seed: int, like: list[Walker] | None = None
) -> list[Walker]:
    """Chains at draws of the standard normal in `size` dimensions, their first of `like`'s angle."""
    keys = jax.random.split(jax.random.key(seed), 2 * chains)
    first = [jax.random.normal(keys[2 * i], (size,)) for i in range(chains)]
    walkers = [made.begin(first[i], keys[2 * i + 1], data) for i in range(chains)]
    if like is None:
        return walkers
    return [new._replace(log_angle=old.log_angle) for new, old in zip(walkers, like, strict=True)]


def compiled(made: Programs, walker: Walker, near: Near) -> Programs:
    """The same programs with the costly one compiled for these shapes, so that chains need not wait."""
    return made._replace(advance=made.advance.lower(walker, near, jnp.asarray(True)).compile())  # type: ignore[attr-defined]


def learn(
    made: Programs, walkers: list[Walker], near: Near, *, draws: int
) -> tuple[list[Walker], Near, Turns]:
    """Draws with the angle adapting, and a surrogate that is learnt of the blocks before each."""
    seen: list[Turns] = []
    for _ in range(-(-draws // BLOCK)):
        if seen:
            z, slope = (np.concatenate([getattr(t, name) for t in seen], axis=1) for name in ("z", "slope"))
            k = z.shape[2]
            near = near._replace(
                surrogate=fitted(z[:, WAY_IN:].reshape(-1, k), slope[:, WAY_IN:].reshape(-1, k))
            )
        # What a chain learnt with another surrogate says nothing of the angle that suits this one.
        walkers = [walker._replace(averages=afresh(walker.log_angle)) for walker in walkers]
        walkers, turns = run(made, walkers, near, draws=BLOCK, adapt=True)
        seen.append(turns)
    return walkers, near, Turns(*jax.tree.map(lambda *a: np.concatenate(a, axis=1), *seen))


def run(
    made: Programs,
    walkers: list[Walker],
    near: Near,
    *,
    draws: int,
    adapt: bool,
    progress: Progress = silent,
    what: str = "sampling",
) -> tuple[list[Walker], Turns]:
    """`draws` draws of every chain, rounded up to whole blocks while the angle adapts."""
    blocks, kept = -(-draws // BLOCK), [[] for _ in walkers]
    flag = jnp.asarray(adapt)
    for block in range(blocks):
        now = list(walkers)
        moved = in_threads(
            lambda i: jax.block_until_ready(made.advance(now[i], near, flag)),  # noqa: B023
            len(walkers),
        )
        walkers = [walker for walker, _ in moved]
        for chain, (_, seen) in zip(kept, moved, strict=True):
            chain.append(jax.tree.map(np.asarray, seen))
        progress(what, (block + 1) / blocks)
    size = blocks * BLOCK if adapt else draws
    joined = [jax.tree.map(lambda *a: np.concatenate(a)[:size], *chain) for chain in kept]
    return walkers, Turns(*jax.tree.map(lambda *a: np.stack(a), *joined))


def _draw(
    walker: Walker, near: Near, adapt: jax.Array, *, found_at: Callable[[Place, Any], Any]
) -> tuple[Walker, jax.Array, jax.Array]:
    key, k_psi, k_rest, k_uniform = jax.random.split(walker.key, 4)
    uniform = jax.random.uniform(k_uniform, (2,))
    momentum = Place(
        *(normals(k, a.size).astype(a.dtype) for k, a in zip((k_psi, k_rest), walker.z, strict=True))
    )
    reached = travel(
        walker.z,
        momentum=momentum,
        slope=walker.slope,
        value=walker.value,
        beside=(),
        angle=jittered(walker.log_angle, uniform[0]),
        count=rotations(walker.log_angle, turn=TURN),
        surrogate=near.surrogate,
        walls=None,
        found_at=lambda z: found_at(z, near.data),
    )
    end = ended(
        reached, uniform=uniform[1], log_angle=walker.log_angle, averages=walker.averages, adapt=adapt
    )
    at = jax.tree.map(
        lambda new, old: jnp.where(end.taken, new, old),
        (reached.z, reached.slope, reached.value),
        (walker.z, walker.slope, walker.value),
    )
    return Walker(*at, key, end.log_angle, end.averages), end.acceptance, end.diverged
