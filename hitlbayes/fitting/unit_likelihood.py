"""Likelihood of each unit's data with its own effects and shocks integrated out.

Given a draw of what units share (coefficients, periods, scales, cutpoints), a unit's data are independent of
the others'. Its own block and its shocks are integrated: in closed form where the outcome is Gaussian; by
quadrature over each shock inside a quadrature over the block, about the block's own mode, elsewhere.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from hitlbayes.inference.precision import narrowed
from hitlbayes.inference.runtime import SMALL, quick_jit
from hitlbayes.inference.shocks import spread
from hitlbayes.spec.families import FAR, log1mexp

SHOCK_NODES = 11
BLOCK_NODES = 5
NEWTON, SETTLED = 6, 1e-3  # steps at most, and a step so short that the next is a millionth


class UnitData(NamedTuple):
    """A model's cells by row, shock and unit.

    stats : (S, R) ordinal: counts of categories; bernoulli, count: n, total; Gaussian: n, mean, squares
    shock : (R,) shock of each row; shock_unit : (D,) unit of each shock; basis : (D, q)
    unit_class : (N,) which factor applies; phase : (R,) which residual SD
    """

    stats: np.ndarray
    shock: np.ndarray
    shock_unit: np.ndarray
    basis: np.ndarray
    unit_class: np.ndarray
    phase: np.ndarray


def gaussian_unit_loglik(
    data: UnitData,
    outer: np.ndarray,
    factor: np.ndarray,
    sigma: np.ndarray,
    shock: np.ndarray,
    *,
    is_precision: bool,
) -> np.ndarray:
    """Log likelihood of each unit (B, N), for B draws.

    Parameters
    ----------
    outer : (B, R) part of the mean that units share
    factor : (B, classes, q, q) of the unit's block; sigma (B, phases); shock (B,) SD of shocks
    is_precision : n is a weight of one observation, not a number of them
    """
    n, mean, squares = data.stats
    variance = sigma[:, data.phase] ** 2 / n
    residual = mean - outer
    by_shock, by_unit = _summing(data.shock), _summing(data.shock_unit)
    q_row = 1.0 / variance
    Q, h = _sum(by_shock, q_row), _sum(by_shock, q_row * residual)
    tau2 = shock[:, None] ** 2
    keep = 1.0 / (1.0 + tau2 * Q)
    row = -0.5 * (np.log(2 * np.pi * variance) + q_row * residual**2)
    if not is_precision:
        s2 = variance * n
        row += -0.5 * ((n - 1) * np.log(2 * np.pi * s2) + np.log(n) + squares / s2)
    total = _sum(by_unit, _sum(by_shock, row) + 0.5 * np.log(keep) + 0.5 * tau2 * keep * h**2)
    q = data.basis.shape[1]
    L = factor[:, data.unit_class]
    lin = np.stack([_sum(by_unit, keep * h * data.basis[:, i]) for i in range(q)], axis=-1)
    J = np.empty((*lin.shape, q))
    for i in range(q):
        for j in range(q):
            J[..., i, j] = _sum(by_unit, keep * Q * data.basis[:, i] * data.basis[:, j])
    K = np.eye(q) + np.swapaxes(L, -1, -2) @ J @ L
    half = (np.swapaxes(L, -1, -2) @ lin[..., None])[..., 0]
    explained = np.sum(half * np.linalg.solve(K, half[..., None])[..., 0], axis=-1)
    return total + 0.5 * explained - 0.5 * np.linalg.slogdet(K)[1]


def unit_loglik(
    family: str,
    data: UnitData,
    outer: np.ndarray,
    factor: np.ndarray,
    cut: np.ndarray,
    shock: np.ndarray,
) -> np.ndarray:
    """Log likelihood of each unit (B, N) by quadrature, for B draws; Bernoulli, ordinal or Poisson.

    Parameters
    ----------
    outer : (B, R) part of the linear predictor that units share
    factor : (B, classes, q, q); cut (B, K - 1), empty but for ordinal outcomes; shock (B,)
    """
    with_shock = bool(np.any(shock > 0))
    n_shocks, n_units = len(data.shock_unit), len(data.unit_class)
    if np.array_equal(data.shock, np.arange(n_shocks)):  # rows are the shocks
        data = data._replace(shock=data.shock[:0])
    # In single precision: a worker's log likelihood is then known to a ten-thousandth.
    made = _by_draw(
        *narrowed((outer, factor, cut, shock, data)),
        family=family,
        n_shocks=n_shocks,
        n_units=n_units,
        nodes=SHOCK_NODES if with_shock else 1,
    )
    return np.asarray(made, float)


class Rule(NamedTuple):
    """Nodes and log weights of Gauss-Hermite quadrature: of shocks (Q,); of blocks (B, q) and (B,)."""

    shocks: np.ndarray
    log_shocks: np.ndarray
    blocks: np.ndarray
    log_blocks: np.ndarray


def _rule(nodes: int, *, q: int) -> Rule:
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    x, v = np.polynomial.hermite_e.hermegauss(BLOCK_NODES)
    grid = np.stack(np.meshgrid(*[x] * q, indexing="ij"), axis=-1).reshape(-1, q)
    weights = np.prod(np.stack(np.meshgrid(*[v / v.sum()] * q, indexing="ij"), axis=-1), axis=-1).ravel()
    return Rule(z, np.log(w / w.sum()), grid, np.log(weights))


@partial(quick_jit, static_argnames=("family", "n_shocks", "n_units", "nodes"), options=SMALL)
def _by_draw(outer, factor, cut, shock, data: UnitData, *, family, n_shocks, n_units, nodes):
    q = data.basis.shape[1]
    rule = narrowed(_rule(nodes, q=q))

    def one(near, draw):
        """Modes of the blocks, found from those of the draw before, and log likelihoods."""
        eta, L, c, tau = draw

        def by_shock(block):
            """Log likelihood (D,) of each shock's rows, integrated over it, at the block's part of eta."""
            at = spread(block, data.shock) + eta
            rows = row_loglik(family, at, tau * rule.shocks, data.stats, c)
            if data.shock.shape[0]:
                rows = jax.vmap(lambda of_node: jax.ops.segment_sum(of_node, data.shock, n_shocks))(rows)
            return jax.scipy.special.logsumexp(rows + rule.log_shocks[:, None], axis=0)

        return _over_blocks(near, L[data.unit_class], data, by_shock=by_shock, rule=rule, n_units=n_units)

    return jax.lax.scan(one, jnp.zeros((n_units, q), outer.dtype), (outer, factor, cut, shock))[1]


def _over_blocks(near, L, data: UnitData, *, by_shock, rule: Rule, n_units: int):
    """Modes (N, q) of standardised blocks, searched from `near`; log likelihoods (N,) integrated over them.

    L : (N, q, q) factors of the blocks; by_shock : log likelihood of each shock at the block's part of eta
    """
    sums = partial(jax.ops.segment_sum, segment_ids=data.shock_unit, num_segments=n_units)

    def block_at(e):
        return jnp.sum(jnp.einsum("nij,nj->ni", L, e)[data.shock_unit] * data.basis, axis=1)

    def slope_and_curvature(e):
        block = block_at(e)
        ones = jnp.ones_like(block)
        first, second = jax.jvp(lambda b: jax.jvp(by_shock, (b,), (ones,))[1], (block,), (ones,))
        slope = jnp.einsum("nji,nj->ni", L, sums(first[:, None] * data.basis)) - e
        bend = sums(-second[:, None, None] * data.basis[:, :, None] * data.basis[:, None, :])
        return slope, jnp.eye(L.shape[-1], dtype=L.dtype) + jnp.einsum("nki,nkl,nlj->nij", L, bend, L)

    e, root = _mode(near, slope_and_curvature)

    def at_node(args):
        node, log_weight = args
        nodes = jnp.broadcast_to(node, e.shape)[..., None]
        moved = e + jax.scipy.linalg.solve_triangular(root, nodes, lower=True, trans=1)[..., 0]
        density = sums(by_shock(block_at(moved))) - 0.5 * jnp.sum(moved**2, axis=1)
        return density + log_weight + 0.5 * jnp.sum(node**2)

    values = jax.lax.map(at_node, (rule.blocks, rule.log_blocks))
    log_det = jnp.sum(jnp.log(jnp.diagonal(root, axis1=1, axis2=2)), axis=1)
    return e, jax.scipy.special.logsumexp(values, axis=0) - log_det


def _mode(near, slope_and_curvature):
    """Where each unit's density is largest (N, q), by Newton's steps, and the root of its curvature there."""
    eye = jnp.eye(near.shape[-1], dtype=near.dtype)

    def newton(at):
        e, _, done = at
        g, H = slope_and_curvature(e)
        step = jnp.linalg.solve(H + 1e-9 * eye, g[..., None])[..., 0]
        # A unit whose step cannot be computed stays, and holds no other one up.
        step = jnp.clip(jnp.nan_to_num(step), -2.0, 2.0)
        return e + step, jnp.max(jnp.abs(step)), done + 1

    far = lambda at: (at[1] > SETTLED) & (at[2] < NEWTON)  # noqa: E731
    e, *_ = jax.lax.while_loop(far, newton, (near, jnp.asarray(jnp.inf, near.dtype), 0))
    # Any root is exact in the limit of many nodes; where there is no curvature yet, the prior's serves.
    root = jnp.linalg.cholesky(slope_and_curvature(e)[1])
    return e, jnp.where(jnp.isnan(root), eye, root)


def row_loglik(family: str, at: jax.Array, moves: jax.Array, stats: jax.Array, cut: jax.Array) -> jax.Array:
    """Log likelihood of each row at eta = at (R,) + moves (Q,): (Q, R); constants of the data are left out.

    Odds are products, odds(at) times odds(move): one logarithm a cutpoint, no exponential, at each node.
    """
    # The same in odds and in eta; single precision still has the product of odds.
    at, moves = (jnp.clip(one, -FAR / 2, FAR / 2) for one in (at, moves))
    rows, nodes, eta = jnp.exp(at), jnp.exp(moves)[:, None], at + moves[:, None]
    if family == "count":
        n, total = stats
        return total * eta - n * rows * nodes
    if family == "ordinal":
        upper, both, constant = stats[1:], stats[:-1] + stats[1:], stats[1:-1].T @ log1mexp(jnp.diff(cut))
    else:
        upper, both, cut, constant = stats[1:], stats[:1], jnp.zeros(1, at.dtype), jnp.zeros((), at.dtype)
    made = jnp.sum(upper, axis=0) * eta + (constant - upper.T @ cut)
    for k in range(len(cut)):
        made -= both[k] * jnp.log(1.0 + rows * (nodes * jnp.exp(-cut[k])))
    return made


def _summing(code: np.ndarray) -> csr_array:
    return csr_array((np.ones(len(code)), (code, np.arange(len(code)))), shape=(code.max() + 1, len(code)))


def _sum(matrix: csr_array, values: np.ndarray) -> np.ndarray:
    return np.asarray((matrix @ values.T).T)
