"""Small synthetic chat logs, and their cells laid out by hand as the engine's arrays."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd
from pandas.core.groupby import DataFrameGroupBy

from hitlbayes.inference.marginal import Means
from hitlbayes.inference.problem import Layout, Problem
from hitlbayes.spec.families import ordinal_statistics

OUTCOMES = {
    "gaussian": "log_duration",
    "bernoulli": "retrial",
    "ordinal": "rating",
    "poisson": "switch_aways",
    "count": "switch_aways",
}


def chat_log(seed: int, *, workers: int = 7, days: int = 5, start: int = 2) -> pd.DataFrame:
    """Synthetic chats, 0 to 4 a worker-day (some days empty), two discrete covariates, every outcome."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(workers), range(days)], names=["worker_id", "day"]).to_frame(
        index=False
    )
    chats = grid.loc[grid.index.repeat(rng.integers(0, 5, len(grid)))].reset_index(drop=True)
    n = len(chats)
    chats["start_time"] = pd.Timestamp("2024-08-01 09:30") + pd.to_timedelta(chats["day"], unit="D")
    chats["treated"] = (chats["worker_id"] % 2).astype("int8")
    chats["post"] = (chats["day"] >= start).astype("int8")
    chats["vip"], chats["urgency"] = rng.integers(0, 2, n), rng.integers(1, 4, n)
    chats["log_duration"] = rng.normal(6.0, 0.8, n)
    chats["retrial"] = rng.integers(0, 2, n)
    chats["rating"] = np.r_[1:6, rng.choice(np.arange(1, 6), n - 5, p=[0.2, 0.05, 0.1, 0.2, 0.45])]
    chats["switch_aways"] = rng.negative_binomial(2, 0.5, n)
    return chats


def design(chats: pd.DataFrame, *, family: str, controls: Sequence[str]) -> pd.DataFrame:
    """The fixed columns in the models' order: intercept unless ordinal, treatment, treated, controls."""
    X = pd.DataFrame({"treatment": chats["treated"] * chats["post"], "treated": chats["treated"]})
    X = X.assign(**{name: chats[name] for name in controls}).astype(float)
    return X if family == "ordinal" else X.assign(intercept=1.0)[["intercept", *X.columns]]


def statistics(cells: DataFrameGroupBy, *, family: str) -> np.ndarray:
    """Sufficient statistics of grouped chats as `row_loglik` reads them."""
    outcome = OUTCOMES[family]
    if family == "ordinal":
        counts = np.stack([cells[outcome].agg(lambda y, k=k: (y == k).sum()) for k in range(1, 6)], axis=1)
        return np.asarray(ordinal_statistics(jnp.asarray(counts, float)))
    return np.stack([cells.size(), cells[outcome].sum()], axis=1).astype(float)


def collapse(chats: pd.DataFrame, *, family: str, controls: Sequence[str] = ()) -> tuple[Problem, Layout]:
    """The cells of worker x day x controls as the engine's arrays: one slot a worker and day, some empty."""
    y = chats[OUTCOMES[family]]
    cells = chats.groupby(["worker_id", "day", *controls], sort=True)
    first = cells.first().reset_index()
    workers, worker = np.unique(first["worker_id"], return_inverse=True)
    days, day = np.unique(first["day"], return_inverse=True)
    slot = worker * len(days) + day
    slots = len(workers) * len(days)
    X, stats = design(first, family=family, controls=controls).to_numpy(), statistics(cells, family=family)
    if not controls:  # the rows are the slots, empty ones holding nothing
        X, stats = spread(X, slot, slots), spread(stats, slot, slots)
    post = (chats.groupby("day")["post"].first() > 0).to_numpy(float)
    problem = Problem(
        stats=stats,
        offset=np.zeros(len(X)),
        X=X,
        groups=(day if controls else np.tile(np.arange(len(days)), len(workers)),),
        shock=slot if controls else np.zeros(0, int),
        basis=np.column_stack([np.ones(slots), np.tile(post, len(workers))]),
        unit_class=workers % 2,
        categories=np.array([(y == k).sum() for k in range(1, 6)], float)
        if family == "ordinal"
        else np.zeros(0),
        values=y.value_counts().reset_index().to_numpy(float) if family == "count" else np.zeros((0, 2)),
    )
    return problem, layout(family, X.shape[1], workers=len(workers), days=len(days), aligned=not controls)


def cell_means(chats: pd.DataFrame, *, controls: Sequence[str] = ()) -> tuple[Means, Layout]:
    """Worker-day means of log duration and covariates, and the scatter of both about them, for the engine."""
    X = design(chats, family="gaussian", controls=controls)
    both = X.assign(y=chats["log_duration"])
    cells = both.groupby([chats["worker_id"], chats["day"]])
    centred = (both - cells.transform("mean")).to_numpy()
    group = (2 * chats["treated"] + chats["post"]).to_numpy()
    grid = pd.MultiIndex.from_product([np.unique(chats["worker_id"]), np.unique(chats["day"])])
    means = cells.mean().reindex(grid, fill_value=0.0)
    workers, days = (level.to_numpy() for level in grid.levels)
    post = np.tile((chats.groupby("day")["post"].first() > 0).to_numpy(int), len(workers))
    data = Means(
        n=cells.size().reindex(grid, fill_value=0).to_numpy(float),
        y=means["y"].to_numpy(),
        X=means[X.columns].to_numpy(),
        groups=(np.tile(np.arange(len(days)), len(workers)),),
        basis=np.column_stack([np.ones(len(grid)), post]),
        unit_class=workers % 2,
        phase=np.repeat(2 * (workers % 2), len(days)) + post,
        within=np.stack([centred[group == g].T @ centred[group == g] for g in range(4)]),
        counts=np.bincount(group, minlength=4).astype(float),
    )
    return data, layout("gaussian", X.shape[1], workers=len(workers), days=len(days), aligned=True)


def layout(family: str, n_coef: int, *, workers: int, days: int, aligned: bool) -> Layout:
    """Sizes of a difference-in-differences with worker blocks, day effects and worker-day shocks."""
    return Layout(
        family=family,
        block="did",
        n_coef=n_coef,
        n_cut=4 if family == "ordinal" else 0,
        n_levels=(days,),
        aligned=(aligned,),
        n_units=workers,
        slots=days,
        has_shock=True,
        n_aux={"count": 1, "gaussian": 4}.get(family, 0),
    )


def spread(rows: np.ndarray, slot: np.ndarray, slots: int) -> np.ndarray:
    """Rows (R, ...) laid into their slots (slots, ...), zeros elsewhere."""
    laid = np.zeros((slots, *rows.shape[1:]))
    laid[slot] = rows
    return laid


def slots_with_chats(chats: pd.DataFrame) -> np.ndarray:
    """Which slots (worker x day) hold a chat."""
    return (chats.groupby(["worker_id", "day"]).size().unstack(fill_value=0) > 0).to_numpy().ravel()
