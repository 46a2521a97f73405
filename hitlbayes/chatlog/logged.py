"""What comes back from raw logs: one row per chat, and everything that was missing or had to be decided."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd

from hitlbayes.errors import DataWarning


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LoggedChats:
    """One row per chat, measured from raw logs; `read_chats(logged.table, ...)` checks and reads it.

    Attributes
    ----------
    table : ibis.Table
        In DuckDB, in memory; canonical columns, then those of the sessions.
    n : int
        Chats.
    notes : DataFrame
        `what`, `rows`: everything that was left out, is missing or had to be decided. Nothing else was.
    """

    table: ir.Table
    n: int
    notes: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        """Every chat in memory."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        lines = [f"LoggedChats: {self.n:,} chats", f"  columns   {', '.join(self.table.columns)}"]
        lines += [f"  {row.rows:>12,}  {row.what}" for row in self.notes.itertuples()]
        return "\n".join(lines)


def logged(table: ir.Table, *, notes: Mapping[str, int]) -> LoggedChats:
    """The chats with what there is to know about them, said once as a warning."""
    kept = {what: rows for what, rows in notes.items() if rows}
    if kept:
        lines = "\n".join(f"  {rows:>12,}  {what}" for what, rows in kept.items())
        warnings.warn(f"of the logs, be aware (it is in .notes too):\n{lines}", DataWarning, stacklevel=3)
    frame = pd.DataFrame({"what": list(kept), "rows": list(kept.values())})
    return LoggedChats(
        table, int(table.count().to_pyarrow().as_py()), frame.astype({"what": "str", "rows": "int64"})
    )
