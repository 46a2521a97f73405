"""A log of events (messages, clicks, contacts), checked: canonical columns, times as whole microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from hitlbayes.chatlog.check import Column, check_rows, require
from hitlbayes.chatlog.read import whole_numbers
from hitlbayes.chatlog.schema import Variable, convert, store
from hitlbayes.chatlog.source import open_source, readable
from hitlbayes.chatlog.times import check_zone, local
from hitlbayes.errors import SchemaError, SpecError

# Whole microseconds add up to the same sum in every order, so that results do not depend on threads.
_epoch_us = ibis.udf.scalar.builtin(
    lambda stamp: None, name="epoch_us", signature=(("timestamp(6)",), "int64")
)
_make_timestamp = ibis.udf.scalar.builtin(
    lambda micros: None, name="make_timestamp", signature=(("int64",), "timestamp(6)")
)
SECOND = 1_000_000  # microseconds


def from_us(micros: ir.IntegerColumn) -> ir.TimestampColumn:
    """Naive timestamps from whole microseconds since 1970."""
    return _make_timestamp(micros)


def read_log(
    source: Any,
    *,
    known: Mapping[str, Variable],
    required: Sequence[str],
    columns: Mapping[str, str] | None,
    tz: str | None,
    what: str,
    all_of: bool = False,
) -> ir.Table:
    """The known columns of a log that it has, each value checked, in DuckDB.

    Parameters
    ----------
    source : whatever `read_chats` takes
    known : canonical columns and their rules; those of kind "time" become microseconds since 1970 (int64)
    required : columns that must be there, without gaps
    columns : canonical name -> the user's name
    tz : zone of aware stamps
    what : name of the log in messages
    all_of : every known column must be there, with gaps or without

    Returns
    -------
    ibis.Table
        The canonical columns, and `row`, the position in the log where it has one (0 otherwise).
    """
    check_zone(tz)
    mapped = _mapping(columns, known=known, what=what)
    opened = open_source(source, text={mapped.get(name, name) for name in known})
    table = opened.table
    if table.get_backend().name != "duckdb":
        raise SchemaError(
            f"the {what} is an ibis table of {table.get_backend().name}.\n  expected: DuckDB, a file or a "
            "frame\n  to do: export it to Parquet and pass the path."
        )
    require([*(known if all_of else required), *mapped], columns=table.columns, mapped=mapped)
    under: dict[str, Column] = {}
    for name, variable in known.items():
        source_name = mapped.get(name, name)
        if source_name in table.columns:
            raw = table[source_name]
            value = (
                local(raw, tz=tz, name=name) if variable.kind == "time" else convert(raw, variable, name=name)
            )
            under[name] = Column(raw, value, variable, source_name)
    under = whole_numbers(table, under=under) if opened.text else under
    with readable():
        check_rows(table, columns=under, required=required, numbered=opened.owned)
    held = {
        name: _epoch_us(column.value)
        if column.variable.kind == "time"
        else store(column.value, column.variable)
        for name, column in under.items()
    }
    row = ibis.row_number() if opened.owned else ibis.literal(0, "int64")
    return table.select(**held, row=row)


def _mapping(
    columns: Mapping[str, str] | None, *, known: Mapping[str, Variable], what: str
) -> dict[str, str]:
    unknown = [name for name in columns or {} if name not in known]
    if unknown:
        raise SpecError(
            f"the columns of the {what} name {', '.join(map(repr, unknown))}.\n"
            f"  expected: canonical name -> your name, with names from {', '.join(known)}."
        )
    return dict(columns or {})
