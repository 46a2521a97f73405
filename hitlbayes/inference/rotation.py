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
from hitlbayes.inference.problem import Array
from hitlbayes.inference.runtime import SMALL, Progress, in_threads, known_options, silent
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

    psi: Array
    rest: Array


class Near(NamedTuple):
    """The data, the surrogate by which trajectories guess the slopes along psi, and their length.

    turn : () radians that a trajectory makes up
    """

    data: Any
    surrogate: Surrogate
    turn: np.ndarray | jax.Array = np.array(TURN)


class Walker(NamedTuple):
    """One chain between draws.

    z, slope : position and gradient of -R; value : () log density; key : random key
    log_angle : () of a rotation, in radians; averages : (3,) state of dual averaging
    """

    z: Place
    slope: Place
    value: Array
    key: Array
    log_angle: Array
    averages: Array


class Turns(NamedTuple):
    """What is kept of draws; arrays lead with (chains, draws).

    z, slope : (k,) coordinates psi and gradient of -R along them
    """

    record: Any
    acceptance: np.ndarray
    diverging: np.ndarray
    z: np.ndarray
    slope: np.ndarray


Advance = Callable[[Walker, Near, jax.Array], tuple[Walker, Any]]


def program(log_density: LogDensity, record: Record, *, few: int) -> Advance:
    """BLOCK draws of a chain from `log_density(z, data)`, and what `record(z, data)` keeps of each.

    The first `few` coordinates are the hyperparameters'. The last argument says whether the angle adapts. It
    is compiled on first use.
    """

    def found_at(z: Place, data: Any) -> tuple[tuple[jax.Array, tuple[()]], Place]:
        def density(z: Place) -> jax.Array:
            return log_density(jnp.concatenate(z), data)

        value, slope = jax.value_and_grad(density)(z)
        return (value, ()), jax.tree.map(jnp.add, slope, z)

    def advance(walker: Walker, near: Near, adapt: jax.Array) -> tuple[Walker, Any]:
        def body(walker: Walker, _: None) -> tuple[Walker, Any]:
            walker, acceptance, diverged = _draw(walker, near, adapt, found_at=found_at)
            kept = record(jnp.concatenate(walker.z), near.data)
            return walker, (kept, acceptance, diverged, walker.z.psi, walker.slope.psi)

        return jax.lax.scan(body, walker, None, length=BLOCK)

    return jax.jit(advance, compiler_options=known_options(SMALL))


def start(
    sizes: tuple[int, int], *, chains: int, seed: int, like: list[Walker] | None = None
) -> list[Walker]:
    """Chains at draws of the standard normal in `sizes` dimensions (psi, rest), their angles those of `like`.

    Their densities are not known yet: a chain's first draw computes its own, and stays.
    """
    rng, keys = np.random.default_rng(seed), jax.random.split(jax.random.key(seed), chains)
    angles = [np.log(FIRST_ANGLE)] * chains if like is None else [old.log_angle for old in like]
    return jax.device_put(
        [
            Walker(
                Place(*(rng.standard_normal(size) for size in sizes)),
                Place(*map(np.zeros, sizes)),
                np.array(-np.inf),
                key,
                np.array(angle),
                afresh(np.array(angle)),
            )
            for key, angle in zip(keys, angles, strict=True)
        ]
    )


def compiled(advance: Advance, walker: Walker, near: Near) -> Advance:
    """The same program compiled for these shapes, so that chains need not wait."""
    return advance.lower(walker, near, jnp.asarray(True)).compile()  # type: ignore[attr-defined]


def learn(
    advance: Advance, walkers: list[Walker], near: Near, *, draws: int
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
        walkers, turns = run(advance, walkers, near, draws=BLOCK, adapt=True)
        seen.append(turns)
    return walkers, near, Turns(*jax.tree.map(lambda *a: np.concatenate(a, axis=1), *seen))


def run(
    advance: Advance,
    walkers: list[Walker],
    near: Near,
    *,
    draws: int,
    adapt: bool,
    progress: Progress = silent,
    what: str = "sampling",
) -> tuple[list[Walker], Turns]:
    """`draws` draws of every chain, rounded up to whole blocks while the angle adapts."""
    blocks = -(-draws // BLOCK)
    kept: list[list[Any]] = [[] for _ in walkers]
    flag = jnp.asarray(adapt)
    for block in range(blocks):
        now = list(walkers)
        moved = in_threads(
            lambda i: jax.block_until_ready(advance(now[i], near, flag)),  # noqa: B023
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
        angle=jittered(walker.log_angle, uniform[0], value=walker.value),
        count=rotations(walker.log_angle, turn=near.turn),
        surrogate=near.surrogate,
        walls=None,
        found_at=lambda z: found_at(z, near.data),
    )
    end = ended(
        reached, uniform=uniform[1], log_angle=walker.log_angle, averages=walker.averages, adapt=adapt
    )
    z, slope, value = jax.tree.map(
        lambda new, old: jnp.where(end.taken, new, old),
        (reached.z, reached.slope, reached.value),
        (walker.z, walker.slope, walker.value),
    )
    return Walker(z, slope, value, key, end.log_angle, end.averages), end.acceptance, end.diverged
