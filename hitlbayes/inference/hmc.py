"""Split Hamiltonian Monte Carlo in Laplace coordinates.

The target is exp(-|z|^2/2 - R(z)) with R small. A trajectory alternates kicks by the gradient of R with
exact rotations of (z, momentum), which is the flow of the standard normal part
(Neal 2011, section 5.5.1; Shahbaba, Lan, Johnson and Neal 2014, doi:10.1007/s11222-012-9373-1).
With R = 0 every proposal is accepted, whatever the angle and the dimension. Kicks are made at the nodes of
Gauss-Lobatto quadrature over the trajectory, with its weights: what R does to first order along the rotation
is then integrated to a high order at the price of the trapezoid (McLachlan 1995, Composition methods in the
presence of small parameters).
What R has of the few hyperparameters is steep, and nearly all of it a function of them alone: they move along
a surrogate of it between walls (`hitlbayes.inference.glide`), and kicks are by the rest. The angle is adapted
to an acceptance rate of .85 by dual averaging and jittered, so that stiff places are crossed in short steps
now and then. A draw takes as many rotations as make up about a quarter of a turn, where successive draws are
nearly independent: two where the map is good, more where small data leave the hyperparameters far from
normal.

Arrays of the data's size are in single precision, sums and what is solved densely in double (`single`). A
kick by any deterministic function of z preserves volume and can be reversed, so its error costs acceptance
at most; the density's own error, a change since the anchor, is far below what moves a posterior.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.inference.effects import Drawn, Focus, effects_on_treated, own_effects
from hitlbayes.inference.glide import Few, glide, walls_at_zero
from hitlbayes.inference.laplace import Anchor, Coordinates, Point, density_and_point, split
from hitlbayes.inference.normals import normals
from hitlbayes.inference.precision import narrowed, with_narrow
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.sums import total
from hitlbayes.inference.surrogate import Surrogate, slope_at

QUARTER_TURN = 1.96  # radians: the jitter leaves four fifths of it
MOST_ROTATIONS = 12
TARGET_ACCEPTANCE = 0.85
LARGEST_ANGLE = 1.1
SHORTEST, LONGEST = 0.5, 1.1  # of the adapted angle, by jitter
DIVERGENCE = 1000.0


class Target(NamedTuple):
    """What is sampled, the arguments of `log_density` after the position, and how the slopes are guessed."""

    anchor: Anchor
    problem: Problem
    beliefs: Beliefs
    surrogate: Surrogate


class Kept(NamedTuple):
    """What is kept of a draw: psi (k,), outer (m,), unit (N, q), and its effects."""

    psi: jax.Array
    outer: jax.Array
    unit: jax.Array
    drawn: Drawn


class Walker(NamedTuple):
    """One chain between draws.

    z : the position; value : () log density there; slope : gradient of -R, by role; kept : what is kept of it
    log_angle : () of the rotation, in radians; averages : (3,) state of dual averaging; key : random key
    """

    z: Coordinates
    value: jax.Array
    slope: Coordinates
    kept: Kept
    log_angle: jax.Array
    averages: jax.Array
    key: jax.Array


class Step(NamedTuple):
    """What a draw tells of itself: acceptance probability (), whether it diverged ()."""

    acceptance: jax.Array
    diverged: jax.Array


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


def density_and_slope(
    z: Coordinates, target: Target, *, layout: Layout
) -> tuple[tuple[jax.Array, Point], Coordinates]:
    """Log density and the point at z, and the gradient of -R."""
    both = jax.value_and_grad(partial(density_and_point, layout=layout), has_aux=True)
    found, slope = both(z, target.anchor, target.problem, target.beliefs)
    return found, jax.tree.map(jnp.add, slope, z)


def standard_normal(key: jax.Array, target: Target, *, layout: Layout) -> Coordinates:
    """A draw of the standard normal, in double precision where coordinates are few."""
    few, many = jax.random.split(key)
    head = layout.n_hyper + layout.n_outer
    z = normals(few, head).astype(target.anchor.psi.dtype)
    rest = normals(many, layout.n_latent - head).astype(target.problem.X.dtype)
    return split(z, rest, layout)


def single(target: Target) -> Target:
    """The same target with every array of the data's size in single precision.

    Totals of the whole data set, hyperparameters and what is solved densely stay in double precision.
    """
    problem = narrowed(target.problem)._replace(
        categories=target.problem.categories, above=target.problem.above
    )
    large = ("eta", "inside", "at", "curvature", "pseudo", "cross", "Q")
    return target._replace(anchor=with_narrow(target.anchor, large), problem=problem)


def start(key: jax.Array, target: Target, *, layout: Layout, log_angle: jax.Array) -> Walker:
    """A chain at a draw of the standard normal, whose density the first draw computes."""
    key, first = jax.random.split(key)
    narrow, wide = target.problem.X.dtype, target.anchor.psi.dtype
    z = upright(standard_normal(first, target, layout=layout), target, layout=layout)
    N, steps = layout.n_units, max(layout.n_cut, 1)
    drawn = Drawn(jnp.zeros(N, narrow), jnp.zeros((2, steps), narrow), jnp.zeros(N, narrow))
    unit = jnp.zeros((N, layout.width), narrow)
    kept = Kept(jnp.zeros_like(target.anchor.psi), jnp.zeros_like(target.anchor.outer), unit, drawn)
    averages = jnp.stack([jnp.zeros_like(log_angle), log_angle, jnp.ones_like(log_angle)])
    flat = jax.tree.map(jnp.zeros_like, z)
    return Walker(z, jnp.full((), -jnp.inf, wide), flat, kept, log_angle, averages, key)


def upright(z: Coordinates, target: Target, *, layout: Layout) -> Coordinates:
    """Coordinates with those of the free scales that are negative turned positive."""
    n, (anchor, _, beliefs, _) = layout.n_scales, target
    psi = anchor.psi + anchor.root @ z.psi
    scales = jnp.where(jnp.isnan(beliefs.fixed[:n]), jnp.abs(psi[:n]), psi[:n])
    return z._replace(psi=jnp.linalg.solve(anchor.root, jnp.concatenate([scales, psi[n:]]) - anchor.psi))


def draw(
    walker: Walker, target: Target, focus: Focus, *, layout: Layout, adapt: jax.Array
) -> tuple[Walker, Step]:
    """Move a chain by one trajectory and, while adapting, its angle by one step of dual averaging."""
    key, k_momentum, k_own, k_uniform = jax.random.split(walker.key, 4)
    momentum, uniform = (
        standard_normal(k_momentum, target, layout=layout),
        jax.random.uniform(k_uniform, (2,)),
    )
    angle = jnp.exp(walker.log_angle) * (SHORTEST + (LONGEST - SHORTEST) * uniform[0])
    # A chain that has just begun stays where it is, and learns its density and slope there.
    angle = jnp.where(jnp.isfinite(walker.value), angle, 0.0)
    count = rotations(walker.log_angle)
    turns, kicks = (angle * count * jnp.asarray(table)[count] for table in (GAPS, WEIGHTS))
    # Kept apart, or the compiler computes the cosine anew for every element.
    cosines, sines, kicks = jax.lax.optimization_barrier((jnp.cos(turns), jnp.sin(turns), kicks))
    anchor, surrogate = target.anchor, target.surrogate
    walls = walls_at_zero(anchor.psi, anchor.root, target.beliefs, layout=layout)

    def kicked(p: Coordinates, slope: Coordinates, guess: jax.Array, kick: jax.Array) -> Coordinates:
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
        (value, point), slope = density_and_slope(z, target, layout=layout)
        return z, kicked(p, slope, few.slope, kicks[i + 1]), few.slope, slope, value, point

    begin = Point(*walker.kept[:3], jnp.zeros_like(anchor.eta))
    guess = slope_at(surrogate, walker.z.psi)
    p = kicked(momentum, walker.slope, guess, kicks[0])
    at = (walker.z, p, guess, walker.slope, jnp.zeros_like(walker.value), begin)
    z, p, _, slope, value, point = jax.lax.fori_loop(0, count, turn, at)
    energy = sum(
        total(a**2 - b**2) for a, b in zip(jax.tree.leaves(p), jax.tree.leaves(momentum), strict=True)
    )
    gain = value - walker.value - 0.5 * energy
    finite = jnp.isfinite(value + sum(total(a) for a in jax.tree.leaves(slope)))
    gain = jnp.where(finite, gain, -jnp.inf)
    acceptance = jnp.minimum(1.0, jnp.exp(gain))
    taken = uniform[1] < acceptance
    own = normals(k_own, layout.n_units).astype(target.problem.X.dtype)
    kept = describe(point, own, target, focus, layout=layout)
    log_angle, averages = _adapt(walker.log_angle, walker.averages, acceptance)
    moved = Walker(
        *jax.tree.map(
            lambda new, old: jnp.where(taken, new, old),
            (z, value, slope, kept),
            (walker.z, walker.value, walker.slope, walker.kept),
        ),
        jnp.where(adapt, log_angle, walker.log_angle),
        jnp.where(adapt, averages, walker.averages),
        key,
    )
    return moved, Step(acceptance, -gain > DIVERGENCE)


def describe(point: Point, normal: jax.Array, target: Target, focus: Focus, *, layout: Layout) -> Kept:
    """What is kept of a point, its effects computed; normal (N,) are standard normal draws."""
    psi, outer, unit, eta = point
    own = own_effects(unit, outer, psi, normal, beliefs=target.beliefs, layout=layout)
    return Kept(psi, outer, unit, Drawn(own, *effects_on_treated(eta, own, outer, focus, layout=layout)))


def rotations(log_angle: jax.Array) -> jax.Array:
    """Rotations of a trajectory: about a quarter of a turn in all, at least two."""
    return jnp.clip(jnp.round(QUARTER_TURN * jnp.exp(-log_angle)), 2, MOST_ROTATIONS).astype(jnp.int32)


def _adapt(log_angle: jax.Array, averages: jax.Array, acceptance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of dual averaging (Hoffman and Gelman 2014, section 3.2) towards TARGET_ACCEPTANCE."""
    error, mean, t = averages
    weight = 1.0 / (t + 5.0)
    error = (1 - weight) * error + weight * (TARGET_ACCEPTANCE - acceptance)
    proposal = jnp.log(0.8) - jnp.sqrt(t) / 0.2 * error
    log_angle = jnp.clip(proposal, jnp.log(1e-3), jnp.log(LARGEST_ANGLE))
    eta = t**-0.75
    return log_angle, jnp.array([error, eta * log_angle + (1 - eta) * mean, t + 1.0])
