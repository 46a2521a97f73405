"""Matched pairs whose members share an effect: a Gaussian model with everything but its variances integrated.

Row r of worker w, kind k (a type of treated rows, or control) and pair j:

    y_r = o_r' b + v_wk + p_j + e_r,   e_r ~ Normal(0, sigma_k^2),   p_j ~ Normal(0, sd_pair^2),
    v_wk = level_w + response_wk,      level_w ~ Normal(0, sd_worker^2),
                                       response_wk ~ Normal(0, sd_response^2)

A pair is one treated row with at most one control row, and a worker is in one arm, so that elimination is
cheap in this order: pairs (two rows each); then treated workers, whose cells (w, k) meet no other treated
cell in a pair and so have precision diagonal plus rank one; what is left is dense in the outer columns alone,
those of b and one for each control worker. Products that hold no variance are summed once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsyrk

TINY = 1e-9  # variances of outcome SD squared below which a scale is zero


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The rows of matched pairs, summed. K types, f columns of b, c control workers, m = f + c + 1, y last.

    both : (K, 3, m, m) of complete pairs of each type: of treated rows, of controls, cross plus transpose
    alone : (K + 1, m, m) of treated rows without a control, by type, and of control rows without a pair
    cell : (3, T, m) of treated cells: sums of own rows in pairs, of their controls, and of own rows alone
    cell_type, cell_worker : (T,) codes; cell_n : (2, T) rows in pairs, and alone
    pairs, singles : (K,), (K + 1,) numbers of them
    columns, controls : f, c
    """

    both: np.ndarray
    alone: np.ndarray
    cell: np.ndarray
    cell_type: np.ndarray
    cell_worker: np.ndarray
    cell_n: np.ndarray
    pairs: np.ndarray
    singles: np.ndarray
    columns: int
    controls: int


@dataclass(frozen=True, slots=True)
class Scales:
    """Standard deviations at one point; sigma (K + 1,) by type, controls last; prior (f,) SDs of b."""

    pair: float
    worker: float
    response: float
    sigma: np.ndarray
    prior: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The model at one point: log marginal likelihood, mean (f + c,) of outer effects, and factor of H."""

    value: float
    mean: np.ndarray
    low: np.ndarray


def sum_pairs(
    y: np.ndarray, X: np.ndarray, *, kind: np.ndarray, worker: np.ndarray, pair: np.ndarray, kinds: int
) -> Pairs:
    """Rows summed by type, and treated rows by worker and type.

    Parameters
    ----------
    y, X : (n,), (n, f)
    kind : (n,) 0 .. K - 1 for types, K for controls; `kinds` is K
    worker : (n,) codes; a worker's rows are all treated or all controls
    pair : (n,) codes; at most one treated and one control row have the same
    """
    treated, control = np.flatnonzero(kind < kinds), np.flatnonzero(kind == kinds)
    partner = np.full(int(pair.max()) + 1, -1)
    partner[pair[control]] = control
    mate = partner[pair[treated]]
    own, own_code = np.unique(worker[control], return_inverse=True)
    wide = np.zeros((len(y), X.shape[1] + len(own) + 1))
    wide[:, : X.shape[1]], wide[:, -1] = X, y
    wide[control, X.shape[1] + own_code] = 1.0
    whole, free = mate >= 0, np.ones(len(y), bool)
    free[mate[whole]] = False
    m = wide.shape[1]
    both, alone = np.zeros((kinds, 3, m, m)), np.zeros((kinds + 1, m, m))
    for k in range(kinds):
        rows = (kind[treated] == k) & whole
        a, b, c = wide[treated[rows]], wide[mate[rows]], wide[treated[(kind[treated] == k) & ~whole]]
        cross = a.T @ b
        both[k], alone[k] = (a.T @ a, b.T @ b, cross + cross.T), c.T @ c
    single = control[free[control]]
    alone[kinds] = wide[single].T @ wide[single]
    code, cell = np.unique(worker[treated] * kinds + kind[treated], return_inverse=True)
    sums = np.zeros((3, len(code), m))
    np.add.at(sums[0], cell[whole], wide[treated[whole]])
    np.add.at(sums[1], cell[whole], wide[mate[whole]])
    np.add.at(sums[2], cell[~whole], wide[treated[~whole]])
    counts = np.stack([np.bincount(cell, whole, len(code)), np.bincount(cell, ~whole, len(code))])
    by_kind = np.bincount(kind[treated], whole, kinds), np.bincount(kind[treated], ~whole, kinds)
    return Pairs(
        both,
        alone,
        sums,
        code % kinds,
        np.unique(code // kinds, return_inverse=True)[1],
        counts,
        by_kind[0],
        np.append(by_kind[1], len(single)),
        X.shape[1],
        len(own),
    )


def solve(data: Pairs, scales: Scales) -> Solved:
    """Integrate pairs, workers and outer effects out at given scales."""
    variance = np.asarray(scales.sigma) ** 2
    q, q0, shared = 1 / variance[:-1], 1 / variance[-1], scales.pair**2
    c = shared / (1 + shared * (q + q0))  # of pairs, by type
    lone = 1 / (variance + shared)  # precision of a row without a partner
    weights = np.stack([q - c * q**2, q0 - c * q0**2, -c * q * q0], axis=1)
    S = np.tensordot(weights, data.both, 2) + np.tensordot(lone, data.alone, 1)
    M = weights[data.cell_type, 0, None] * data.cell[0] + lone[data.cell_type, None] * data.cell[2]
    M += weights[data.cell_type, 2, None] * data.cell[1]
    d = weights[data.cell_type, 0] * data.cell_n[0] + lone[data.cell_type] * data.cell_n[1]
    taken, workers = _treated_workers(M, d, data.cell_worker, scales)
    S = S - taken
    prior = np.append(scales.prior**2, np.full(data.controls, scales.worker**2 + scales.response**2 + TINY))
    H = S[:-1, :-1] + np.diag(1 / prior)
    low = np.linalg.cholesky(H)
    half = solve_triangular(low, S[:-1, -1], lower=True)
    value = -0.5 * (S[-1, -1] - half @ half) + workers - 0.5 * np.sum(np.log(prior))
    value -= np.sum(np.log(np.diag(low)))
    rows = np.append(data.pairs + data.singles[:-1], data.pairs.sum() + data.singles[-1])
    value -= 0.5 * rows @ np.log(variance)
    value -= 0.5 * data.pairs @ np.log1p(shared * (q + q0)) + 0.5 * data.singles @ np.log1p(shared / variance)
    return Solved(float(value), solve_triangular(low, half, lower=True, trans=1), low)


def _treated_workers(
    M: np.ndarray, d: np.ndarray, worker: np.ndarray, scales: Scales
) -> tuple[np.ndarray, float]:
    """What eliminating treated workers takes from the outer products (m, m), and their log determinants.

    A worker's cells have prior covariance s^2 I + w^2 11' and precision diag(d) from the data; both inverses
    are a diagonal plus a term of rank one (Sherman and Morrison).
    """
    size = np.bincount(worker)
    s2, w2 = scales.response**2 + TINY, scales.worker**2
    rho = w2 / (s2 * (s2 + size * w2))  # prior precision: I / s2 - rho 11'
    g = 1 / (d + 1 / s2)
    total = np.bincount(worker, g)
    spare = 1 - rho * total
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])  # cells are sorted by worker
    summed = np.add.reduceat(g[:, None] * M, starts, axis=0)
    rows = np.concatenate([np.sqrt(g)[:, None] * M, np.sqrt(rho / spare)[:, None] * summed])
    lower = dsyrk(1.0, rows.T, lower=1)  # of a Fortran-ordered view: half the work of a product
    taken = np.tril(lower) + np.tril(lower, -1).T
    prior = np.sum(size * np.log(s2)) + np.sum(np.log1p(size * w2 / s2))
    return taken, float(-0.5 * (prior - np.sum(np.log(g)) + np.sum(np.log(spare))))


def draw_outer(solved: Solved, *, rng: np.random.Generator) -> np.ndarray:
    """One exact draw of the outer effects (f + c,) given the scales."""
    z = rng.standard_normal(len(solved.mean))
    return solved.mean + solve_triangular(solved.low, z, lower=True, trans=1)
