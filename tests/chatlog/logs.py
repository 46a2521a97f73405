"""Small chat logs with known contents, and every form in which a log can be handed in."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

KINDS = ("pandas", "polars", "lazy", "arrow", "parquet", "parts", "csv", "duckdb", "sqlite", "ibis-polars")
# The forms that differ in how rules are checked: three engines, frames with NaN, and text to be parsed.
BACKENDS = ("pandas", "parquet", "csv", "sqlite", "ibis-polars")


def small() -> pd.DataFrame:
    """Eight chats of two treated (a, b) and two control (c, d) workers on 14 and 15 August 2024."""
    return pd.DataFrame(
        {
            "chat_id": [1, 2, 3, 4, 5, 6, 7, 8],
            "worker_id": ["a", "a", "a", "a", "b", "c", "c", "d"],
            "start_time": pd.to_datetime(
                [
                    "2024-08-14 09:00",
                    "2024-08-14 09:30",
                    "2024-08-14 23:59",
                    "2024-08-15 00:00",
                    "2024-08-15 10:00",
                    "2024-08-14 08:00",
                    "2024-08-15 08:00",
                    "2024-08-14 12:00",
                ]
            ).astype("datetime64[us]"),
            "treated": [1, 1, 1, 1, 1, 0, 0, 0],
            "post": [0, 0, 0, 1, 1, 0, 1, 0],
            "eligible": [1, 0, 1, 1, 0, 1, 1, 0],
            "issue": ["refund", "refund", "delivery", "refund", "refund", "delivery", "refund", "refund"],
            "duration": [100.0, 200.0, 400.0, 300.0, 50.0, 60.0, 70.0, 80.0],
            "retrial": [1, 0, 1, 0, 1, 0, 0, 1],
            "rating": [5.0, np.nan, 4.0, 1.0, np.nan, 3.0, 5.0, np.nan],
            "switch_aways": [0, 2, 2, 1, 0, 3, 0, 1],
            "concurrency": [1, 2, 3, 4, 5, 2, 2, 6],
            "customer_tenure": [1.0, 2.0, 6.0, 4.0, 0.5, 0.0, 2.5, 3.0],
            "vip": [1, 0, 0, 1, 0, 1, 1, 0],
        }
    )


def as_kind(frame: pd.DataFrame, kind: str, folder: Path) -> Any:
    """The log in one of the forms that `read_chats` takes."""
    makers = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "lazy": lambda: pl.from_pandas(frame).lazy(),
        "arrow": lambda: _arrow(frame),
        "parquet": lambda: _parquet(frame, folder / "log.parquet"),
        "parts": lambda: _parts(frame, folder),
        "csv": lambda: _csv(frame, folder / "log.csv"),
        "duckdb": lambda: ibis.duckdb.connect().create_table("log", frame),
        "sqlite": lambda: _sqlite(frame, folder / "log.db"),
        "ibis-polars": lambda: ibis.polars.connect().create_table("log", pl.from_pandas(frame)),
    }
    return makers[kind]()


def _arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _sqlite(frame: pd.DataFrame, path: Path) -> Any:
    with contextlib.closing(sqlite3.connect(path)) as con:
        frame.to_sql("log", con, index=False)
    return ibis.sqlite.connect(path).table("log")


def _parquet(frame: pd.DataFrame, path: Path) -> str:
    frame.to_parquet(path, index=False)
    return str(path)


def _parts(frame: pd.DataFrame, folder: Path) -> str:
    middle = len(frame) // 2
    frame.iloc[:middle].to_parquet(folder / "part-0.parquet", index=False)
    frame.iloc[middle:].to_parquet(folder / "part-1.parquet", index=False)
    return str(folder / "part-*.parquet")


def _csv(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def random_log(*, seed: int, chats: int = 400, workers: int = 8) -> pd.DataFrame:
    """A random log over six days, three before and three after the start, both arms."""
    rng = np.random.default_rng(seed)
    worker = rng.integers(0, workers, chats)
    minutes = rng.integers(0, 6 * 1440, chats)
    rated = rng.random(chats) < 0.4
    return pd.DataFrame(
        {
            "worker_id": worker,
            "start_time": pd.Timestamp("2024-08-12") + pd.to_timedelta(minutes, unit="min"),
            "treated": (worker % 2).astype(int),
            "post": (minutes >= 3 * 1440).astype(int),
            "eligible": rng.integers(0, 2, chats),
            "duration": rng.lognormal(5.8, 0.8, chats),
            "retrial": rng.integers(0, 2, chats),
            "rating": np.where(rated, rng.integers(1, 6, chats), np.nan),
            "switch_aways": rng.poisson(2.0, chats),
            "issue": rng.choice(["refund", "delivery", "account"], chats),
            "vip": rng.integers(0, 2, chats),
            "concurrency": rng.integers(1, 7, chats),
            "customer_tenure": rng.random(chats) * 9,
        }
    )
