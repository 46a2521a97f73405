"""Matched pairs whose members share an effect: a Gaussian model with everything but its variances integrated.

Row r of worker w, kind k (a type of treated rows, or control) and pair j:

    y_r = o_r' b + v_wk + p_j + e_r,   e_r ~ Normal(0, sigma_k^2),   p_j ~ Normal(0, sd_pair^2),
    v_wk = level_w + response_wk,      level_w ~ Normal(0, sd_worker^2),
                                       response_wk ~ Normal(0, sd_response^2)

A pair is one treated row with at most one control row, and a worker is in one arm, so that elimination is
cheap in this order: pairs (two rows each); then treated workers, whose cells (w, k) meet no other treated
cell in a pair and so have precision diagonal plus rank one; what is left is dense in the outer effects alone,
b and one of each control worker. Products that hold no variance are summed once, and a cell meets few
control workers: what it takes from theirs is summed over those it meets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

TINY = 1e-9  # variances of outcome SD squared below which a scale is zero


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The rows of matched pairs, summed. K types, f columns of b, c control workers, p = f + 1 with y last.

    products : (3K + K + 1, p, p + c) of (X, y) with (X, y, control worker), by what weighs them: of complete
        pairs of each type those of treated rows, of controls, and across; then of rows without a partner by
        kind, controls last
    rows_of : (3K + K + 1, c) rows of each control worker, likewise; none across
    cell : (3, T, p) of treated cells: sums of own rows in pairs, of their controls, and of own rows alone
    cell_type, cell_worker : (T,) codes, sorted by worker; cell_n : (2, T) rows in pairs, and alone
    met : (T, c) how often the partner of a cell's row is a control worker's
    pairs, singles : (K,), (K + 1,) numbers of them
    columns, controls : f, c
    """

    products: np.ndarray
    rows_of: np.ndarray
    cell: np.ndarray
    cell_type: np.ndarray
    cell_worker: np.ndarray
    cell_n: np.ndarray
    met: csr_array
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
    code_of = np.full(len(y), -1)
    code_of[control] = own_code
    whole, free = mate >= 0, np.ones(len(y), bool)
    free[mate[whole]] = False
    wide, c = np.column_stack([X, y]), len(own)
    products, rows_of = [], []

    def add(left: np.ndarray, right: np.ndarray) -> None:
        """Products of rows `left` with rows `right`, whose control workers count where they have one."""
        tied = np.zeros((c, wide.shape[1]))
        mine = code_of[right]
        np.add.at(tied, mine[mine >= 0], wide[left[mine >= 0]])
        products.append(np.hstack([wide[left].T @ wide[right], tied.T]))
        same = np.array_equal(left, right)
        rows_of.append(np.bincount(mine[mine >= 0], minlength=c) * float(same))

    for k in range(kinds):
        rows = (kind[treated] == k) & whole
        a, b = treated[rows], mate[rows]
        for left, right in ((a, a), (b, b), (a, b)):
            add(left, right)
        square = products[-1][:, : wide.shape[1]]
        square += square.T.copy()  # across, both ways
    for k in range(kinds):
        alone = treated[(kind[treated] == k) & ~whole]
        add(alone, alone)
    single = control[free[control]]
    add(single, single)
    code, cell = np.unique(worker[treated] * kinds + kind[treated], return_inverse=True)
    sums = np.zeros((3, len(code), wide.shape[1]))
    np.add.at(sums[0], cell[whole], wide[treated[whole]])
    np.add.at(sums[1], cell[whole], wide[mate[whole]])
    np.add.at(sums[2], cell[~whole], wide[treated[~whole]])
    counts = np.stack([np.bincount(cell, whole, len(code)), np.bincount(cell, ~whole, len(code))])
    met = csr_array((np.ones(whole.sum()), (cell[whole], code_of[mate[whole]])), shape=(len(code), c))
    by_kind = np.bincount(kind[treated], whole, kinds), np.bincount(kind[treated], ~whole, kinds)
    return Pairs(
        np.stack(products),
        np.stack(rows_of),
        sums,
        code % kinds,
        np.unique(code // kinds, return_inverse=True)[1],
        counts,
        met,
        by_kind[0],
        np.append(by_kind[1], len(single)),
        X.shape[1],
        c,
    )


def solve(data: Pairs, scales: Scales) -> Solved:
    """Integrate pairs, workers and outer effects out at given scales."""
    variance, p = np.asarray(scales.sigma) ** 2, data.columns + 1
    q, q0, shared = 1 / variance[:-1], 1 / variance[-1], scales.pair**2
    c = shared / (1 + shared * (q + q0))  # of pairs, by type
    lone = 1 / (variance + shared)  # precision of a row without a partner
    weights = np.stack([q - c * q**2, q0 - c * q0**2, -c * q * q0], axis=1)
    weigh = np.concatenate([weights.ravel(), lone])
    mine = weights[data.cell_type]
    M = mine[:, :1] * data.cell[0] + mine[:, 2:] * data.cell[1] + lone[data.cell_type, None] * data.cell[2]
    d = mine[:, 0] * data.cell_n[0] + lone[data.cell_type] * data.cell_n[1]
    roots, workers = _treated_workers(d, data.cell_worker, scales)
    dense, sparse = roots @ M, csr_array(roots @ (data.met * mine[:, 2:]))
    S = np.tensordot(weigh, data.products, 1)
    S[:, :p] -= dense.T @ dense
    S[:, p:] -= (sparse.T @ dense).T
    outer = np.r_[: p - 1, p : p + data.controls]
    prior = np.append(scales.prior**2, np.full(data.controls, scales.worker**2 + scales.response**2 + TINY))
    H = np.diag(1 / prior)
    H[: p - 1] += S[:-1, outer]
    H[p - 1 :, : p - 1] = S[:-1, p:].T
    H[p - 1 :, p - 1 :] += np.diag(weigh @ data.rows_of) - (sparse.T @ sparse).toarray()
    low = np.linalg.cholesky(H)
    half = solve_triangular(low, S[-1, outer], lower=True)
    value = -0.5 * (S[-1, p - 1] - half @ half) + workers - 0.5 * np.sum(np.log(prior))
    value -= np.sum(np.log(np.diag(low)))
    rows = np.append(data.pairs + data.singles[:-1], data.pairs.sum() + data.singles[-1])
    value -= 0.5 * rows @ np.log(variance)
    value -= 0.5 * data.pairs @ np.log1p(shared * (q + q0)) + 0.5 * data.singles @ np.log1p(shared / variance)
    return Solved(float(value), solve_triangular(low, half, lower=True, trans=1), low)


def _treated_workers(d: np.ndarray, worker: np.ndarray, scales: Scales) -> tuple[csr_array, float]:
    """R (T + workers, T) such that eliminating treated workers takes (R M)'(R M), and log determinants.

    A worker's cells have prior covariance s^2 I + w^2 11' and precision diag(d) from the data; both inverses
    are a diagonal plus a term of rank one (Sherman and Morrison).
    """
    size, cells = np.bincount(worker), np.arange(len(d))
    s2, w2 = scales.response**2 + TINY, scales.worker**2
    rho = w2 / (s2 * (s2 + size * w2))  # prior precision: I / s2 - rho 11'
    g = 1 / (d + 1 / s2)
    spare = 1 - rho * np.bincount(worker, g)
    entries = np.concatenate([np.sqrt(g), np.sqrt(rho / spare)[worker] * g])
    at = np.concatenate([cells, len(d) + worker]), np.concatenate([cells, cells])
    roots = csr_array((entries, at), shape=(len(d) + len(size), len(d)))
    prior = np.sum(size * np.log(s2)) + np.sum(np.log1p(size * w2 / s2))
    return roots, float(-0.5 * (prior - np.sum(np.log(g)) + np.sum(np.log(spare))))


def draw_outer(solved: Solved, *, rng: np.random.Generator) -> np.ndarray:
    """One exact draw of the outer effects (f + c,) given the scales."""
    z = rng.standard_normal(len(solved.mean))
    return solved.mean + solve_triangular(solved.low, z, lower=True, trans=1)
