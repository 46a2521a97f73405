"""How the hyperparameters move between passes over the data: on circles, between walls, along a surrogate.

A posterior does not change when the sign of a scale is turned (`hitlbayes.inference.hyper.turned`), so one
of the mirror images is enough: scales are kept positive by walls at zero, from which a trajectory rebounds as
light does (Afshar and Domke 2015, Reflection, refraction and Hamiltonian Monte Carlo). Rotation and rebound
are followed exactly; the surrogate of R pushes between short rotations. All of it can be run backwards and
keeps volume, as a proposal must.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.problem import Beliefs, Layout
from hitlbayes.inference.surrogate import Surrogate, slope_at

STEPS = 6  # of the surrogate, in each rotation
MOST_WALLS = 100  # met in one of them: none is far more, but a loop must end


class Walls(NamedTuple):
    """Half-spaces normal'z >= offset in which every free scale is positive: (w, k), (w,)."""

    normal: jax.Array
    offset: jax.Array


def walls_at_zero(psi: jax.Array, root: jax.Array, beliefs: Beliefs, *, layout: Layout) -> Walls:
    """The walls of coordinates z with psi* + C z the hyperparameters; psi* (k,), C (k, k)."""
    n = layout.n_scales
    size = jnp.linalg.norm(root[:n], axis=1)
    free = jnp.isnan(jnp.asarray(beliefs.fixed)[:n])
    return Walls(root[:n] / size[:, None], jnp.where(free, -psi[:n] / size, -jnp.inf))


class Few(NamedTuple):
    """Position and momentum (k,) of the hyperparameters, and the surrogate's slope there."""

    z: jax.Array
    p: jax.Array
    slope: jax.Array


def glide(at: Few, angle: jax.Array, *, walls: Walls | None, surrogate: Surrogate) -> Few:
    """Where an angle of the flow of the standard normal and the surrogate leads, with walls or without."""
    short = angle / STEPS

    def step(_: int, at: Few) -> Few:
        p = at.p + 0.5 * short * at.slope
        z, p = turned_by(short, at.z, p) if walls is None else rebound(at.z, p, short, walls)
        slope = slope_at(surrogate, z)
        return Few(z, p + 0.5 * short * slope, slope)

    return jax.lax.fori_loop(0, STEPS, step, at)


def turned_by(angle: jax.Array, z: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(z, p) turned by an angle."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return c * z + s * p, c * p - s * z


def rebound(z: jax.Array, p: jax.Array, angle: jax.Array, walls: Walls) -> tuple[jax.Array, jax.Array]:
    """(z, p) turned by an angle; at each wall that is met on the way, the momentum is reflected."""

    def go(at: tuple[jax.Array, jax.Array, jax.Array, int]) -> tuple[jax.Array, jax.Array, jax.Array, int]:
        z, p, left, met = at
        when = meeting(z, p, walls)
        first = jnp.argmin(when)
        turn = jnp.minimum(when[first], left)
        z, p = turned_by(turn, z, p)
        normal = walls.normal[first]
        p = jnp.where(when[first] < left, p - 2.0 * (normal @ p) * normal, p)
        return z, p, left - turn, met + 1

    more = lambda at: (at[2] > 0) & (at[3] < MOST_WALLS)  # noqa: E731
    z, p, *_ = jax.lax.while_loop(more, go, (z, p, angle, 0))
    return z, p


def meeting(z: jax.Array, p: jax.Array, walls: Walls) -> jax.Array:
    """Angle after which a rotation next leaves each half-space (w,), infinite where it never does.

    Zero where it stands on the wall, or by rounding behind it, and moves outwards.
    """
    across, speed = walls.normal @ z, walls.normal @ p
    reach = jnp.hypot(across, speed)
    meets = reach > jnp.abs(walls.offset)
    # reach cos(t - phase) = offset, on the way out.
    phase = jnp.arctan2(speed, across)
    when = jnp.mod(phase + jnp.arccos(jnp.where(meets, walls.offset / reach, 0.0)), 2.0 * jnp.pi)
    leaving = (across <= walls.offset) & (speed < 0)
    return jnp.where(leaving, 0.0, jnp.where(meets, when, jnp.inf))
