"""What every replicated table is: figures beside the published, and the fits behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, slots=True)
class TableResult:
    """One replicated table.

    Attributes
    ----------
    table, title, question, note : str
        As in its specification.
    frame : DataFrame
        One row per figure; columns are named in the report's words.
    effects : DataFrame or None
        The same effects as `hitlbayes.report.rows.compare` gives them; None for a table of moments.
    fits : int
        Number of fits behind it.
    failed : tuple of str
        Names of the fits whose draws failed their checks.
    more : mapping of str to DataFrame
        Further tables of the same part, by a short name.
    """

    table: str
    title: str
    question: str
    note: str
    frame: pd.DataFrame
    effects: pd.DataFrame | None
    fits: int
    failed: tuple[str, ...]
    more: Mapping[str, pd.DataFrame] = field(default_factory=dict)
