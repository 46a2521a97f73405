"""The quadratic model at a state: what Laplace coordinates are made of (`hitlbayes.inference.laplace`).

Each row's log likelihood is replaced by its quadratic, with slope, curvature q_r and cross-curvature w_r with
the cutpoints; shocks and units are then eliminated from the system of the outer parameters.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hitlbayes.inference.eliminate import reduce_outer, unit_system
from hitlbayes.inference.hyper import Hyper, unpack_hyper
from hitlbayes.inference.outer import OuterSystem, make_system
from hitlbayes.inference.problem import (
    Array,
    Beliefs,
    Layout,
    Problem,
    cutpoint_logprior,
    cutpoints,
    split_outer,
)
from hitlbayes.inference.rows import anchored, counted
from hitlbayes.inference.shocks import at_columns, gather, level_at, spread
from hitlbayes.spec.families import dataset_loglik, row_loglik, row_terms


class State(NamedTuple):
    """A point of the model: psi (k,), outer (m,), unit (N, q), shock (T, C)."""

    psi: Array
    outer: Array
    unit: Array
    shock: Array


class Anchor(NamedTuple):
    """Where the map was made: the quadratic model at a state.

    psi, root : (k,), (k, k) centre and factor of the hyperparameters
    outer, cut : (m,), (K-1,) outer parameters and cutpoints there
    eta, inside : (R,), (T, C) the linear predictor there, and its part from units and shocks
    at : (J, R) the rows' likelihood there (`hitlbayes.inference.rows.anchored`)
    counts, above : (J + 1, R), (K-1,) what it reads of the data (`hitlbayes.inference.rows.counted`)
    curvature, pseudo : (R,) of each row; pseudo is its slope as if unit and shock were zero
    cross : (K-1, R) cross-curvature with the cutpoints
    Q : (T, C) curvature by shock
    M, g : (m, m), (m,) of the outer parameters, units and shocks eliminated
    system : M made ready for any scales
    """

    psi: Array
    root: Array
    outer: Array
    cut: Array
    eta: Array
    inside: Array
    at: Array
    counts: Array
    above: Array
    curvature: Array
    pseudo: Array
    cross: Array
    Q: Array
    M: Array
    g: Array
    system: OuterSystem


def outer_predictor(outer: jax.Array, problem: Problem, layout: Layout) -> jax.Array:
    """Part of the linear predictor that outer parameters make (R,), in the precision of the data."""
    coef, levels, _ = split_outer(outer.astype(problem.X.dtype), layout)
    eta = (coef @ problem.X.reshape(layout.n_coef, -1)).reshape(problem.offset.shape)
    for effect, index, aligned in zip(levels, problem.groups, layout.aligned, strict=True):
        eta = eta + (effect[:, None] if aligned else effect[index])
    return eta


def predictor(state: State, problem: Problem, layout: Layout) -> jax.Array:
    """Linear predictor of every row (R,) at a state."""
    inner = _inside(state, problem)
    return problem.offset + outer_predictor(state.outer, problem, layout) + spread(inner, problem.shock)


def _inside(state: State, problem: Problem) -> jax.Array:
    """Unit and shock parts of the linear predictor (T, C) at a state."""
    return level_at(at_columns(tuple(state.unit.T), problem.column), problem.basis) + state.shock


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
    cut = cutpoints(free_cut, layout.middle)
    inner = _inside(state, problem)
    inside = spread(inner, problem.shock)
    eta = predictor(state, problem, layout)
    slope, curvature, cross = row_terms(layout.family, eta, problem.stats, cut, hyper.over)
    pseudo = slope + curvature * inside
    bend = jax.jacobian(partial(cutpoints, middle=layout.middle))(free_cut)
    X = outer_design(problem, layout)
    kappa = jnp.concatenate([curvature * X, -jnp.tensordot(bend.T, cross, 1)])
    to_cut = jax.grad(row_loglik, argnums=3)(layout.family, eta, problem.stats, cut, hyper.over)
    curved, pull = _cutpoint_system(
        free_cut, cut, to_cut, hyper, problem=problem, beliefs=beliefs, layout=layout
    )
    X, crossing = X.reshape(len(X), pseudo.size), cross.reshape(layout.n_cut, pseudo.size)
    corner = bend.T @ (jnp.sum(crossing, axis=1)[:, None] * bend) + curved
    side = X @ kappa.reshape(len(kappa), pseudo.size).T
    M = jnp.concatenate([side, jnp.concatenate([side[:, len(X) :].T, corner], axis=1)], axis=0)
    g = jnp.concatenate([X @ pseudo.reshape(-1), pull - bend.T @ (crossing @ inside.reshape(-1))])
    shape = (layout.slots, layout.columns)
    Q = gather(curvature, problem.shock, shape)
    units = unit_system(
        hyper, Q, basis=problem.basis, unit_class=problem.unit_class, column=problem.column, layout=layout
    )
    less_M, less_g = reduce_outer(
        gather(kappa, problem.shock, shape),
        gather(pseudo, problem.shock, shape),
        hyper,
        units,
        problem=problem,
        layout=layout,
    )
    root = jnp.eye(layout.n_hyper, dtype=state.psi.dtype)
    return Anchor(
        state.psi,
        root,
        state.outer,
        cut,
        eta,
        inner,
        anchored(layout.family, eta, cut),
        *counted(layout.family, problem.stats),
        curvature,
        pseudo,
        cross,
        Q,
        M - less_M,
        g - less_g,
        make_system(M - less_M, layout=layout),
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
        moved = cutpoints(v, layout.middle)
        own = dataset_loglik(layout.family, problem.categories, problem.above, moved, hyper.over)
        return own + cutpoint_logprior(v, beliefs.concentration, layout.middle) + to_cut @ moved

    values, vectors = jnp.linalg.eigh(-jax.hessian(terms)(free))
    return (vectors * jnp.maximum(values, 0.0)) @ vectors.T, jax.grad(terms)(free)
