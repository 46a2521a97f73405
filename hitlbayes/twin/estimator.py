"""The paper's own estimators in plain NumPy: two-way fixed effects on worker-period means, and matched chats.

Calibration runs them hundreds of times, so they work on integer codes and skip what a published table does
not need.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hitlbayes.errors import DesignError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLLINEAR = 1e12
"""Condition number of the scaled cross-products from which they count as singular."""
CONTROLS = ("customer_tenure", "vip", "concurrency")


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """Coefficient of treatment, its standard error by worker, rows, R-squared (fixed effects included)."""

    estimate: float
    se: float
    n: int
    r2: float


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    """Worker-periods of a chat table: `cell` of each chat, and each cell's worker, day and lagged controls.

    `controls` (cells, 4): customer tenure, VIP share, concurrency and volume of the worker's previous period
    with chats, over all the worker's chats; NaN in the first.
    """

    cell: Ints
    worker: Ints
    day: Ints
    treated: Floats
    controls: Floats


def index_periods(chats: pd.DataFrame, *, period: str = "day") -> Index:
    """Cut chats into worker-days or worker-hours (`period` "day" or "hour")."""
    worker = np.unique(chats["worker_id"].to_numpy(), return_inverse=True)[1]
    hours = chats["start_time"].to_numpy().astype("datetime64[h]").astype(np.int64)
    hours -= hours.min() // 24 * 24
    time = hours // 24 if period == "day" else hours
    span = int(time.max()) + 1
    keys, cell = np.unique(worker * span + time, return_inverse=True)
    count = np.bincount(cell).astype(float)
    treatment = (chats["treated"].to_numpy() * chats["post"].to_numpy()).astype(float)
    own = [_cell_means(chats[name].to_numpy(dtype=float), cell=cell, cells=keys.size) for name in CONTROLS]
    controls = np.column_stack([*own, count])
    who = keys // span
    lagged = np.full_like(controls, np.nan)
    lagged[1:] = np.where((who[1:] == who[:-1])[:, None], controls[:-1], np.nan)
    when = keys % span
    return Index(
        cell=cell,
        worker=who,
        day=when if period == "day" else when // 24,
        treated=np.rint(_cell_means(treatment, cell=cell, cells=keys.size)),
        controls=lagged,
    )


def period_means(values: Floats, *, index: Index, part: NDArray[np.bool_]) -> Floats:
    """Mean of `values` over the chats of `part` in each cell, shape (cells,); NaN where there are none."""
    chosen = part & ~np.isnan(values)
    return _cell_means(values[chosen], cell=index.cell[chosen], cells=index.worker.size)


def two_way(y: Floats, *, index: Index, controls: bool = True) -> Estimate:
    """Two-way fixed effects (worker, calendar day) of cell means on treatment; paper, equation 1.

    Rows with a missing outcome or missing lagged controls are left out, as in the paper.

    Raises
    ------
    DesignError
        Treatment does not vary once the fixed effects are out.
    """
    used = ~np.isnan(y) & ~np.isnan(index.controls[:, 0])
    worker = np.unique(index.worker[used], return_inverse=True)[1]
    day = np.unique(index.day[used], return_inverse=True)[1]
    columns = [y[used], index.treated[used], *(index.controls[used].T if controls else [])]
    clean = _project(np.column_stack(columns), worker=worker, day=day)
    return clustered(clean[:, 1:], y=clean[:, 0], total=y[used], cluster=worker, absorbed=int(day.max()) + 1)


def clustered(x: Floats, *, y: Floats, total: Floats, cluster: Ints, absorbed: int) -> Estimate:
    """First coefficient of `y` on `x`; sandwich clustered by `cluster` with the usual small-sample factors.

    `absorbed` counts regressors already taken out that are not nested in clusters; `total` is the outcome as
    observed, for the R-squared.
    """
    gram = x.T @ x
    scale = np.sqrt(np.diag(gram))
    if not scale.all() or np.linalg.cond(gram / np.outer(scale, scale)) > COLLINEAR:
        raise DesignError(
            "treatment and controls are collinear once fixed effects are out; expected treatment to vary"
        )
    bread = np.linalg.inv(gram)
    beta = bread @ (x.T @ y)
    residual = y - x @ beta
    groups = int(cluster.max()) + 1
    influence = np.bincount(cluster, weights=(x @ bread[:, 0]) * residual, minlength=groups)
    n, k = x.shape
    factor = groups / (groups - 1) * (n - 1) / (n - k - absorbed)
    r2 = 1 - residual @ residual / ((total - total.mean()) @ (total - total.mean()))
    return Estimate(float(beta[0]), float(np.sqrt(factor * influence @ influence)), n, float(r2))


def _project(columns: Floats, *, worker: Ints, day: Ints) -> Floats:
    """Residuals of columns on worker and day dummies, through the days' Schur complement (days are few)."""
    worked = np.zeros((worker.max() + 1, day.max() + 1))
    np.add.at(worked, (worker, day), 1.0)
    rows = worked.sum(axis=1)
    within = columns - _group_sums(columns, group=worker)[worker] / rows[worker, None]
    complement = np.diag(worked.sum(axis=0)) - worked.T @ (worked / rows[:, None])
    by_day = np.linalg.pinv(complement, rcond=1e-10, hermitian=True) @ _group_sums(within, group=day)
    by_worker = worked @ by_day / rows[:, None]
    return within - by_day[day] + by_worker[worker]


def _cell_means(values: Floats, *, cell: Ints, cells: int) -> Floats:
    count = np.bincount(cell, minlength=cells)
    sums = np.bincount(cell, weights=values, minlength=cells)
    return np.divide(sums, count, out=np.full(cells, np.nan), where=count > 0)


def _group_sums(x: Floats, *, group: Ints) -> Floats:
    return np.column_stack([np.bincount(group, weights=column) for column in x.T])
