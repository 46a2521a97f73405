"""Where a chat log comes from: files, frames in memory and ibis tables, each left where it is."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
MEMORY = "2500MB"  # of DuckDB; beyond it, it spills to disk
NULLS = ["", "NA", "NaN", "nan", "null", "NULL"]  # how pandas, R and SQL clients write a missing value


def connect() -> ibis.BaseBackend:
    """A private DuckDB in memory that spills to the system's temporary folder."""
    spill = os.path.join(tempfile.gettempdir(), f"hitlbayes-{os.getpid()}")
    return ibis.duckdb.connect(temp_directory=spill, memory_limit=MEMORY)


@dataclass(frozen=True, slots=True)
class Source:
    """A log as an ibis table, whether its rows have an order (our own connection), whether it is CSV."""

    table: ir.Table
    owned: bool
    text: bool = False


def open_source(source: Any, *, text: Iterable[str] = ()) -> Source:
    """The log as an ibis table, wherever it is.

    Parameters
    ----------
    source : path, glob, list of paths, pandas, polars or Arrow table, ibis table
    text : names of columns that are read from CSV as text, so that every bad value can be named
    """
    if isinstance(source, ir.Table):
        return Source(source, owned=False)
    if isinstance(source, str | os.PathLike):
        return _from_files(_expand(os.fspath(source)), text=text)
    if isinstance(source, list | tuple) and source and all(isinstance(s, str | os.PathLike) for s in source):
        paths = [path for one in source for path in _expand(os.fspath(one))]
        return _from_files(paths, text=text)
    return Source(_from_memory(source), owned=True)


def _expand(path: str) -> list[str]:
    if "://" in path:
        return [path]
    if os.path.isdir(path):
        found = sorted(str(p) for p in Path(path).rglob("*") if p.name.lower().endswith(PARQUET))
        if not found:
            raise SchemaError(
                f"the folder {path!r} holds no Parquet file.\n  expected: files named *.parquet."
            )
        return found
    if os.path.exists(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise SchemaError(f"no file matches {path!r} (looked from {os.getcwd()!r}).")
    return found


def _kind(path: str) -> str:
    name = path.lower()
    if name.endswith(PARQUET):
        return "parquet"
    if name.endswith(CSV):
        return "csv"
    if "://" not in path:
        with open(path, "rb") as handle:
            if handle.read(4) == b"PAR1":
                return "parquet"
    raise SchemaError(
        f"the file {path!r} is not of a known kind.\n"
        f"  expected: Parquet ({', '.join(PARQUET)}) or delimited text ({', '.join(CSV)})."
    )


def _from_files(paths: Sequence[str], *, text: Iterable[str]) -> Source:
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1:
        raise SchemaError(f"the {len(paths)} files are of different kinds: {', '.join(sorted(kinds))}.")
    con, kind = connect(), kinds.pop()
    _same_columns(con, paths, kind=kind)
    if kind == "parquet":
        return Source(_guarded(con.read_parquet, paths, kind=kind, union_by_name=True), owned=True)
    header = _guarded(con.read_csv, paths[:1], kind=kind, nullstr=NULLS).columns
    types = {name: "string" for name in text if name in header}
    options = {"nullstr": NULLS, "sample_size": -1, "union_by_name": True, "types": types or None}
    return Source(_guarded(con.read_csv, paths, kind=kind, **options), owned=True, text=True)


def _same_columns(con: ibis.BaseBackend, paths: Sequence[str], *, kind: str) -> None:
    """Refuse files whose columns differ: an absent column would pass for missing values."""
    read = con.read_parquet if kind == "parquet" else con.read_csv
    first: set[str] | None = None
    for path in paths:
        columns = set(_guarded(read, [path], kind=kind).columns)
        first = columns if first is None else first
        if columns != first:
            raise SchemaError(
                f"the files have different columns: {path!r} lacks {sorted(first - columns)} and adds "
                f"{sorted(columns - first)}, compared with {paths[0]!r}.\n  expected: the same columns in "
                "every file."
            )


def _guarded(read: Any, paths: Sequence[str], *, kind: str, **options: Any) -> ir.Table:
    import duckdb

    options = {key: value for key, value in options.items() if value is not None}
    try:
        return read(list(paths), **options)
    except (duckdb.Error, OSError) as error:
        named = {"parquet": "a Parquet file", "csv": "delimited text"}[kind]
        which = repr(paths[0]) if len(paths) == 1 else f"one of {len(paths)} files ({paths[0]!r} ...)"
        reason = str(error).splitlines()[0]
        raise SchemaError(
            f"{which} cannot be read as {named}: {reason}\n"
            "  to do: check that the download or export is complete and that the name ends as the format "
            "demands."
        ) from error


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn what DuckDB says when it meets a broken line or page while scanning into a SchemaError."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise SchemaError(
            f"the chat log cannot be read to its end: {str(error).splitlines()[0]}\n"
            "  to do: check that the download or export is complete, and that every line has the same "
            "columns."
        ) from error


def _from_memory(source: Any) -> ir.Table:
    import pyarrow as pa

    if isinstance(source, pd.DataFrame):
        _refuse_odd_frame(source)
        try:
            arrow = pa.Table.from_pandas(source, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SchemaError(
                f"a column of the pandas frame holds values of mixed types: {error}\n"
                "  to do: give the column one type, for instance with pandas.to_numeric or astype."
            ) from error
    elif isinstance(source, pa.Table):
        arrow = source
    elif type(source).__module__.split(".")[0] == "polars":
        frame = source.collect() if hasattr(source, "collect") else source
        arrow = frame.to_arrow()
    else:
        raise SchemaError(
            f"cannot read a chat log from {type(source).__name__}.\n  expected: a path, a glob, a list of "
            "paths, or a "
            "pandas, polars, Arrow or ibis table with one row per chat."
        )
    con = connect()
    con.con.register("chats", arrow)
    return con.table("chats")


def _refuse_odd_frame(frame: pd.DataFrame) -> None:
    twice = frame.columns[frame.columns.duplicated()].tolist()
    if twice:
        raise SchemaError(f"the pandas frame has several columns of the same name: {twice}.")
    for name in frame.columns[frame.dtypes == np.dtype("O")]:
        zones = {str(value.tzinfo) for value in frame[name].dropna() if hasattr(value, "tzinfo")}
        if len(zones) > 1:
            raise SchemaError(
                f"column {name!r} mixes UTC offsets: its timestamps have the zones "
                f"{', '.join(sorted(zones))}.\n"
                "  to do: convert it with pandas.to_datetime(..., utc=True) and pass tz=, or to naive "
                "local time."
            )
