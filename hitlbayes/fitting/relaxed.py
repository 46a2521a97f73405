"""Partial proportional odds: an ordinal model whose treatment moves every cutpoint by an amount of its own.

    P(y <= j) = sigma(u_j),    u_j = c_j - gamma_j D - x'b - (unit, period, shock),

the cumulative logit of `hitlbayes.spec.families` where all gamma_j agree. Given the scales of the random
effects the log posterior is concave, so Newton steps find its mode, and its curvature there is the spread:
a Laplace approximation, mixed over draws of the scales. Shocks are eliminated first, for each touches one
cell; what is left is dense in units, periods and coefficients. (Peterson and Harrell 1990,
doi:10.2307/2347760; concavity: Pratt 1981, doi:10.1080/01621459.1981.10477613.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, hstack
from scipy.special import expit

from hitlbayes.errors import FitError
from hitlbayes.fitting.arrays import shock_codes
from hitlbayes.fitting.model import Model
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.runtime import session

STEPS = 60
TOLERANCE = 1e-8
FLOOR = 1e-3  # scales below it, on the logit, are as good as zero
START_GAP = 0.05


class Relaxed(NamedTuple):
    """A Gaussian about the mode, shocks integrated out; parameters are cutpoints, gammas, then the rest.

    mode (m,), low (m, m) : its mean, and the lower Cholesky factor of its precision
    shocks (S,) : their mode
    """

    mode: np.ndarray
    low: np.ndarray
    shocks: np.ndarray


class Rows(NamedTuple):
    """The data: counts (R, K), treated now (R,), the rest of the predictor: inner (R, q), shock (R, S)."""

    counts: np.ndarray
    treated: np.ndarray
    inner: csr_array
    shock: csr_array


def relaxed_rows(model: Model) -> Rows:
    """A model's cells as sparse columns: coefficients but the treatment's, crossed groups, unit blocks."""
    structure, rows = model.structure, np.arange(len(model.cells.n))
    unit, width = structure.unit.codes, len(BLOCKS[structure.block].components)
    parts = [csr_array(model.design.X[:, 1:])]
    for group in structure.groups:
        shape = (len(rows), len(group.labels))
        parts.append(csr_array((np.ones(len(rows)), (rows, group.codes)), shape=shape))
    for j in range(width):
        shape = (len(rows), len(structure.unit.labels))
        parts.append(csr_array((structure.basis[:, j], (rows, unit)), shape=shape))
    code = shock_codes(structure)[0]
    shock = csr_array((np.ones(len(rows)), (rows, code)), shape=(len(rows), code.max() + 1))
    if structure.period is None:
        shock = csr_array((len(rows), 0))
    return Rows(model.cells.stats, structure.exposure, csr_array(hstack(parts)), shock)


def relaxed_precision(model: Model, scales: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Prior precision of gammas and the rest (p, p), the cutpoints' being zero, and of a shock ().

    `scales` are one draw of the standard deviations and correlations, by name.
    """
    structure, cut = model.structure, len(model.cells.labels) - 1
    at = {name: max(value, FLOOR) if name.startswith("sd_") else value for name, value in scales.items()}
    block = BLOCKS[structure.block]
    sd = np.array([at[f"sd_{name}"] for name in block.scales])
    rho = np.array([at[f"rho_{name}"] for name in block.correlations])
    with session():
        factor = np.asarray(block.factor(jnp.asarray(sd), jnp.asarray(rho)))[structure.unit_class]
    units = np.linalg.inv(factor @ np.swapaxes(factor, 1, 2))
    diagonal = [1.0 / model.beliefs.coef_sd[1:] ** 2]
    diagonal += [np.full(len(g.labels), at[f"sd_{g.name}"] ** -2.0) for g in structure.groups]
    flat = np.concatenate(diagonal)
    n, width = units.shape[0], units.shape[1]
    size = 2 * cut + len(flat) + width * n
    made = np.zeros((size, size))
    spread = float(model.beliefs.coef_sd[0]) ** 2
    made[cut : 2 * cut, cut : 2 * cut] = np.linalg.inv(spread * (np.ones((cut, cut)) + np.eye(cut)))
    start = 2 * cut + len(flat)
    made[np.arange(2 * cut, start), np.arange(2 * cut, start)] = flat
    for i in range(width):
        for j in range(width):
            made[start + i * n + np.arange(n), start + j * n + np.arange(n)] = units[:, i, j]
    return made, np.array(at.get("sd_shock", 1.0) ** -2.0)


def fit_relaxed(
    rows: Rows, precision: np.ndarray, shock_precision: float, *, begin: Relaxed | None = None
) -> Relaxed:
    """Mode and spread of the relaxed model at given scales; `begin` is the mode at other scales, if known.

    Raises
    ------
    FitError
        Newton's method does not arrive.
    """
    theta, shocks = _start(rows, len(precision)) if begin is None else (begin.mode, begin.shocks)
    value = _objective(rows, theta, shocks, precision, shock_precision)
    for _ in range(STEPS):
        slope, shock_slope, eliminated = _quadratic(rows, theta, shocks, precision, shock_precision)
        step, shock_step = _newton(slope, shock_slope, eliminated)
        decrement = slope @ step + shock_slope @ shock_step
        length = 1.0
        while length > 1e-6:
            trial = theta + length * step, shocks + length * shock_step
            found = _objective(rows, *trial, precision, shock_precision)
            if found >= value + 1e-4 * length * decrement or decrement < TOLERANCE:
                break
            length /= 2
        theta, shocks, value = *trial, found
        if decrement < TOLERANCE:
            return Relaxed(theta, np.linalg.cholesky(eliminated.schur), shocks)
    raise FitError(
        f"the model with an effect for each cutpoint has no mode within {STEPS} steps (last gain "
        f"{decrement:.2g}); a category may be empty in an arm: join categories."
    )


def _start(rows: Rows, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cutpoints at the observed shares, everything else at zero."""
    cut = rows.counts.shape[1] - 1
    theta = np.zeros(size)
    share = (rows.counts.sum(axis=0) + 0.5) / (rows.counts.sum() + 0.5 * (cut + 1))
    edges = np.cumsum(share)[:-1]
    theta[:cut] = np.log(edges / (1 - edges))
    return theta, np.zeros(rows.shock.shape[1])


def draw_relaxed(fitted: Relaxed, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Draws (draws, m) of cutpoints, gammas and the rest."""
    z = rng.standard_normal((len(fitted.mode), draws))
    return fitted.mode + np.linalg.solve(fitted.low.T, z).T


class _Eliminated(NamedTuple):
    schur: np.ndarray
    cross: np.ndarray
    weight: np.ndarray


def _linear(rows: Rows, theta: np.ndarray, shocks: np.ndarray) -> np.ndarray:
    cut = rows.counts.shape[1] - 1
    inside = rows.inner @ theta[2 * cut :] + rows.shock @ shocks
    return theta[:cut] - rows.treated[:, None] * theta[cut : 2 * cut] - inside[:, None]


def _probabilities(u: np.ndarray) -> np.ndarray:
    below = expit(u)
    # Differences of upper tails where both ends are high, so that small probabilities keep their digits.
    above = expit(-u)
    inner = np.where(u[:, :-1] > 0, above[:, :-1] - above[:, 1:], below[:, 1:] - below[:, :-1])
    return np.column_stack([below[:, 0], inner, above[:, -1]])


def _objective(rows: Rows, theta, shocks, precision, shock_precision) -> float:
    p = _probabilities(_linear(rows, theta, shocks))
    if np.any(p <= 0):
        return -np.inf
    prior = theta @ precision @ theta + shock_precision * (shocks @ shocks)
    return float(np.sum(rows.counts * np.log(p)) - 0.5 * prior)


def _quadratic(rows: Rows, theta, shocks, precision, shock_precision):
    """Slopes of the objective, and its curvature with the shocks eliminated."""
    slope, curvature = _by_threshold(rows, theta, shocks)
    treated, cut = rows.treated, slope.shape[1]
    through = curvature.sum(axis=2)
    weight = through.sum(axis=1)
    inner = rows.inner
    g = (
        np.concatenate([slope.sum(axis=0), -(treated @ slope), -(inner.T @ slope.sum(axis=1))])
        - precision @ theta
    )
    g_shock = -(rows.shock.T @ slope.sum(axis=1)) - shock_precision * shocks
    H = precision.copy()
    pair, moved = curvature.sum(axis=0), np.tensordot(treated, curvature, 1)
    twice = np.tensordot(treated**2, curvature, 1)
    c, d, rest = slice(0, cut), slice(cut, 2 * cut), slice(2 * cut, None)
    H[c, c] += pair
    H[c, d] -= moved
    H[d, c] -= moved
    H[d, d] += twice
    across = np.asarray(inner.T @ np.column_stack([-through, treated[:, None] * through]))
    H[rest, : 2 * cut] += across
    H[: 2 * cut, rest] += across.T
    H[rest, rest] += (inner.T @ (inner * weight[:, None])).toarray()
    by_shock = np.column_stack([-through, treated[:, None] * through])
    onto = rows.shock.T @ by_shock
    cross = np.vstack([onto.T, (inner.T @ (rows.shock * weight[:, None])).toarray()])
    own = rows.shock.T @ weight + shock_precision
    return g, g_shock, _Eliminated(H - (cross / own) @ cross.T, cross, own)


def _by_threshold(rows: Rows, theta, shocks) -> tuple[np.ndarray, np.ndarray]:
    """Slope (R, J) and minus the second derivative (R, J, J) of each row's log likelihood in u."""
    u = _linear(rows, theta, shocks)
    p = _probabilities(u)
    below = expit(u)
    f = below * (1 - below)
    ratio, square = rows.counts / p, rows.counts / p**2
    gap = ratio[:, :-1] - ratio[:, 1:]
    slope = f * gap
    J = u.shape[1]
    curvature = np.zeros((len(u), J, J))
    index = np.arange(J)
    curvature[:, index, index] = f**2 * (square[:, :-1] + square[:, 1:]) - f * (1 - 2 * below) * gap
    off = -f[:, :-1] * f[:, 1:] * square[:, 1:-1]
    curvature[:, index[:-1], index[1:]] = off
    curvature[:, index[1:], index[:-1]] = off
    return slope, curvature


def _newton(slope, shock_slope, eliminated: _Eliminated) -> tuple[np.ndarray, np.ndarray]:
    cross, own = eliminated.cross, eliminated.weight
    factor = cho_factor(eliminated.schur, lower=True)
    step = cho_solve(factor, slope - cross @ (shock_slope / own))
    return step, (shock_slope - cross.T @ step) / own
