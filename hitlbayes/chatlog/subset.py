"""Fewer chats, counted and said; and chats whose outcome was still open when the experiment ended."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pandas as pd

from hitlbayes.chatlog.check import check_arms
from hitlbayes.chatlog.frame import Chats
from hitlbayes.errors import SchemaError, SpecError


def without(chats: Chats, *, flag: str) -> Chats:
    """The chats whose 0/1 column `flag` is 0; how many were left out goes along into panels and fits.

    Parameters
    ----------
    chats : Chats
    flag : str
        For instance ``"retrial_crosses"`` (see `hitlbayes.retrials`), for a fit without the chats whose
        retrial window reaches past the end of the experiment.

    Returns
    -------
    Chats
        `drops` says what was left out.

    Raises
    ------
    SchemaError
        There is no such column, it holds anything but 0 and 1, or no chat is left.

    Examples
    --------
    >>> import pandas as pd
    >>> from hitlbayes.chatlog import read_chats
    >>> log = pd.DataFrame({
    ...     "worker_id": [1, 1, 2, 2], "treated": [1, 1, 0, 0], "late": [0, 1, 0, 1], "retrial": [0, 1, 1, 0],
    ...     "start_time": pd.to_datetime(["2024-08-14", "2024-08-15"] * 2),
    ... })
    >>> kept = without(read_chats(log, start="2024-08-15"), flag="late")
    >>> kept.n, kept.drops
    (2, {'late = 1': 2})
    """
    if flag not in chats.table.columns:
        raise SchemaError(f"column {flag!r} is missing.\n  found: {', '.join(chats.table.columns)}")
    column = chats.table[flag]
    if not (column.type().is_numeric() or column.type().is_boolean()):
        raise SchemaError(f"column {flag!r} is of type {column.type()}.\n  expected: 0 and 1.")
    value = column.cast("float64")
    kept = chats.table.filter(value == 0)
    counts = {
        "out": chats.table.count(where=value == 1),
        "in": chats.table.count(where=value == 0),
    }
    out, left = (int(v) for v in chats.table.aggregate(**counts).to_pandas().iloc[0][["out", "in"]])
    if out + left != chats.n:
        raise SchemaError(
            f"column {flag!r} is neither 0 nor 1 in {chats.n - out - left:,} of {chats.n:,} chats.\n"
            "  expected: 0 (kept) or 1 (left out) for every chat."
        )
    if not left:
        raise SchemaError(f"column {flag!r} is 1 in all {chats.n:,} chats: none is left.")
    seen = kept.aggregate(**{name: kept[name].count() for name in chats.observed}).to_pandas().iloc[0]
    return replace(
        chats,
        table=kept,
        n=left,
        workers=check_arms(kept),
        observed={name: int(seen[name]) for name in chats.observed},
        drops=chats.drops | ({f"{flag} = 1": out} if out else {}),
    )


def flag_crossing(
    chats: Chats, *, end: str | dt.date, window: float = 7.0, name: str = "retrial_crosses"
) -> Chats:
    """The chats with a 0/1 column that marks those whose outcome window reaches past the experiment's end.

    For logs that come with their retrials; `hitlbayes.retrials` makes the same column where it counts them.

    Parameters
    ----------
    chats : Chats
    end : date or str
        The first moment after the experiment, for the paper ``"2024-09-01"``.
    window : float
        Days after a chat's start in which its outcome is decided.
    name : str
        Of the new column.

    Raises
    ------
    SpecError
        The window is not positive, the end is no date, or the column is there already.

    Examples
    --------
    >>> import pandas as pd
    >>> from hitlbayes.chatlog import read_chats
    >>> log = pd.DataFrame({
    ...     "worker_id": [1, 1, 2, 2], "treated": [1, 1, 0, 0], "retrial": [0, 1, 1, 0],
    ...     "start_time": pd.to_datetime(["2024-08-14", "2024-08-26"] * 2),
    ... })
    >>> chats = flag_crossing(read_chats(log, start="2024-08-15"), end="2024-09-01")
    >>> without(chats, flag="retrial_crosses").drops
    {'retrial_crosses = 1': 2}
    """
    if not window > 0:
        raise SpecError(f"window={window!r}.\n  expected: a positive number of days.")
    if name in chats.table.columns:
        raise SpecError(f"the chats have a column {name!r} already.\n  to do: give another name=.")
    try:
        last = pd.Timestamp(end) - pd.Timedelta(days=window)
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"end={end!r} is not a local date.\n  expected: for instance '2024-09-01'."
        ) from error
    crosses = (chats.table.start_time > last.to_pydatetime()).cast("int8")
    return replace(chats, table=chats.table.mutate(**{name: crosses}))
