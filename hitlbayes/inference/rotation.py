"""Split Hamiltonian Monte Carlo for any density near a standard normal.

The target is exp(-|z|^2/2 - R(z)) with R small: a trajectory alternates kicks by the gradient of R with exact
rotations of (z, momentum), as in `hitlbayes.inference.hmc`, which does the same for one family of models
(Neal 2011, section 5.5.1; Shahbaba et al. 2014, doi:10.1007/s11222-012-9373-1). Here the density is an
argument, data are arguments of the compiled program, and each chain runs in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.normals import normals
from hitlbayes.inference.runtime import SMALL, Progress, in_threads, known_options, silent

BLOCK = 50
TURN = 2.5  # radians of a trajectory: a direction wider than the pilot saw needs more than a quarter
MOST_ROTATIONS = 16
LARGEST_ANGLE = 1.1
FIRST_ANGLE = 0.3
TARGET_ACCEPTANCE = 0.8
DIVERGENCE = 1000.0

LogDensity = Callable[[jax.Array, Any], jax.Array]
Record = Callable[[jax.Array, jax.Array, Any], Any]


class Walker(NamedTuple):
    """One chain between draws.

    z, slope : (n,) position and gradient of -R; value : () -R; key : random key
    log_angle : () of a rotation, in radians; averages : (3,) state of dual averaging
    """

    z: jax.Array
    slope: jax.Array
    value: jax.Array
    key: jax.Array
    log_angle: jax.Array
    averages: jax.Array


class Turns(NamedTuple):
    """What is kept of draws; arrays lead with (chains, draws)."""

    record: Any
    acceptance: np.ndarray
    diverging: np.ndarray


class Programs(NamedTuple):
    """Compiled on first use: a chain's first state, BLOCK draws, from the data as arguments."""

    begin: Callable[[jax.Array, jax.Array, Any], Walker]
    advance: Callable[[Walker, Any, jax.Array], tuple[Walker, Any]]


def programs(log_density: LogDensity, record: Record) -> Programs:
    """Programs that sample `log_density(z, data)` and keep `record(z, key, data)` of each draw."""

    def residual(z: jax.Array, data: Any) -> jax.Array:
        return log_density(z, data) + 0.5 * jnp.sum(z**2)

    slope_of = jax.grad(residual)

    def begin(z: jax.Array, key: jax.Array, data: Any) -> Walker:
        value, slope = residual(z, data), slope_of(z, data)
        start = jnp.log(FIRST_ANGLE)
        return Walker(z, slope, value, key, start, jnp.array([0.0, 0.0, 1.0]).at[1].set(start))

    def advance(walker: Walker, data: Any, adapt: jax.Array) -> tuple[Walker, Any]:
        def body(walker: Walker, _: None) -> tuple[Walker, Any]:
            walker, acceptance, diverged = _draw(walker, data, adapt, residual=residual, slope_of=slope_of)
            kept = record(walker.z, jax.random.fold_in(walker.key, 1), data)
            return walker, (kept, acceptance, diverged)

        return jax.lax.scan(body, walker, None, length=BLOCK)

    options = known_options(SMALL)
    return Programs(jax.jit(begin, compiler_options=options), jax.jit(advance, compiler_options=options))


def start(
    made: Programs, data: Any, *, size: int, chains: int, seed: int, like: list[Walker] | None = None
) -> list[Walker]:
    """Chains at draws of the standard normal in `size` dimensions, at the angle that `like` has reached."""
    keys = jax.random.split(jax.random.key(seed), 2 * chains)
    first = [jax.random.normal(keys[2 * i], (size,)) for i in range(chains)]
    walkers = [made.begin(first[i], keys[2 * i + 1], data) for i in range(chains)]
    if like is None:
        return walkers
    return [new._replace(log_angle=old.log_angle) for new, old in zip(walkers, like, strict=True)]


def compiled(made: Programs, walker: Walker, data: Any) -> Programs:
    """The same programs with the costly one compiled for these shapes, so that chains need not wait."""
    return made._replace(advance=made.advance.lower(walker, data, jnp.asarray(True)).compile())


def run(
    made: Programs,
    walkers: list[Walker],
    data: Any,
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
            lambda i: jax.block_until_ready(made.advance(now[i], data, flag)),  # noqa: B023
            len(walkers),
        )
        walkers = [walker for walker, _ in moved]
        for chain, (_, seen) in zip(kept, moved, strict=True):
            chain.append(jax.tree.map(np.asarray, seen))
        progress(what, (block + 1) / blocks)
    size = blocks * BLOCK if adapt else draws
    joined = [jax.tree.map(lambda *a: np.concatenate(a)[:size], *chain) for chain in kept]
    return walkers, Turns(*jax.tree.map(lambda *a: np.stack(a), *joined))


def settle(walkers: list[Walker]) -> list[Walker]:
    """Every chain at one angle: the mean of the averages that adaptation has reached."""
    angle = jnp.mean(jnp.stack([walker.averages[1] for walker in walkers]))
    return [walker._replace(log_angle=angle) for walker in walkers]


def _draw(
    walker: Walker, data: Any, adapt: jax.Array, *, residual: LogDensity, slope_of: LogDensity
) -> tuple[Walker, jax.Array, jax.Array]:
    key, k_momentum, k_angle, k_accept = jax.random.split(walker.key, 4)
    momentum = normals(k_momentum, walker.z.size).astype(walker.z.dtype)
    angle = jnp.exp(walker.log_angle) * jax.random.uniform(k_angle, minval=0.6, maxval=1.1)
    count = jnp.clip(jnp.round(TURN * jnp.exp(-walker.log_angle)), 2, MOST_ROTATIONS)

    def turn(_: jax.Array, at: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        z, p, slope = at
        p = p + 0.5 * angle * slope
        z, p = jnp.cos(angle) * z + jnp.sin(angle) * p, jnp.cos(angle) * p - jnp.sin(angle) * z
        slope = slope_of(z, data)
        return z, p + 0.5 * angle * slope, slope

    at = (walker.z, momentum, walker.slope)
    z, p, slope = jax.lax.fori_loop(0, count.astype(jnp.int32), turn, at)
    value = residual(z, data)  # once: gradients alone need fewer logarithms
    gain = value - walker.value - 0.5 * jnp.sum(z**2 + p**2 - walker.z**2 - momentum**2)
    gain = jnp.where(jnp.isfinite(gain) & jnp.all(jnp.isfinite(slope)), gain, -jnp.inf)
    acceptance = jnp.minimum(1.0, jnp.exp(gain))
    taken = jax.random.uniform(k_accept) < acceptance
    z, slope = jnp.where(taken, z, walker.z), jnp.where(taken, slope, walker.slope)
    log_angle, averages = _adapt(walker.averages, acceptance)
    moved = Walker(
        z,
        slope,
        jnp.where(taken, value, walker.value),
        key,
        jnp.where(adapt, log_angle, walker.log_angle),
        jnp.where(adapt, averages, walker.averages),
    )
    return moved, acceptance, -gain > DIVERGENCE


def _adapt(averages: jax.Array, acceptance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of dual averaging (Hoffman and Gelman 2014, section 3.2)."""
    error, mean, t = averages
    weight = 1.0 / (t + 5.0)
    error = (1 - weight) * error + weight * (TARGET_ACCEPTANCE - acceptance)
    log_angle = jnp.log(0.6) - jnp.sqrt(t) / 0.15 * error
    log_angle = jnp.clip(log_angle, jnp.log(1e-3), jnp.log(LARGEST_ANGLE))
    eta = t**-0.75
    return log_angle, jnp.array([error, eta * log_angle + (1 - eta) * mean, t + 1.0])
