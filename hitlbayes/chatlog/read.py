"""A chat log, checked: `read_chats` and the `Chats` that it returns."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from hitlbayes.chatlog.check import (
    SHOWN,
    Column,
    check_arms,
    check_rows,
    check_start,
    check_unique,
    require,
)
from hitlbayes.chatlog.frame import Chats
from hitlbayes.chatlog.schema import DERIVED, REQUIRED, Variable, convert, pandera_schema, store, variables
from hitlbayes.chatlog.source import Source, open_source, readable
from hitlbayes.chatlog.times import check_zone, local
from hitlbayes.errors import SchemaError, SpecError

# Below this many chats DuckDB runs on one thread: floating-point sums then come out bit for bit the same
# every time.
SERIAL_ROWS = 2_000_000


def read_chats(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    tz: str | None = None,
    start: str | dt.date | None = None,
    outcome: str | Sequence[str] | None = None,
    synthetic: bool = False,
    ratings: int = 5,
    treated_level: object = None,
) -> Chats:
    """A chat log with one row per chat, checked against the schema and left where it is.

    Parameters
    ----------
    source : path, glob, list of paths, pandas, polars or Arrow table, ibis table
        Parquet or CSV files, or a table. Nothing is copied into pandas. NaN counts as missing.
    columns : mapping, optional
        Canonical name -> your name, for instance ``{"worker_id": "agent", "start_time": "opened_at"}``.
    tz : str, optional
        The experiment's IANA time zone, in which days are cut. Required where timestamps are aware; naive
        ones are taken as local time already.
    start : date or str, optional
        The first treated day; required where there is no ``post`` column, and compared with it where there is
        one.
    outcome : str or sequence of str, optional
        Outcomes whose columns must be present.
    synthetic : bool
        Whether the log is simulated; every result derived from it is then labelled so.
    ratings : int
        The highest rating; ratings are whole numbers from 1.
    treated_level : str or number, optional
        The value that means treated, where the column of the arm is not 0/1: ``"Copilot"``.

    Returns
    -------
    Chats

    Raises
    ------
    SchemaError
        A column is missing, or a value breaks its rule; the message has the count and the first offending
        rows.
    DesignError
        A worker has chats in both arms.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({
    ...     "agent": ["a", "a", "b", "b"], "group": ["ai", "ai", "none", "none"],
    ...     "duration": [300.0, 200.0, 310.0, 290.0],
    ...     "start_time": pd.to_datetime(["2024-08-14 09:00", "2024-08-15 09:00"] * 2),
    ... })
    >>> columns = {"worker_id": "agent", "treated": "group"}
    >>> chats = read_chats(log, columns=columns, treated_level="ai", start="2024-08-15")
    >>> chats.n
    4
    """
    check_zone(tz)
    begin = _first_day(start)
    known, mapped, wanted = variables(ratings=ratings), _mapping(columns, ratings=ratings), _outcomes(outcome)
    opened = open_source(source, text={mapped.get(name, name) for name in known})
    table = opened.table
    require([*REQUIRED, *wanted, *mapped], columns=table.columns, mapped=mapped)
    if "post" not in mapped and "post" not in table.columns and start is None:
        raise SchemaError(
            "there is no 'post' column and start is not given.\n  expected: which chats came after the "
            "start\n"
            "  to do: pass start=, the first treated day, for instance start='2024-08-15', or map a 0/1 "
            "column to post."
        )
    under = _columns(opened, known=known, mapped=mapped, tz=tz, treated_level=treated_level)
    required = [*REQUIRED, *(["post"] if "post" in under else [])]
    with readable():
        rows, observed = check_rows(table, columns=under, required=required, numbered=opened.owned)
    clean = _canonical(table, under=under, start=begin)
    pandera_check(clean, ratings=ratings)
    if opened.owned and rows <= SERIAL_ROWS:
        table.get_backend().raw_sql("SET threads = 1")
    if "chat_id" in under:
        check_unique(clean, key="chat_id")
    workers = check_arms(clean)
    if "post" in under and begin is not None:
        check_start(clean, start=begin)
    return Chats(clean, rows, tz, begin, synthetic, ratings, workers, observed)


def _mapping(columns: Mapping[str, str] | None, *, ratings: int) -> dict[str, str]:
    known = variables(ratings=ratings)
    for name, own in (columns or {}).items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            if own in known:
                hint = f" It is the other way round: columns={{{own!r}: {name!r}}}."
            raise SpecError(
                f"columns= names {name!r}, which is not a canonical column.{hint}\n"
                f"  expected: canonical name -> your name, with names from {', '.join(known)}."
            )
    return dict(columns or {})


def _outcomes(outcome: str | Sequence[str] | None) -> list[str]:
    names = [outcome] if isinstance(outcome, str) else list(outcome or [])
    return [DERIVED[name][0] if name in DERIVED else name for name in names]


def _columns(
    opened: Source,
    *,
    known: Mapping[str, Variable],
    mapped: Mapping[str, str],
    tz: str | None,
    treated_level: object,
) -> dict[str, Column]:
    table, under = opened.table, {}
    renamed = set(mapped.values())  # a column given another meaning does not keep the one of its own name
    for name, variable in known.items():
        source = mapped.get(name, name)
        if source not in table.columns or (name not in mapped and source in renamed):
            continue
        raw = table[source]
        if name == "treated" and treated_level is not None:
            value = is_level(table, raw, level=treated_level, name=source)
        else:
            value = local(raw, tz=tz) if variable.kind == "time" else convert(raw, variable, name=name)
        under[name] = Column(raw, value, variable, source)
    return whole_numbers(table, under=under) if opened.text else under


def is_level(table: ir.Table, raw: ir.Column, *, level: object, name: str) -> ir.Column:
    """1 where the arm is `level`, 0 where it is another, or SchemaError where no row has it."""
    text = raw.cast("string")
    with readable():
        if not int(table.count(where=text == str(level)).to_pandas()):
            arms = table.select(arm=text).distinct().order_by("arm").limit(SHOWN).to_pandas()["arm"]
            raise SchemaError(
                f"treated_level={level!r}: no row of column {name!r} has it.\n"
                f"  found: {', '.join(map(repr, arms.dropna()))}\n  to do: name the value that means treated."
            )
    return (text == str(level)).cast("int8")


def whole_numbers(table: ir.Table, *, under: Mapping[str, Column]) -> dict[str, Column]:
    """Names read from CSV as integers where that loses nothing: "17" becomes 17, but "007" stays text."""
    names = [name for name, column in under.items() if column.variable.kind in ("id", "label")]
    names = [name for name in names if not under[name].variable.labels]
    same = {
        name: (under[name].raw.try_cast("int64").cast("string") == under[name].raw).fill_null(False)
        | under[name].raw.isnull()
        for name in names
    }
    with readable():
        whole = table.aggregate(**{name: same[name].all() for name in names}).to_pandas().iloc[0]
    return {
        name: replace(column, value=column.raw.try_cast("int64")) if name in names and whole[name] else column
        for name, column in under.items()
    }


def _first_day(start: str | dt.date | None) -> pd.Timestamp | None:
    """The start as a naive timestamp, or SpecError where it is no local day."""
    if start is None:
        return None
    try:
        stamp = pd.Timestamp(start)
    except ValueError as error:
        raise SpecError(f"start={start!r} is not a date.\n  expected: for instance '2024-08-15'.") from error
    if stamp.tzinfo is not None:
        raise SpecError(f"start={start!r} has a time zone.\n  expected: a day in the experiment's own zone.")
    return stamp


def _canonical(table: ir.Table, *, under: Mapping[str, Column], start: pd.Timestamp | None) -> ir.Table:
    """Canonical columns in their stored types, then the user's other columns as they are."""
    held = {name: store(column.value, column.variable) for name, column in under.items()}
    if "post" not in held and start is not None:
        held["post"] = (under["start_time"].value >= start.to_pydatetime()).cast("int8")
    taken = {column.source for column in under.values()}
    others = {name: table[name] for name in table.columns if name not in taken and name not in held}
    return table.select(**held, **others)


def pandera_check(table: ir.Table, *, ratings: int) -> None:
    """Presence and types of the canonical columns, by pandera, read off the schema without a query."""
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaError as PanderaError
    from pandera.errors import SchemaErrors as PanderaErrors

    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
            pandera_schema(table.columns, ratings=ratings).validate(table)
    except (PanderaError, PanderaErrors) as error:
        raise SchemaError(f"the chat log breaks the schema: {error}") from error
