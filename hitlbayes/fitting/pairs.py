"""Matched pairs whose members share an effect: a Gaussian model with everything but its variances integrated.

Row r of worker w, kind k (a type of treated rows, or control) and pair j:

    y_r = o_r' b + v_wk + p_j + e_r,   e_r ~ Normal(0, sigma_k^2),   p_j ~ Normal(0, sd_pair^2),
    v_wk = level_w + response_wk,      level_w ~ Normal(0, sd_worker^2),
                                       response_wk ~ Normal(0, sd_response^2)

A pair is one treated row with at most one control row, and a worker is in one arm, so that elimination is
cheap in this order: pairs (two rows each); then treated workers, whose cells (w, k) meet no other treated
cell in a pair and so have precision diagonal plus rank one; what is left is dense in the outer effects alone,
b and one of each control worker; the latter are solved first, so that b's own precision is left. Products
that hold no variance are summed once, and a cell meets few control workers: what it takes from theirs is
summed over those it meets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

TINY = 1e-9  # variances of outcome SD squared below which a scale is zero


class Onto(NamedTuple):
    """Sums of what cells have: places (U,) of a flat matrix that any adds to, and by how much (U, T)."""

    at: np.ndarray
    sums: csr_array


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The rows of matched pairs, summed. K types, f columns of b, c control workers, p = f + 1 with y last.

    products : (3K + K + 1, p, p + c) of (X, y) with (X, y, control worker), by what weighs them: of complete
        pairs of each type those of treated rows, of controls, and across; then of rows without a partner by
        kind, controls last
    rows_of : (3K + K + 1, c) rows of each control worker, likewise; none across
    cell : (3, T, p) of treated cells: sums of own rows in pairs, of their controls, and of own rows alone
    cell_type, cell_worker : (T,) codes, sorted by worker; cell_n : (2, T) rows in pairs, and alone
    member : (W, T) one where a cell is a treated worker's
    met : (T, c) how often the partner of a cell's row is a control worker's
    beside, twice : of a cell's entries in `met`: by worker, onto (W, c), and products of two, onto (c, c)
    pairs, singles : (K,), (K + 1,) numbers of them
    columns, controls : f, c
    """

    products: np.ndarray
    rows_of: np.ndarray
    cell: np.ndarray
    cell_type: np.ndarray
    cell_worker: np.ndarray
    cell_n: np.ndarray
    member: csr_array
    met: csr_array
    beside: Onto
    twice: Onto
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
    """The model at one point: log marginal likelihood, and mean (f,) and precision low low' of b."""

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
    met.sum_duplicates()
    cell_worker = np.unique(code // kinds, return_inverse=True)[1]
    by_kind = np.bincount(kind[treated], whole, kinds), np.bincount(kind[treated], ~whole, kinds)
    return Pairs(
        np.stack(products),
        np.stack(rows_of),
        sums,
        code % kinds,
        cell_worker,
        counts,
        csr_array((np.ones(len(code)), (cell_worker, np.arange(len(code))))),
        met,
        *_meetings(met, cell_worker),
        by_kind[0],
        np.append(by_kind[1], len(single)),
        X.shape[1],
        c,
    )


def _meetings(met: csr_array, worker: np.ndarray) -> tuple[Onto, Onto]:
    """`Pairs.beside` and `Pairs.twice`."""
    (cells, c), entries = met.shape, met.tocoo()
    by_worker = worker[entries.row].astype(np.int64) * c + entries.col
    beside = _onto(entries.data, place=by_worker, cell=entries.row, cells=cells)
    size = np.diff(met.indptr)
    # Each entry of a cell meets each of the same cell.
    first = np.repeat(np.arange(met.nnz), size[entries.row])
    start = np.repeat(np.cumsum(size[entries.row]) - size[entries.row], size[entries.row])
    second = met.indptr[entries.row[first]] + np.arange(len(first)) - start
    place = entries.col[first].astype(np.int64) * c + entries.col[second]
    values = entries.data[first] * entries.data[second]
    return beside, _onto(values, place=place, cell=entries.row[first], cells=cells)


def _onto(values: np.ndarray, *, place: np.ndarray, cell: np.ndarray, cells: int) -> Onto:
    at, row = np.unique(place, return_inverse=True)
    return Onto(at, csr_array((values, (row, cell)), shape=(len(at), cells)))


def _placed(onto: Onto, weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cells' weights (T,) summed onto a matrix of a shape."""
    made = np.zeros(shape)
    made.reshape(-1)[onto.at] = onto.sums @ weights
    return made


def solve(data: Pairs, scales: Scales) -> Solved:
    """Integrate pairs, workers and outer effects out at given scales."""
    variance, p, n_controls = np.asarray(scales.sigma) ** 2, data.columns + 1, data.controls
    q, q0, shared = 1 / variance[:-1], 1 / variance[-1], scales.pair**2
    c = shared / (1 + shared * (q + q0))  # of pairs, by type
    lone = 1 / (variance + shared)  # precision of a row without a partner
    weights = np.stack([q - c * q**2, q0 - c * q0**2, -c * q * q0], axis=1)
    weigh = np.concatenate([weights.ravel(), lone])
    own, across, alone = weights[data.cell_type, 0], weights[data.cell_type, 2], lone[data.cell_type]
    M = own[:, None] * data.cell[0] + across[:, None] * data.cell[1] + alone[:, None] * data.cell[2]
    g, tie, value = _treated_workers(own * data.cell_n[0] + alone * data.cell_n[1], data, scales)
    near = tie[:, None] * (data.member @ (g[:, None] * M))  # (W, p) what ties a worker's cells
    far = tie[:, None] * _placed(data.beside, g * across, (len(tie), n_controls))
    S = np.tensordot(weigh, data.products, 1)
    S[:, :p] -= M.T @ (g[:, None] * M) + near.T @ near
    S[:, p:] -= (data.met.T @ ((g * across)[:, None] * M)).T + near.T @ far
    spread = scales.worker**2 + scales.response**2 + TINY
    H = -_placed(data.twice, g * across**2, (n_controls, n_controls)) - far.T @ far
    H[np.diag_indices(n_controls)] += weigh @ data.rows_of + 1 / spread
    low_controls = np.linalg.cholesky(H)
    taken = solve_triangular(low_controls, S[:, p:].T, lower=True)  # (c, p)
    S = S[:, :p] - taken.T @ taken
    low = np.linalg.cholesky(S[:-1, :-1] + np.diag(scales.prior**-2.0))
    half = solve_triangular(low, S[:-1, -1], lower=True)
    value -= 0.5 * (S[-1, -1] - half @ half) + np.sum(np.log(scales.prior)) + np.sum(np.log(np.diag(low)))
    value -= 0.5 * n_controls * np.log(spread) + np.sum(np.log(np.diag(low_controls)))
    rows = np.append(data.pairs + data.singles[:-1], data.pairs.sum() + data.singles[-1])
    value -= 0.5 * rows @ np.log(variance)
    value -= 0.5 * data.pairs @ np.log1p(shared * (q + q0)) + 0.5 * data.singles @ np.log1p(shared / variance)
    return Solved(float(value), solve_triangular(low, half, lower=True, trans=1), low)


def _treated_workers(d: np.ndarray, data: Pairs, scales: Scales) -> tuple[np.ndarray, np.ndarray, float]:
    """Inverse precision of a treated worker's cells, diag(g) + (tie g)(tie g)', and its log determinant.

    A worker's cells have prior covariance s^2 I + w^2 11' and precision diag(d) from the data; both inverses
    are a diagonal plus a term of rank one (Sherman and Morrison). g (T,), tie (W,).
    """
    size = np.bincount(data.cell_worker)
    s2, w2 = scales.response**2 + TINY, scales.worker**2
    rho = w2 / (s2 * (s2 + size * w2))  # prior precision: I / s2 - rho 11'
    g = 1 / (d + 1 / s2)
    spare = 1 - rho * np.bincount(data.cell_worker, g)
    prior = np.sum(size * np.log(s2)) + np.sum(np.log1p(size * w2 / s2))
    return g, np.sqrt(rho / spare), float(-0.5 * (prior - np.sum(np.log(g)) + np.sum(np.log(spare))))


def draw_outer(solved: Solved, *, rng: np.random.Generator) -> np.ndarray:
    """One exact draw of b (f,) given the scales."""
    z = rng.standard_normal(len(solved.mean))
    return solved.mean + solve_triangular(solved.low, z, lower=True, trans=1)
