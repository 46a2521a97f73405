"""Draws of a mixed model's posterior in Laplace coordinates, a trajectory each.

Trajectories are those of `hitlbayes.inference.trajectory`; scales stay positive between walls at zero.
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
from hitlbayes.inference.expansion import Anchor
from hitlbayes.inference.glide import walls_at_zero
from hitlbayes.inference.laplace import Coordinates, Point, density_and_point, split
from hitlbayes.inference.normals import normals
from hitlbayes.inference.precision import narrowed, with_narrow
from hitlbayes.inference.problem import Beliefs, Layout, Problem
from hitlbayes.inference.surrogate import Surrogate
from hitlbayes.inference.trajectory import TURN, afresh, ended, jittered, rotations, travel


class Target(NamedTuple):
    """What is sampled, the arguments of `log_density` after the position, and how trajectories are made.

    surrogate : by which slopes are guessed; turn : () radians that a trajectory makes up
    """

    anchor: Anchor
    problem: Problem
    beliefs: Beliefs
    surrogate: Surrogate
    turn: np.ndarray | jax.Array = np.array(TURN)


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
    large = ("eta", "inside", "at", "counts", "curvature", "pseudo", "cross", "Q")
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
    flat = jax.tree.map(jnp.zeros_like, z)
    return Walker(z, jnp.full((), -jnp.inf, wide), flat, kept, log_angle, afresh(log_angle), key)


def upright(z: Coordinates, target: Target, *, layout: Layout) -> Coordinates:
    """Coordinates with those of the free scales that are negative turned positive."""
    n, anchor, beliefs = layout.n_scales, target.anchor, target.beliefs
    psi = anchor.psi + anchor.root @ z.psi
    scales = jnp.where(jnp.isnan(beliefs.fixed[:n]), jnp.abs(psi[:n]), psi[:n])
    return z._replace(psi=jnp.linalg.solve(anchor.root, jnp.concatenate([scales, psi[n:]]) - anchor.psi))


def draw(
    walker: Walker, target: Target, focus: Focus, *, layout: Layout, adapt: jax.Array
) -> tuple[Walker, Step]:
    """Move a chain by one trajectory and, while adapting, its angle by one step of dual averaging."""
    key, k_momentum, k_own, k_uniform = jax.random.split(walker.key, 4)
    uniform = jax.random.uniform(k_uniform, (2,))
    anchor = target.anchor
    reached = travel(
        walker.z,
        momentum=standard_normal(k_momentum, target, layout=layout),
        slope=walker.slope,
        value=walker.value,
        beside=Point(*walker.kept[:3], jnp.zeros_like(anchor.eta)),
        angle=jittered(walker.log_angle, uniform[0], value=walker.value),
        count=rotations(walker.log_angle, turn=target.turn),
        surrogate=target.surrogate,
        walls=walls_at_zero(anchor.psi, anchor.root, target.beliefs, layout=layout),
        found_at=partial(density_and_slope, target=target, layout=layout),
    )
    end = ended(
        reached, uniform=uniform[1], log_angle=walker.log_angle, averages=walker.averages, adapt=adapt
    )
    own = normals(k_own, layout.n_units).astype(target.problem.X.dtype)
    kept = describe(reached.beside, own, target, focus, layout=layout)
    z, value, slope, kept = jax.tree.map(
        lambda new, old: jnp.where(end.taken, new, old),
        (reached.z, reached.value, reached.slope, kept),
        (walker.z, walker.value, walker.slope, walker.kept),
    )
    return Walker(z, value, slope, kept, end.log_angle, end.averages, key), Step(end.acceptance, end.diverged)


def describe(point: Point, normal: jax.Array, target: Target, focus: Focus, *, layout: Layout) -> Kept:
    """What is kept of a point, its effects computed; normal (N,) are standard normal draws."""
    psi, outer, unit, eta = point
    own = own_effects(unit, outer, psi, normal, beliefs=target.beliefs, layout=layout)
    return Kept(psi, outer, unit, Drawn(own, *effects_on_treated(eta, own, outer, focus, layout=layout)))
