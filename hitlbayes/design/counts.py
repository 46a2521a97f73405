"""Chats counted per worker, before and after the start, in all and by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ibis.expr.types as ir
import numpy as np

from hitlbayes.design.samples import MANY_LEVELS
from hitlbayes.errors import DesignError, SchemaError

TIMES = ("before", "after")


class WorkerCounts(NamedTuple):
    """arm : (workers,) 0/1; numbers : what -> (2, workers), before and after the start."""

    arm: np.ndarray
    numbers: dict[str, np.ndarray]


def levels_of(table: ir.Table, *, name: str) -> list[str]:
    """The levels of a column, sorted; missing values are none.

    Raises
    ------
    SchemaError
        There are too many.
    """
    found = table.select(level=table[name].cast("string")).distinct().to_pandas()["level"].dropna()
    if len(found) > MANY_LEVELS:
        raise SchemaError(f"column {name!r} has {len(found):,} levels.\n  expected: at most {MANY_LEVELS}.")
    return sorted(found)


def worker_counts(
    table: ir.Table, *, shares: Sequence[str], levels: Mapping[str, Sequence[str]]
) -> WorkerCounts:
    """Counts of every worker: chats, days with a chat, and chats of each kind with those whose kind is known.

    Parameters
    ----------
    table : `Chats.table`
    shares : 0/1 columns, or "responded" (whether there is a rating)
    levels : column -> its levels

    Returns
    -------
    WorkerCounts
        `numbers` has "chats", "days", each share and "<share>:n", each "<column>: <level>" and "<column>:n".

    Raises
    ------
    DesignError
        There are chats on one side of the start only.
    """
    found: dict[str, ir.Value] = {"chats": table.count(), "days": table.start_time.date().nunique()}
    for name in shares:
        value = table.rating.notnull().cast("int8") if name == "responded" else table[name]
        found |= {name: table.count(where=value == 1), f"{name}:n": value.count()}
    for name, values in levels.items():
        text = table[name].cast("string")
        found |= {f"{name}: {value}": table.count(where=text == value) for value in values}
        found |= {f"{name}:n": text.count()}
    # Numbered, since a level may be called anything.
    numbered = {f"c{k}": value for k, value in enumerate(found.values())}
    rows = table.group_by(["worker_id", "treated", "post"]).agg(**numbered).to_pandas()
    if set(rows["post"]) != {0, 1}:
        raise DesignError("chats are all before the start, or all after it.\n  expected: both.")
    arms = rows.groupby("worker_id", sort=True)["treated"].first()
    sides = [rows[rows["post"] == post].set_index("worker_id").reindex(arms.index) for post in (0, 1)]
    return WorkerCounts(
        arms.to_numpy(int),
        {
            what: np.stack([side[f"c{k}"].fillna(0).to_numpy(float) for side in sides])
            for k, what in enumerate(found)
        },
    )
