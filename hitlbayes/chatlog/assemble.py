"""What was measured in messages and activity, put together: one row per chat, and what is missing in it."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from hitlbayes.chatlog.activity import attention, attention_columns, concurrency, measure_attention
from hitlbayes.chatlog.messages import message_columns
from hitlbayes.chatlog.rawlog import from_us
from hitlbayes.chatlog.source import readable
from hitlbayes.chatlog.whose import check_same_kinds

MEASURED = (
    "start_time", "end_time", "duration", "rounds", "messages", "words", "first_words", "avg_delay",
    "total_delay", "concurrency", "active_time", "away_time", "switch_aways", "away_share", "ai", "ai_rounds",
    "takeover_seconds", "human_rounds", "human_messages", "human_delay",
)  # fmt: skip


def put(con: ibis.BaseBackend, name: str, rows: pa.Table) -> ir.Table:
    """A table in memory, under this name in this DuckDB."""
    con.con.register(name, rows)
    return con.table(name)


def attended(chats: ir.Table, *, events: ir.Table, idle: float | None) -> tuple[pa.Table, dict[str, int]]:
    """Attention per chat, computed where the events are; missing where the worker has no event at all."""
    spans = chats.select("chat_id", "worker_id", "start_us", "end_us").to_pyarrow()
    check_same_kinds(
        spans.schema,
        events.schema().to_pyarrow(),
        names=("chat_id", "worker_id"),
        logs=("chats", "activity log"),
    )
    with readable():
        met = measure_attention(attention(events, idle=idle), chats=ibis.memtable(spans)).to_pyarrow()
        workers = events.select("worker_id").distinct().to_pyarrow()
        on_chats = int(events.chat_id.count().to_pyarrow().as_py())
    frame = (
        spans.select(["chat_id", "worker_id"]).to_pandas().merge(met.to_pandas(), on="chat_id", how="left")
    )
    seen = frame["worker_id"].isin(workers["worker_id"].to_pandas())
    for name in ("active_us", "switches", "events", "foreign"):
        frame[name] = frame[name].fillna(0).astype("Int64")
    frame.loc[~seen, ["active_us", "switches"]] = pd.NA
    notes = {
        "events on chats that have no messages": on_chats - int((frame["events"] + frame["foreign"]).sum()),
        "events of others than the chat's worker, not counted": int(frame["foreign"].sum()),
        "chats whose worker has no event: no active or away time": int((~seen).sum()),
    }
    return pa.Table.from_pandas(frame[["chat_id", "active_us", "switches"]], preserve_index=False), notes


def measured_chats(chats: ir.Table) -> ir.Table:
    """The canonical columns of every chat that has messages."""
    ai = bool((chats.ai_messages > 0).any().to_pyarrow().as_py())
    chats = chats.left_join(concurrency(chats), "chat_id").drop("chat_id_right")
    columns = {
        "chat_id": chats.chat_id,
        "worker_id": chats.worker_id,
        "start_time": from_us(chats.start_us),
        "end_time": from_us(chats.end_us),
        **message_columns(chats, ai=ai),
        "concurrency": chats.concurrency,
    }
    if "active_us" in chats.columns:
        columns |= attention_columns(chats)
    return chats.select(**columns)


def gaps(chats: ir.Table) -> dict[str, int]:
    """What is missing in the chats measured, and what had to be decided."""
    counts = {
        "messages without text: counted, of no words": chats.textless.sum(),
        "messages at one instant with one of the other side: taken in the log's order": chats.ties.sum(),
        "chats without a message of the customer": chats.count(where=chats.first_words.isnull()),
        "chats without a reply: no reply delay": chats.count(where=chats.replies == 0),
        "chats whose messages are all of one instant: no duration": chats.count(
            where=chats.start_us == chats.end_us
        ),
        "chats of unknown worker: no concurrency": chats.count(where=chats.worker_id.isnull()),
    }
    found = chats.aggregate(**{f"c{k}": value for k, value in enumerate(counts.values())}).to_pandas().iloc[0]
    return {what: int(found[f"c{k}"]) for k, what in enumerate(counts)}


def of_sessions(
    con: ibis.BaseBackend, *, measured: ir.Table, sessions: pa.Table | None
) -> tuple[ir.Table, dict[str, int]]:
    """The chats of the session log with what was measured of them; all chats measured where there is none."""
    if sessions is None:
        return measured, {}
    logs = ("message log", "session log")
    check_same_kinds(measured.schema().to_pyarrow(), sessions.schema, names=("chat_id",), logs=logs)
    listed = put(con, "sessions", sessions)
    others = [name for name in listed.columns if name not in ("chat_id", "worker_id")]
    joined = listed.left_join(measured, "chat_id")
    worker = listed.worker_id if "worker_id" in listed.columns else measured.worker_id
    known = [name for name in measured.columns if name not in ("chat_id", "worker_id")]
    table = joined.select(
        chat_id=listed.chat_id,
        worker_id=worker,
        **{name: measured[name] for name in known},
        **{name: listed[name] for name in others},
    )
    silent = table.count(where=table.start_time.isnull()).to_pyarrow().as_py()
    met = int(listed.count().to_pyarrow().as_py()) - int(silent)
    return table, {
        "sessions without messages: nothing measured": int(silent),
        "chats with messages and no session: left out": int(measured.count().to_pyarrow().as_py()) - met,
    }
