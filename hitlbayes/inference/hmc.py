"""Split Hamiltonian Monte Carlo in Laplace coordinates.

The target is exp(-|z|^2/2 - R(z)) with R small. A trajectory alternates kicks by the gradient of R with
exact rotations of (z, momentum), which is the flow of the standard normal part
(Neal 2011, section 5.5.1; Shahbaba, Lan, Johnson and Neal 2014, doi:10.1007/s11222-012-9373-1).
With R = 0 every proposal is accepted, whatever the angle and the dimension. The angle is adapted to an
acceptance rate of .85 by dual averaging and jittered, so that stiff places are crossed in short steps now
and then; the chains, vectorised, share it. A draw takes as many rotations as make up about a quarter of a
turn, where successive draws are nearly independent: two where the map is good, more where
small data leave the hyperparameters far from normal.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.laplace import Anchor, State, density_and_state, log_density
from hitlbayes.inference.problem import Beliefs, Layout, Problem

QUARTER_TURN = 1.5
MOST_ROTATIONS = 12
TARGET_ACCEPTANCE = 0.85
LARGEST_ANGLE = 1.1
DIVERGENCE = 1000.0


class Target(NamedTuple):
    """What is sampled: the arguments of `log_density` after the position."""

    anchor: Anchor
    problem: Problem
    beliefs: Beliefs


class Walkers(NamedTuple):
    """Chains between draws; arrays lead with the chain (C, ...), the angle is shared.

    z : (C, n) positions; state : the model's states there; slope : (C, n) gradient of -R; value : (C,) -R
    log_angle : () of the rotation, in radians; averages : (3,) state of dual averaging; key : random key
    """

    z: jax.Array
    state: State
    value: jax.Array
    slope: jax.Array
    log_angle: jax.Array
    averages: jax.Array
    key: jax.Array


class Step(NamedTuple):
    """What a draw tells of itself: acceptance probability (C,), whether it diverged (C,)."""

    acceptance: jax.Array
    diverged: jax.Array


def residual(z: jax.Array, target: Target, *, layout: Layout) -> jax.Array:
    """-R(z): the log density over that of a standard normal."""
    return log_density(z, *target, layout=layout) + 0.5 * jnp.sum(z**2)


def residual_and_state(z: jax.Array, target: Target, *, layout: Layout) -> tuple[jax.Array, State]:
    """`residual` and the model's state at z."""
    value, state = density_and_state(z, *target, layout=layout)
    return value + 0.5 * jnp.sum(z**2), state


def residual_slope(z: jax.Array, low: Target, *, layout: Layout) -> jax.Array:
    """Gradients of -R at z (C, n), computed in the precision of `low` and returned in that of z.

    Any deterministic function of z makes a kick that preserves volume and can be reversed, so a gradient
    in single precision costs acceptance at most, never exactness.
    """
    slope = jax.vmap(lambda one: jax.grad(residual)(one, low, layout=layout))
    return jax.lax.optimization_barrier(slope(z.astype(low.problem.X.dtype)).astype(z.dtype))


def single(target: Target) -> Target:
    """The same target with every floating array in single precision."""

    def cast(a: jax.Array) -> jax.Array:
        return a.astype(jnp.float32) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(cast, target)


def _rotate(z: jax.Array, p: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    # Kept apart, or the compiler computes the cosine anew for every element.
    c, s = jax.lax.optimization_barrier((jnp.cos(angle), jnp.sin(angle)))
    return jax.lax.optimization_barrier((c * z + s * p, c * p - s * z))


def start(
    key: jax.Array, exact: Target, low: Target, *, layout: Layout, chains: int, angle: float
) -> Walkers:
    """Chains started from draws of the standard normal."""
    key, first = jax.random.split(key)
    z = jax.random.normal(first, (chains, layout.n_latent))
    log_angle = jnp.log(angle)
    averages = jnp.stack([jnp.zeros_like(log_angle), log_angle, jnp.ones_like(log_angle)])
    value, state = _values(z, exact, layout=layout)
    return Walkers(z, state, value, residual_slope(z, low, layout=layout), log_angle, averages, key)


def draw(
    walkers: Walkers, exact: Target, low: Target, *, layout: Layout, adapt: jax.Array
) -> tuple[Walkers, Step]:
    """Move every chain by one trajectory and, while adapting, the angle by one step of dual averaging."""
    key, k_momentum, k_angle, k_accept = jax.random.split(walkers.key, 4)
    momentum = jax.random.normal(k_momentum, walkers.z.shape)
    angle = jnp.exp(walkers.log_angle) * jax.random.uniform(k_angle, minval=0.5, maxval=1.1)
    z, p = _rotate(walkers.z, momentum + 0.5 * angle * walkers.slope, angle)

    def turn(_: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        z, p = at
        return _rotate(z, p + angle * residual_slope(z, low, layout=layout), angle)

    z, p = jax.lax.fori_loop(1, rotations(walkers.log_angle), turn, (z, p))
    slope = residual_slope(z, low, layout=layout)
    value, state = _values(z, exact, layout=layout)
    p = p + 0.5 * angle * slope
    gain = value - walkers.value - 0.5 * jnp.sum(z**2 + p**2 - walkers.z**2 - momentum**2, axis=1)
    gain = jnp.where(jnp.isfinite(gain) & jnp.all(jnp.isfinite(slope), axis=1), gain, -jnp.inf)
    acceptance = jnp.minimum(1.0, jnp.exp(gain))
    taken = jax.random.uniform(k_accept, gain.shape) < acceptance

    def either(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(taken.reshape(-1, *([1] * (new.ndim - 1))), new, old)

    log_angle, averages = _adapt(walkers.log_angle, walkers.averages, jnp.mean(acceptance))
    moved = Walkers(
        *jax.tree.map(
            either, (z, state, value, slope), (walkers.z, walkers.state, walkers.value, walkers.slope)
        ),
        jnp.where(adapt, log_angle, walkers.log_angle),
        jnp.where(adapt, averages, walkers.averages),
        key,
    )
    return moved, Step(acceptance, -gain > DIVERGENCE)


def _values(z: jax.Array, exact: Target, *, layout: Layout) -> tuple[jax.Array, State]:
    return jax.vmap(lambda one: residual_and_state(one, exact, layout=layout))(z)


def rotations(log_angle: jax.Array) -> jax.Array:
    """Rotations of a trajectory: about a quarter of a turn in all, at least two."""
    return jnp.clip(jnp.round(QUARTER_TURN * jnp.exp(-log_angle)), 2, MOST_ROTATIONS).astype(jnp.int32)


def settle_angle(walkers: Walkers) -> Walkers:
    """Fix the angle at the average that adaptation has reached."""
    return walkers._replace(log_angle=walkers.averages[1])


def _adapt(log_angle: jax.Array, averages: jax.Array, acceptance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of dual averaging (Hoffman and Gelman 2014, section 3.2) towards TARGET_ACCEPTANCE."""
    error, mean, t = averages
    weight = 1.0 / (t + 5.0)
    error = (1 - weight) * error + weight * (TARGET_ACCEPTANCE - acceptance)
    proposal = jnp.log(0.8) - jnp.sqrt(t) / 0.2 * error
    log_angle = jnp.clip(proposal, jnp.log(1e-3), jnp.log(LARGEST_ANGLE))
    eta = t**-0.75
    return log_angle, jnp.array([error, eta * log_angle + (1 - eta) * mean, t + 1.0])
