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

from hitlbayes.spec.families import log1mexp

SHOCK_NODES = 11
BLOCK_NODES = 7
NEWTON = 6


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
    arrays = jax.tree.map(jnp.asarray, data._replace(stats=data.stats.astype(float)))
    n_shocks, n_units = len(data.shock_unit), len(data.unit_class)
    made = _by_draw(
        *map(jnp.asarray, (outer, factor, cut, shock)),
        arrays,
        family=family,
        n_shocks=n_shocks,
        n_units=n_units,
        nodes=SHOCK_NODES if with_shock else 1,
    )
    return np.asarray(made)


@partial(jax.jit, static_argnames=("family", "n_shocks", "n_units", "nodes"))
def _by_draw(outer, factor, cut, shock, data: UnitData, *, family, n_shocks, n_units, nodes):
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    log_w = jnp.asarray(np.log(w / w.sum()))
    x, v = np.polynomial.hermite_e.hermegauss(BLOCK_NODES)
    q = data.basis.shape[1]
    grid = np.stack(np.meshgrid(*[x] * q, indexing="ij"), axis=-1).reshape(-1, q)
    weights = np.prod(np.stack(np.meshgrid(*[v / v.sum()] * q, indexing="ij"), axis=-1), axis=-1).ravel()

    def one(args):
        eta0, L, c, tau = args
        L = L[data.unit_class]

        def loglik(e):
            """Log likelihood of each unit (N,) at standardised blocks e (N, q), shocks integrated."""
            block = jnp.einsum("nij,nj->ni", L, e)[data.shock_unit]
            at = jnp.sum(block * data.basis, axis=1)[data.shock] + eta0
            rows = row_loglik(family, at[:, None] + tau * z, data.stats, c)
            by_shock = jax.ops.segment_sum(rows, data.shock, n_shocks)
            by_shock = jax.scipy.special.logsumexp(by_shock + log_w, axis=1)
            return jax.ops.segment_sum(by_shock, data.shock_unit, n_units)

        def density(e):
            return loglik(e) - 0.5 * jnp.sum(e**2, axis=1)

        slope = jax.grad(lambda e: jnp.sum(density(e)))

        def curvature(e):
            columns = [jax.jvp(slope, (e,), (jnp.zeros_like(e).at[:, j].set(1.0),))[1] for j in range(q)]
            return -jnp.stack(columns, axis=2)

        def newton(e, _):
            g, H = slope(e), curvature(e)
            step = jnp.linalg.solve(H + 1e-9 * jnp.eye(q), g[..., None])[..., 0]
            return e + jnp.clip(step, -2.0, 2.0), None

        e, _ = jax.lax.scan(newton, jnp.zeros((n_units, q)), None, length=NEWTON)
        # Any root is exact in the limit of many nodes; where there is no curvature yet, the prior's serves.
        root = jnp.linalg.cholesky(curvature(e))
        root = jnp.where(jnp.isnan(root), jnp.eye(q), root)
        log_det = jnp.sum(jnp.log(jnp.diagonal(root, axis1=1, axis2=2)), axis=1)

        def at_node(args):
            node, weight = args
            moved = jax.scipy.linalg.solve_triangular(
                root, jnp.broadcast_to(node, e.shape)[..., None], lower=True, trans=1
            )
            value = density(e + moved[..., 0])
            return value + jnp.log(weight) + 0.5 * jnp.sum(node**2)

        values = jax.lax.map(at_node, (jnp.asarray(grid), jnp.asarray(weights)))
        return jax.scipy.special.logsumexp(values, axis=0) - log_det

    return jax.lax.map(one, (outer, factor, cut, shock))


def row_loglik(family: str, eta: jax.Array, stats: jax.Array, cut: jax.Array) -> jax.Array:
    """Log likelihood of each row (R, Q) at eta (R, Q); constants of the outcome (count!) left out."""
    if family == "ordinal":
        counts = stats
        both, upper = counts[:-1] + counts[1:], counts[1:]
        above = eta[None] - cut[:, None, None]
        made = jnp.sum(upper[..., None] * above - both[..., None] * jax.nn.softplus(above), axis=0)
        return made + (counts[1:-1].T @ log1mexp(jnp.diff(cut)))[:, None]
    n, total = stats
    if family == "bernoulli":
        return total[:, None] * eta - n[:, None] * jax.nn.softplus(eta)
    return total[:, None] * eta - n[:, None] * jnp.exp(eta)


def _summing(code: np.ndarray) -> csr_array:
    return csr_array((np.ones(len(code)), (code, np.arange(len(code)))), shape=(code.max() + 1, len(code)))


def _sum(matrix: csr_array, values: np.ndarray) -> np.ndarray:
    return np.asarray((matrix @ values.T).T)
