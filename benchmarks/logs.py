"""How long, and in how much memory, raw logs of n synthetic messages become chats.

    python benchmarks/logs.py --messages 10000000

Three logs are written as Parquet by DuckDB to a temporary folder, in another process, so that the peak memory
printed is that of `chats_from_logs` alone: messages (14 a chat, half of them Chinese, in order of time over
all chats), clicks (3 a message) and sessions. They are synthetic and not calibrated: only their number,
types and overlap matter here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import measure

PER_CHAT = 14
DAYS = 31
CHATS_PER_WORKER_DAY = 34
SECONDS_APART = 33  # of the messages of one chat
SECONDS_BETWEEN = 160  # two chats of one worker: about three at a time
CLICKS = 3  # a message

CHATS = """
CREATE TABLE chats AS SELECT i AS chat_id, (i % {workers})::INTEGER AS worker_id,
  TIMESTAMP '2024-08-01 07:00:00' + to_seconds(
    (i // {workers} // {per_day}) * 86400 + (i // {workers} % {per_day}) * {every} + hash(i) % 600) AS begins
FROM range({chats}) r(i)
"""
SESSIONS = """
COPY (SELECT chat_id, worker_id, (worker_id % 15 < 7)::TINYINT AS treated,
  (hash(chat_id) % 10)::TINYINT AS issue
FROM chats) TO '{folder}/sessions.parquet'
"""
MESSAGES = """
COPY (SELECT chat_id, begins + to_milliseconds(m * {apart} * 1000 + hash(chat_id * 97 + m) % 20000) AS time,
  CASE WHEN hash(chat_id * 31 + m) % 2 = 0 THEN 'customer' ELSE 'worker' END AS sender,
  CASE hash(chat_id * 13 + m) % 4
    WHEN 0 THEN '您好，我的订单 SF' || chat_id || ' 还没有发货，请问什么时候能到？'
    WHEN 1 THEN 'Hello, you are connected to your service representative.'
    WHEN 2 THEN '好的，谢谢' ELSE 'Let me check order ' || chat_id || ' for you, one moment please.'
  END AS text
FROM chats, range({per_chat}) r(m) ORDER BY time) TO '{folder}/messages.parquet'
"""
ACTIVITY = """
COPY (SELECT worker_id, begins + to_milliseconds((hash(chat_id * 7 + k) % {length}) * 1000 + k) AS time,
  CASE WHEN k % 3 = 0 THEN 'type' ELSE 'view' END AS action, chat_id
FROM chats, range({clicks}) r(k) ORDER BY time) TO '{folder}/activity.parquet'
"""


def write_logs(folder: str, messages: int) -> dict[str, Any]:
    """Write the three logs in Parquet, in order of time."""
    import duckdb

    chats = messages // PER_CHAT
    workers = max(chats // (DAYS * CHATS_PER_WORKER_DAY), 4)
    sizes = {
        "folder": folder, "chats": chats, "workers": workers, "per_day": CHATS_PER_WORKER_DAY,
        "apart": SECONDS_APART, "every": SECONDS_BETWEEN,
        "per_chat": PER_CHAT, "clicks": CLICKS * PER_CHAT, "length": SECONDS_APART * PER_CHAT,
    }  # fmt: skip
    con = duckdb.connect()
    con.execute("SET memory_limit = '3GB'")
    con.execute(f"SET temp_directory = '{folder}/spill'")
    for command in (CHATS, SESSIONS, MESSAGES, ACTIVITY):
        con.execute(command.format(**sizes))
    return {"chats": chats, "workers": workers, "events": chats * PER_CHAT * CLICKS}


def time_logs(folder: str) -> dict[str, Any]:
    """Seconds of `chats_from_logs`, and of the same without the activity log."""
    import hitlbayes as hb

    warnings.simplefilter("ignore")
    at = {name: f"{folder}/{name}.parquet" for name in ("messages", "activity", "sessions")}
    seconds = {}
    for what, activity in (("messages only", None), ("messages and activity", at["activity"])):
        begun = perf_counter()
        logged = hb.chats_from_logs(at["messages"], activity, sessions=at["sessions"])
        seconds[what] = perf_counter() - begun
    means = logged.table.aggregate(
        **{name: logged.table[name].mean() for name in ("rounds", "words", "concurrency", "away_share")}
    )
    return {"seconds": seconds, "chats": logged.n, "means": means.to_pandas().iloc[0].to_dict()}


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": folder, "messages": arguments.messages}
        written = measure("logs", "write_logs", arguments=job, limit=3_600)
        sizes = {path.stem: round(path.stat().st_size / 2**20) for path in Path(folder).glob("*.parquet")}
        print(json.dumps({"messages": arguments.messages, "mib": sizes, **written}, indent=1), flush=True)
        print(json.dumps(measure("logs", "time_logs", arguments={"folder": folder}, limit=3_600), indent=1))


if __name__ == "__main__":
    main()
