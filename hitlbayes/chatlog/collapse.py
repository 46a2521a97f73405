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

from hitlbayes.chatlog.schema import Family

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
    # Databases compute var_pop by updating moments (Welford; Chan, Golub and LeVeque to merge), never by
    # sum(y^2) - n mean^2, which cancels where the mean is large.
    return {
        f"{name}:n": value.count(),
        f"{name}:mean": real.mean(),
        f"{name}:ss": real.var(how="pop") * value.count(),
    }


def collapse(chats: ir.Table, *, by: Sequence[str] = (), outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Cells of keyed chats: one sorted row per unit, period and level of `by`, with every statistic.

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
    }
    for name, outcome in outcomes.items():
        aggregates |= statistics(chats, name=name, outcome=outcome)
    cells = chats.group_by(["unit", "period", *by]).agg(**aggregates).to_pandas()
    front = [*KEYS, "post_high", *by, "n"]
    cells = cells[front + [column for column in cells.columns if column not in front]]
    return typed(cells, outcomes=outcomes).sort_values(["unit", "period", *by], ignore_index=True)


def typed(cells: pd.DataFrame, *, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Cells with int64 counts, int8 flags and periods in microseconds, whatever the backend returned."""
    types: dict[str, Any] = {
        "treated": np.int8,
        "post": np.int8,
        "n": np.int64,
        "period": "datetime64[us]",
    }
    for name, outcome in outcomes.items():
        if outcome.family == "bernoulli":
            types |= {f"{name}:n": np.int64, f"{name}:successes": np.int64}
        elif outcome.family == "ordinal":
            types |= {f"{name}:{k}": np.int64 for k in outcome.categories}
        else:
            types |= {f"{name}:n": np.int64, f"{name}:mean": np.float64, f"{name}:ss": np.float64}
    filled = {column: cells[column].fillna(0.0) for column in types if column.endswith(":ss")}
    return cells.assign(**filled).astype(types)


def histogram(chats: ir.Table, *, by: Sequence[str] = (), name: str, cells: pd.DataFrame) -> pd.DataFrame:
    """Counts of each value of a count outcome: `cell` (row position in `cells`), `value`, `n`."""
    keys = ["unit", "period", *by]
    seen = chats.filter(chats[name].notnull())
    long = seen.group_by([*keys, name]).agg(histogram_n=lambda t: t.count()).to_pandas()
    position = cells[keys].assign(cell=np.arange(len(cells), dtype=np.int64))
    long = long.astype({"period": "datetime64[us]"}).merge(position, on=keys, validate="many_to_one")
    long = long.rename(columns={name: "value", "histogram_n": "count"}).rename(columns={"count": "n"})
    return (
        long[["cell", "value", "n"]]
        .astype(np.int64)
        .sort_values(["cell", "value"], ignore_index=True)
    )  # fmt: skip


def merge_cells(cells: pd.DataFrame, *, keys: Sequence[str], outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Coarser cells from finer ones: counts add, means weight, sums of squares gain what lay between.

    Source: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance,
    doi:10.1080/00031305.1983.10483115.
    """
    groups = cells.groupby(list(keys), sort=True, observed=True)
    merged = groups.agg(treated=("treated", "min"), post=("post", "min"), n=("n", "sum"))
    for name, outcome in outcomes.items():
        if outcome.family in ("bernoulli", "ordinal"):
            labels = [f"{name}:n", f"{name}:successes"] if outcome.family == "bernoulli" else []
            for column in labels or [f"{name}:{k}" for k in outcome.categories]:
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
