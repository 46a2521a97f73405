"""What the paper prints: its tables and the figures of its text, as tidy frames.

The files in ``data/`` hold one row per printed figure. They were transcribed from Wang, Zhu, Feng, Lu and
Jia (2026).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.errors import SpecError

NAMES = ("1", "2", "3", "4", "5", "6", "7", "A1", "A2", "A3", "A4", "A5", "D1")
P_BELOW = {"": np.nan, "*": 0.1, "**": 0.05, "***": 0.01, "****": 0.001}

_FLOATS = ("value", "se", "lower", "upper", "sd")
_TABLE_TYPES = {name: "float64" for name in _FLOATS} | {"n": "Int64", "decimals": "Int64"}
_FACT_TYPES = {"value": "float64", "decimals": "Int64"}


@cache
def _read(file: str) -> pd.DataFrame:
    types = _FACT_TYPES if file == "facts.csv" else _TABLE_TYPES
    with (files("hitlbayes.published") / "data" / file).open(encoding="utf-8") as handle:
        text = pd.read_csv(handle, dtype="str", keep_default_na=False)
    for name, dtype in types.items():
        text[name] = pd.to_numeric(text[name].where(text[name] != "")).astype(dtype)  # type: ignore[call-overload]
    return text


def tables() -> list[str]:
    """Names of the published tables that `table` returns.

    Examples
    --------
    >>> tables()[:3]
    ['1', '2', '3']
    """
    return list(NAMES)


def table(name: str) -> pd.DataFrame:
    """Every figure of one published table, one row per figure.

    Parameters
    ----------
    name : str
        ``"1"`` to ``"7"``, ``"A1"`` to ``"A5"`` or ``"D1"``.

    Returns
    -------
    DataFrame
        ``table``, ``panel`` (scope, escalation type or block), ``row``, ``column`` (canonical names of
        variables), ``arm``, ``quantity`` (estimate, mean, share, count, p_value, r_squared, kappa, range),
        ``units``, ``value``, ``se`` (standard error, in the units of ``value``), ``lower`` and ``upper``
        (printed 95 % interval), ``sd``, ``n`` (observations behind the figure), ``stars`` and the bound
        that they stand for, ``p_below``, ``decimals`` (as printed, so that rounding can be allowed for),
        ``note``. What is not printed is missing. ``attrs["source"]`` is ``"published"``.

    Raises
    ------
    SpecError
        There is no such table.

    Notes
    -----
    Table A5, panel A: the copy transcribed here shows five values under six headings. They are assigned by
    size and order, and `note` says so on the two columns where that is in doubt.

    Examples
    --------
    >>> t = table("5")
    >>> t = t.query("panel == 'emotional' and quantity == 'estimate'")
    >>> t[["column", "value", "se"]].values.tolist()
    [['log_duration', 0.408, 0.035], ['retrial', 0.06, 0.021], ['rating', -0.928, 0.176]]
    """
    key = str(name).strip().removeprefix("Table").strip().upper()
    if key not in NAMES:
        raise SpecError(f"There is no published table {name!r}. The tables are {', '.join(NAMES)}.")
    frame = _read(f"table_{key}.csv").copy()
    after = list(frame.columns).index("stars") + 1
    frame.insert(after, "p_below", frame["stars"].map(P_BELOW).astype("float64"))
    frame.attrs["source"] = "published"
    return frame


def facts() -> pd.DataFrame:
    """Every count, percentage and size that the paper's text and appendices state outside their tables.

    Returns
    -------
    DataFrame
        ``fact`` (a key, unique), ``section``, ``quantity``, ``units``, ``value``,
        ``bound`` (``""`` exact, ``"<"``, ``">"``, ``"<="`` or ``"~"``), ``decimals``, ``note``.
        ``attrs["source"]`` is ``"published"``.

    Examples
    --------
    >>> facts().set_index("fact").loc["eligible_chats", "value"]
    np.float64(39432.0)
    """
    frame = _read("facts.csv").copy()
    frame.attrs["source"] = "published"
    return frame


def fact(key: str) -> float:
    """The value of one stated figure, by its key in `facts`."""
    found = facts().set_index("fact")["value"]
    if key not in found.index:
        raise SpecError(f"There is no published fact {key!r}; `facts()` lists the {len(found)} there are.")
    return float(found[key])


def cell(name: str, **where: str) -> dict[str, Any]:
    """The one row of a published table that has these values in these columns."""
    frame = table(name)
    for column, value in where.items():
        frame = frame[frame[column] == value]
    if len(frame) != 1:
        raise SpecError(f"Table {name} has {len(frame)} figures with {where}; exactly one was wanted.")
    return {str(k): v for k, v in frame.iloc[0].items()}


def cells(name: str, query: str) -> list[dict[str, Any]]:
    """The rows of a published table for which a pandas query holds."""
    return [{str(k): v for k, v in row.items()} for row in table(name).query(query).to_dict("records")]
