"""How long, and in how much memory, a log of n synthetic chats in Parquet is read and collapsed to cells.

    python benchmarks/collapse.py --chats 50000000

The log is written by DuckDB in chunks to a temporary folder, in another process, so that the peak memory
printed is that of reading and collapsing alone. The chats are synthetic and follow no calibration: only their
number, types and cell structure matter here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import measure

CHUNK = 5_000_000
DAYS = 31
CHATS_PER_WORKER = 1_000  # as in the experiment: about 680,000 chats of 647 workers

CHATS = """
COPY (
  SELECT
    i AS chat_id,
    (hash(i * 7) % {workers})::INTEGER AS worker_id,
    ((hash(i * 7) % {workers}) % 15 < 7)::TINYINT AS treated,
    TIMESTAMP '2024-08-01' + to_microseconds(
      (i::DOUBLE / {chats} * {days} * 86400e6)::BIGINT) AS start_time,
    (hash(i * 11) % 1000 < 58)::TINYINT AS eligible,
    (hash(i * 13) % 16)::TINYINT AS issue,
    exp(5.8 + 0.8 * sqrt(-2 * ln((hash(i * 17) % 1000003 + 1) / 1000004.0))
      * cos(2 * pi() * (hash(i * 19) % 1000003) / 1000003.0)) AS duration,
    (hash(i * 23) % 100 < 43)::TINYINT AS retrial,
    CASE WHEN hash(i * 29) % 100 < 17 THEN (hash(i * 31) % 5 + 1)::TINYINT END AS rating,
    (1 + hash(i * 37) % 15)::SMALLINT AS rounds,
    (1 + hash(i * 41) % 30)::SMALLINT AS messages,
    (1 + hash(i * 43) % 500)::SMALLINT AS words,
    (hash(i * 47) % 30000) / 1000.0 AS avg_delay,
    (hash(i * 53) % 300000) / 1000.0 AS total_delay,
    (1 + hash(i * 59) % 6)::TINYINT AS concurrency,
    (hash(i * 61) % 600000) / 1000.0 AS active_time,
    (hash(i * 67) % 600000) / 1000.0 AS away_time,
    (hash(i * 71) % 8)::TINYINT AS switch_aways,
    (hash(i * 73) % 1001) / 1000.0 AS away_share,
    (hash(i * 79) % 9000) / 1000.0 AS customer_tenure,
    (hash(i * 83) % 100 < 20)::TINYINT AS vip
  FROM range({first}, {last}) AS t(i)
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


def write_chats(folder: str, *, chats: int) -> dict[str, Any]:
    """Write `chats` synthetic chats to Parquet files of at most CHUNK rows, ordered by time; their size."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": "2GB"})
    workers = max(20, chats // CHATS_PER_WORKER)
    for k, first in enumerate(range(0, chats, CHUNK)):
        path = Path(folder) / f"chats-{k:04d}.parquet"
        last = min(chats, first + CHUNK)
        con.execute(CHATS.format(first=first, last=last, chats=chats, workers=workers, days=DAYS, path=path))
    return {"mib": sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20}


def collapse(folder: str, *, scope: str) -> dict[str, Any]:
    """Read and collapse the log: wall times (s) and sizes."""
    from hitlbayes.chatlog import panel, read_chats

    begun = perf_counter()
    chats = read_chats(folder, start="2024-08-15", synthetic=True)
    read = perf_counter()
    cells = panel(chats, scope=scope)
    done = perf_counter()
    return {
        "chats": chats.n,
        "cells": len(cells.cells),
        "outcomes": len(cells.outcomes),
        "read_s": round(read - begun, 2),
        "collapse_s": round(done - read, 2),
    }


def main() -> None:
    """Generate, collapse in a fresh process, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chats", type=int, default=5_000_000)
    parser.add_argument("--scope", default="all", choices=["all", "eligible", "ineligible"])
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds, of one process")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hitlbayes-collapse-") as folder:
        written = measure(
            "collapse", "write_chats", arguments={"folder": folder, "chats": asked.chats}, limit=asked.limit
        )
        if "failed" in written:
            raise SystemExit(f"the chats could not be written: {written['failed']}")
        print(f"wrote {asked.chats:,} chats, {written['mib']:,.0f} MiB, in {written['process_s']:.0f} s")
        made = measure(
            "collapse", "collapse", arguments={"folder": folder, "scope": asked.scope}, limit=asked.limit
        )
        if "failed" in made:
            raise SystemExit(f"the log could not be collapsed: {made['failed']}")
        print(json.dumps(made))


if __name__ == "__main__":
    main()
