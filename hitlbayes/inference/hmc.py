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
from hitlbayes.inference.laplace import Anchor, Point, density_and_point, join, split
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

    z : (n,) position; value : () log density there; slope : (n,) gradient of -R; kept : what is kept of it
    log_angle : () of the rotation, in radians; averages : (3,) state of dual averaging; key : random key
    """

    z: jax.Array
    value: jax.Array
    slope: jax.Array
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
    z: jax.Array, target: Target, *, layout: Layout
) -> tuple[tuple[jax.Array, Point], jax.Array]:
    """Log density and the point at z (n,), and the gradient (n,) of -R."""
    both = jax.value_and_grad(partial(density_and_point, layout=layout), has_aux=True)
    found, slope = both(split(z, layout), target.anchor, target.problem, target.beliefs)
    return found, join(slope) + z


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
    z = upright(jax.random.normal(first, (layout.n_latent,), narrow), target, layout=layout)
    N, steps = layout.n_units, max(layout.n_cut, 1)
    drawn = Drawn(jnp.zeros(N, narrow), jnp.zeros((2, steps), narrow), jnp.zeros(N, narrow))
    unit = jnp.zeros((N, layout.width), narrow)
    kept = Kept(jnp.zeros_like(target.anchor.psi), jnp.zeros_like(target.anchor.outer), unit, drawn)
    averages = jnp.stack([jnp.zeros_like(log_angle), log_angle, jnp.ones_like(log_angle)])
    return Walker(z, jnp.full((), -jnp.inf, wide), jnp.zeros_like(z), kept, log_angle, averages, key)


def upright(z: jax.Array, target: Target, *, layout: Layout) -> jax.Array:
    """Coordinates z (n,) with those of the free scales that are negative turned positive."""
    k, n, (anchor, _, beliefs, _) = layout.n_hyper, layout.n_scales, target
    psi = anchor.psi + anchor.root @ z[:k].astype(anchor.psi.dtype)
    scales = jnp.where(jnp.isnan(beliefs.fixed[:n]), jnp.abs(psi[:n]), psi[:n])
    few = jnp.linalg.solve(anchor.root, jnp.concatenate([scales, psi[n:]]) - anchor.psi)
    return jnp.concatenate([few.astype(z.dtype), z[k:]])


def draw(
    walker: Walker, target: Target, focus: Focus, *, layout: Layout, adapt: jax.Array
) -> tuple[Walker, Step]:
    """Move a chain by one trajectory and, while adapting, its angle by one step of dual averaging."""
    key, k_normal, k_uniform = jax.random.split(walker.key, 3)
    n, dtype = walker.z.size, walker.z.dtype
    normal = normals(k_normal, n + layout.n_units).astype(dtype)
    momentum, uniform = normal[:n], jax.random.uniform(k_uniform, (2,))
    angle = jnp.exp(walker.log_angle) * (SHORTEST + (LONGEST - SHORTEST) * uniform[0])
    # A chain that has just begun stays where it is, and learns its density and slope there.
    angle = jnp.where(jnp.isfinite(walker.value), angle, 0.0)
    count = rotations(walker.log_angle)
    turns, kicks = (angle * count * jnp.asarray(table)[count] for table in (GAPS, WEIGHTS))
    # Kept apart, or the compiler computes the cosine anew for every element.
    cosines, sines, kicks = jax.lax.optimization_barrier((jnp.cos(turns), jnp.sin(turns), kicks))
    k, anchor = layout.n_hyper, target.anchor
    walls = walls_at_zero(anchor.psi, anchor.root, target.beliefs, layout=layout)
    surrogate = target.surrogate

    def kicked(p: jax.Array, slope: jax.Array, guess: jax.Array, kick: jax.Array) -> jax.Array:
        return (p + kick.astype(dtype) * slope).at[:k].add(-(kick * guess).astype(dtype))

    def turn(i: jax.Array, at: tuple) -> tuple:
        z, p, guess = at[:3]
        few = Few(*(a[:k].astype(turns.dtype) for a in (z, p)), guess)
        few = glide(few, turns[i], walls=walls, surrogate=surrogate)
        c, s = cosines[i].astype(dtype), sines[i].astype(dtype)
        # All are turned, then the few are put in place: joined, they would be slow to loop over.
        many = c * z + s * p, c * p - s * z
        z, p = (b.at[:k].set(a.astype(dtype)) for a, b in zip(few[:2], many, strict=True))
        (value, point), slope = density_and_slope(z, target, layout=layout)
        return z, kicked(p, slope, few.slope, kicks[i + 1]), few.slope, slope, value, point

    begin = Point(*walker.kept[:3], jnp.zeros_like(anchor.eta))
    guess = slope_at(surrogate, walker.z[:k].astype(kicks.dtype))
    p = kicked(momentum, walker.slope, guess, kicks[0])
    at = (walker.z, p, guess, walker.slope, jnp.zeros_like(walker.value), begin)
    z, p, _, slope, value, point = jax.lax.fori_loop(0, count, turn, at)
    gain = value - walker.value - 0.5 * total(p**2 - momentum**2)
    gain = jnp.where(jnp.isfinite(value) & jnp.all(jnp.isfinite(slope)), gain, -jnp.inf)
    acceptance = jnp.minimum(1.0, jnp.exp(gain))
    taken = uniform[1] < acceptance
    kept = describe(point, normal[n:], target, focus, layout=layout)
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
