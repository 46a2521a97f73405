"""From chats to cells: exact sufficient statistics per unit, period and discrete covariate.

A likelihood needs no more than these: n, mean and sum of squares for a Gaussian outcome, successes for a
Bernoulli one, the count of each category for an ordinal one, the count of each value for a count. The
aggregate is written in ibis and runs where the log is; only cells come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from hitlbayes.chatlog.schema import EXACT, Family

Period = Literal["day", "hour"]
UNITS: dict[str, Literal["D", "h"]] = {"day": "D", "hour": "h"}
KEYS = ("unit", "period", "treated", "post")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an outcome is collapsed: its family, and the categories of an ordinal one in ascending order."""

    family: Family
    categories: tuple[int, ...] = ()


def keyed(table: ir.Table, *, period: Period, columns: Mapping[str, ir.Column]) -> ir.Table:
    """What the collapse needs of a log: `unit`, `period` (day or hour, local time), arm, post, `columns`."""
    stamp = table.start_time.truncate(UNITS[period]).cast("timestamp(6)")
    return table.select(unit=table.worker_id, period=stamp, treated=table.treated, post=table.post, **columns)


def statistics(chats: ir.Table, *, name: str, outcome: Outcome) -> dict[str, ir.Scalar]:
    """The sufficient statistics of one outcome as named aggregates (see `Panel.cells`)."""
    value = chats[name]
    if outcome.family == "bernoulli":
        return {f"{name}:n": value.count(), f"{name}:successes": chats.count(where=value == 1)}
    if outcome.family == "ordinal":
        return {f"{name}:{k}": chats.count(where=value == k) for k in outcome.categories}
    real = value.cast("float64")
    if value.type().is_integer():  # sums of whole numbers are exact, and cost half as much
        return {f"{name}:n": value.count(), f"{name}:sum": real.sum(), f"{name}:squares": (real * real).sum()}
    return moments(chats, name=name)


def moments(chats: ir.Table, *, name: str) -> dict[str, ir.Scalar]:
    """n, mean and sum of squares about it, updated value by value."""
    value = chats[name]
    real = value.cast("float64")
    # Databases compute var_pop by updating moments (Welford; Chan, Golub and LeVeque to merge), never by
    # sum(y^2) - n mean^2, which cancels where the mean is large.
    return {
        f"{name}:n": value.count(),
        f"{name}:mean": real.mean(),
        f"{name}:ss": real.var(how="pop") * value.count(),
    }


def collapse(
    chats: ir.Table,
    *,
    by: Sequence[str] = (),
    outcomes: Mapping[str, Outcome],
    averages: Sequence[str] = (),
) -> pd.DataFrame:
    """Cells of keyed chats: one sorted row per unit, period and level of `by`, with every statistic.

    Parameters
    ----------
    averages : columns whose mean over each cell is returned under their own name

    Returns
    -------
    pandas.DataFrame
        `unit`, `period`, `treated`, `post` (the minimum over the cell) and `post_high` (the maximum, to be
        compared), the `by` columns, `n` (chats), and the statistics of each outcome. Where a cell has no
        value of a Gaussian or count outcome its mean is NaN and its ss 0.
    """
    aggregates = {
        "treated": chats.treated.min(),
        "post": chats.post.min(),
        "post_high": chats.post.max(),
        "n": chats.count(),
        **{name: chats[name].mean() for name in averages},
    }
    for name, outcome in outcomes.items():
        aggregates |= statistics(chats, name=name, outcome=outcome)
    cells = _with_moments(chats, _cells(chats, by, aggregates), by)
    front = [*KEYS, "post_high", *by, "n", *averages]
    columns = [c for name, outcome in outcomes.items() for c in columns_of(name, outcome)]
    return typed(cells[front + columns], outcomes=outcomes)


def _cells(chats: ir.Table, by: Sequence[str], aggregates: Mapping[str, ir.Scalar]) -> pd.DataFrame:
    """Aggregates by cell, sorted."""
    keys = ["unit", "period", *by]
    return chats.group_by(keys).agg(**aggregates).to_pandas().sort_values(keys, ignore_index=True)


def _with_moments(chats: ir.Table, cells: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and sum of squares about it from exact sums; anew where the squares are too large to be exact."""
    made: dict[str, Any] = {}
    for name in [c.removesuffix(":squares") for c in map(str, cells) if c.endswith(":squares")]:
        n, sums, squares = (cells[f"{name}:{part}"] for part in ("n", "sum", "squares"))
        if squares.max() >= EXACT:
            again = _cells(chats, by, moments(chats, name=name))
            made |= {f"{name}:{part}": again[f"{name}:{part}"] for part in ("mean", "ss")}
            continue
        mean, ss = _from_sums(*(part.fillna(0).to_numpy(np.int64) for part in (n, sums, squares)))
        made |= {f"{name}:mean": mean, f"{name}:ss": ss}
    return cells.assign(**made)


def _from_sums(n: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, NaN where n is 0, and sum of squares about it, from integers: nothing cancels but integers."""
    mean = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    centre = np.rint(np.nan_to_num(mean)).astype(np.int64)
    about = squares - 2 * centre * sums + n * centre**2
    return mean, about - (sums - n * centre) ** 2 / np.maximum(n, 1)


def columns_of(name: str, outcome: Outcome) -> dict[str, type]:
    """The columns of an outcome in a frame of cells, and their types."""
    if outcome.family == "bernoulli":
        return {f"{name}:n": np.int64, f"{name}:successes": np.int64}
    if outcome.family == "ordinal":
        return {f"{name}:{k}": np.int64 for k in outcome.categories}
    return {f"{name}:n": np.int64, f"{name}:mean": np.float64, f"{name}:ss": np.float64}


def typed(cells: pd.DataFrame, *, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Cells with int64 counts, int8 flags and periods in microseconds, whatever the backend returned."""
    types: dict[str, Any] = {
        "treated": np.int8,
        "post": np.int8,
        "n": np.int64,
        "period": "datetime64[us]",
    }
    for name, outcome in outcomes.items():
        types |= columns_of(name, outcome)
    filled = {column: cells[column].fillna(0.0) for column in types if column.endswith(":ss")}
    return cells.assign(**filled).astype(types)


def histogram(chats: ir.Table, *, by: Sequence[str] = (), name: str, cells: pd.DataFrame) -> pd.DataFrame:
    """Counts of each value of a count outcome: `cell` (row position in `cells`), `value`, `n`."""
    keys = ["unit", "period", *by]
    seen = chats.filter(chats[name].notnull())
    long = seen.group_by([*keys, name]).agg(histogram_n=lambda t: t.count()).to_pandas()
    long = long.astype({"period": "datetime64[us]", name: np.int64, "histogram_n": np.int64})
    # One number a cell is joined and sorted many times faster than its keys.
    code = np.zeros(len(cells) + len(long), np.int64)
    for key in keys:
        both = pd.concat([cells[key], long[key]], ignore_index=True)
        part = pd.factorize(both, use_na_sentinel=False)[0]
        code = code * (part.max(initial=0) + 1) + part
    known = pd.Series(np.arange(len(cells)), index=code[: len(cells)])
    made = pd.DataFrame({"cell": known.loc[pd.Index(code[len(cells) :])].to_numpy(), "value": long[name]})
    made["n"] = long["histogram_n"]
    return made.sort_values(["cell", "value"], ignore_index=True)


def merge_cells(cells: pd.DataFrame, *, keys: Sequence[str], outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Coarser cells from finer ones: counts add, means weight, sums of squares gain what lay between.

    Source: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance,
    doi:10.1080/00031305.1983.10483115.
    """
    groups = cells.groupby(list(keys), sort=True, observed=True)
    merged = groups.agg(treated=("treated", "min"), post=("post", "min"), n=("n", "sum"))
    for name, outcome in outcomes.items():
        if outcome.family in ("bernoulli", "ordinal"):
            for column in columns_of(name, outcome):
                merged[column] = groups[column].sum()
            continue
        n, mean, ss = (cells[f"{name}:{part}"] for part in ("n", "mean", "ss"))
        by = [cells[key] for key in keys]
        total = n.groupby(by).sum()
        centre = (n * mean.fillna(0.0)).groupby(by).sum() / total.replace(0, np.nan)
        spread = centre.reindex(
            pd.MultiIndex.from_frame(cells[list(keys)]) if len(keys) > 1 else cells[keys[0]]
        )
        between = (n * (mean - spread.to_numpy()) ** 2).fillna(0.0)
        merged[f"{name}:n"], merged[f"{name}:mean"] = total, centre
        merged[f"{name}:ss"] = (ss + between).groupby(by).sum()
    return merged.reset_index()
