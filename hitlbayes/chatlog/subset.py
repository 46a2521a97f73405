"""Fewer chats, counted and said."""

from __future__ import annotations

from dataclasses import replace

from hitlbayes.chatlog.check import check_arms
from hitlbayes.chatlog.frame import Chats
from hitlbayes.errors import SchemaError


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
