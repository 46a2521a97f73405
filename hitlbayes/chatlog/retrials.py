"""Whether a customer came back about the same issue within some days, and whether the days were all seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from hitlbayes.chatlog.logged import LoggedChats, logged
from hitlbayes.chatlog.rawlog import SECOND, read_log
from hitlbayes.chatlog.schema import Variable
from hitlbayes.chatlog.source import connect, readable
from hitlbayes.errors import SchemaError, SpecError

DAY = 86_400 * SECOND
COLUMNS = {
    "chat_id": Variable("id"),
    "customer_id": Variable("id"),
    "issue": Variable("label"),
    "start_time": Variable("time"),
}
REQUIRED = ("chat_id", "start_time")


def retrials(
    contacts: Any,
    *,
    window: float = 7.0,
    end: str | dt.date | None = None,
    observed_until: str | dt.date | None = None,
    columns: Mapping[str, str] | None = None,
    tz: str | None = None,
) -> LoggedChats:
    """Whether the same customer contacted again about the same issue within the window (paper, Section 3.5).

    Parameters
    ----------
    contacts : path, glob, list of paths, frame, Arrow table, or ibis table in DuckDB
        Every contact, with whichever worker: `chat_id`, `customer_id`, `issue`, `start_time`.
    window : float
        Days after the start of a chat in which another contact counts; the paper's is 7.
    end : date or str, optional
        The first moment after the experiment, when its treatment is no longer what it was. For the paper
        ``"2024-09-01"``, when the AI reached every worker.
    observed_until : date or str, optional
        Until when contacts were recorded; the last contact of the log unless given.
    columns : mapping, optional
        Canonical name -> your name.
    tz : str, optional
        The experiment's IANA zone; required where stamps are aware.

    Returns
    -------
    LoggedChats
        `chat_id`; `retrial` (0/1; missing where customer or issue is, and wherever the window was not seen
        to its end: a return that was seen would count and one that was not would pass for none);
        `retrial_crosses` (1 where the window reaches past `end` or past what was recorded). To fit
        without those: ``hb.without(chats, flag="retrial_crosses")``.

    Raises
    ------
    SchemaError, SpecError

    Examples
    --------
    >>> log = pd.DataFrame({
    ...     "chat_id": [1, 2, 3], "customer_id": "c", "issue": ["refund", "refund", "delivery"],
    ...     "start_time": pd.to_datetime(["2024-08-15", "2024-08-20", "2024-09-10"]),
    ... })
    >>> import warnings; warnings.simplefilter("ignore")
    >>> retrials(log, end="2024-09-01", observed_until="2024-10-01").to_pandas().values.tolist()
    [[1, 1, 0], [2, 0, 0], [3, 0, 1]]
    """
    if not window > 0:
        raise SpecError(f"window={window!r}.\n  expected: a positive number of days.")
    log = read_log(
        contacts, known=COLUMNS, required=REQUIRED, columns=columns, tz=tz, what="contact log", all_of=True
    )
    with readable():
        last = int(log.start_time.max().to_pyarrow().as_py())
        until = _moment(observed_until, name="observed_until", default=last)
        stop = min(_moment(end, name="end", default=until), until)
        rows = _retrials(log, window=round(window * DAY), stop=stop, until=until).to_pyarrow()
    if until < last:
        raise SpecError(
            f"observed_until={observed_until!r}, and the last contact is of "
            f"{pd.Timestamp(last, unit='us')}.\n  expected: a moment not before the last contact."
        )
    con = connect()
    _check_once(rows)
    con.con.register("retrials", rows)
    found = con.table("retrials").order_by("chat_id")
    seen = found.filter(found.named)
    notes = {
        "contacts without customer or issue: no retrial": found.count(where=~found.named),
        f"contacts whose {window:g} days were not recorded to the end: no retrial": seen.count(
            where=seen.retrial.isnull()
        ),
        f"contacts whose {window:g} days reach past the end (retrial_crosses)": found.retrial_crosses.sum(),
    }
    counts = {what: int(value.to_pyarrow().as_py() or 0) for what, value in notes.items()}
    return logged(found.drop("named"), notes=counts)


def _check_once(rows: pa.Table) -> None:
    repeated = len(rows) - len(rows["chat_id"].unique())
    if repeated:
        raise SchemaError(
            f"the contact log has {repeated:,} rows too many: chat_id is not unique.\n"
            "  expected: one row per contact; a repeated one would pass for a retrial."
        )


def _moment(value: str | dt.date | None, *, name: str, default: int) -> int:
    """Microseconds since 1970 of a local moment."""
    if value is None:
        return default
    try:
        stamp = pd.Timestamp(value)
    except ValueError as error:
        raise SpecError(f"{name}={value!r} is not a date.\n  expected: for instance '2024-09-01'.") from error
    if stamp.tzinfo is not None:
        raise SpecError(f"{name}={value!r} has a time zone.\n  expected: local time of the experiment.")
    return int(stamp.to_datetime64().astype("datetime64[us]").astype("int64"))


def _retrials(log: ir.Table, *, window: int, stop: int, until: int) -> ir.Table:
    by_time = ibis.window(group_by=["customer_id", "issue"], order_by=["start_time", "row", "chat_id"])
    following = log.start_time.lead().over(by_time)
    named = log.customer_id.notnull() & log.issue.notnull()
    back = ((following - log.start_time) <= window).fill_null(False)
    seen = log.start_time + window <= until
    return log.select(
        chat_id=log.chat_id,
        retrial=ibis.ifelse(named & seen, back.cast("int8"), None),
        retrial_crosses=(log.start_time + window > stop).cast("int8"),
        named=named,
    )
