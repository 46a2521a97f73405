"""Which worker a chat belongs to, and which sessions there are: what the logs must agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from hitlbayes.chatlog.check import SHOWN, check_unique, indent
from hitlbayes.chatlog.schema import variables
from hitlbayes.chatlog.source import open_source, readable
from hitlbayes.errors import SchemaError, SpecError


def read_sessions(
    source: Any, *, columns: Mapping[str, str] | None, measured: tuple[str, ...]
) -> pa.Table | None:
    """The session log in memory, canonically named: one row per `chat_id`, none of the measured columns."""
    if source is None:
        return None
    table = open_source(source).table
    names = dict(columns or {})
    if unknown := [name for name in names if name not in variables()]:
        raise SpecError(f"the columns of the sessions name {unknown}, which are not canonical columns.")
    if absent := [yours for yours in names.values() if yours not in table.columns]:
        raise SchemaError(f"the sessions lack the columns {absent}.\n  found: {', '.join(table.columns)}")
    table = table.rename({name: yours for name, yours in names.items() if name != yours})
    if "chat_id" not in table.columns:
        raise SchemaError(
            f"the sessions have no chat_id.\n  found: {', '.join(table.columns)}\n  to do: name your own, "
            "columns={'sessions': {'chat_id': 'your name'}}."
        )
    if both := [name for name in table.columns if name in measured]:
        raise SchemaError(
            f"the sessions already hold {', '.join(both)}, which the logs measure.\n"
            "  to do: leave these columns out of the sessions, or rename them to keep both."
        )
    with readable():
        check_unique(table, key="chat_id")
        rows = table.to_pyarrow()
    if rows["chat_id"].null_count:
        raise SchemaError(f"{rows['chat_id'].null_count:,} sessions have no chat_id.")
    return rows


def whose(chats: ir.Table, *, events: ir.Table | None, sessions: pa.Table | None) -> pd.DataFrame:
    """The worker of each chat with messages: `chat_id`, `worker_id` (missing where nothing says).

    The session log says, or the message log, or, where neither names workers, the activity log.

    Raises
    ------
    SchemaError
        A chat has several workers.
    """
    said: dict[str, pd.DataFrame] = {}
    if sessions is not None and "worker_id" in sessions.column_names:
        frame = sessions.select(["chat_id", "worker_id"]).to_pandas()
        said["session log"] = frame.rename(columns={"worker_id": "low"}).assign(high=lambda f: f["low"])
    if "worker_low" in chats.columns:
        named = chats.select("chat_id", low=chats.worker_low, high=chats.worker_high)
        said["message log"] = named.to_pandas()
    if not said and events is not None:
        met = events.filter(events.chat_id.notnull()).group_by("chat_id")
        said["activity log"] = met.agg(
            low=lambda t: t.worker_id.min(), high=lambda t: t.worker_id.max()
        ).to_pandas()
    owners = chats.select("chat_id").to_pandas()
    for log, frame in said.items():
        _check_kinds(owners["chat_id"], frame["chat_id"], log=log, what="chat_id")
        _check_one(frame, log=log)
        owners = owners.merge(
            frame[["chat_id", "low"]].rename(columns={"low": log}), on="chat_id", how="left"
        )
    return owners[["chat_id"]].assign(worker_id=_agreed(owners, logs=list(said)))


def check_same_kinds(
    one: pa.Schema, other: pa.Schema, *, names: tuple[str, ...], logs: tuple[str, str]
) -> None:
    """Refuse identifiers that are numbers in one log and text in another: they would never meet."""
    for name in names:
        if name in one.names and name in other.names:
            kinds = [pa.types.is_integer(schema.field(name).type) for schema in (one, other)]
            if kinds[0] != kinds[1]:
                raise SchemaError(_kinds_message(name, logs=logs, kinds=kinds))


def _check_kinds(one: pd.Series, other: pd.Series, *, log: str, what: str) -> None:
    kinds = [pd.api.types.is_numeric_dtype(values) for values in (one, other)]
    if len(one) and len(other) and kinds[0] != kinds[1]:
        raise SchemaError(_kinds_message(what, logs=("message log", log), kinds=kinds))


def _kinds_message(name: str, *, logs: tuple[str, str], kinds: list[bool]) -> str:
    found = [f"{'numbers' if kind else 'text'} in the {log}" for kind, log in zip(kinds, logs, strict=True)]
    return (
        f"{name!r} holds {' and '.join(found)}.\n  expected: the same identifiers in every log\n"
        "  to do: convert one of them before reading."
    )


def _check_one(frame: pd.DataFrame, *, log: str) -> None:
    several = frame[frame["low"] != frame["high"]].dropna(subset=["low", "high"])
    if len(several):
        shown = several.head(SHOWN).rename(columns={"low": "worker", "high": "another worker"})
        raise SchemaError(
            f"{len(several):,} chats have several workers in the {log}.\n  first:\n{indent(shown)}\n"
            "  expected: one worker a chat\n  to do: give each part of a chat that was handed on a chat_id "
            "of its own, or say in the sessions who answers for the chat (sessions= with worker_id)."
        )


def _agreed(owners: pd.DataFrame, *, logs: list[str]) -> pd.Series:
    if not logs:
        return pd.Series(pd.NA, index=owners.index, dtype="Int64")
    worker = owners[logs[0]]
    for log in logs[1:]:
        differ = owners[worker.notna() & owners[log].notna() & (worker != owners[log])]
        if len(differ):
            raise SchemaError(
                f"{len(differ):,} chats have another worker in the {log} than in the {logs[0]}.\n"
                f"  first:\n{indent(differ.head(SHOWN))}\n  expected: one worker a chat."
            )
        worker = worker.where(worker.notna(), owners[log])
    return worker
