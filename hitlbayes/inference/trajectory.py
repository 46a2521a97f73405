"""A trajectory of split Hamiltonian Monte Carlo: rotations, and kicks by what the target has beyond a normal.

The target is exp(-|z|^2/2 - R(z)) with R small. A trajectory alternates kicks by the gradient of R with exact
rotations of (z, momentum), which is the flow of the standard normal part (Neal 2011, section 5.5.1; Shahbaba,
Lan, Johnson and Neal 2014, doi:10.1007/s11222-012-9373-1). With R = 0 every proposal is accepted, whatever
the angle and the dimension. Kicks are made at the nodes of Gauss-Lobatto quadrature over the trajectory, with
its weights: what R does to first order along the rotation is then integrated to a high order at the price of
the trapezoid (McLachlan 1995, Composition methods in the presence of small parameters).

What R has of the few hyperparameters is steep, and nearly all of it a function of them alone: they move along
a surrogate of it (`hitlbayes.inference.glide`), and kicks are by the rest. The angle of a rotation is adapted
by dual averaging and jittered, so that stiff places are crossed in short steps now and then. A draw takes as
many rotations as make up about a quarter of a turn, where successive draws are nearly independent: two where
the map is good, more where small data leave the hyperparameters far from normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.glide import Few, Walls, glide
from hitlbayes.inference.problem import Array
from hitlbayes.inference.sums import total
from hitlbayes.inference.surrogate import Surrogate, slope_at

W = TypeVar("W")  # a chain between draws, its angle in the fields `log_angle` and `averages`
Z = TypeVar("Z")  # a named tuple of coordinates, the hyperparameters' in its field `psi`

TURN = 1.96  # radians: a quarter of a turn, of which the jitter leaves four fifths
SHORT_TURN = np.array(1.0)  # radians of a trajectory that only learns where slopes are steep
MOST_ROTATIONS = 12
TARGET_ACCEPTANCE = 0.85
LARGEST_ANGLE = 1.1
SHORTEST, LONGEST = 0.5, 1.1  # of the adapted angle, by jitter
DIVERGENCE = 1000.0


class Reached(NamedTuple):
    """Where a trajectory leads.

    z, momentum : there; slope : gradient of -R; value : () log density; beside : what was found with it
    gain : () log of the ratio whose least with one is the acceptance probability, -inf where not finite
    """

    z: Any
    momentum: Any
    slope: Any
    value: jax.Array
    beside: Any
    gain: jax.Array


def lobatto(rotations: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps between the nodes of Gauss-Lobatto quadrature on (0, 1), and the nodes' weights.

    Examples
    --------
    >>> [a.round(4).tolist() for a in lobatto(2)]
    [[0.5, 0.5], [0.1667, 0.6667, 0.1667]]
    """
    P = np.polynomial.legendre.Legendre.basis(rotations)
    nodes = np.concatenate([[-1.0], np.sort(P.deriv().roots().real), [1.0]])
    return np.diff(nodes) / 2, 1.0 / (rotations * (rotations + 1) * P(nodes) ** 2)


def _tables() -> tuple[np.ndarray, np.ndarray]:
    gaps, weights = (np.zeros((MOST_ROTATIONS + 1, MOST_ROTATIONS + more)) for more in (0, 1))
    for n in range(1, MOST_ROTATIONS + 1):
        gaps[n, :n], weights[n, : n + 1] = lobatto(n)
    return gaps, weights


GAPS, WEIGHTS = _tables()  # by number of rotations


def jittered(log_angle: jax.Array, uniform: jax.Array, *, value: jax.Array) -> jax.Array:
    """A rotation's angle in radians, from the adapted one and a uniform number.

    A chain that has just begun, its log density `value` not finite, stays where it is: it learns its density
    and slope there.
    """
    angle = jnp.exp(log_angle) * (SHORTEST + (LONGEST - SHORTEST) * uniform)
    return jnp.where(jnp.isfinite(value), angle, 0.0)


def rotations(log_angle: jax.Array, *, turn: jax.Array | np.ndarray | float) -> jax.Array:
    """Rotations of a trajectory that make up so many radians, at least two."""
    return jnp.clip(jnp.round(turn * jnp.exp(-log_angle)), 2, MOST_ROTATIONS).astype(jnp.int32)


def travel(
    z: Z,
    *,
    momentum: Z,
    slope: Z,
    value: jax.Array,
    beside: Any,
    angle: jax.Array,
    count: jax.Array,
    surrogate: Surrogate,
    walls: Walls | None,
    found_at: Callable[[Z], tuple[tuple[jax.Array, Any], Z]],
) -> Reached:
    """Follow `count` rotations of `angle` radians on average from a position.

    Parameters
    ----------
    value, slope, beside : log density, gradient of -R and what comes with them at z (of `beside` the shapes)
    found_at : ((log density, what comes with it), gradient of -R) at a position
    """
    turns, kicks = (angle * count * jnp.asarray(table)[count] for table in (GAPS, WEIGHTS))
    # Kept apart, or the compiler computes the cosine anew for every element.
    cosines, sines, kicks = jax.lax.optimization_barrier((jnp.cos(turns), jnp.sin(turns), kicks))

    def kicked(p: Any, slope: Any, guess: jax.Array, kick: jax.Array) -> Any:
        p = jax.tree.map(lambda p, slope: p + kick.astype(p.dtype) * slope, p, slope)
        return p._replace(psi=p.psi - kick * guess)

    def turn(i: jax.Array, at: tuple) -> tuple:
        z, p, guess = at[:3]
        few = glide(Few(z.psi, p.psi, guess), turns[i], walls=walls, surrogate=surrogate)
        c, s = cosines[i], sines[i]
        z, p = (
            jax.tree.map(lambda a, b, d=d: c.astype(a.dtype) * a + (d * s).astype(a.dtype) * b, a, b)
            for a, b, d in ((z, p, 1.0), (p, z, -1.0))
        )
        z, p = z._replace(psi=few.z), p._replace(psi=few.p)
        (value, beside), slope = found_at(z)
        return z, kicked(p, slope, few.slope, kicks[i + 1]), few.slope, slope, value, beside

    guess = slope_at(surrogate, z.psi)  # type: ignore[attr-defined]
    p = kicked(momentum, slope, guess, kicks[0])
    begin = (z, p, guess, slope, jnp.zeros_like(value), beside)
    z, p, _, slope, reached, beside = jax.lax.fori_loop(0, count, turn, begin)
    pairs = zip(jax.tree.leaves(p), jax.tree.leaves(momentum), strict=True)
    gain = reached - value - 0.5 * sum(total(a**2 - b**2) for a, b in pairs)
    finite = jnp.isfinite(reached + sum(total(a) for a in jax.tree.leaves(slope)))
    return Reached(z, p, slope, reached, beside, jnp.where(finite & ~jnp.isnan(gain), gain, -jnp.inf))


class Ended(NamedTuple):
    """How a trajectory ended, arrays () but averages.

    taken : whether the chain moves; acceptance : the probability of that; diverged : whether energy ran away
    log_angle, averages (3,) : of the next trajectory, adapted or as they were
    """

    taken: jax.Array
    acceptance: jax.Array
    diverged: jax.Array
    log_angle: jax.Array
    averages: jax.Array


def ended(
    reached: Reached, *, uniform: jax.Array, log_angle: jax.Array, averages: jax.Array, adapt: jax.Array
) -> Ended:
    """Accept where a trajectory led, or not, by a uniform number, and adapt the angle where asked."""
    acceptance = jnp.minimum(1.0, jnp.exp(reached.gain))
    new_angle, new_averages = adapted(averages, acceptance)
    return Ended(
        uniform < acceptance,
        acceptance,
        -reached.gain > DIVERGENCE,
        jnp.where(adapt, new_angle, log_angle),
        jnp.where(adapt, new_averages, averages),
    )


def adapted(averages: jax.Array, acceptance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of dual averaging (Hoffman and Gelman 2014, section 3.2) towards TARGET_ACCEPTANCE."""
    error, mean, t = averages
    weight = 1.0 / (t + 5.0)
    error = (1 - weight) * error + weight * (TARGET_ACCEPTANCE - acceptance)
    proposal = jnp.log(0.8) - jnp.sqrt(t) / 0.2 * error
    log_angle = jnp.clip(proposal, jnp.log(1e-3), jnp.log(LARGEST_ANGLE))
    eta = t**-0.75
    return log_angle, jnp.stack([error, eta * log_angle + (1 - eta) * mean, t + 1.0])


def afresh(log_angle: Array) -> Array:
    """The state of dual averaging (3,) before its first step, which forgets the angle."""
    return jnp.stack([jnp.zeros_like(log_angle), log_angle, jnp.ones_like(log_angle)])


def settle(walkers: Sequence[W]) -> list[W]:
    """Every chain at one angle: the mean of the averages that adaptation has reached."""
    angle = jax.device_put(np.mean([np.asarray(walker.averages)[1] for walker in walkers]))  # type: ignore[attr-defined]
    return [walker._replace(log_angle=angle) for walker in walkers]  # type: ignore[attr-defined]
