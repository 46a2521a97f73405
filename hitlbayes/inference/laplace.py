"""Laplace coordinates: an exact change of variables in which the posterior is nearly standard normal.

Write a state as (psi, o, u, delta): hyperparameters; outer parameters o (coefficients, levels of crossed
groups, cutpoints); unit blocks; unit-period shocks. At an anchor (a mode at rough scales) each row's log
likelihood is replaced by its quadratic, with slope, curvature q_r and cross-curvature w_r with the
cutpoints. The quadratic model is a Gaussian that can be solved from the inside out, for any psi:

    shocks   V_d = tau^2 / (1 + tau^2 Q_d),      delta_d = V_d (l_d - Q_d a_d'u) + sqrt(V_d) z_d
    units    K_i = I + L' J_i L = R R',          u_i = L [K_i^-1 L' l_i + R'^-1 z_i]
    outer    K   = P + S M S = R R',             o = m0 + S [K^-1 S (M (o* - m0) + g) + R'^-1 z_o]

with Q_d the curvature of shock d, J_i = sum_d a a' Q_d / (1 + tau^2 Q_d), l the pseudo-slopes, which move
with o and the cutpoints, L(psi) the block's factor, S(psi) the prior scales, P one where a prior is proper,
and M, g the curvature and slope of the outer parameters once units and shocks are eliminated at the anchor.
The hyperparameters are psi = psi* + C z_psi, C from the curvature of the log density along them at z = 0.

`log_density` is the log posterior at the image of z plus the log-Jacobian of the map: sampling z is exact
whatever the anchor; a good anchor only makes it fast. Each log scale of the Jacobian cancels against the
same term of the effect's prior, so a scale of zero is an ordinary point.
(Transport-map HMC: Osmundsen, Kleppe and Liesenfeld 2021.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference import linear
from hitlbayes.inference.eliminate import at_shock, by_unit, lift, project, reduce_outer, unit_system
from hitlbayes.inference.outer import solve_outer
from hitlbayes.inference.problem import (
    Beliefs,
    Hyper,
    Layout,
    Problem,
    cutpoint_logprior,
    cutpoints,
    hyper_logprior,
    outer_prior,
    split_outer,
    unpack_hyper,
)
from hitlbayes.spec.families import dataset_loglik, row_loglik, row_terms


class State(NamedTuple):
    """A point of the model: psi (k,), outer (m,), unit (N, q), shock (T, N)."""

    psi: jax.Array
    outer: jax.Array
    unit: jax.Array
    shock: jax.Array


class Anchor(NamedTuple):
    """Where the map was made: the quadratic model at a state.

    psi, root : (k,), (k, k) centre and factor of the hyperparameters
    outer, cut : (m,), (K-1,) outer parameters and cutpoints there
    outside : (R,) the linear predictor's part from the outer parameters there
    curvature, pseudo : (R,) of each row; pseudo is its slope as if unit and shock were zero
    cross : (K-1, R) cross-curvature with the cutpoints
    Q : (T, N) curvature by shock
    M, g : (m, m), (m,) of the outer parameters, units and shocks eliminated
    """

    psi: jax.Array
    root: jax.Array
    outer: jax.Array
    cut: jax.Array
    outside: jax.Array
    curvature: jax.Array
    pseudo: jax.Array
    cross: jax.Array
    Q: jax.Array
    M: jax.Array
    g: jax.Array


def outer_predictor(outer: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Part of the linear predictor that outer parameters make (R,)."""
    coef, levels, _ = split_outer(outer, layout)
    eta = problem.offset + sum(problem.X[p] * coef[p] for p in range(layout.n_coef))
    for effect, index, aligned in zip(levels, problem.groups, layout.aligned, strict=True):
        eta = eta + (effect[:, None] if aligned else effect[index])
    return eta


def inner_predictor(unit: jax.Array, shock: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Part of the linear predictor that units and shocks make (R,)."""
    return spread(at_shock(unit, problem, layout) + shock, problem)


def spread(by_shock: jax.Array, problem: Problem) -> jax.Array:
    """Values by shock (T, N) to rows (R,); an empty `problem.shock` says that rows are the shocks."""
    return by_shock.reshape(-1)[problem.shock] if problem.shock.shape[0] else by_shock


def gather(by_row: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Sum over the rows of each shock: (..., R) to (..., T, N)."""
    if not problem.shock.shape[0]:
        return by_row
    summed = jax.ops.segment_sum(by_row.T, problem.shock, layout.n_shocks, indices_are_sorted=True)
    return summed.T.reshape(*by_row.shape[:-1], layout.slots, layout.n_units)


def outer_design(problem: Problem, layout: Layout) -> jax.Array:
    """Covariates and the indicators of the crossed groups' levels (m - (K-1), R)."""
    parts = [problem.X]
    parts += [
        jax.nn.one_hot(i, n, axis=0, dtype=problem.X.dtype)
        for i, n in zip(problem.groups, layout.n_levels, strict=True)
    ]
    return jnp.concatenate(parts)


def make_anchor(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> Anchor:
    """Linearise the likelihood at a state and eliminate shocks and units from the outer system."""
    hyper = unpack_hyper(state.psi, layout, beliefs)
    free_cut = split_outer(state.outer, layout)[2]
    cut = cutpoints(free_cut)
    outside = outer_predictor(state.outer, problem, layout)
    inside = inner_predictor(state.unit, state.shock, problem, layout)
    slope, curvature, cross = row_terms(layout.family, outside + inside, problem.stats, cut, hyper.over)
    pseudo = slope + curvature * inside
    bend = jax.jacobian(cutpoints)(free_cut)
    X = outer_design(problem, layout)
    kappa = jnp.concatenate([curvature * X, -jnp.tensordot(bend.T, cross, 1)])
    to_cut = jax.grad(row_loglik, argnums=3)(layout.family, outside + inside, problem.stats, cut, hyper.over)
    curved, pull = _cutpoint_system(
        free_cut, cut, to_cut, hyper, problem=problem, beliefs=beliefs, layout=layout
    )
    X, crossing = X.reshape(len(X), pseudo.size), cross.reshape(layout.n_cut, pseudo.size)
    corner = bend.T @ (jnp.sum(crossing, axis=1)[:, None] * bend) + curved
    side = X @ kappa.reshape(len(kappa), pseudo.size).T
    M = jnp.concatenate([side, jnp.concatenate([side[:, len(X) :].T, corner], axis=1)], axis=0)
    g = jnp.concatenate([X @ pseudo.reshape(-1), pull - bend.T @ (crossing @ inside.reshape(-1))])
    Q = gather(curvature, problem, layout)
    units = unit_system(hyper, Q, problem, layout)
    less_M, less_g, _ = reduce_outer(
        gather(kappa, problem, layout),
        gather(pseudo, problem, layout),
        hyper,
        units,
        problem=problem,
        layout=layout,
    )
    root = jnp.eye(layout.n_hyper, dtype=state.psi.dtype)
    return Anchor(
        state.psi, root, state.outer, cut, outside, curvature, pseudo, cross, Q, M - less_M, g - less_g
    )


def _cutpoint_system(
    free: jax.Array,
    cut: jax.Array,
    to_cut: jax.Array,
    hyper: Hyper,
    *,
    problem: Problem,
    beliefs: Beliefs,
    layout: Layout,
) -> tuple[jax.Array, jax.Array]:
    """Curvature that the gaps, the prior and the bend of the cutpoints add, made positive, and the slope."""
    if not layout.n_cut:
        return jnp.zeros((0, 0), cut.dtype), jnp.zeros(0, cut.dtype)

    def terms(v: jax.Array) -> jax.Array:
        own = dataset_loglik(layout.family, problem.categories, problem.above, cutpoints(v), hyper.over)
        return own + cutpoint_logprior(v, beliefs.concentration) + to_cut @ cutpoints(v)

    values, vectors = jnp.linalg.eigh(-jax.hessian(terms)(free))
    return (vectors * jnp.maximum(values, 0.0)) @ vectors.T, jax.grad(terms)(free)


def place(
    z: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> tuple[State, jax.Array]:
    """The state at coordinates z, and the log prior of all effects plus the log-Jacobian of the map there."""
    k, m, n = layout.n_hyper, layout.n_outer, layout.n_units * layout.width
    z_psi, z_outer, z_unit, z_shock = z[:k], z[k : k + m], z[k + m : k + m + n], z[k + m + n :]
    psi = anchor.psi + anchor.root @ z_psi
    hyper = unpack_hyper(psi, layout, beliefs)
    outer, log_outer = _place_outer(z_outer, anchor, hyper, beliefs=beliefs, layout=layout)
    cut_moves = cutpoints(split_outer(outer, layout)[2]) - anchor.cut
    moved = outer_predictor(outer, problem, layout) - anchor.outside
    ell = gather(
        anchor.pseudo
        - anchor.curvature * moved
        + sum(anchor.cross[j] * cut_moves[j] for j in range(layout.n_cut)),
        problem,
        layout,
    )
    units = unit_system(hyper, anchor.Q, problem, layout)
    lin = project(units.factor, by_unit(problem.basis * (units.keep * ell)).T)
    standard = linear.solve_upper(
        units.low, linear.solve_lower(units.low, lin) + z_unit.reshape(layout.n_units, layout.width)
    )
    unit = lift(units.factor, standard)
    log_unit = -0.5 * jnp.sum(standard**2) - linear.log_determinant(units.low)
    if not layout.has_shock:
        return State(psi, outer, unit, jnp.zeros(units.keep.shape, z.dtype)), log_outer + log_unit
    rest = ell - anchor.Q * at_shock(unit, problem, layout)
    shock = hyper.shock * units.keep * rest + jnp.sqrt(units.keep) * z_shock.reshape(units.keep.shape)
    log_shock = -0.5 * jnp.sum(shock**2) + 0.5 * jnp.sum(jnp.log(units.keep))
    return State(psi, outer, unit, hyper.shock * shock), log_outer + log_unit + log_shock


def _place_outer(
    z: jax.Array, anchor: Anchor, hyper: Hyper, *, beliefs: Beliefs, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Outer parameters (m,) at coordinates z, their log prior (cutpoints apart) plus log-Jacobian."""
    loc, scale, proper = outer_prior(hyper, beliefs, layout)
    pull = anchor.M @ (anchor.outer - loc) + anchor.g
    standard, log_det = solve_outer(scale, z, anchor.M, pull, proper)
    return loc + scale * standard, -0.5 * jnp.sum(proper * standard**2) - log_det


def log_likelihood(state: State, problem: Problem, beliefs: Beliefs, *, layout: Layout) -> jax.Array:
    """Log likelihood of the collapsed data at a state, constants left out."""
    hyper = unpack_hyper(state.psi, layout, beliefs)
    cut = cutpoints(split_outer(state.outer, layout)[2])
    eta = outer_predictor(state.outer, problem, layout) + inner_predictor(
        state.unit, state.shock, problem, layout
    )
    rows = row_loglik(layout.family, eta, problem.stats, cut, hyper.over)
    return rows + dataset_loglik(layout.family, problem.categories, problem.above, cut, hyper.over)


def log_density(
    z: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> jax.Array:
    """Log posterior density of coordinates z (n,), up to a constant."""
    return density_and_state(z, anchor, problem, beliefs, layout=layout)[0]


def density_and_state(
    z: jax.Array, anchor: Anchor, problem: Problem, beliefs: Beliefs, *, layout: Layout
) -> tuple[jax.Array, State]:
    """`log_density` and the state at which it was evaluated."""
    state, log_effects = place(z, anchor, problem, beliefs, layout=layout)
    value = log_likelihood(state, problem, beliefs, layout=layout) + log_effects
    value = value + hyper_logprior(state.psi, layout, beliefs)
    if layout.n_cut:
        value = value + cutpoint_logprior(split_outer(state.outer, layout)[2], beliefs.concentration)
    return value, state
